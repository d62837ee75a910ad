"""`continual matrix`, `datasets plan` and `collect`, as a user runs them."""

import csv

import pytest

RECIPE = """
description: two regions
source: made up
regions:
  - {name: one, data: synthetic_landslides/tiny}
  - {name: two, data: synthetic_landslides/tiny}
data: {image: [red, green, blue], size: 16}
model: {variant: code, inputs: post, trunk_filters: [4], decoder_filters: [4, 8]}
"""
TABLE = """no,region,ll_lat,ll_lon,ur_lat,ur_lon,pre,post
1,ETF,40.0,-85.0,40.001,-84.998,20120101,20140101
2,NAD,36.9,-113.8,36.901,-113.798,20130501,20150601
"""


def test_help(command):
    for words in (
        ("continual", "matrix"),
        ("datasets", "plan"),
        ("datasets", "collect"),
    ):
        code, out, _ = command(*words, "--help")
        assert code == 0
        assert len(out.splitlines()) <= 60


def test_bad_methods_and_options_are_refused(command, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    out = tmp_path / "out"
    for arguments, message in (
        (("--methods", "tsmuu"), "no method `tsmuu`"),
        (("--seeds", "1", "--seeds", "1"), "different seeds"),
        (("--buffer", "0"), "`buffer` must be above 0"),
        (("--set", "base.epoch=3"), "epoch"),
    ):
        command.refuses(
            "continual", "matrix", path, "--out", out, *arguments, message=message
        )
    command.refuses(
        "continual", "tune", path, "--out", out, "--vary", "x", message="received `x`"
    )
    command.refuses("continual", "matrix", "nowhere", message="nowhere")
    assert not out.exists()


def test_plan_and_collect(command, tmp_path):
    table, folder = tmp_path / "table.csv", tmp_path / "ecoregion_landslides"
    table.write_text(TABLE)
    code, out, _ = command(
        "datasets", "plan", table, "--out", folder, "--regions", "etf"
    )
    assert code == 0
    assert "EASTERN_TEMPERATE_FORESTS: 1 pairs" in out
    assert f"datasets collect {folder}" in out.replace("\n", " ")
    rows = list(csv.DictReader((folder / "plan.csv").read_text().splitlines()))
    assert [row["no"] for row in rows] == ["1"]
    code, out, _ = command("datasets", "collect", folder)
    assert code == 0
    assert "1 planned: 1 lacks pre and post and label" in out
    for key in ("pre_file", "post_file", "label_file"):
        (folder / rows[0][key]).write_text("no picture")
    code, out, err = command("datasets", "collect", folder)
    assert code == 1
    assert "1 faulty" in out and "Traceback" not in err


@pytest.mark.parametrize("words", [("plan", "a.csv", "--out", "b"), ("collect", "b")])
def test_missing_files_are_refused(command, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    command.refuses("datasets", *words, message="")
    assert not (tmp_path / "b").exists()

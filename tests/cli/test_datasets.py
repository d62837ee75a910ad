"""`landslide-tf datasets`: building and checking, as a user runs them."""

import csv
import shutil
import signal
import subprocess
import sys

import pytest

from landslide_tf.datasets import bijie_landslide
from tests.datasets import bijie_files

TABLE = """no,region,ll_lat,ll_lon,ur_lat,ur_lon,pre,post
1,ETF,40.0,-85.0,40.001,-84.998,20120101,20140101
2,NAD,36.9,-113.8,36.901,-113.798,20130501,20150601
"""

pytestmark = pytest.mark.filterwarnings(
    "ignore::landslide_tf.datasets.IncompleteDataWarning"
)


@pytest.fixture
def places(tmp_path):
    bijie_files.write_bijie(tmp_path / "manual")
    return "--data-dir", tmp_path / "data", "--manual-dir", tmp_path / "manual"


def test_check_builds_what_is_missing_and_ends_with_1_where_parts_share_ground(
    command, places
):
    code, out, _ = command("datasets", "check", "bijie_landslide", *places)
    assert code == 0
    assert "shared ground inside parts: 1 pair\n" in out
    assert "shared ground between parts: 0 pairs" in out
    data = "bijie_landslide/segmentation-random"
    code, out, err = command("datasets", "check", data, *places)
    assert code == 1
    assert "qx007" in out and "68 %, by pixels" in out
    assert "error" not in err and "Traceback" not in err


def test_check_refuses_what_is_not_there(command, places):
    command.refuses("datasets", "check", "bijie_landslid", message="`bijie_landslide`")
    nowhere = (*places[:2], "--manual-dir", places[1])
    command.refuses(
        "datasets", "check", "bijie_landslide", *nowhere,
        message="expects `Bijie-landslide-dataset/landslide/",
    )  # fmt: skip


def test_help_of_check(command):
    code, out, _ = command("datasets", "check", "--help")
    assert code == 0 and "exit status is then 1" in " ".join(out.split())
    assert len(out.splitlines()) <= 40


def tfrecords(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.tfrecord*")}


@pytest.fixture
def archived(tmp_path):
    """The dummy images as an archive."""
    bijie_files.write_bijie(tmp_path / "loose")
    (tmp_path / "manual").mkdir()
    packed = tmp_path / "manual" / "bijie-landslide-dataset"
    shutil.make_archive(str(packed), "zip", tmp_path / "loose")
    return "--data-dir", tmp_path / "data", "--manual-dir", tmp_path / "manual"


KILLED = """
import os, signal, sys
from landslide_tf.cli.main import main
from landslide_tf.datasets.bijie_landslide import bijie_landslide_dataset_builder as b

read, seen = b.read_rgb, []

def read_and_die(path):
    seen.append(path)
    if len(seen) == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(path)

b.read_rgb = read_and_die
main()
"""


@pytest.mark.integration
def test_a_killed_build_is_invisible_and_the_next_one_uses_what_it_unpacked(
    command, archived, tmp_path
):
    arguments = ["datasets", "build", "bijie_landslide", *map(str, archived)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], capture_output=True, timeout=300
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    versions = tmp_path / "data" / "bijie_landslide" / "segmentation"
    (leftover,) = versions.glob("[!.]*")
    assert leftover.name.startswith("incomplete.")
    code, out, _ = command("datasets", "info", "bijie_landslide", *archived[:2])
    assert code == 0 and "not built" in out
    (unpacked,) = (tmp_path / "data" / "downloads" / "extracted").iterdir()
    written = unpacked.stat().st_mtime_ns

    code, out, _ = command(*arguments)
    assert code == 0 and "test: 4 examples" in out
    assert [path.name for path in versions.glob("[!.]*")] == ["1.0.0"]
    assert unpacked.stat().st_mtime_ns == written
    whole = tmp_path / "whole"
    code, *_ = command(
        "datasets", "build", "bijie_landslide",
        "--data-dir", whole, "--manual-dir", tmp_path / "loose",
    )  # fmt: skip
    assert code == 0
    other = whole / "bijie_landslide" / "segmentation" / "1.0.0"
    assert tfrecords(versions / "1.0.0") == tfrecords(other)


def test_build_verifies_published_sums(command, archived, monkeypatch):
    sums = {"bijie-landslide-dataset.zip": f"md5:{0:032}"}
    monkeypatch.setattr(bijie_landslide.Builder, "CHECKSUMS", sums)
    command.refuses(
        "datasets", "build", "bijie_landslide", *archived, message="md5 checksum"
    )


def test_build_on_beam_only_where_it_helps(command, places):
    command.refuses(
        "datasets", "build", "bijie_landslide", *places, "--beam-runner=DirectRunner",
        message="without Apache Beam",
    )  # fmt: skip


def test_build_without_beam_installed_says_how_to_get_it(command, places, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    command.refuses(
        "datasets", "build", "cas_landslide", *places, "--beam-runner=DirectRunner",
        message="landslide_tf[beam]",
    )  # fmt: skip


def test_info_of_a_set_that_is_not_built(command, tmp_path):
    code, out, _ = command(
        "datasets", "info", "cas_landslide/palu", "--data-dir", tmp_path
    )
    assert code == 0
    assert "green" in out and "class 1  landslide (landslide)" in out
    assert "not built" in out
    assert (
        f"next: landslide-tf datasets build cas_landslide/palu --data-dir {tmp_path}"
        in out
    )
    assert f"`{tmp_path}/downloads/manual/cas_landslide/`" in out
    assert "--manual-dir" in out and "<manual_dir>" not in out


def test_info_names_the_folder_of_files_that_the_user_gives(command, tmp_path):
    own = ("--data-dir", tmp_path / "data", "--manual-dir", tmp_path / "mine")
    code, out, _ = command("datasets", "info", "gvlm", *own)
    assert code == 0 and f"`{tmp_path}/mine/gvlm/`" in out
    assert f"--manual-dir {tmp_path / 'mine'}" in out.replace("\n", " ")


def test_plan_and_collect(command, tmp_path):
    table, folder = tmp_path / "table.csv", tmp_path / "ecoregion_landslides"
    table.write_text(TABLE)
    code, out, _ = command(
        "datasets", "plan", table, "--out", folder, "--regions", "etf"
    )
    assert code == 0
    assert "EASTERN_TEMPERATE_FORESTS: 1 pair," in out
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

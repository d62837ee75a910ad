"""Grids and benchmarks: what is planned, kept, skipped and compared."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from landslide_tf.errors import DataError, RecipeError, RunError
from landslide_tf.metrics import Scores
from landslide_tf.report import write_benchmark
from landslide_tf.train import (
    GridChoice,
    Session,
    load_grid,
    run_grid,
    shipped_grids,
    summarize_grid,
)
from landslide_tf.train.benchmark import runner as module

GRID = """
description: a comparison
rows:
  - {name: plain, recipe: small.yaml}
  - {recipe: small.yaml, set: {optimizer.learning_rate: 1.0e-05}, name: slow}
seeds: [0, 1, 2]
set: {training.epochs: 1}
"""
RECIPE = """
description: a small network
source: made up
data:
  name: synthetic_landslides/tiny
  train: train[:8]
  validation: validation[:4]
  test: test[:6]
  image: [red, green, blue]
model:
  name: basic_fcn
  arguments: {width: 0.0625}
training: {batch_size: 4, patch: 32}
"""


@pytest.fixture
def grid(tmp_path_factory):
    path = tmp_path_factory.mktemp("grid") / "grid.yaml"
    path.with_name("small.yaml").write_text(RECIPE)
    path.write_text(GRID)
    return path


def counts_of(planned):
    """Counts on six images, better for `plain`, other ones each seed."""
    generator = np.random.default_rng(planned.seed)
    found = generator.integers(1, 20, (6, 3, 3))
    found[:, range(3), range(3)] += 200 if planned.row == "plain" else 40
    return found


@pytest.fixture
def made_up(monkeypatch):
    """Runs that take no time; `calls` lists them and `failing` stops one."""

    class MadeUp:
        calls, failing = [], None

    def run_apart(planned, place, session):
        if (planned.row, planned.seed) == MadeUp.failing:
            raise RunError("killed")
        MadeUp.calls.append((planned.row, planned.seed))
        path = place.counts(planned.key)
        path.parent.mkdir(exist_ok=True)
        matrices = counts_of(planned)
        np.savez(path, ids=np.array([f"i{n}" for n in range(6)]), matrices=matrices)
        oa = float(np.trace(matrices.sum(axis=0)) / matrices.sum())
        return {
            "key": planned.key,
            "landslide_class": 0,
            "data": "made/up:test",
            "classes": ["slide", "road", "bare"],
            "scores": {"oa": oa, "classes": {"road": {"precision": None}}},
            "objects": {"iou": {"dp": 0.5 + planned.seed / 10}},
        }

    monkeypatch.setattr(module, "run_apart", run_apart)
    MadeUp.calls = []
    return MadeUp


def test_every_row_meets_every_variant_and_seed(grid):
    text = GRID.replace("seeds: [0, 1, 2]", "seeds: [5, 3]")
    grid.write_text(text + "variants: {'': {}, dice: {loss.name: dice}}\n")
    _, planned = load_grid(grid)
    names = ["plain", "plain, dice", "slow", "slow, dice"]
    assert [(run.row, run.seed) for run in planned] == [
        (name, seed) for seed in (5, 3) for name in names
    ]
    assert len({run.key for run in planned}) == 8
    for run in planned:
        assert run.recipe.training.seed == run.seed
        assert run.recipe.training.epochs == 1
        assert (run.recipe.loss.name == "dice") == ("dice" in run.row)
        assert run.recipe.optimizer.learning_rate == (
            1e-5 if "slow" in run.row else 1e-3
        )


def test_a_result_belongs_to_its_recipe_not_to_its_name(grid):
    _, before = load_grid(grid)
    grid.write_text(GRID.replace("name: plain", "name: usual"))
    _, renamed = load_grid(grid)
    assert [run.key for run in before] == [run.key for run in renamed]
    grid.write_text(GRID.replace("epochs: 1", "epochs: 2"))
    _, changed = load_grid(grid)
    assert not {run.key for run in before} & {run.key for run in changed}
    grid.write_text(GRID + "data: synthetic_landslides/tiny:validation\n")
    _, elsewhere = load_grid(grid)
    assert not {run.key for run in before} & {run.key for run in elsewhere}


def test_a_new_option_left_as_it_is_keeps_a_result(grid):
    _, before = load_grid(grid)
    (grid.parent / "small.yaml").write_text(RECIPE + "augmentation: {flip: false}\n")
    _, same = load_grid(grid)
    assert [run.key for run in before] == [run.key for run in same]
    (grid.parent / "small.yaml").write_text(RECIPE + "augmentation: {flip: true}\n")
    _, other = load_grid(grid)
    assert not {run.key for run in before} & {run.key for run in other}


def test_a_choice_takes_rows_data_seeds_and_changes():
    choice = GridChoice(
        ("U-Net", "mffe_net", "fcn_8s_cas"),
        ("mmls", "bijie_landslide/segmentation"),
        (8,),
        ("training.patch=64", "model.arguments.width=0.125"),
    )
    _, planned = load_grid("cas", choice)
    models = ("FCN", "U-Net", "MFFENet")
    assert [run.row for run in planned] == [
        f"{model}, {data}" for model in models for data in choice.data
    ]
    for run in planned:
        recipe = run.recipe
        assert (recipe.training.seed, recipe.training.patch) == (8, 64)
        assert recipe.model.arguments["width"] == 0.125
        # MMLS holds fractions, Bijie bytes, as CAS does.
        assert recipe.data.image_scale == (255 if recipe.data.name == "mmls" else 1)
        assert run.published is None


def test_the_cas_grid_has_the_published_rows_beside_random_splits():
    _, planned = load_grid("cas", GridChoice(seeds=(0,)))
    assert len(planned) == 24
    for run in planned:
        printed = run.recipe.data.name.endswith("-random")
        assert (run.published is not None) == printed, run.row
    found = {run.row: run.published for run in planned}
    row = found["MFFENet, UAV random"]
    assert [row[name] for name in ("landslide_iou", "mean_f1", "oa")] == pytest.approx(
        [0.84375, 0.94756, 0.96746]
    )
    assert found["U-Net, SAT random"]["landslide_iou"] == pytest.approx(0.51179)


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        (GridChoice(models=("unett",)), RecipeError, "Did you mean `unet`"),
        (GridChoice(seeds=(1, 1)), RecipeError, "repeats one"),
        (GridChoice(data=("mmlz",)), DataError, "`mmls`"),
        (GridChoice(data=("mmls/cleen",)), DataError, "`clean`"),
        (GridChoice(changes=("training.epoch=1",)), RecipeError, "unknown key"),
        (GridChoice(changes=("loss.nme",)), RecipeError, "`section.key=value`"),
    ],
)
def test_a_choice_that_does_not_fit_is_refused(choice, error, message):
    with pytest.raises(error, match=message):
        load_grid("cas", choice)


def test_a_grid_like_another_one_has_its_rows(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("like: fstf\ndescription: mine\nset: {training.epochs: 7}\n")
    grid, planned = load_grid(path)
    other, runs = load_grid("fstf")
    assert grid.description == "mine" and grid.tables == other.tables
    assert [run.row for run in planned] == [run.row for run in runs]
    assert {run.recipe.training.epochs for run in planned} == {7}
    assert planned[0].published == runs[0].published


def test_columns_of_a_table_come_from_the_records(grid, made_up, tmp_path):
    columns = (
        "{all: scores.oa, road: scores.classes.road.precision, DP: objects.iou.dp}"
    )
    text = f"tables: [{{title: Table, columns: {columns}}}]\n"
    text += "published: {plain: {road: 78, DP: 85, miou: 70}}\n"
    grid.write_text(GRID + text)
    loaded, planned = load_grid(grid)
    list(run_grid(planned, tmp_path, Session()))
    summary = summarize_grid(planned, tmp_path, loaded.tables)
    (table,) = summary["tables"]
    plain, slow = table["rows"]
    own = [
        Scores.from_matrix(counts_of(r).sum(0)).oa for r in planned if r.row == "slow"
    ]
    assert slow["mean"]["all"] == pytest.approx(np.mean(own))
    assert slow["std"]["all"] == pytest.approx(np.std(own, ddof=1))
    assert math.isnan(slow["mean"]["road"])
    assert plain["mean"]["DP"] == pytest.approx(0.6)
    assert plain["published"] == pytest.approx({"road": 0.78, "DP": 0.85})
    assert slow["published"] == {}
    assert summary["rows"][0]["published"]["miou"] == pytest.approx(0.7)


def test_shipped_grids_are_valid():
    assert "synthetic" in shipped_grids()
    for name in shipped_grids():
        grid, planned = load_grid(name)
        assert len(grid.seeds) >= 3 and len(planned) >= 6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds:", "seed:", "unknown key `seed`.*`seeds`|`seeds` is missing"),
        ("recipe: small.yaml}", "recpe: small.yaml}", "`rows.0.rec"),
        ("{name: plain, recipe: small.yaml}", "{recipe: smal}", "no recipe `smal`"),
        ("recipe: small.yaml}", "recipe: absent.yaml}", "absent.yaml.*does not exist"),
        ("training.epochs: 1", "training.epoch: 1", "row `plain`.*training.epoch`"),
        ("[0, 1, 2]", "[0, 1, 1]", "repeats"),
        ("[0, 1, 2]", "[]", "`seeds`"),
        ("[0, 1, 2]", "[-1]", "`seeds.0`"),
        ("name: slow", "name: plain", "two rows are called `plain`"),
        ("seeds: [", "seeds: [[", "not valid YAML"),
        ("rows:", "- rows", "not valid YAML"),
        ("rows:", "published: {plan: {oa: 9}}\nrows:", "Did you mean `plain`"),
        ("rows:", "published: {plain: {aa: 9}}\nrows:", "no score `aa`"),
        ("rows:", "like: syntetic\nrows:", "Did you mean `synthetic`"),
        ("rows:", "tables: [{title: a, columns: {x: score.oa}}]\nrows:", "`scores.oa`"),
        (
            "rows:",
            "tables: [{title: a, columns: {x: scores.classes.road.iuo}}]\nrows:",
            "`x` cannot be `scores.classes.road.iuo`",
        ),
        ("rows:", "tables: [{title: a, columns: {}}]\nrows:", "`tables.0.columns`"),
        (GRID, "- 3", "Grid"),
        (GRID, "", "Grid"),
    ],
)
def test_a_grid_that_is_not_valid_is_refused(grid, old, new, message):
    grid.write_text(GRID.replace(old, new, 1))
    with pytest.raises(RecipeError, match=message) as caught:
        load_grid(grid)
    assert "\n" not in str(caught.value)


def test_what_is_done_is_skipped_and_a_failure_loses_nothing(grid, made_up, tmp_path):
    _, planned = load_grid(grid)
    made_up.failing = ("slow", 1)
    with pytest.raises(RunError, match="killed"):
        list(run_grid(planned, tmp_path / "out", Session()))
    first = [("plain", 0), ("slow", 0), ("plain", 1)]
    assert made_up.calls == first
    table = summarize_grid(planned, tmp_path / "out")
    assert [row["seeds"] for row in table["rows"]] == [[0, 1], [0]]
    made_up.failing = None
    states = [before for _, before in run_grid(planned, tmp_path / "out", Session())]
    assert states == [True, True, True, False, False, False]
    assert made_up.calls == [*first, ("slow", 1), ("plain", 2), ("slow", 2)]
    lines = (tmp_path / "out" / "records.jsonl").read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == [r.key for r in planned]


def test_a_line_cut_off_by_a_kill_is_written_anew(grid, made_up, tmp_path):
    _, planned = load_grid(grid)
    list(run_grid(planned[:3], tmp_path, Session()))
    records = tmp_path / "records.jsonl"
    whole = records.read_bytes()
    records.write_bytes(whole[:-5])
    states = [before for _, before in run_grid(planned[:3], tmp_path, Session())]
    assert states == [True, True, False]
    assert records.read_bytes() == whole


def test_a_damaged_record_and_a_missing_count_are_seen(grid, made_up, tmp_path):
    _, planned = load_grid(grid)
    list(run_grid(planned[:2], tmp_path, Session()))
    next((tmp_path / "counts").glob(f"{planned[0].key}*")).unlink()
    states = [before for _, before in run_grid(planned[:2], tmp_path, Session())]
    assert states == [False, True]
    records = tmp_path / "records.jsonl"
    records.write_bytes(b"{}\n" + records.read_bytes())
    with pytest.raises(RunError, match="line 1"):
        list(run_grid(planned[:2], tmp_path, Session()))


def test_two_benchmarks_do_not_share_a_folder(grid, made_up, tmp_path):
    _, planned = load_grid(grid)
    running = run_grid(planned, tmp_path, Session())
    next(running)
    with pytest.raises(RunError, match="Another process"):
        next(run_grid(planned, tmp_path, Session()))
    running.close()
    assert len(list(run_grid(planned, tmp_path, Session()))) == 6


def test_means_spreads_and_differences(grid, made_up, tmp_path):
    _, planned = load_grid(grid)
    list(run_grid(planned, tmp_path, Session()))
    summary = summarize_grid(planned, tmp_path)
    plain, slow = summary["rows"]
    expected = {
        name: [
            Scores.from_matrix(counts_of(run).sum(0)).miou
            for run in planned
            if run.row == name
        ]
        for name in ("plain", "slow")
    }
    for row in (plain, slow):
        values = expected[row["name"]]
        np.testing.assert_allclose(row["values"]["miou"], values)
        assert row["mean"]["miou"] == pytest.approx(np.mean(values))
        assert row["std"]["miou"] == pytest.approx(np.std(values, ddof=1))
    assert plain["difference"] is None
    found = slow["difference"]["miou"]
    difference = np.mean(expected["slow"]) - np.mean(expected["plain"])
    assert found["estimate"] == pytest.approx(difference)
    assert found["low"] < difference < found["high"] < 0
    files = write_benchmark(tmp_path, title="A\ncomparison", summary=summary)
    assert json.loads(files["json"].read_text())["rows"][1]["mean"] == slow["mean"]
    text = files["markdown"].read_text()
    assert text.startswith("# A comparison\n")
    assert f"{np.mean(expected['slow']):.4f} ± " in text
    assert f"[\u2212{-found['low']:.4f}, \u2212{-found['high']:.4f}]" in text


def test_one_seed_has_no_spread_and_other_images_no_difference(grid, made_up, tmp_path):
    _, planned = load_grid(grid)
    planned = planned[:2]
    list(run_grid(planned, tmp_path, Session()))
    path = next((tmp_path / "counts").glob(f"{planned[1].key}*"))
    with np.load(path) as arrays:
        np.savez(path, ids=arrays["ids"][::-1], matrices=arrays["matrices"])
    summary = summarize_grid(planned, tmp_path)
    assert [row["std"]["oa"] for row in summary["rows"]] == [None, None]
    assert summary["rows"][1]["difference"] is None
    files = write_benchmark(tmp_path, title="T", summary=summary)
    assert "| slow | \u2013 |" in files["markdown"].read_text()


def test_published_scores_stand_below_ours(grid, made_up, tmp_path):
    grid.write_text(GRID + "published: {slow: {miou: 81.25, oa: 90.0}}\n")
    _, planned = load_grid(grid)
    list(run_grid(planned, tmp_path, Session()))
    summary = summarize_grid(planned, tmp_path)
    assert [row["published"] for row in summary["rows"]] == [
        None, pytest.approx({"miou": 0.8125, "oa": 0.9}),
    ]  # fmt: skip
    files = write_benchmark(tmp_path, title="T", summary=summary)
    lines = files["markdown"].read_text().splitlines()
    header = next(line for line in lines if line.startswith("| model | seeds"))
    at = next(k for k, line in enumerate(lines) if line.startswith("| slow |"))
    names = [name.strip() for name in header.strip("|").split("|")]
    cells = [cell.strip() for cell in lines[at + 1].strip("|").split("|")]
    assert dict(zip(names, cells, strict=True)) == {
        "model": "slow, published", "seeds": "\u2013", "landslide IoU": "\u2013",
        "landslide F1": "\u2013", "precision": "\u2013", "recall": "\u2013",
        "mean F1": "\u2013", "mean IoU": "0.8125", "overall accuracy": "0.9000",
    }  # fmt: skip


def check_records(out, count):
    """Each record belongs to a normal run folder and to its counts."""
    lines = (out / "records.jsonl").read_text().splitlines()
    assert len(lines) == count
    for record in map(json.loads, lines):
        run = out / record["run"]
        assert (run / "model.keras").is_file() and (run / "metrics.csv").is_file()
        matrix = np.array(record["scores"]["confusion_matrix"])
        with np.load(out / "counts" / f"{record['key']}.npz") as arrays:
            np.testing.assert_array_equal(arrays["matrices"].sum(0), matrix)
            assert len(arrays["ids"]) == record["images"] == 6


@pytest.mark.integration
def test_a_run_is_trained_and_evaluated_in_a_process_of_its_own(
    grid, tiny_data, tmp_path
):
    _, planned = load_grid(grid)
    session = Session(tiny_data, command="landslide-tf benchmark grid.yaml")
    found = list(run_grid(planned[:1], tmp_path / "out", session))
    assert [before for _, before in found] == [False]
    check_records(tmp_path / "out", 1)
    (row,) = summarize_grid(planned, tmp_path / "out")["rows"]
    assert row["name"] == "plain" and row["seeds"] == [0]


class Deadly:
    """A run whose process is killed as soon as it reads what to do."""

    row, seed = "plain", 0

    def __reduce__(self):
        return signal.raise_signal, (signal.SIGKILL,)


@pytest.mark.slow
def test_a_run_whose_process_is_killed_is_named(tmp_path):
    with pytest.raises(RunError, match="Row `plain`, seed 0: its process was killed"):
        module.run_apart(Deadly(), module.BenchmarkFolder(tmp_path), Session())


def start(grid, out, data_dir):
    return subprocess.Popen(
        [
            sys.executable, "-m", "landslide_tf.cli.main", "benchmark", grid,
            "--out", out, "--data-dir", data_dir,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=grid.parent,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip


@pytest.mark.slow
def test_a_killed_benchmark_goes_on_where_it_was(grid, tiny_data, tmp_path):
    grid.write_text(GRID.replace("[0, 1, 2]", "[0]"))
    out = tmp_path / "out"
    records = out / "records.jsonl"
    process = start(grid, out, tiny_data)
    deadline = time.monotonic() + 600
    while not records.is_file() or not records.read_bytes():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    first = records.read_text()
    process = start(grid, out, tiny_data)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "plain, seed 0: recorded before" in output
    assert "slow, seed 0: done" in output
    assert records.read_text().startswith(first)
    check_records(out, 2)
    summary = json.loads((out / "summary.json").read_text())
    assert [row["name"] for row in summary["rows"]] == ["plain", "slow"]
    assert set(summary["rows"][1]["difference"]["oa"]) == {"estimate", "low", "high"}
    assert "| slow |" in (out / "table.md").read_text()


@pytest.mark.slow
def test_an_error_of_a_run_names_its_row(grid, tiny_data, tmp_path):
    grid.write_text(GRID + "data: synthetic_landslides/tiny:absent\n")
    process = start(grid, tmp_path / "out", tiny_data)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 2
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert "Row `plain`, seed 0" in line and "absent" in line
    assert "Traceback" not in output

"""The comparison of continual methods: planned, trained, kept, summarised, shown."""

import itertools
import json

import numpy as np
import pytest
from PIL import Image

from landslide_tf.errors import RecipeError, RunError
from landslide_tf.pipelines import write_arrays
from landslide_tf.report import write_continual
from landslide_tf.train import (
    MethodOptions,
    Session,
    load_continual_recipe,
    plan_matrix,
    run_matrix,
    summarize_matrix,
    train_continual,
)
from landslide_tf.train.continual import matrix as module
from landslide_tf.train.continual import methods
from landslide_tf.train.continual.methods import METHODS, check_backend
from landslide_tf.train.continual.training import MethodResult
from tests.train.continual import region_pairs

NAMES = ("ZERO", "ONE", "TWO")
IMAGES = 6


def write_recipe(folder, *, count=8, size=16, epochs=(2, 1, 1), regions=2, **training):
    """Writes a recipe, and its regions as arrays; none with a count of 0."""
    lines = []
    for region in range(regions):
        name = NAMES[region].lower()
        for split in ("train", "validation", "test") if count else ():
            drawn = "train" if split == "train" else "test"
            store = region_pairs.store(region % 2, drawn, count, size=size)
            place = folder / name / split
            write_arrays(place, store.examples, store.description)
        lines.append(
            f"  - {{name: {name}, data: pairs, arrays: {folder / name}, rounds: 0}}"
        )
    bands = ", ".join(region_pairs.BANDS)
    base, warmup, joint = epochs
    settings = {"batch_size": 4, "validation_batch_size": 8, **training}
    text = f"""
description: made for tests
source: made up
regions:
{chr(10).join(lines)}
data: {{image: [{bands}], size: {size}}}
model:
  variant: code
  trunk_filters: [4, 8]
  decoder_filters: [4, 8, 16]
  bn_momentum: 0.9
base: {{epochs: {base}, learning_rate: 0.003, patience: 0}}
warmup: {{epochs: {warmup}, learning_rate: 0.003, patience: 0}}
joint: {{epochs: {joint}, learning_rate: 0.001, patience: 0}}
training: {json.dumps(settings)}
"""
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def recipe(tmp_path):
    return load_continual_recipe(write_recipe(tmp_path, count=0, regions=3))


def cell_of(method, seed, step, region):
    """A cell with made up counts, worse the longer a region is ago."""
    salt = [len(method), seed, step, region]
    counts = np.random.default_rng(salt).integers(1, 20, (IMAGES, 4))
    counts[:, 0] += 60 - 10 * abs(step - region)
    return {"ids": [f"i{n}" for n in range(IMAGES)], "counts": counts.tolist()}


@pytest.fixture
def made_up(monkeypatch):
    """Methods that take no time; `calls` lists them and `failing` stops one."""

    class MadeUp:
        calls, failing = [], None

    def run_method(method, files, folder, options):
        seed = files.recipe.training.seed
        if (method, seed) == MadeUp.failing:
            raise RunError("killed")
        MadeUp.calls.append((method, seed))
        (folder / method).mkdir(parents=True)
        steps = [
            {n: cell_of(method, seed, t, k) for k, n in enumerate(files.names)}
            for t in range(3)
        ]
        if method == "joint_all":
            steps[:2] = [None, None]
        untrained = None
        if method == "fresh":
            untrained = {n: cell_of("none", seed, 9, k) for k, n in enumerate(NAMES)}
        return MethodResult(steps, untrained)

    MadeUp.calls = []
    monkeypatch.setattr(module, "run_method", run_method)
    monkeypatch.setattr(module.keras.backend, "clear_session", lambda: None)
    return MadeUp


def run(planned, folder):
    return [
        (cell.method, cell.seed, before) for cell, before in run_matrix(planned, folder)
    ]


def test_every_method_with_every_seed_is_planned(recipe):
    planned = plan_matrix(recipe, seeds=[3, 1])
    expected = list(itertools.product([3, 1], METHODS))
    assert [(cell.seed, cell.method) for cell in planned] == expected
    assert {cell.recipe.training.seed for cell in planned} == {1, 3}
    alone = plan_matrix(recipe, ["tsmu", "fresh"])
    assert [cell.method for cell in alone] == ["fresh", "tsmu"]


def test_unknown_methods_and_repeated_seeds_are_refused(recipe):
    with pytest.raises(RecipeError, match=r"no method `tsmuu`.*tsmu"):
        plan_matrix(recipe, ["tsmuu"])
    with pytest.raises(RecipeError, match="different seeds"):
        plan_matrix(recipe, seeds=[1, 1])
    with pytest.raises(RecipeError, match="`buffer` must be above 0"):
        MethodOptions(buffer=0)


def test_methods_that_need_tensorflow_say_so(monkeypatch):
    for method in METHODS:
        check_backend(method)
    monkeypatch.setattr(methods.keras.backend, "backend", lambda: "jax")
    refused = []
    for method in METHODS:
        try:
            check_backend(method)
        except RunError as error:
            assert "`tensorflow`" in str(error)
            refused.append(method)
    assert refused == ["joint_all", "ewc"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_ends_its_steps_with_their_scores(recipe, method):
    steps = {}
    for name in methods.stage_names(recipe, method):
        step, kind = name.split("_")
        steps.setdefault(int(step), []).append(kind)
    assert list(steps) == sorted(steps)
    assert max(steps) == 2
    assert len(steps) == (1 if method in methods.AT_ONCE else 3)
    assert all(kinds[-1] == "evaluate" for kinds in steps.values())
    # What is recorded of the old decoders has to be there before they may change.
    recording = [kinds for kinds in steps.values() if "record" in kinds]
    assert len(recording) == (2 if method in methods.UPDATES else 0)
    assert all(kinds.index("record") < kinds.index("joint") for kinds in recording)


def test_stages_are_those_of_the_recipe(recipe):
    def kinds(**changes):
        changed = recipe.model_copy(update=changes)
        names = methods.stage_names(changed)
        return [name.split("_")[1] for name in names if name.startswith("1_")]

    online = recipe.joint.model_copy(update={"responses": "online"})
    assert kinds() == ["warmup", "record", "joint", "evaluate"]
    assert kinds(joint=online) == ["warmup", "joint", "evaluate"]
    assert kinds(stages=["warmup"]) == ["warmup", "evaluate"]
    assert kinds(stages=["joint"]) == ["record", "joint", "evaluate"]


def test_a_cell_depends_on_its_own_options_only(recipe):
    def keys(**options):
        planned = plan_matrix(recipe, options=MethodOptions(**options))
        return {cell.method: cell.key for cell in planned}

    usual = keys()
    assert len(set(usual.values())) == len(METHODS)
    changes = {"ewc_strength": "ewc", "buffer": "replay", "balance": "joint_all"}
    for option, method in changes.items():
        other = keys(**{option: 7})
        assert {m for m in METHODS if other[m] != usual[m]} == {method}


def test_a_command_that_comes_again_goes_on(recipe, made_up, tmp_path):
    planned = plan_matrix(recipe, ["fresh", "ewc", "tsmu"], [0, 1])
    made_up.failing = ("tsmu", 0)
    with pytest.raises(RunError, match="killed"):
        run(planned, tmp_path / "out")
    made_up.failing = None
    # Stages of a stopped cell stay, finished methods leave none.
    found = run(planned, tmp_path / "out")
    assert [before for *_, before in found] == [True, True, False, False, False, False]
    assert made_up.calls == [(cell.method, cell.seed) for cell in planned]
    assert not (tmp_path / "out/work").exists()
    more = plan_matrix(recipe, ["ewc", "replay"], [1])
    assert run(more, tmp_path / "out") == [("ewc", 1, True), ("replay", 1, False)]


def test_a_damaged_cell_is_named(recipe, made_up, tmp_path):
    planned = plan_matrix(recipe, ["ewc"])
    run(planned, tmp_path / "out")
    (path,) = (tmp_path / "out/cells").iterdir()
    path.write_text("{")
    with pytest.raises(RunError, match="damaged"):
        run(planned, tmp_path / "out")


def test_two_processes_do_not_share_a_folder(recipe, made_up, tmp_path):
    planned = plan_matrix(recipe, ["ewc", "tsmu"])
    cells = run_matrix(planned, tmp_path / "out")
    next(cells)
    with pytest.raises(RunError, match="Another process"):
        run(planned, tmp_path / "out")
    cells.close()


@pytest.fixture
def summary(recipe, made_up, tmp_path):
    planned = plan_matrix(recipe, ["fresh", "joint_all", "tsmu"], [0, 1])
    run(planned, tmp_path / "out")
    return summarize_matrix(planned, tmp_path / "out")


def iou(method, seed, step, region):
    tp, fp, fn, _ = np.sum(cell_of(method, seed, step, region)["counts"], axis=0)
    return tp / (tp + fp + fn)


def mean_iou(method, step, region):
    return np.mean([iou(method, seed, step, region) for seed in (0, 1)])


def test_summary_is_that_of_the_counts(summary):
    assert summary["test_examples"] == [IMAGES] * 3
    found = summary["methods"]["tsmu"]["iou"]
    for step, region in itertools.product(range(3), range(3)):
        own, before = (
            found[key]["mean"][step][region] for key in ("matrix", "zero_shot")
        )
        value = mean_iou("tsmu", step, region)
        assert own == pytest.approx(value) if region <= step else np.isnan(own)
        assert np.isnan(before) if region <= step else before == pytest.approx(value)
    lost = [
        np.mean(
            [
                max(iou("tsmu", s, t, k) for t in range(k, 2)) - iou("tsmu", s, 2, k)
                for k in (0, 1)
            ]
        )
        for s in (0, 1)
    ]
    scores = found["scores"]
    assert scores["forgetting"]["values"] == pytest.approx(lost)
    assert scores["forgetting"]["mean"] == pytest.approx(np.mean(lost))
    assert scores["forgetting"]["std"] == pytest.approx(np.std(lost, ddof=1))
    shot = [
        np.mean([iou("tsmu", s, k - 1, k) - iou("none", s, 9, k) for k in (1, 2)])
        for s in (0, 1)
    ]
    assert scores["fwt_zero_shot"]["values"] == pytest.approx(shot)
    cell = found["matrix"]
    assert cell["low"][1][0] < cell["mean"][1][0] < cell["high"][1][0]
    assert summary["cross"]["iou"]["mean"][2][0] == pytest.approx(
        mean_iou("fresh", 2, 0)
    )


def test_what_trains_at_once_has_its_last_row_only(summary):
    found = summary["methods"]["joint_all"]["f1"]
    assert np.isnan(found["matrix"]["mean"][0]).all()
    assert np.isfinite(found["matrix"]["mean"][2]).all()
    assert np.isfinite(found["scores"]["gain_per_region"]["mean"]).all()
    assert np.isnan(found["scores"]["forgetting"]["mean"])


def test_report(summary, tmp_path):
    files = write_continual(tmp_path / "report", summary=summary)
    assert all(path.stat().st_size > 500 for path in files.values())
    record = json.loads(files["json"].read_text())
    assert record["methods"]["joint_all"]["iou"]["matrix"]["mean"][0][0] is None
    page, text = files["page"].read_text(), files["markdown"].read_text()
    value = f"{mean_iou('tsmu', 2, 1):.3f} ± "
    assert value in text and value in page
    assert "after TWO" in text
    assert "nan" not in text
    # Squares of every matrix, light and dark.
    drawn = np.asarray(Image.open(files["picture"]).convert("L"))
    assert (drawn < 150).mean() > 0.05


def test_the_sites_are_named_where_the_regions_are_ecoregions(
    recipe, made_up, tmp_path
):
    regions = [
        r.model_copy(update={"name": code, "data": "ecoregion_landslides/nad"})
        for r, code in zip(recipe.regions, ("ETF", "NAD", "NWFM"), strict=True)
    ]
    own = recipe.model_copy(update={"regions": regions})
    made_up.failing = ("ewc", 0)
    planned = plan_matrix(own, ["ewc"])
    assert "Front Range" in summarize_matrix(planned, tmp_path)["remark"]
    assert summarize_matrix(plan_matrix(recipe, ["ewc"]), tmp_path)["remark"] is None


@pytest.mark.slow
def test_every_method_trains_and_shares_what_it_has_in_common(tmp_path):
    recipe = load_continual_recipe(write_recipe(tmp_path, regions=3))
    session = Session(verbose=0)
    planned = plan_matrix(recipe)
    cells = run_matrix(planned, tmp_path / "out", session)
    # As a kill would, a stopped generator leaves its stages to the next.
    for _ in range(3):
        next(cells)
    cells.close()
    assert (tmp_path / "out/work").is_dir()
    assert (
        sum(not before for _, before in run_matrix(planned, tmp_path / "out", session))
        == 7
    )
    place = module.MatrixFolder(tmp_path / "out")
    steps = {cell.method: place.read(cell)["steps"] for cell in planned}
    first = steps["fresh"][0]["ZERO"]
    for method, rows in steps.items():
        if not method.startswith("joint_all"):
            assert rows[0]["ZERO"] == first
        assert set(rows[-1]) == set(NAMES)
    kept = steps["feature_extraction"]
    assert kept[0]["ZERO"] == kept[2]["ZERO"]
    run = train_continual(recipe, tmp_path / "run", session)
    trained = json.loads((run.state / "matrix.json").read_text())
    for row, expected in zip(steps["tsmu"], trained["steps"], strict=True):
        assert row == expected["cells"]


@pytest.mark.slow
def test_updates_learn_nearly_as_much_as_a_fresh_network(tmp_path):
    path = write_recipe(tmp_path, count=48, size=32, epochs=(40, 30, 30), batch_size=8)
    planned = plan_matrix(load_continual_recipe(path), ["fresh", "tsmu"], [0, 1, 2])
    for _ in run_matrix(planned, tmp_path / "out", Session(verbose=0)):
        pass
    summary = summarize_matrix(planned, tmp_path / "out")
    scores = summary["methods"]["tsmu"]["iou"]["scores"]
    assert scores["intransigence_per_region"]["mean"][1] <= 0.05
    assert scores["forgetting"]["mean"] <= 0.05

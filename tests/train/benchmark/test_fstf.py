"""The benchmark of FSTF-Net's paper, from generated pairs to its tables."""

import json
import os
import subprocess
import sys

import pytest

from landslide_tf.train import GridChoice, load_grid, run_grid, summarize_grid
from landslide_tf.train.benchmark import runner as module
from landslide_tf.train.run.session import Session
from tests.datasets.land_cover_pairs import write_pairs
from tests.datasets.mmlsv2.test_builder import challenge

pytestmark = pytest.mark.filterwarnings("ignore:Epoch . predicts no landslide")
SMALL = (
    "model.arguments.width=0.0625",
    "training={epochs: 1, steps: 2, batch_size: 2, patch: 32, deterministic: false}",
)
MODELS = {
    "Basic FCN": "basic_fcn",
    "FCN-8s": "fcn_8s",
    "ASPP": "aspp_net",
    "DeepLab_v3+": "deeplab_v3_plus",
    "RAE-D": "rae_d",
    "FSTF-Net": "fstf_net",
}


@pytest.fixture(scope="module")
def manual(tmp_path_factory):
    """Generated pairs of six classes in the layout of Mangkam."""
    folder = tmp_path_factory.mktemp("manual")
    write_pairs(folder / "mangkam", 6)
    return folder


def test_six_methods_have_one_recipe_and_the_published_rows():
    grid, planned = load_grid("fstf", GridChoice(seeds=(0,)))
    assert {run.row: run.recipe.model.name for run in planned} == MODELS
    first = planned[0].recipe
    for run in planned:
        recipe = run.recipe.model_copy(deep=True)
        assert recipe.data.factors == (
            ["slope", "aspect", "ndvi"] if run.row == "FSTF-Net" else []
        )
        recipe.model, recipe.data.factors = first.model, first.data.factors
        assert recipe == first
    columns = [heading for table in grid.tables for heading in table.columns]
    found = {run.row: [run.published[c] for c in columns] for run in planned}
    # Tables 3 and 4 of Xia et al. 2021.
    assert found["RAE-D"] == pytest.approx(
        [.91, .87, .85, .80, .78, .83, .86, .86, .88, .81, .71, .19, .17]
    )  # fmt: skip
    assert found["FSTF-Net"] == pytest.approx(
        [.90, .89, .87, .81, .78, .86, .87, .88, .89, .85, .76, .15, .14]
    )  # fmt: skip
    assert found["Basic FCN"] == pytest.approx(
        [.83, .79, .72, .57, .51, .69, .72, .70, .77, .73, .53, .26, .31]
    )  # fmt: skip


@pytest.mark.parametrize("name", ["fstf_mmlsv2", "fstf_mmls"])
def test_on_mars_fusions_and_factors_stand_beside_the_six_methods(name):
    _, planned = load_grid(name, GridChoice(seeds=(0,)))
    networks = {run.row: run.recipe.model.name for run in planned}
    assert MODELS.items() <= networks.items()
    # What the others are compared with: the same network without factors.
    assert planned[0].row == "RAE-D"
    every = {"slope", "dem", "thermal", "gray"}
    for run in planned:
        method, _, variant = run.row.partition(", ")
        fusion = run.recipe.model.arguments.get("fusion", "concat")
        assert fusion == (variant if variant in ("sum", "stack") else "concat")
        own = {variant.removesuffix(" alone")} if "alone" in variant else every
        assert set(run.recipe.data.factors) == (own if method == "FSTF-Net" else set())
    published = {run.row: run.published for run in planned}
    assert published["FSTF-Net"]["landslide"] == pytest.approx(0.86)
    assert published["FSTF-Net, stack"] is None


@pytest.mark.slow
def test_one_network_on_generated_pairs(manual, tmp_path, monkeypatch):
    # In this process: that a run has one of its own is tested with the grids.
    monkeypatch.setattr(module, "run_apart", module.train_and_evaluate)
    grid, planned = load_grid("fstf", GridChoice(("Basic FCN",), (), (0,), SMALL))
    session = Session(tmp_path / "data", manual, verbose=0)
    list(run_grid(planned, tmp_path / "out", session))
    summary = summarize_grid(planned, tmp_path / "out", grid.tables)
    (line,) = (tmp_path / "out" / "records.jsonl").read_text().splitlines()
    scores = json.loads(line)["scores"]
    classes, objects = (table["rows"][0] for table in summary["tables"])
    assert classes["mean"]["overall accuracy"] == scores["oa"]
    assert classes["mean"]["mean recall"] == scores["mean_recall"]
    assert classes["published"]["landslide"] == pytest.approx(0.69)
    assert objects["mean"]["DP"] == pytest.approx(1 - objects["mean"]["OE"])


@pytest.mark.slow
@pytest.mark.parametrize("grid", ["fstf", "fstf_mmlsv2"])
def test_the_command_trains_all_six_and_writes_the_tables(manual, tmp_path, grid):
    challenge(tmp_path / "manual" / "mmlsv2")
    (tmp_path / "manual" / "mangkam").symlink_to(manual / "mangkam")
    command = [
        *(sys.executable, "-m", "landslide_tf.cli.main", "benchmark", grid),
        *("--seeds", "0", "--out", tmp_path / "out"),
        *(part for change in SMALL for part in ("--set", change)),
        *("--data-dir", tmp_path / "data", "--manual-dir", tmp_path / "manual"),
    ]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    output = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert output.returncode == 0, output.stderr
    for model in MODELS:
        assert f"{model}, seed 0: done" in output.stdout
        assert output.stdout.count(f"| {model}, published |") >= 2
    assert "## Classification accuracy, as in table 3" in output.stdout
    assert "## Landslides as objects, as in table 4" in output.stdout

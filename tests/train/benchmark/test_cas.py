"""The benchmark on CAS from files in its layout to the table."""

import json
import os
import subprocess
import sys

import pytest

from landslide_tf.report import write_benchmark
from landslide_tf.train import GridChoice, Session, load_grid, run_grid, summarize_grid
from landslide_tf.train.benchmark import runner as module
from tests.datasets import cas_files

pytestmark = [
    pytest.mark.filterwarnings("ignore::landslide_tf.datasets.IncompleteDataWarning"),
    pytest.mark.filterwarnings("ignore:Epoch . predicts no landslide"),
]
SMALL = (
    "model.arguments.width=0.05",
    "training={epochs: 1, batch_size: 2, patch: 64, deterministic: false}",
)
MODELS = ("FCN", "U-Net", "DeepLabv3+", "MFFENet")


@pytest.fixture(scope="module")
def manual(tmp_path_factory):
    folder = tmp_path_factory.mktemp("manual")
    for slug in ("moxi_uav02", "longxi_uav", "jiuzhai_uav02", "wenchuan"):
        cas_files.write_subset(folder, slug)
    return folder


def check(summary, models):
    for row, model in zip(summary["rows"], models, strict=True):
        assert row["name"] == f"{model}, UAV random"
        assert row["data"].startswith("cas_landslide/uav-random:test")
        assert 0 <= row["mean"]["oa"] <= 1
        assert row["published"]["oa"] > 0.9


@pytest.mark.integration
def test_one_network_on_files_in_the_layout(manual, tmp_path, monkeypatch):
    # In this process: that a run has one of its own is tested with the grids.
    monkeypatch.setattr(module, "run_apart", module.train_and_evaluate)
    _, planned = load_grid("cas", GridChoice(("FCN",), (), (0,), SMALL))
    planned = [run for run in planned if run.row == "FCN, UAV random"]
    session = Session(tmp_path / "data", manual, verbose=0)
    assert [before for _, before in run_grid(planned, tmp_path / "out", session)] == [
        False
    ]
    summary = summarize_grid(planned, tmp_path / "out")
    check(summary, ["FCN"])
    files = write_benchmark(tmp_path / "out", title="CAS", summary=summary)
    text = files["markdown"].read_text()
    assert text.startswith("# CAS\n\nData: cas_landslide/uav-random:test (")
    assert "| FCN, UAV random, published | \u2013 | 0.6506 |" in text
    (line,) = (tmp_path / "out" / "records.jsonl").read_text().splitlines()
    assert json.loads(line)["classes"] == ["background", "landslide"]


@pytest.mark.slow
def test_the_command_trains_all_four_and_goes_on(manual, tmp_path):
    command = [
        *(sys.executable, "-m", "landslide_tf.cli.main", "benchmark", "cas"),
        *("--data", "cas_landslide/uav-random"),
        *("--seeds", "0", "--out", tmp_path / "out"),
        *(part for change in SMALL for part in ("--set", change)),
        *("--data-dir", tmp_path / "data", "--manual-dir", manual),
    ]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    for state in ("done", "recorded before"):
        output = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        assert output.returncode == 0, output.stderr
        for model in MODELS:
            line = f"{model}, cas_landslide/uav-random, seed 0: {state}"
            assert line in output.stdout

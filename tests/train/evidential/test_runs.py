"""Long proofs: branches that are killed, searched, and trained on JAX."""

import os
import signal
import subprocess
import sys
import time

import pytest

from landslide_tf.pipelines import export_arrays
from landslide_tf.train import BranchFolder, load_recipe
from tests.contracts.jax_process import ON_JAX
from tests.train.evidential.branch_folders import Data

pytestmark = pytest.mark.slow
IN_STEPS = ("--set", "training.epochs=6", "--set", "training.deterministic=true")


class Program:
    """Runs `landslide-tf` as a user does, in processes of its own."""

    def __init__(self, data, environment=os.environ):
        self.data = data
        self.environment = {**environment, "TF_CPP_MIN_LOG_LEVEL": "3"}

    def start(self, *arguments):
        command = [sys.executable, "-m", "landslide_tf.cli.main", *map(str, arguments)]
        folders = ["--data-dir", str(self.data.data_dir)]
        folders += ["--manual-dir", str(self.data.manual_dir)]
        return subprocess.Popen(
            [*command, *folders],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )

    def __call__(self, *arguments):
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=900)
        assert process.returncode == 0, output
        return output


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return Data(tmp_path_factory.mktemp("bijie"))


def test_killed_branches_end_as_uninterrupted_ones(data, tmp_path):
    program = Program(data)
    branches = ("--branches", "h", "--branches", "v")
    command = ("evidential", "train", data.recipe, *branches, *IN_STEPS)
    program(*command, "--out", tmp_path / "whole")
    broken = tmp_path / "broken"
    for branch in ("h", "v"):
        process = program.start(*command, "--out", broken)
        deadline = time.monotonic() + 600
        while not list((broken / branch).glob("checkpoints/state-*")):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not (broken / "v" / "model.keras").is_file()
    program(*command, "--out", broken)
    for part in ("validation", "test"):
        for branch in ("h", "v"):
            name = f"{part}/{branch}.csv"
            whole = (tmp_path / "whole" / name).read_text()
            assert (broken / name).read_text() == whole, name


def test_a_search_finds_a_recipe_for_a_branch(data, tmp_path):
    Program(data)(
        *("tune", data.recipe, "--out", tmp_path / "search", "--trials", 3),
        *("--set", "classification.branch=s"),
    )
    best = load_recipe(tmp_path / "search" / "best.yaml")
    assert best.classification.branch == "s"
    assert len((tmp_path / "search" / "trials.csv").read_text().splitlines()) == 4


def test_branches_train_on_jax_from_arrays(data, tmp_path):
    name = "bijie_landslide/classification"
    with pytest.warns(match="built from less"):
        export_arrays(
            name,
            tmp_path / "arrays",
            data_dir=tmp_path / "tfds",
            manual_dir=data.manual_dir,
        )
    program = Program(data, ON_JAX)
    out = tmp_path / "jax"
    fused = [f"--branches={b}" for b in ("h", "s", "v")]
    arrays = ("--arrays", tmp_path / "arrays")
    program("evidential", "train", data.recipe, "--out", out, *fused, *arrays)
    program("evidential", "evaluate", out, "--no-degradations", "--pictures", 1)
    table = BranchFolder(out).predictions("test")
    assert table.branches == ("h", "s", "v")
    assert (out / "report" / "pictures.png").is_file()

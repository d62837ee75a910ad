"""Training on two virtual CPUs is training on one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from landslide_tf.errors import RecipeError
from landslide_tf.train import load_recipe, train
from landslide_tf.train.run.checkpoint import load_newest
from tests.train.conftest import RECIPE
from tests.train.run.test_restart import assert_same, finish, rows, whole_run

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).with_name("two_devices.py")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_data):
    """The folder with a run on one device and one on two, and what else was seen."""
    folder = tmp_path_factory.mktemp("devices")
    result = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(tiny_data)],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return folder, json.loads(result.stdout.splitlines()[-1])


def test_all_devices_are_a_number_in_the_run(runs):
    _, found = runs
    assert found["devices"] == 2


def test_two_devices_give_the_weights_and_statistics_of_one(runs):
    one, two = runs[1]["fitted"]
    assert one["variables"].keys() == two["variables"].keys()
    for path, value in one["variables"].items():
        np.testing.assert_allclose(
            two["variables"][path], value, rtol=1e-5, atol=1e-5, err_msg=path
        )


def test_sums_of_an_evaluation_are_those_of_one_device(runs):
    """The last of its batches is a single example, and nothing for one device."""
    one, two = runs[1]["fitted"]
    assert np.sum(one["matrix"]) == 9 * 12 * 12
    np.testing.assert_array_equal(two["matrix"], one["matrix"])
    assert two["logs"] == pytest.approx(one["logs"], abs=1e-6)


def test_replicas_share_weights_and_statistics_of_the_whole_batch(runs):
    folder, _ = runs
    two = load_newest(folder / "two" / "checkpoints", "state")
    assert two.meta["devices"] == 2
    differing = {key.rpartition(".")[0] for key in two.arrays if "." in key}
    # Metrics are sums of each replica's share; the rest is the same on both.
    assert differing and all(key.startswith("metrics/") for key in differing)


def test_a_recipe_gives_the_scores_and_weights_of_one_device(runs):
    folder, _ = runs
    (one,), (two,) = rows(folder / "one"), rows(folder / "two")
    assert one.keys() == two.keys()
    for name in ("loss", "oa", "val_loss", "val_oa"):
        assert float(two[name]) == pytest.approx(float(one[name]), rel=1e-4), name
    states = [load_newest(folder / n / "checkpoints", "state") for n in ("one", "two")]
    one, two = states
    for key, (path, _) in one.meta["variables"].items():
        if path.endswith(("kernel", "gamma", "beta", "bias")):
            np.testing.assert_allclose(
                two.arrays[key], one.arrays[key], atol=1e-5, err_msg=path
            )


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("batch", "expected a multiple of the 2 devices, received 3"),
        ("accumulation", "`optimizer.accumulation` does not work on several devices"),
        ("clipnorm", "`optimizer.clipnorm` does not work on several devices"),
        ("jit_compile", "`training.jit_compile` does not work on several devices"),
        ("execution", "`training.steps_per_execution` does not work on several"),
        ("too many", "expected at most 2, the CPUs that TensorFlow shows"),
    ],
)
def test_what_does_not_work_on_several_devices_is_one_line(runs, case, message):
    folder, found = runs
    assert message in found["refused"][case]
    assert "\n" not in found["refused"][case]
    assert not (folder / case).exists()


def test_a_run_goes_on_with_its_number_of_devices_only(runs):
    message = runs[1]["resumed on one"]
    assert "is the state of 2 devices" in message and "received 1" in message


def test_an_overflow_on_any_replica_leaves_the_step_out_on_all(runs):
    assert runs[1]["overflow"] == {"unchanged": True, "scales": [4.0, 4.0]}


def test_more_devices_than_there_are_is_one_line(tmp_path, tiny_data):
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE)
    changes = ["training.threads=null", "training.deterministic=false"]
    recipe = load_recipe(path, [*changes, "training.devices=2"])
    with pytest.raises(RecipeError, match="expected at most 1, the CPUs"):
        train(recipe, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant", ["devices", "devices-float16", "devices-adversarial"]
)
def test_kills_on_two_devices_change_nothing(tmp_path, variant):
    total = whole_run(tmp_path / "whole", variant)
    killed = tmp_path / "killed"
    kills = [5, total // 4, total // 4 + 7, total // 5, total // 3]
    assert finish(killed, variant, kills) >= 4
    assert_same(tmp_path / "whole", killed)

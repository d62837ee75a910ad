"""A run that is killed again and again ends as one that never was."""

import csv
import functools
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from landslide_tf.train.run.checkpoint import load_newest
from tests.contracts.jax_process import ON_JAX

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).with_name("killable.py")


def run(folder, variant, kill_at=None):
    command = [sys.executable, str(SCRIPT), str(folder), variant]
    if kill_at is not None:
        command.append(str(kill_at))
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        env=ON_JAX
        if variant.endswith("jax")
        else {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def whole_run(folder, variant):
    """Trains without a kill and returns the number of events."""
    result = run(folder, variant)
    assert result.returncode == 0, result.stderr
    return int(result.stdout.split()[-1])


def finish(folder, variant, kills):
    """Trains, killed at each of `kills` in turn, to the end."""
    died = 0
    for kill_at in kills:
        result = run(folder, variant, kill_at)
        if result.returncode == 0:
            break
        assert result.returncode == -signal.SIGKILL, result.stderr
        died += 1
    result = run(folder, variant)
    assert result.returncode == 0, result.stderr
    return died


def rows(folder):
    with (folder / "metrics.csv").open() as stream:
        return [
            {k: v for k, v in row.items() if k != "seconds"}
            for row in csv.DictReader(stream)
        ]


def assert_same(one, other):
    assert rows(one) == rows(other)
    for name in ("state", "best"):
        first = load_newest(one / "checkpoints", name)
        second = load_newest(other / "checkpoints", name)
        keys = ("epoch", "step", "best", "best_epoch", "stopped", "value")
        assert [first.meta.get(k) for k in keys] == [second.meta.get(k) for k in keys]
        assert first.arrays.keys() == second.arrays.keys()
        for key, value in first.arrays.items():
            np.testing.assert_array_equal(value, second.arrays[key], err_msg=key)
    assert not list(other.rglob(".tmp-*"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Uninterrupted runs by variant: folder and number of events."""

    @functools.cache
    def make(variant):
        folder = tmp_path_factory.mktemp("whole") / variant
        return folder, whole_run(folder, variant)

    return make


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["sgd", "jax", "adversarial"])
def test_three_kills_change_nothing(tmp_path, whole, variant):
    folder, total = whole(variant)
    assert total > 100
    # In the first epoch's steps, around its end with validation and saves, and later.
    kills = [9, total // 4 - 3, total // 3]
    if variant == "adversarial":  # the moments differ by what is saved alone
        kills = kills[1:]
    assert finish(tmp_path / "killed", variant, kills) == len(kills)
    assert_same(folder, tmp_path / "killed")


def test_a_kill_and_a_damaged_newest_checkpoint_change_nothing(tmp_path, whole):
    folder, total = whole("sgd")
    assert total > 100
    killed = tmp_path / "killed"
    assert run(killed, "sgd", total // 2).returncode == -signal.SIGKILL
    newest = max((killed / "checkpoints").glob("state-*")) / "state.npz"
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    result = run(killed, "sgd")
    assert result.returncode == 0 and newest.parent.name in result.stderr
    assert_same(folder, killed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant",
    [
        "sgd",
        "adamw",
        "float16",
        "bfloat16",
        "jax",
        "adversarial-float16",
        "adversarial-inference",
        "adversarial-jax",
    ],
)
def test_many_kills_at_random_moments_change_nothing(tmp_path, whole, variant):
    folder, total = whole(variant)
    draw = random.Random(variant)
    died, attempt = 0, 0
    while died < 20:
        killed = tmp_path / f"killed-{attempt}"
        kills = [draw.randrange(1, total // 2) for _ in range(6)]
        died += finish(killed, variant, kills)
        assert_same(folder, killed)
        attempt += 1


@pytest.mark.slow
def test_a_run_that_patience_ended_stays_ended(tmp_path):
    total = whole_run(tmp_path / "whole", "patience")
    assert len(rows(tmp_path / "whole")) < 30
    killed = tmp_path / "killed"
    assert finish(killed, "patience", [total // 2, total // 3]) == 2
    assert_same(tmp_path / "whole", killed)
    before = rows(killed)
    assert run(killed, "patience").returncode == 0
    assert rows(killed) == before

"""Two processes that train together, in every way they can end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from landslide_tf.train.run.checkpoint import load_newest
from tests.contracts.jax_process import ON_JAX
from tests.train.run.test_restart import assert_same, rows

pytest.importorskip("jax", reason="training over processes needs JAX")
pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
SCRIPTS = Path(__file__).parent
HERE = {**ON_JAX, "PYTHONPATH": f"{ON_JAX['PYTHONPATH']}{os.pathsep}{ROOT}"}
LOST = "Another process has ended or cannot be reached"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def started(*arguments, environment=HERE, **options):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


def ended(*processes):
    """The status, standard output and error of each, all within bounded time."""
    return [(p, *p.communicate(timeout=240)) for p in processes]


def pair(folder, variant, kills=(0, 0)):
    port = free_port()
    watch, script = SCRIPTS / "watched.py", SCRIPTS / "killable.py"
    return ended(
        *(
            started(watch, port, k, script, folder, variant, kills[k], port, k)
            for k in (0, 1)
        )
    )


def alone(folder, variant, environment=HERE):
    ((process, _, err),) = ended(
        started(SCRIPTS / "killable.py", folder, variant, environment=environment)
    )
    assert process.returncode == 0, err


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A run of one process."""
    folder = tmp_path_factory.mktemp("one") / "run"
    alone(folder, "jax")
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A run of two processes."""
    folder = tmp_path_factory.mktemp("two") / "run"
    for process, _, err in pair(folder, "jax"):
        assert process.returncode == 0, err
    return folder


def assert_close(one, other, relative=1e-5, absolute=1e-6):
    for mine, its in zip(rows(one), rows(other), strict=True):
        assert mine.keys() == its.keys()
        for name, value in mine.items():
            assert float(its[name]) == pytest.approx(float(value), abs=absolute), name
    for name in ("state", "best"):
        first, second = (load_newest(f / "checkpoints", name) for f in (one, other))
        assert first.meta["variables"] == second.meta["variables"]
        for key, value in first.arrays.items():
            path = first.meta["variables"][key][0]
            np.testing.assert_allclose(
                second.arrays[key], value, rtol=relative, atol=absolute, err_msg=path
            )


def test_two_processes_give_the_numbers_of_one(one, two):
    """Batch statistics, dropout and the odd last validation batch among them."""
    assert_close(one, two)


def test_in_float64_two_processes_differ_by_its_rounding(tmp_path):
    """What differs by more would not be rounding: float32's is 10⁹ times as large."""
    one, two = tmp_path / "one", tmp_path / "two"
    alone(one, "jax-float64")
    for process, _, err in pair(two, "jax-float64"):
        assert process.returncode == 0, err
    state = load_newest(one / "checkpoints", "state")
    assert {a.dtype for a in state.arrays.values()} >= {np.dtype("float64")}
    assert_close(one, two, relative=1e-12, absolute=1e-12)


@pytest.mark.slow
def test_two_devices_of_one_process_give_the_numbers_of_one(tmp_path, one):
    flags = f"{HERE['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    alone(tmp_path / "run", "devices-jax", {**HERE, "XLA_FLAGS": flags})
    state = load_newest(tmp_path / "run" / "checkpoints", "state")
    assert state.meta["devices"] == 2
    assert_close(one, tmp_path / "run")


@pytest.mark.slow
def test_in_float64_a_unet_on_two_devices_differs_by_its_rounding():
    """With Adam, which in float32 takes the weights apart by 0.001."""
    flags = f"{HERE['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    measuring = ("-m", "tests.benchmarks.rounding", "--optimizer=adam", "--cases")
    environment = {**HERE, "XLA_FLAGS": flags}
    ((process, out, err),) = ended(started(*measuring, environment=environment))
    assert process.returncode == 0, err
    found = json.loads(out.splitlines()[-1])["float64 two"]
    assert 0 < found["weights"] < 1e-11
    for name in ("loss by epoch", "val_loss by epoch"):
        assert max(found[name]) < 1e-13


@pytest.mark.slow
# Process 1 has fewer events, 11 steps and 4 batches of validation an epoch: it writes
# nothing. JAX raises other exceptions in a validation than in a step.
@pytest.mark.parametrize(("killed", "event"), [(0, 60), (1, 20), (1, 11)])
def test_a_killed_process_ends_the_other_and_both_go_on(tmp_path, two, killed, event):
    folder = tmp_path / "run"
    kills = [0, 0]
    kills[killed] = event
    results = pair(folder, "jax", kills)
    process, _, err = results[killed]
    assert process.returncode == 1 and "ended by SIGKILL" in err
    process, _, err = results[1 - killed]
    assert process.returncode == 1
    (line,) = [line for line in err.splitlines() if "error: " in line]
    assert line.startswith(f"process {1 - killed}: error: {LOST}")
    assert "Check failure" not in err and "Traceback" not in err
    assert list((folder / "checkpoints").glob("state-*"))
    for process, _, err in pair(folder, "jax"):
        assert process.returncode == 0, err
    assert_same(two, folder)


@pytest.mark.slow
def test_both_killed_go_on(tmp_path, two):
    folder = tmp_path / "run"
    for process, *_ in pair(folder, "jax", (75, 27)):
        assert process.returncode == 1
    for process, _, err in pair(folder, "jax"):
        assert process.returncode == 0, err
    assert_same(two, folder)


def test_what_does_not_fit_is_the_same_line_on_both(tmp_path):
    port = free_port()
    results = ended(
        *(started(SCRIPTS / "agreeing.py", tmp_path, port, k) for k in (0, 1))
    )
    for process, _, err in results:
        assert process.returncode == 0, err
    first, second = (json.loads(out.splitlines()[-1]) for _, out, _ in results)
    assert second.pop("one fails") == "`x.tif` is corrupt."
    assert first.pop("one fails") == "Process 1: `x.tif` is corrupt."
    # Each names its own folder.
    apart = [found.pop("apart") for found in (first, second)]
    for text in apart:
        assert text.startswith("Process 1 does not see what process 0 writes")
    assert first == second
    for case in ("the same", "shared", "same data"):
        assert first[case] is None
    assert "Process 1 has in its recipe `training.seed` `1`" in first["recipe"]
    assert (
        'Process 1 has installed `jax` `"0.1"` and process 0 `"0.0"`'
        in (first["versions"])
    )
    assert "Process 1 has read other data: `training examples`" in first["data"]
    assert "expected `training.patch`" in first["sizes"]
    assert not any("\n" in text for text in first.values() if text)


class Pair:
    """Runs `landslide-tf train` as two processes, as a user does."""

    def __init__(self, trainer, *options):
        self.trainer = trainer
        self.options = ("--no-report", "--arrays", "arrays", *options)

    def start_one(self, out, *options):
        return started(
            "-m", "landslide_tf.cli.main", "train", self.trainer.recipe, "--out", out,
            *self.options, *options, cwd=self.trainer.folder,
        )  # fmt: skip

    def start(self, out, number, port, *options):
        where = ("--coordinator", f"127.0.0.1:{port}", "--processes", 2)
        where += ("--process", number, "--wait", 200)
        return self.start_one(out, *where, *options)

    def run(self, out, *options):
        port = free_port()
        return ended(*(self.start(out, k, port, *options) for k in (0, 1)))


SMALL = "--set=model={name: basic_fcn, arguments: {width: 0.0625}}"


@pytest.mark.slow  # the same by parts above
def test_the_command_goes_on_after_a_kill(jax_trainer):
    commands = Pair(jax_trainer, SMALL)
    whole, broken = jax_trainer.folder / "whole", jax_trainer.folder / "broken"
    results = commands.run(whole)
    for number, (process, out, err) in enumerate(results):
        assert process.returncode == 0, err
        assert f"process {number}: joined as process {number} of 2 on" in out
        lines = [*out.splitlines(), *err.splitlines()]
        assert all(line.startswith(f"process {number}: ") for line in lines)
    assert "process 1: trained: process 0 writes" in results[1][1]

    port = free_port()
    first, second = (commands.start(broken, number, port) for number in (0, 1))
    states = broken / "checkpoints"
    deadline = time.monotonic() + 200
    while not any(states.glob("state-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    second.send_signal(signal.SIGKILL)
    (_, _, err), _ = ended(first, second)
    assert first.returncode == 1 and LOST in err
    assert not (broken / "model.keras").exists()
    for process, _, err in commands.run(broken):
        assert process.returncode == 0, err
    assert_same(whole, broken)
    assert (broken / "model.keras").is_file()

    # The same folder with another recipe is refused, on both.
    for process, _, err in commands.run(broken, "--set=training.seed=1"):
        assert process.returncode == 2
        assert "is a run of another recipe, with `training.seed` 0, received 1" in err


def test_what_cannot_start_is_one_line(jax_trainer):
    """An absent process 0, a used port, a batch that cannot be shared, TensorFlow."""
    commands, out = Pair(jax_trainer, SMALL), jax_trainer.folder / "none"
    with socket.create_server(("127.0.0.1", 0)) as server:
        used = server.getsockname()[1]
        results = ended(
            commands.start(out, 0, used),
            commands.start(out, 1, free_port(), "--wait=1"),
        )
    messages = (
        f"Port {used} of `127.0.0.1` cannot be used",
        "Process 0 does not answer",
    )
    for (process, _, err), message in zip(results, messages, strict=True):
        assert process.returncode == 2
        (line,) = [line for line in err.splitlines() if "error: " in line]
        assert message in line
    for process, _, err in commands.run(out, "--set=training.batch_size=3"):
        assert process.returncode == 2
        assert "expected a multiple of the 2 devices of 2 processes, received 3" in err
    assert not out.exists()

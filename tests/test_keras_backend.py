"""Keras's other backends are refused before anything is computed."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import importlib
import sys
import landslide_tf
import keras
from landslide_tf.errors import ModelError

NAMES = (
    "layers", "losses", "metrics.confusion", "metrics.soft_iou", "models",
    "train.optimizers", "train.engine",
)
for name in NAMES:
    try:
        importlib.import_module(f"landslide_tf.{name}")
    except ModelError as error:
        assert "`tensorflow` or `jax`, received `%(backend)s`" in str(error), error
        assert len(str(error).splitlines()) == 1
    else:
        raise AssertionError(name)
assert "tensorflow" not in sys.modules
from landslide_tf import terrain

assert terrain.ndvi([[1.0]], [[3.0]])[0, 0] == -0.5
"""


@pytest.fixture(params=["numpy", "torch"])
def backend(request):
    if request.param == "torch":
        pytest.importorskip("torch")
    return request.param


def run(command, backend):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    return subprocess.run(
        [sys.executable, *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.integration
def test_what_needs_keras_says_so_when_it_is_imported(backend):
    done = run(["-c", SCRIPT % {"backend": backend}], backend)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.integration
@pytest.mark.parametrize("command", [["doctor"], ["demo", "--out", "demo"]])
def test_commands_end_with_one_line(tmp_path, monkeypatch, backend, command):
    monkeypatch.chdir(tmp_path)
    done = run(["-m", "landslide_tf.cli.main", *command], backend)
    assert done.returncode == 2, done.stderr[-3000:]
    assert f"received `{backend}`" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())

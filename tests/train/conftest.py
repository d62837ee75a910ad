import os
import signal
import subprocess
import sys
import time

import pytest

from landslide_tf.pipelines import export_arrays
from tests.contracts.jax_process import ON_JAX

RECIPE = """
description: a small network for tests
source: made up
data:
  name: synthetic_landslides/tiny
  train: train[:24]
  validation: validation[:8]
  test: test[:8]
  image: [red, green, blue]
model:
  name: unet
  arguments: {width: 0.0625}
optimizer: {name: adam, learning_rate: 0.003}
schedule: {kind: cosine}
augmentation: {dihedral: true, brightness: 0.1, contrast: 0.1}
training: {epochs: 3, batch_size: 4, patch: 32, threads: 1, positive_fraction: 0.9}
"""


class Trainer:
    """Runs `landslide-tf train` as a user does, in processes of its own."""

    def __init__(self, folder, data_dir, environment=os.environ):
        self.folder = folder
        self.data_dir = data_dir
        self.environment = environment
        self.recipe = folder / "small.yaml"
        self.recipe.write_text(RECIPE)

    def start(self, *arguments, data_dir=None, report=False):
        command = [sys.executable, "-m", "landslide_tf.cli.main", "train"]
        command += [] if report else ["--no-report"]
        return subprocess.Popen(
            [
                *command,
                *map(str, arguments),
                "--data-dir",
                str(data_dir or self.data_dir),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env={**self.environment, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def run(self, *arguments, data_dir=None, report=False):
        process = self.start(*arguments, data_dir=data_dir, report=report)
        output, _ = process.communicate(timeout=600)
        return process.returncode, output

    def kill_when(self, condition, *arguments):
        """Starts training and ends it with SIGKILL once `condition()` holds."""
        process = self.start(*arguments)
        deadline = time.monotonic() + 600
        while not condition():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL


@pytest.fixture
def trainer(tmp_path, tiny_data):
    return Trainer(tmp_path, tiny_data)


@pytest.fixture(scope="module")
def jax_trainer(tmp_path_factory, tiny_data):
    """Trains on JAX, where there is no TensorFlow and no data set but `arrays`."""
    folder = tmp_path_factory.mktemp("jax")
    export_arrays("synthetic_landslides/tiny", folder / "arrays", data_dir=tiny_data)
    return Trainer(folder, folder / "none", ON_JAX)

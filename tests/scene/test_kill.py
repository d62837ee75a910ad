"""A killed job leaves no map, goes on when it is run again, and gives the same file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.scene import killable
from tests.scene import map_files as files

ROOT = Path(__file__).resolve().parents[2]


def killed_after(image, folder, strips):
    """Starts the job and kills it once some strips are there."""
    # No test of networks: the model is a function, and TensorFlow need not start.
    environment = os.environ | {"KERAS_BACKEND": "numpy", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.scene.killable", str(image), str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        wanted = folder / "map.tif.parts" / f"strip_{strips - 1:06d}.npz"
        deadline = time.monotonic() + 120
        while not wanted.exists():
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "s.tif"
    return files.write(path, files.chances(200, 40), names=("stable", "slide"))


def tifs(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.tif")}


def resume(scene, folder):
    summary = killable.run(scene, folder, lambda inputs: inputs["image"])
    assert {path.name for path in folder.iterdir()} == {"map.tif", "chances.tif"}
    return summary


def test_a_killed_job_goes_on(scene, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    resume(scene, whole)
    killed_after(scene, folder, 3)
    assert tifs(folder) == {}
    assert resume(scene, folder).resumed >= 3
    assert tifs(folder) == tifs(whole)


@pytest.mark.slow
@pytest.mark.parametrize("strips", range(1, 11))
def test_it_may_be_killed_anywhere(scene, tmp_path, strips):
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    resume(scene, whole)
    killed_after(scene, folder, strips)
    assert tifs(folder) == {}
    assert resume(scene, folder).resumed >= strips
    assert tifs(folder) == tifs(whole)

"""A stopped job leaves no map, goes on when it is run again and gives the same file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.mapping import killable
from tests.mapping import map_files as files

ROOT = Path(__file__).resolve().parents[2]


def stopped_after(image, folder, strips, by=signal.SIGKILL, mask=None):
    """Starts the job, stops it once some strips are there; status and what it said."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.mapping.killable", str(image), str(folder)]
    command += [] if mask is None else [mask]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that `nohup` or cron started ignores Ctrl-C, and children inherit it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        journal = folder / "map.tif.parts" / "journal"
        deadline = time.monotonic() + 600
        while not (journal.exists() and journal.read_text().count("\n") >= strips):
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(by)
        _, said = process.communicate(timeout=600)
    finally:
        process.kill()
        process.wait()
    return process.returncode, said


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "s.tif"
    return files.write(path, files.chances(200, 40), names=("stable", "slide"))


def tifs(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.tif")}


def resume(scene, folder):
    summary = killable.run(scene, folder, lambda inputs: inputs["image"])
    written = {path.name for path in folder.iterdir()}
    assert written == {"map.tif", "map.tif.aux.xml", "map.qml", "chances.tif"}
    return summary


def test_a_killed_job_goes_on(scene, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    resume(scene, whole)
    stopped_after(scene, folder, 3)
    assert tifs(folder) == {}
    assert resume(scene, folder).resumed >= 3
    assert tifs(folder) == tifs(whole)


def test_ctrl_c_is_one_line_and_the_job_goes_on(scene, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "stopped"
    resume(scene, whole)
    status, said = stopped_after(scene, folder, 3, signal.SIGINT)
    assert (status, said) == (130, "stopped: the same command resumes it\n")
    assert [path.name for path in folder.iterdir()] == ["map.tif.parts"]
    assert resume(scene, folder).resumed >= 3
    assert tifs(folder) == tifs(whole)


@pytest.mark.slow
@pytest.mark.parametrize("strips", range(1, 11))
def test_it_may_be_killed_anywhere(scene, tmp_path, strips):
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    resume(scene, whole)
    stopped_after(scene, folder, strips)
    assert tifs(folder) == {}
    assert resume(scene, folder).resumed >= strips
    assert tifs(folder) == tifs(whole)

"""A process ends, in whatever way it leaves an open stream."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("leaving.py")
STATUS = {"end": 0, "exit": 0, "exception": 1, "interrupt": -2}
LEFT = {"exception": "left by an exception"}


def left(form, way):
    """Seconds are far above what a process takes; one that hangs takes for ever."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), form, way],
        capture_output=True,
        text=True,
        timeout=240,
    )
    known = {STATUS[way], 130 if way == "interrupt" else STATUS[way]}
    assert done.returncode in known, done.stderr[-2000:]
    assert LEFT.get(way, "") in done.stdout + done.stderr
    if way == "interrupt":
        assert "KeyboardInterrupt" in done.stderr


@pytest.mark.integration
@pytest.mark.parametrize(
    ("form", "way"), [("prefetch", "exception"), ("fit", "interrupt")]
)
def test_a_process_leaves_an_open_stream(form, way):
    left(form, way)


@pytest.mark.slow
@pytest.mark.parametrize("way", STATUS)
@pytest.mark.parametrize(
    "form",
    ["plain", "prefetch", "parallel", "interleave", "evaluation", "fit", "sequence"],
)
def test_every_way_out_of_every_stream(form, way):
    for _ in range(3):
        left(form, way)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["end", "exception"])
def test_a_process_leaves_a_stream_of_two_devices(way):
    left("devices", way)

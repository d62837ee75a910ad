"""A process that trains with others runs as the child of one that only watches it.

JAX ends a process from within where another one is lost, with a page of its own about
it, or cannot end it while it waits for one that is gone. The watching process gives
every line the number of the process, says in one line what happened, and ends in time.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import IO

from landslide_tf.train.run.hosts import LOST, Hosts

_VARIABLE = "LANDSLIDE_TF_SUPERVISED"
# Begins the line that a process prints once it has met the others.
MET = "joined as process"
# Seconds beyond `Hosts.wait`, for Python to start on a busy machine, after which a
# process that has met nobody is ended.
_GRACE = 300
# What begins what the runtime says of a lost process before it ends this one, at times
# within a line of Python's, and its own notes.
_LOSS = re.compile(
    r"[EF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ (coordination_service\w*\.cc|client\.h):"
)
_NOTE = "[Gloo] "


def supervised() -> bool:
    """Whether this is the child, which trains; if so it ends with its parent."""
    if _VARIABLE not in os.environ:
        return False

    def follow() -> None:
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    return True


def supervise(command: Sequence[str], hosts: Hosts) -> int:
    """Runs a command as a child, its lines marked with the number of the process.

    Args:
        command: Program and arguments.
        hosts: Which of the processes it is.

    Returns:
        The exit status: the child's own, or 1 where it was ended.
    """
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # its end is that of this process
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, _VARIABLE: "1", "PYTHONUNBUFFERED": "1"},
    )

    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        child.send_signal(number)

    signal.signal(signal.SIGTERM, forward)
    watch = _Watch("" if hosts.process is None else f"process {hosts.process}: ")
    readers = [
        threading.Thread(target=watch.pass_on, args=streams)
        for streams in ((child.stdout, sys.stdout), (child.stderr, sys.stderr))
    ]
    for reader in readers:
        reader.start()
    late = _wait(child, watch, hosts)
    for reader in readers:
        reader.join()
    status = child.returncode
    if watch.told or (status >= 0 and not (status and watch.lost)):
        return status if status >= 0 else 1
    if status in (-signal.SIGTERM, -signal.SIGINT):
        reason = "stopped."
    elif late or not watch.met:
        reason = f"{hosts.missing}."
    elif watch.lost:
        reason = LOST
    else:
        reason = f"ended by {signal.Signals(-status).name}."
    watch.show(f"error: {reason}", sys.stderr)
    return 1


def _wait(child: subprocess.Popen[bytes], watch: _Watch, hosts: Hosts) -> bool:
    """Waits for the child, and ends it where it has met nobody in time."""
    deadline = time.monotonic() + hosts.wait + _GRACE
    while child.poll() is None:
        try:
            child.wait(1.0)
        except subprocess.TimeoutExpired:
            if not watch.met and time.monotonic() > deadline:
                child.kill()
                child.wait()
                return True
    return False


class _Watch:
    """What the lines of a child tell of it."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._lock = threading.Lock()
        self.met = self.lost = self.told = False

    def pass_on(self, source: IO[bytes], target: IO[str]) -> None:
        """Shows the lines of a stream, without what the runtime says at the end."""
        for raw in source:
            line = raw.decode(errors="replace").rstrip("\n")
            if loss := _LOSS.search(line):
                self.lost, line = True, line[: loss.start()]
            self.met |= line.startswith(MET)
            error = line.startswith("error: ")
            self.told |= error
            ended = self.lost and target is sys.stderr
            if error or not (ended or line.startswith(_NOTE)):
                self.show(line, target)

    def show(self, line: str, target: IO[str]) -> None:
        """Writes one line, marked."""
        with self._lock:
            target.write(f"{self._mark}{line}\n")
            target.flush()

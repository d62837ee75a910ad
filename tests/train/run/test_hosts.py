"""Which of several processes a command is, and the process that watches it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from landslide_tf.errors import RunError
from landslide_tf.train.run.hosts import LOST, Hosts
from landslide_tf.train.run.supervision import MET

WATCH = """
import sys
from landslide_tf.train.run.hosts import Hosts
from landslide_tf.train.run.supervision import supervise, supervised
if not supervised():
    sys.exit(supervise([sys.executable, *sys.argv], Hosts("h:1", 3, 2, wait=60)))
"""
ABORT = """
sys.stdout.write("{met} 2 of 3\\n[Gloo] Rank 2 is connected\\n")
sys.stderr.write("{before}F1130 06:14:53.679311  8762 client.h:80] Terminating\\n")
sys.stderr.write("more of it\\n")
{more}
sys.stderr.flush()
import os
os.abort()
"""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("h:1", 2, 2), "`--process`: expected 0 to 1 for `--processes 2`, received 2"),
        (("h:1", 2, None), "`--coordinator` needs `--process` too"),
        (("h:1", None, 0), "`--coordinator` needs `--processes` too"),
        (("h", 2, 0), "expected `HOST:PORT` of process 0, or `auto`, received `h`"),
        ((":1", 2, 0), "expected `HOST:PORT` of process 0"),
        (("h:0", 2, 0), "expected `HOST:PORT` of process 0"),
        (("h:70000", 2, 0), "expected `HOST:PORT` of process 0"),
    ],
)
def test_what_cannot_be_is_refused(values, message):
    with pytest.raises(RunError, match=r"^[^\n]*$") as caught:
        Hosts(*values)
    assert message in str(caught.value)


def test_addresses_may_be_of_either_kind():
    assert Hosts("node-1.jobs:6002", 2, 0).address == ("node-1.jobs", 6002)
    assert Hosts("[fd00::7]:6002", 2, 0).address == ("fd00::7", 6002)
    assert Hosts("auto", None, None).address is None


def watched(folder, program):
    script = folder / "script.py"
    script.write_text(WATCH + program)
    return subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )


def ended(folder, program):
    process = watched(folder, program)
    out, err = process.communicate(timeout=60)
    return process.returncode, out.splitlines(), err.splitlines()


def test_lines_are_marked_and_the_status_is_the_childs(tmp_path):
    program = "print('one\\ntwo'); print('error: no', file=sys.stderr); sys.exit(2)"
    code, out, err = ended(tmp_path, program)
    assert code == 2
    assert out == ["process 2: one", "process 2: two"]
    assert err == ["process 2: error: no"]


POLLED = "E1130 06:14:53.679310  8762 coordination_service_agent.cc:289] Polled\\n"


@pytest.mark.parametrize("before", ["", POLLED, "Traceback (most", f"  File {POLLED}"])
def test_what_the_runtime_says_of_a_lost_process_is_one_line(tmp_path, before):
    """Also where it begins within a line of Python's."""
    code, out, err = ended(tmp_path, ABORT.format(met=MET, more="", before=before))
    assert code == 1
    assert out == [f"process 2: {MET} 2 of 3"]
    assert err == [f"process 2: error: {LOST}"]


def test_the_childs_own_line_about_it_is_the_only_one(tmp_path):
    more = f"sys.stderr.write('error: {LOST}\\n')"
    code, _, err = ended(tmp_path, ABORT.format(met=MET, more=more, before=""))
    assert (code, err) == (1, [f"process 2: error: {LOST}"])


def test_another_fault_of_the_runtime_is_shown(tmp_path):
    program = f"print('{MET}'); import os; os.write(2, b'F1130 06:14:53.679311  8762 "
    program += "array.cc:80] Check failed: 1 == 2\\n'); os.abort()"
    code, _, err = ended(tmp_path, program)
    assert code == 1 and "Check failed: 1 == 2" in err[0]
    assert err[1:] == ["process 2: error: ended by SIGABRT."]


def test_an_exception_that_the_runtime_has_hidden_is_told(tmp_path):
    """Python may end after the runtime's first line, before the runtime ends it."""
    more = "sys.stderr.write('Traceback\\n'); sys.exit(1)"
    code, _, err = ended(tmp_path, ABORT.format(met=MET, more=more, before=""))
    assert (code, err) == (1, [f"process 2: error: {LOST}"])


def test_an_end_before_the_processes_met_says_where_they_should(tmp_path):
    code, _, (line,) = ended(tmp_path, ABORT.format(met="", more="", before=""))
    assert code == 1
    assert "Process 0 does not answer at `h:1` within 60 s" in line


def test_a_killed_child_is_named(tmp_path):
    program = f"print('{MET}'); import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    code, _, err = ended(tmp_path, program)
    assert (code, err) == (1, ["process 2: error: ended by SIGKILL."])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_ends_with_the_process_that_watches_it(tmp_path, number):
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    process = watched(tmp_path, program)
    child = int(process.stdout.readline().split()[-1])
    process.send_signal(number)
    process.communicate(timeout=30)  # until its child, too, has closed the streams
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()
    assert process.returncode in (1, -number)

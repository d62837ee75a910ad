"""Several processes search in one folder, and some of them are killed."""

import collections
import multiprocessing
import os
import signal
import time

import pytest

from landslide_tf.errors import RunError
from landslide_tf.train import SearchOptions
from landslide_tf.train.search.folder import SearchFolder
from tests.train.search.workers import notes, work

pytestmark = pytest.mark.filterwarnings(
    # keras-tuner 1.4.8 asks for the thread the old way.
    "ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning",
)

RECIPE = "rae_d_synthetic"


@pytest.fixture(scope="module")
def processes():
    """Processes that import once, before they are told apart."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.train.search.workers"])
    return context


@pytest.fixture
def start(processes, tmp_path):
    """Starts processes of one search, and ends them with the test."""
    started = []

    def run(number, name="search", seconds=0.2, **options):
        options = SearchOptions(**({"trials": 6, "epochs": 4} | options))
        args = (tmp_path / name, RECIPE, options, seconds)
        new = [processes.Process(target=work, args=args) for _ in range(number)]
        for process in new:
            process.start()
        started.extend(new)
        return new

    yield run
    for process in started:
        process.kill()
        process.join()


def finish(found, timeout=300):
    for process in found:
        process.join(timeout)
        assert process.exitcode == 0


def outcomes(folder):
    return SearchFolder(folder).outcomes()


def wait_for(folder, event, count=1):
    deadline = time.monotonic() + 300
    log = folder.with_suffix(".log")
    while not log.exists() or len([n for n in notes(log) if n[0] == event]) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return [n for n in notes(log) if n[0] == event]


def ended(folder):
    """How often each trial was trained to its end."""
    found = notes(folder.with_suffix(".log"))
    return collections.Counter(number for event, number, _ in found if event == "ended")


@pytest.mark.integration
@pytest.mark.parametrize("oracle", ["random", "hyperband", "bayesian"])
def test_no_trial_is_lost_or_trained_twice(start, tmp_path, oracle):
    trials = None if oracle == "hyperband" else 6
    finish(start(1, "alone", seconds=0, oracle=oracle, trials=trials))
    finish(start(3, "shared", oracle=oracle, trials=trials))
    alone, shared = outcomes(tmp_path / "alone"), outcomes(tmp_path / "shared")
    assert len(shared) == len(alone) >= 6
    assert set(ended(tmp_path / "shared").values()) == {1}
    if oracle == "random":  # others draw by what has ended
        assert shared == alone
    together = {pid for _, _, pid in notes(tmp_path / "shared.log")}
    assert len(together) > 1


@pytest.mark.integration
@pytest.mark.parametrize("oracle", ["random", "hyperband"])
def test_the_trial_of_a_killed_process_is_taken_over(start, tmp_path, oracle):
    trials = None if oracle == "hyperband" else 6
    finish(start(1, "alone", seconds=0, oracle=oracle, trials=trials))
    folder = tmp_path / "shared"
    found = start(3, "shared", seconds=1, oracle=oracle, trials=trials)
    _, number, pid = wait_for(folder, "begun")[-1]
    os.kill(pid, signal.SIGKILL)
    finish([process for process in found if process.pid != pid])
    begun = collections.Counter(
        n for e, n, _ in notes(tmp_path / "shared.log") if e == "begun"
    )
    assert begun[number] == 2 and set(ended(folder).values()) == {1}
    assert len(outcomes(folder)) == len(outcomes(tmp_path / "alone"))
    if oracle == "random":
        assert outcomes(folder) == outcomes(tmp_path / "alone")


@pytest.mark.integration
def test_a_search_whose_processes_were_all_killed_goes_on(start, tmp_path):
    finish(start(1, "alone", seconds=0))
    folder = tmp_path / "shared"
    found = start(2, "shared", seconds=1)
    wait_for(folder, "ended", 2)
    for process in found:
        process.kill()
        process.join()
    with (folder / "journal").open("ab") as stream:
        stream.write(b'{"ended": 1')  # a line that was being written
    finish(start(2, "shared", seconds=0))
    assert outcomes(folder) == outcomes(tmp_path / "alone")
    assert set(ended(folder).values()) == {1}


@pytest.mark.integration
def test_outcomes_that_were_removed_are_made_anew_and_more_trials_go_on(
    start, tmp_path
):
    folder = tmp_path / "search"
    finish(start(1, seconds=0))
    first = outcomes(folder)
    next(folder.glob("trials/0002-*/trial.json")).unlink()
    finish(start(1, seconds=0))
    assert outcomes(folder) == first
    finish(start(2, seconds=0, trials=8))
    assert outcomes(folder)[:6] == first and len(outcomes(folder)) == 8


def test_a_damaged_journal_is_named(tmp_path):
    options = SearchOptions(trials=2, epochs=4)
    work(tmp_path / "search", RECIPE, options, 0)
    journal = tmp_path / "search" / "journal"
    journal.write_text("nonsense\n" + journal.read_text())
    with pytest.raises(RunError, match=r"journal` is damaged"):
        work(tmp_path / "search", RECIPE, options, 0)
    journal.unlink()
    work(tmp_path / "search", RECIPE, options, 0)
    assert set(ended(tmp_path / "search").values()) == {1}

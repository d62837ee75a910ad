"""Which way of searching in several processes stands the death of one.

Three ways, each in five searches of eight trials by three processes that train: the
shared folder of `tune`, the chief and workers of keras-tuner, and Ray Tune, which
starts a failed trial again up to three times (`pip install "ray[tune]"`). One of the
processes is killed while it trains, and nobody but the search itself starts it again. A
search that has not ended after a while is ended, and counts as one that hangs.

    python -m tests.benchmarks.search_workers --out tests/benchmarks/search_workers.json
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import signal
import socket
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from landslide_tf.train import SearchOptions
from landslide_tf.train.search.folder import SearchFolder
from tests.train.search.workers import note, notes, work

WAYS = ("shared folder", "chief and workers", "Ray Tune")
RECIPE = "rae_d_synthetic"
TRIALS, WORKERS, SEARCHES = 8, 3, 5
SECONDS = 0.5  # of a trial
PATIENCE = 180.0  # seconds for a search after one of its processes is killed


def keras_tuner(folder: Path, role: str, port: int, seed: int) -> None:
    """Trains trials as a worker of keras-tuner, or chooses them as its chief."""
    import keras_tuner as kt

    os.environ["KERASTUNER_TUNER_ID"] = role
    os.environ["KERASTUNER_ORACLE_IP"] = "127.0.0.1"
    os.environ["KERASTUNER_ORACLE_PORT"] = str(port)

    class Tuner(kt.Tuner):
        def run_trial(self, trial: Any) -> dict[str, float]:
            number = int(trial.trial_id)
            note(folder.with_suffix(".log"), "begun", number)
            time.sleep(SECONDS)
            note(folder.with_suffix(".log"), "ended", number)
            return {"score": trial.hyperparameters.get("rate")}

    parameters = kt.HyperParameters()
    parameters.Float("rate", 1e-4, 1e-1, sampling="log")
    oracle = kt.oracles.RandomSearchOracle(
        objective=kt.Objective("score", direction="max"),
        max_trials=TRIALS,
        hyperparameters=parameters,
        seed=seed + 1,
    )
    oracle.verbose = 0
    Tuner(oracle, directory=str(folder), project_name=role, overwrite=True).search()


def ray_tune(folder: Path, seed: int) -> None:
    """Drives a search on a Ray cluster of this machine."""
    import ray
    from ray import tune
    from ray.tune.search.basic_variant import BasicVariantGenerator

    log = folder.with_suffix(".log")

    def trial(drawn: dict[str, float]) -> None:
        number = int(tune.get_context().get_trial_id().rpartition("_")[2])
        note(log, "begun", number)
        time.sleep(SECONDS)
        tune.report({"score": drawn["rate"]})
        note(log, "ended", number)

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    tune.Tuner(
        trial,
        param_space={"rate": tune.loguniform(1e-4, 1e-1)},
        tune_config=tune.TuneConfig(
            num_samples=TRIALS, search_alg=BasicVariantGenerator(random_state=seed)
        ),
        run_config=tune.RunConfig(
            storage_path=str(folder),
            failure_config=tune.FailureConfig(max_failures=3),
            verbose=0,
        ),
    ).fit()
    ray.shutdown()


def started(way: str, folder: Path, seed: int) -> list[BaseProcess]:
    """Starts the processes of a search; the last ones train."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.benchmarks.search_workers", "keras_tuner"])
    if way == WAYS[0]:
        options = SearchOptions(trials=TRIALS, epochs=4, seed=seed)
        args = [(folder, RECIPE, options, SECONDS)] * WORKERS
        found = [context.Process(target=work, args=each) for each in args]
    elif way == WAYS[2]:
        found = [context.Process(target=ray_tune, args=(folder, seed))]
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        roles = ["chief", *(f"worker{k}" for k in range(WORKERS))]
        found = [
            context.Process(target=keras_tuner, args=(folder, role, port, seed))
            for role in roles
        ]
    for process in found:
        process.start()
    return found


def search(way: str, folder: Path, seed: int) -> dict[str, Any]:
    """Searches, kills a process in its second trial, and says what became of it all."""
    processes, log = started(way, folder, seed), folder.with_suffix(".log")
    begun: list[tuple[str, int, int]] = []
    deadline = time.monotonic() + 10 * PATIENCE
    while len(begun) < WORKERS + 1 + seed % 3:
        if time.monotonic() > deadline:
            raise TimeoutError(way)
        time.sleep(0.02)
        begun = [n for n in notes(log) if n[0] == "begun"] if log.exists() else []
    _, number, killed = begun[-1]
    with contextlib.suppress(ProcessLookupError):
        os.kill(killed, signal.SIGKILL)
    rest, start = [p for p in processes if p.pid != killed], time.monotonic()
    for process in rest:
        process.join(max(0.0, start + PATIENCE - time.monotonic()))
    hangs = any(process.is_alive() for process in rest)
    for process in processes:
        process.kill()
        process.join()
    ended = collections.Counter(n for event, n, _ in notes(log) if event == "ended")
    return {
        "killed_in_trial": number,
        "lost": TRIALS - len(ended),
        "double": sum(count - 1 for count in ended.values()),
        "hangs": hangs,
        "seconds_after_the_kill": round(time.monotonic() - start, 1),
        "outcomes": len(SearchFolder(folder).outcomes()),
    }


def main() -> None:
    """Measures both ways and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--way", action="append", choices=WAYS)
    given = parser.parse_args()
    record: dict[str, Any] = {"trials": TRIALS, "processes": WORKERS, "ways": {}}
    if given.out.exists():
        record = json.loads(given.out.read_text(encoding="utf-8"))
    for way in given.way or WAYS:
        found = []
        for seed in range(SEARCHES):
            with tempfile.TemporaryDirectory() as place:
                found.append(search(way, Path(place, "search"), seed))
            print(way, found[-1], flush=True)
        record["ways"][way] = found
        given.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The runs of a grid, one after the other, with a record of each that stays."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from landslide_tf.errors import LandslideTFError, RunError
from landslide_tf.files import atomic_path
from landslide_tf.train.benchmark.grid import GridRun
from landslide_tf.train.benchmark.summary import BenchmarkFolder, Record
from landslide_tf.train.engine import Session, train_or_resume
from landslide_tf.train.evaluate import evaluate_run
from landslide_tf.train.run.folder import versions


def run_grid(
    planned: Sequence[GridRun], folder: str | Path, session: Session
) -> Iterator[tuple[GridRun, bool]]:
    """Trains and evaluates what of a grid is not yet recorded.

    Every run is a process of its own, as if it were trained alone. A run that was
    interrupted is taken up where it stopped.

    Args:
        planned: The runs, from `load_grid`.
        folder: Folder of runs and records; may hold those of an earlier call.
        session: Folders of data and output.

    Yields:
        Each run once its record is there, and whether that was so before.

    Raises:
        RunError: If another process works in the folder, a record is damaged, or a
            run's process was killed.
        LandslideTFError: What a run itself raises, with its row.
    """
    place = BenchmarkFolder(Path(folder))
    with _alone(place.path):
        done = place.read_records()
        for run in planned:
            found = run.key in done and place.counts(run.key).is_file()
            if not found:
                record = run_apart(run, place, session)
                place.append(record)
                done[run.key] = record
            yield run, found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds a folder for this process until it ends, in whatever way."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(
                f"Another process works in `{folder}`: wait for it, or choose another "
                "`--out`."
            ) from error
        yield


def run_apart(planned: GridRun, place: BenchmarkFolder, session: Session) -> Record:
    """Trains and evaluates a run in a process of its own.

    Threads, precision and determinism are set once a process, and its memory is given
    back at its end.

    Args:
        planned: The run.
        place: The benchmark's files.
        session: Folders of data and output.

    Returns:
        The run's record; its counts are written.

    Raises:
        RunError: If the process was killed.
        LandslideTFError: What the run raised, with its row.
    """
    where = f"Row `{planned.row}`, seed {planned.seed}"
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, planned, place, session))
    process.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError as error:
        process.join()
        raise RunError(
            f"{where}: its process ended with status {process.exitcode} (-9: killed, "
            "as for want of memory); the same command goes on from there."
        ) from error
    process.join()
    if isinstance(result, LandslideTFError):
        raise type(result)(f"{where}: {result}") from result
    return result


def _child(
    sender: Connection, planned: GridRun, place: BenchmarkFolder, session: Session
) -> None:
    # Nobody would read what an orphan trains, and it would hold the run's folder.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        sender.send(train_and_evaluate(planned, place, session))
    except LandslideTFError as error:
        sender.send(error)
    except KeyboardInterrupt:
        pass  # the parent says so


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def train_and_evaluate(
    planned: GridRun, place: BenchmarkFolder, session: Session
) -> Record:
    """Trains a run, or goes on with it, and evaluates it in this process.

    Args:
        planned: The run.
        place: The benchmark's files.
        session: Folders of data and output.

    Returns:
        The run's record; its counts are written.
    """
    started = time.perf_counter()
    run = place.run(planned)
    train_or_resume(planned.recipe, run.path, session)
    trained = time.perf_counter()
    evaluation = evaluate_run(
        run,
        data=planned.data,
        pictures=0,
        data_dir=session.data_dir,
        manual_dir=session.manual_dir,
    )
    counts = place.counts(planned.key)
    with atomic_path(counts) as temporary:
        ids = np.array(evaluation.ids, str)
        np.savez_compressed(temporary, ids=ids, matrices=evaluation.matrices)
    return {
        "key": planned.key,
        "row": planned.row,
        "seed": planned.seed,
        "run": str(run.path.relative_to(place.path)),
        "data": evaluation.data,
        "images": len(evaluation.ids),
        "classes": evaluation.metadata.classes,
        "landslide_class": evaluation.metadata.landslide_class,
        "threshold": evaluation.metadata.threshold,
        "scores": evaluation.scores.as_dict(),
        "objects": evaluation.object_table(),
        "parameters": run.load_model().count_params(),
        "training_seconds": round(trained - started, 1),
        "evaluation_seconds": round(time.perf_counter() - trained, 1),
        "versions": versions(),
        "command": session.command,
    }

"""The runs of a grid, what is kept of them, and what follows from that."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from landslide_tf.array_types import IntArray
from landslide_tf.errors import LandslideTFError, RunError
from landslide_tf.files import atomic_path
from landslide_tf.metrics import landslide_index, paired_bootstrap, score_of_matrices
from landslide_tf.metrics.bootstrap import SCORES
from landslide_tf.outputs import check_own_folder
from landslide_tf.train.benchmark.grid import GridRun, GridTable
from landslide_tf.train.engine import train_or_resume
from landslide_tf.train.evaluate import evaluate_run
from landslide_tf.train.run.folder import RunFolder, versions
from landslide_tf.train.run.series import run_missing
from landslide_tf.train.run.session import Session

SAMPLES, LEVEL = 2000, 0.95
_OWN = {"runs", "counts", "records.jsonl", "table.md", "summary.json"}

Record = dict[str, Any]  # JSON values
Summary = dict[str, Any]  # JSON values, NaN for undefined numbers


@dataclass(frozen=True)
class BenchmarkFolder:
    """The files of a benchmark.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def records(self) -> Path:
        """One line of JSON a finished run, in the order they finished."""
        return self.path / "records.jsonl"

    def run(self, planned: GridRun) -> RunFolder:
        """Returns the folder of a run."""
        name = f"{planned.recipe.model.name}-{planned.seed}-{planned.key}"
        return RunFolder(self.path / "runs" / name)

    def counts(self, key: str) -> Path:
        """Returns the file with the confusion matrix of every image of a run."""
        return self.path / "counts" / f"{key}.npz"

    def read_records(self) -> dict[str, Record]:
        """Returns the records by key; a line that a kill cut off is left out.

        Raises:
            RunError: If a line is damaged.
        """
        if not self.records.is_file():
            return {}
        # What follows the last line break was not written to its end.
        *lines, _ = self.records.read_bytes().split(b"\n")
        found = {}
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                found[record["key"]] = record
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(
                    f"`{self.records}`, line {number} is not a record of a run: remove "
                    "the line, and its run is evaluated anew."
                ) from error
        return found

    def read(self, planned: GridRun) -> Record | None:
        """Returns the record of a run, None where it or its counts are not there.

        Raises:
            RunError: If a line is damaged.
        """
        record = self.read_records().get(planned.key)
        return record if self.counts(planned.key).is_file() else None

    def append(self, record: Record) -> None:
        """Adds a record at the end and flushes it to the disk."""
        with self.records.open("ab+") as stream:
            stream.seek(0)
            content = stream.read()
            stream.truncate(content.rfind(b"\n") + 1)
            stream.write(json.dumps(record, allow_nan=False).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())


def run_grid(
    planned: Sequence[GridRun], folder: str | Path, session: Session
) -> Iterator[tuple[GridRun, bool]]:
    """Trains and evaluates the runs of a grid that are not yet recorded.

    Every run is a process of its own, as if it were trained alone. A run that was
    interrupted is resumed where it stopped.

    Args:
        planned: The runs, from `load_grid`.
        folder: Folder of runs and records; may hold those of an earlier call.
        session: Folders of data and output.

    Yields:
        Each run once its record is there, and whether that was so before.

    Raises:
        RunError: If another process works in the folder, a record is damaged, or a
            run's process was killed.
        DataError: If the folder holds something else.
        LandslideTFError: What a run itself raises, with its row.
    """
    place = BenchmarkFolder(Path(folder))
    check_own_folder(place.path, "a benchmark", lambda path: path.name in _OWN)

    def train(run: GridRun) -> Record:
        record = run_apart(run, place, session)
        place.append(record)
        return record

    for run, _, before in run_missing(planned, place.path, place.read, train):
        yield run, before


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
    # Nobody would read what an orphan trains, and it would hold the run's folder.
    with ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), initializer=_end_with_parent
    ) as apart:
        try:
            return apart.submit(train_and_evaluate, planned, place, session).result()
        except BrokenProcessPool as error:
            raise RunError(
                f"{where}: its process was killed, as for want of memory; the same "
                "command resumes it."
            ) from error
        except LandslideTFError as error:
            raise type(error)(f"{where}: {error}") from error


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def train_and_evaluate(
    planned: GridRun, place: BenchmarkFolder, session: Session
) -> Record:
    """Trains a run, or resumes it, and evaluates it in this process.

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
        session=replace(session, arrays=None),
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
        "classes": list(evaluation.classes),
        "landslide_class": evaluation.landslide,
        "threshold": evaluation.metadata.threshold,
        "scores": evaluation.scores.as_dict(),
        "objects": evaluation.object_table(),
        "parameters": run.load_model().count_params(),
        "training_seconds": round(trained - started, 1),
        "evaluation_seconds": round(time.perf_counter() - trained, 1),
        "versions": versions(),
        "command": session.command,
    }


def summarize_grid(
    planned: Sequence[GridRun],
    folder: str | Path,
    tables: Sequence[GridTable] = (),
) -> Summary:
    """Compares the recorded rows of a grid.

    Args:
        planned: The runs, from `load_grid`; the first row is what others are compared
            with.
        folder: Folder of the records.
        tables: Further tables, from the grid.

    Returns:
        `scores` (their names), `bootstrap` (how intervals were made) and `rows`: each
        with `name`, `data`, `seeds`, for every score `values`, `mean` and `std`
        (of the seeds, n - 1), `difference` to the first row with `estimate`, `low` and
        `high`, None where the images are not the same, `published`, None where
        nothing is, and `only`, the one class that its reference holds, None where it
        holds more; and `tables`: each with `title`, `note`, `columns` (headings) and
        `rows`, each with `name`, `published`, and `mean` and `std` by heading.
    """
    place = BenchmarkFolder(Path(folder))
    records = place.read_records()
    rows: dict[str, list[GridRun]] = {}
    for run in planned:
        if run.key in records:
            rows.setdefault(run.row, []).append(run)
    summaries, first = [], None
    for name, runs in rows.items():
        record = records[runs[0].key]
        ids, counts = _load_counts(place, [run.key for run in runs])
        images = record["data"], ids
        landslide = landslide_index(record["landslide_class"])
        found = _scores(counts, landslide)
        found |= {"name": name, "data": record["data"], "images": len(ids)}
        found |= {"seeds": [run.seed for run in runs], "difference": None}
        found["published"] = dict(runs[0].published) if runs[0].published else None
        found["only"] = _only_class(counts, record["classes"])
        if name == planned[0].row:
            first = images, counts
        elif first is not None and first[0] == images:
            found["difference"] = _differences(first[1], counts, landslide)
        summaries.append(found)
    how = {"over": "images", "paired": True, "samples": SAMPLES, "level": LEVEL}
    made = [
        _table(table, {name: [records[r.key] for r in rows[name]] for name in rows})
        for table in tables
    ]
    for table in made:
        for row in table["rows"]:
            printed = rows[row["name"]][0].published or {}
            row["published"] = {k: v for k, v in printed.items() if k in row["mean"]}
    return {
        "scores": list(SCORES),
        "bootstrap": how,
        "rows": summaries,
        "tables": made,
    }


def _only_class(counts: IntArray, classes: Sequence[str]) -> str | None:
    """Returns the one class that the reference holds, None where it holds more."""
    present = np.flatnonzero(counts.sum(axis=(0, 1, 3)))
    return classes[present[0]] if len(present) == 1 else None


def _table(table: GridTable, records: Mapping[str, Sequence[Record]]) -> Summary:
    """Returns mean and spread of the columns of a table, by row."""
    rows = []
    for name, own in records.items():
        row: Summary = {"name": name, "mean": {}, "std": {}}
        for heading, column in table.columns.items():
            values = np.array([_number_of(record, column) for record in own])
            row["mean"][heading] = float(values.mean())
            row["std"][heading] = float(values.std(ddof=1)) if len(own) > 1 else None
        rows.append(row)
    return {
        "title": table.title,
        "note": table.note,
        "columns": list(table.columns),
        "rows": rows,
    }


def _number_of(record: Record, column: str) -> float:
    """Returns a number of a record, NaN where its data have no such class."""
    value: Any = record
    for part in column.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return math.nan if value is None else float(value)


def _scores(counts: IntArray, landslide: int) -> Summary:
    """Returns every score by run with mean and spread."""
    found: Summary = {"values": {}, "mean": {}, "std": {}}
    for score in SCORES:
        values = score_of_matrices(counts.sum(axis=1), score, landslide)
        found["values"][score] = values.tolist()
        found["mean"][score] = float(values.mean())
        # One run has no spread.
        found["std"][score] = float(values.std(ddof=1)) if len(values) > 1 else None
    return found


def _differences(
    first: IntArray, counts: IntArray, landslide: int
) -> dict[str, dict[str, float]]:
    found = {}
    for score in SCORES:
        statistic = partial(score_of_matrices, score=score, landslide=landslide)
        interval = paired_bootstrap(
            first, counts, statistic, samples=SAMPLES, level=LEVEL
        )
        found[score] = asdict(interval)
    return found


def _load_counts(
    place: BenchmarkFolder, keys: Sequence[str]
) -> tuple[list[str], IntArray]:
    """Returns the images' names and counts (runs, images, classes, classes)."""
    ids, matrices = [], []
    for key in keys:
        with np.load(place.counts(key), allow_pickle=False) as arrays:
            ids.append(arrays["ids"].tolist())
            matrices.append(arrays["matrices"])
    return ids[0], np.stack(matrices)

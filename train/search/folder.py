"""The folder of a search: one run a trial, the table and the winner."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from landslide_tf.errors import RunError
from landslide_tf.files import TEMPORARY_PREFIX, atomic_path, remove_leftovers
from landslide_tf.train.recipe.schema import Recipe, TrainingSection
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.search.space import Values

Cell = str | int | float | None


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        trial: Number of the trial, from 0.
        status: `"failed"` where there is no score.
        score: Best value of the recipe's monitor, exact.
        epochs: Epochs it was trained for at most.
        parameters: Parameters of its network; None where it could not be built.
        values: What it differed in from other trials.
        run: Name of its run folder below `trials`.
        reason: Why it failed.
    """

    trial: int
    status: Literal["completed", "failed"]
    score: float | None
    epochs: int
    parameters: int | None
    values: Values
    run: str
    reason: str | None = None


@dataclass(frozen=True)
class SearchFolder:
    """The files of one search.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def settings(self) -> Path:
        """Recipe and options of the search."""
        return self.path / "search.json"

    @property
    def trials(self) -> Path:
        """Folder with a run folder a trial."""
        return self.path / "trials"

    @property
    def oracle(self) -> Path:
        """Files of keras-tuner, one folder a process; nothing is read from them."""
        return self.path / "oracle"

    @property
    def table(self) -> Path:
        """One row a trial, in their order."""
        return self.path / "trials.csv"

    @property
    def ranking(self) -> Path:
        """The same as a Markdown table, the best trial first."""
        return self.path / "trials.md"

    @property
    def best(self) -> Path:
        """The winner as a recipe."""
        return self.path / "best.yaml"

    def claim(self, settings: dict[str, Any]) -> None:
        """Makes the folder that of one search, or checks that it is.

        Args:
            settings: JSON values that decide what the search finds.

        Raises:
            RunError: If the folder holds something else.
        """
        text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
        self.path.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.path)
        if self.settings.is_file():
            if self.settings.read_text() == text:
                return
            # A search whose first trial was refused may be put right.
            if any(self.trials.glob("*/*")):
                raise RunError(
                    f"`{self.path}` holds a search with another recipe or other "
                    "options: choose another `--out`."
                )
        elif any(not p.name.startswith(TEMPORARY_PREFIX) for p in self.path.iterdir()):
            raise RunError(
                f"`{self.path}` is neither empty nor a search: choose another `--out`."
            )
        with atomic_path(self.settings) as temporary:
            temporary.write_text(text)

    def run_of(self, trial: int, recipe: Recipe) -> RunFolder:
        """Returns the run folder of a recipe, that of an earlier trial if it had one.

        Args:
            trial: Number of the trial.
            recipe: Its recipe.
        """
        content = recipe.model_dump_json(exclude={"description", "source"})
        mark = hashlib.sha256(content.encode()).hexdigest()[:8]
        found = sorted(self.trials.glob(f"*-{mark}"))
        return RunFolder(found[0] if found else self.trials / f"{trial:04d}-{mark}")

    def outcomes(self) -> list[Outcome]:
        """Returns how the trials ended that have ended, in their order."""
        found = (read_outcome(RunFolder(path)) for path in self.trials.glob("*-*"))
        return sorted((o for o in found if o is not None), key=lambda o: o.trial)

    def write_tables(self, mode: Literal["max", "min"]) -> None:
        """Writes `trials.csv` and `trials.md`.

        Args:
            mode: Whether a larger or a smaller score is better.
        """
        outcomes = self.outcomes()
        header, rows = trial_rows(outcomes)
        with atomic_path(self.table) as temporary, temporary.open("w") as stream:
            csv.writer(stream, lineterminator="\n").writerows([header, *rows])
        _, rows = trial_rows(ranked(outcomes, mode))
        lines = [header, ["---"] * len(header), *rows]
        text = "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)
        with atomic_path(self.ranking) as temporary:
            temporary.write_text(text)


def trial_rows(outcomes: list[Outcome]) -> tuple[list[str], list[list[Cell]]]:
    """Returns the header and the rows of the table of trials."""
    names = list(dict.fromkeys(name for o in outcomes for name in o.values))
    facts = ["trial", "status", "score", "epochs", "parameters"]
    rows = []
    for outcome in outcomes:
        cells: list[Cell] = [getattr(outcome, name) for name in facts]
        cells += [outcome.values.get(name) for name in names]
        rows.append([*cells, outcome.run, outcome.reason])
    return [*facts, *names, "run", "reason"], rows


def _cell(value: Cell) -> str:
    text = "" if value is None else str(value)
    if isinstance(value, float):
        text = f"{value:.6g}"
    return text.replace("|", "\\|").replace("\n", " ")


def ranked(outcomes: list[Outcome], mode: Literal["max", "min"]) -> list[Outcome]:
    """Returns trials from the best to the worst, then those without a score."""
    sign = -1.0 if mode == "max" else 1.0

    def key(outcome: Outcome) -> tuple[bool, float, int]:
        score = outcome.score
        return score is None, sign * (score or 0.0), outcome.trial

    return sorted(outcomes, key=key)


def best_outcome(outcomes: list[Outcome], mode: Literal["max", "min"]) -> Outcome:
    """Returns the trial with the best score, the first of several.

    Raises:
        RunError: If no trial has a score.
    """
    order = ranked(outcomes, mode)
    if not order or order[0].score is None:
        reasons = "; ".join(dict.fromkeys(o.reason or "" for o in order))
        raise RunError(f"No trial succeeded: {reasons or 'none was run'}.")
    return order[0]


def read_outcome(run: RunFolder) -> Outcome | None:
    """Returns how the trial of a run folder ended, or None while it has not.

    Raises:
        RunError: If the file is damaged.
    """
    path = run.path / "trial.json"
    if not path.is_file():
        return None
    try:
        return Outcome(**json.loads(path.read_text()))
    except (json.JSONDecodeError, TypeError) as error:
        raise RunError(
            f"`{path}` is damaged: remove it, and the trial ends anew."
        ) from error


def write_outcome(run: RunFolder, outcome: Outcome) -> None:
    """Writes how a trial ended into its run folder."""
    with atomic_path(run.path / "trial.json") as temporary:
        temporary.write_text(json.dumps(asdict(outcome), indent=2) + "\n")


def best_score(run: RunFolder, section: TrainingSection) -> float:
    """Returns the best value of the monitor of a finished run.

    Args:
        run: The run.
        section: Monitor and mode of its recipe.

    Returns:
        The value; NaN where it, or the loss on validation in any epoch, is not finite.
    """
    with run.metrics.open() as stream:
        rows = list(csv.DictReader(stream))
    losses = [float(row["val_loss"]) for row in rows if row.get("val_loss")]
    scores = [float(row[section.monitor]) for row in rows]
    finite = [score for score in scores if math.isfinite(score)]
    if not finite or not all(map(math.isfinite, losses)):
        return math.nan
    return max(finite) if section.mode == "max" else min(finite)


@contextmanager
def locked(folder: Path, message: str | None = None) -> Iterator[None]:
    """Keeps other processes from a folder; the lock ends with the process.

    Args:
        folder: The folder; it is made when missing.
        message: What to raise where another process has the lock; None waits for it.

    Yields:
        Nothing, while the lock is held.

    Raises:
        RunError: If another process has the lock and `message` is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        wait = 0 if message is None else fcntl.LOCK_NB
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | wait)
        except BlockingIOError as error:
            raise RunError(str(message)) from error
        yield
    finally:
        os.close(descriptor)

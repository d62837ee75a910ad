"""The folder of a search: one run a trial, the table and the winner."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from landslide_tf.choices import Mode
from landslide_tf.errors import RunError
from landslide_tf.files import (
    LOCK,
    TEMPORARY_PREFIX,
    atomic_path,
    locked,
    remove_leftovers,
    write_text,
)
from landslide_tf.train.recipe.schema import RecipeFile
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.series import read_record, write_record
from landslide_tf.train.search.space import Values

Cell: TypeAlias = str | int | float | None


@dataclass(frozen=True)
class Outcome:
    """Result of a trial.

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
    def trials(self) -> Path:
        """Folder with a run folder a trial."""
        return self.path / "trials"

    @property
    def journal(self) -> Path:
        """One line a trial that was begun or has ended, in the order of both."""
        return self.path / "journal"

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

    @contextmanager
    def claimed(self, settings: dict[str, Any]) -> Iterator[None]:
        """Claims the folder, and keeps other processes from searching in it.

        Args:
            settings: As in `claim`.

        Yields:
            Nothing, while this process alone searches.

        Raises:
            RunError: If the folder holds something else, or another process searches.
        """
        self._check_files()  # before there is a lock in a folder of something else
        with locked(self.path, f"Another process searches in `{self.path}`."):
            self.claim(settings)
            yield

    def join(self, settings: dict[str, Any]) -> None:
        """Claims the folder for this process and others of the same search.

        Args:
            settings: As in `claim`.

        Raises:
            RunError: If the folder holds something else.
        """
        self._check_files()
        with locked(self.path):
            self.claim(settings)

    def claim(self, settings: dict[str, Any]) -> None:
        """Makes the folder that of one search, or checks that it is.

        Args:
            settings: JSON values that decide what the search finds.

        Raises:
            RunError: If the folder holds something else.
        """
        text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
        path = self.path / "search.json"
        self.path.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.path)
        self._check_files()
        if path.is_file() and path.read_text("utf-8") == text:
            return
        # A search whose first trial was refused may be put right.
        if any(self.trials.glob("*/*")):
            raise RunError(
                f"`{self.path}` holds a search with another recipe or other "
                "options: choose another `--out`."
            )
        write_text(path, text)

    def _check_files(self) -> None:
        names = {p.name for p in self.path.glob("*")} - {LOCK}
        own = "search.json" in names
        if self.path.is_file() or (
            not own and any(not name.startswith(TEMPORARY_PREFIX) for name in names)
        ):
            raise RunError(
                f"`{self.path}` is neither empty nor a search: choose another `--out`."
            )

    def run_of(self, trial: int, recipe: RecipeFile) -> RunFolder:
        """Returns the run folder of a recipe, that of an earlier trial if it had one.

        Args:
            trial: Number of the trial.
            recipe: Its recipe.
        """
        content = recipe.model_dump_json(exclude={"description", "source"})
        mark = hashlib.sha256(content.encode()).hexdigest()[:8]
        found = sorted(self.trials.glob(f"*-{mark}"))
        return RunFolder(found[0] if found else self.trials / f"{trial:04d}-{mark}")

    def finish(self, run: RunFolder, make: Callable[[], Outcome]) -> Outcome:
        """Returns how the trial of a run folder ended, and ends it where it has not.

        Args:
            run: From `run_of`; no other process may train it.
            make: Trains the trial, or resumes it.

        Raises:
            RunError: If the file of its outcome is damaged.
        """
        outcome = read_outcome(run)
        if outcome is None:
            outcome = make()
            write_record(run.path / "trial.json", asdict(outcome), indent=2)
        return outcome

    def lock_of(self, run: RunFolder) -> Path:
        """Returns the folder of a run's lock: a run itself begins in an empty one."""
        return self.path / "locks" / run.path.name

    def outcomes(self) -> list[Outcome]:
        """Returns how the trials ended that have ended, in their order."""
        found = (read_outcome(RunFolder(path)) for path in self.trials.glob("*-*"))
        return sorted((o for o in found if o is not None), key=lambda o: o.trial)

    def write_tables(self, mode: Mode) -> None:
        """Writes `trials.csv` and `trials.md`.

        Args:
            mode: Whether a larger or a smaller score is better.
        """
        outcomes = self.outcomes()
        header, *rows = _rows(outcomes)
        with atomic_path(self.table) as temporary, temporary.open("w") as stream:
            csv.writer(stream, lineterminator="\n").writerows([header, *rows])
        _, *rows = _rows(_ranked(outcomes, mode))
        lines: list[list[Cell]] = [header, ["---"] * len(header), *rows]
        text = "".join(f"| {' | '.join(map(_text, line))} |\n" for line in lines)
        write_text(self.ranking, text)

    def write_best(
        self, mode: Mode, recipe_of: Callable[[Outcome], RecipeFile], monitor: str
    ) -> None:
        """Writes `best.yaml`, the recipe of the best trial, the first of several.

        Args:
            mode: Whether a larger or a smaller score is better.
            recipe_of: Returns the recipe of a trial.
            monitor: Name of the score.

        Raises:
            RunError: If no trial has a score.
        """
        order = _ranked(self.outcomes(), mode)
        if not order or order[0].score is None:
            reasons = "; ".join(dict.fromkeys(o.reason or "" for o in order))
            raise RunError(f"No trial succeeded: {reasons or 'none was run'}.")
        best, recipe = order[0], recipe_of(order[0])
        recipe.description += (
            f" (trial {best.trial} of a search with {len(order)}: {monitor} "
            f"{best.score:.4f})"
        )
        recipe.write(self.best)


def _rows(outcomes: Sequence[Outcome]) -> list[list[Cell]]:
    """Returns the header and the rows of the table of trials."""
    names = list(dict.fromkeys(name for o in outcomes for name in o.values))
    first = ("trial", "status", "score", "epochs", "parameters")
    rows: list[list[Cell]] = [[*first, *names, "run", "reason"]]
    for o in outcomes:
        cells: list[Cell] = [o.trial, o.status, o.score, o.epochs, o.parameters]
        cells += [o.values.get(name) for name in names]
        rows.append([*cells, o.run, o.reason])
    return rows


def _text(value: Cell) -> str:
    text = "" if value is None else str(value)
    if isinstance(value, float):
        text = f"{value:.6g}"
    return text.replace("|", "\\|").replace("\n", " ")


def _ranked(outcomes: Sequence[Outcome], mode: Mode) -> list[Outcome]:
    """Returns trials from the best to the worst, then those without a score."""
    sign = -1.0 if mode == "max" else 1.0

    def key(outcome: Outcome) -> tuple[bool, float, int]:
        score = outcome.score
        return score is None, sign * (score or 0.0), outcome.trial

    return sorted(outcomes, key=key)


def read_outcome(run: RunFolder) -> Outcome | None:
    """Returns how the trial of a run folder ended, or None while it has not.

    Raises:
        RunError: If the file is damaged.
    """
    path = run.path / "trial.json"
    values = read_record(path, "the trial ends anew")
    try:
        return None if values is None else Outcome(**values)
    except TypeError as error:
        raise RunError(
            f"`{path}` is damaged: remove it, and the trial ends anew."
        ) from error

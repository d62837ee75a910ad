"""Searches for a better recipe, one run a trial."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import keras
import keras_tuner as kt

from landslide_tf.errors import RecipeError, RunError
from landslide_tf.train.engine import Session, prepare
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.search.folder import Outcome, SearchFolder, best_outcome, locked
from landslide_tf.train.search.space import SearchSpace
from landslide_tf.train.search.tuner import (
    OracleName,
    RecipeHyperModel,
    RunTuner,
    make_oracle,
)

TRIALS = 20
TUNER, ADDRESS, PORT = (
    "KERASTUNER_TUNER_ID",
    "KERASTUNER_ORACLE_IP",
    "KERASTUNER_ORACLE_PORT",
)


@dataclass(frozen=True)
class SearchOptions:
    """How to search.

    Attributes:
        oracle: What chooses the trials: `"random"`, `"hyperband"` or `"bayesian"`.
        trials: Most trials; None is 20, or all of Hyperband's brackets.
        max_parameters: Most parameters of a network; larger ones fail untrained.
        epochs: Epochs of a trial, with Hyperband of the longest; None is the recipe's.
        seed: Where the drawing of values starts; the runs keep the recipe's own seed.
        vary: Names of what may differ; none is everything.
    """

    oracle: OracleName = "random"
    trials: int | None = None
    max_parameters: int | None = None
    epochs: int | None = None
    seed: int = 0
    vary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("max_parameters", 1), ("epochs", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise RecipeError(f"`{name}` must be at least {least}, got {value}.")
        if self.seed < 0:
            raise RecipeError(f"`seed` must be at least 0, got {self.seed}.")


def tune(
    recipe: Recipe,
    folder: str | Path,
    options: SearchOptions | None = None,
    session: Session | None = None,
    report: Callable[[Outcome], None] | None = None,
) -> SearchFolder:
    """Searches around a recipe for one with a better value of its monitor.

    The first trial is the recipe itself. Each trial is a run folder below `trials`,
    with its exact score; `trials.csv` and `trials.md` list them and `best.yaml` is the
    winner, which scores the same when it is trained again. The same call goes on with
    a search that was interrupted, or adds trials to one that has ended.

    With keras-tuner's environment variables `KERASTUNER_ORACLE_IP`,
    `KERASTUNER_ORACLE_PORT` and `KERASTUNER_TUNER_ID` several processes search
    together in one folder that all of them see: the one whose name contains `chief`
    chooses the trials and writes the winner, the others train.

    Args:
        recipe: What to start from; all segmentation networks can be searched.
        folder: The folder of the search; missing, empty or of the same search.
        options: How to search.
        session: Folders and output of the runs.
        report: Called with each trial that ended in this process.

    Returns:
        The folder of the search.

    Raises:
        RunError: If the folder is in use, or no trial has a score.
        RecipeError: If the recipe and the data or the options do not fit.
        DataError: If data are missing or corrupt.
    """
    options, session = options or SearchOptions(), session or Session()
    role = _role()
    arrays = session.arrays or recipe.data.arrays
    if arrays is not None:  # the winner has to find them from anywhere
        recipe = recipe.model_copy(deep=True)
        recipe.data.arrays = str(Path(arrays).resolve())
    space = SearchSpace.around(recipe, options.vary)
    epochs = options.epochs or recipe.training.epochs
    trials = options.trials
    if trials is None and options.oracle != "hyperband":
        trials = TRIALS
    hypermodel = _check(space, session)
    search = SearchFolder(Path(folder))

    def ended(outcome: Outcome) -> None:
        search.write_tables(recipe.training.mode)
        if report is not None:
            report(outcome)

    def run() -> None:
        # More trials go on from the same ones.
        settings = asdict(options)
        del settings["trials"]
        search.claim({"recipe": recipe.model_dump(mode="json"), **settings})
        tuner = RunTuner(
            make_oracle(
                options.oracle, space, trials=trials, epochs=epochs, seed=options.seed
            ),
            hypermodel,
            search,
            session=session,
            epochs=epochs,
            max_parameters=options.max_parameters,
            report=ended,
        )
        try:
            tuner.search()
        except kt.errors.FatalError as error:
            if error.__cause__ is None:
                raise
            raise error.__cause__ from None

    if role == "worker":
        run()
        return search
    with locked(search.path, f"Another process searches in `{search.path}`."):
        run()
        _write_winner(search, space)
    return search


def _role() -> Literal["alone", "chief", "worker"]:
    """Returns what this process is in a search of several.

    Raises:
        RunError: If keras-tuner's environment variables are incomplete.
    """
    if ADDRESS not in os.environ:
        return "alone"
    for name in (TUNER, PORT):
        if not os.environ.get(name):
            raise RunError(
                f"`{ADDRESS}` is set and `{name}` is not: set all three of "
                f"`{ADDRESS}`, `{PORT}` and `{TUNER}`, or none."
            )
    return "chief" if "chief" in os.environ[TUNER] else "worker"


def _check(space: SearchSpace, session: Session) -> RecipeHyperModel:
    """Builds what a run of the recipe needs, so that its faults come before trials.

    Returns:
        The networks of the space for the recipe's data.
    """
    recipe = space.recipe
    prepared = prepare(recipe, session)
    keras.utils.clear_session()
    given, resolved = recipe.model.arguments, prepared.recipe.model.arguments
    known = {k: v for k, v in resolved.items() if k not in given}
    return RecipeHyperModel(space, prepared.arguments["num_classes"], known)


def _write_winner(search: SearchFolder, space: SearchSpace) -> None:
    outcomes = search.outcomes()
    section = space.recipe.training
    search.write_tables(section.mode)
    best = best_outcome(outcomes, section.mode)
    recipe = space.recipe_at(best.values, best.epochs)
    recipe.description = (
        f"{space.recipe.description} (trial {best.trial} of a search with "
        f"{len(outcomes)}: {section.monitor} {best.score:.4f})"
    )
    recipe.write(search.best)

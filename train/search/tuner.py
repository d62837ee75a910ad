"""Searches for a better recipe: keras-tuner chooses the trials, each is a run."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras

from landslide_tf.errors import LandslideTFError
from landslide_tf.files import locked
from landslide_tf.train.engine import Prepared, prepare, train_or_resume
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.series import digest
from landslide_tf.train.run.session import Session
from landslide_tf.train.search.claims import Claims
from landslide_tf.train.search.folder import Outcome, SearchFolder
from landslide_tf.train.search.oracle import SearchOptions, make_oracle
from landslide_tf.train.search.space import SearchSpace
from landslide_tf.train.tasks.network import build_model, builder_arguments


def tune(
    recipe: Recipe,
    folder: str | Path,
    options: SearchOptions | None = None,
    session: Session | None = None,
    report: Callable[[Outcome], None] | None = None,
) -> SearchFolder:
    """Searches around a recipe for a better value of its monitor.

    The first trial is the recipe itself. Each trial is a run folder below `trials`,
    with its exact score; `trials.csv` and `trials.md` list them and `best.yaml` is the
    winner, which scores the same when it is trained again. The same call resumes
    a search that was interrupted, or adds trials to one that has ended.

    The same call in several processes, on one machine or on several that share the
    folder, is one search: each trains trials that no other trains, and takes over those
    of a process that was killed. All return when all trials have ended.

    Args:
        recipe: What to start from; all segmentation networks can be searched.
        folder: The folder of the search; missing, empty or of the same search.
        options: How to search.
        session: Folders and output of the runs.
        report: Called with each trial that ended in this process.

    Returns:
        The folder of the search.

    Raises:
        RunError: If the folder holds something else, or no trial has a score.
        RecipeError: If the recipe and the data or the options do not fit.
        DataError: If data are missing or corrupt.
    """
    options, session = options or SearchOptions(), session or Session()
    recipe = session.with_arrays(recipe)  # the winner has to find them from anywhere
    space = SearchSpace.around(recipe, options.vary)
    # What a run of the recipe needs is built first, for faults come before trials.
    prepared = prepare(recipe, session)
    keras.utils.clear_session()
    search = SearchFolder(Path(folder))
    settings = {"recipe": recipe.model_dump(mode="json"), **asdict(options)}
    del settings["trials"]  # a search may be resumed with more trials
    section, trials = recipe.training, _Trials(space, prepared, options, session)
    search.join(settings)

    def run_of(number: int, drawn: Mapping[str, Any]) -> RunFolder:
        return search.run_of(number, trials.recipe_of(drawn))

    claims = Claims(search, make_oracle(space, options), run_of, section.monitor)
    while True:
        with claims.next() as claim:
            if claim is None:
                break
            number, drawn, run = claim
            outcome = search.finish(run, partial(trials.train, number, drawn, run))
        with locked(search.path):
            search.write_tables(section.mode)
        if report is not None:
            report(outcome)
    with locked(search.path):
        search.write_tables(section.mode)
        search.write_best(
            section.mode,
            lambda best: space.recipe_at(best.values, best.epochs),
            section.monitor,
        )
    return search


@dataclass
class _Trials:
    """Trains trials; each is a run like any other.

    Hyperband's later rounds train from the start, for their own number of epochs: what
    a trial scores is what its recipe scores.

    Args:
        space: What trials differ in.
        prepared: What a run of the space's recipe trains.
        options: How to search.
        session: Folders and output of the runs.
    """

    space: SearchSpace
    prepared: Prepared
    options: SearchOptions
    session: Session
    _counts: dict[str, int] = field(default_factory=dict)  # by the section `model`

    def recipe_of(self, drawn: Mapping[str, Any]) -> Recipe:
        """Returns the recipe of a trial, by keras-tuner's values."""
        epochs = self.options.epochs or self.space.recipe.training.epochs
        values = self.space.values(drawn)
        return self.space.recipe_at(values, drawn.get("tuner/epochs", epochs))

    def train(self, number: int, drawn: Mapping[str, Any], run: RunFolder) -> Outcome:
        """Builds and trains a network; what is the trial's own fault is a reason."""
        recipe = self.recipe_of(drawn)
        parameters, score, reason = None, None, None
        most = self.options.max_parameters
        try:
            parameters = self._count(recipe)
        except LandslideTFError as error:
            reason = str(error)
        except Exception as error:
            reason = _out_of_memory(error)
        if parameters is not None and most is not None and parameters > most:
            reason = (
                f"{parameters} parameters are more than the {most} of "
                "`--max-parameters`"
            )
        if reason is None:
            keras.utils.clear_session()  # frees the network that was counted
            try:
                train_or_resume(recipe, run.path, self.session)
                score = best_score(run, recipe)
            except Exception as error:
                reason = _out_of_memory(error)
        if score is not None and math.isnan(score):
            score, reason = None, "the loss or the score became not a number"
        return Outcome(
            trial=number,
            status="failed" if score is None else "completed",
            score=score,
            epochs=recipe.training.epochs,
            parameters=parameters,
            values=self.space.values(drawn),
            run=run.path.name,
            reason=reason,
        )

    def _count(self, recipe: Recipe) -> int:
        """Returns the parameters of a recipe's network; each is built once.

        Raises:
            RecipeError: If the builder does not take an argument's value.
        """
        given = self.space.recipe.model.arguments
        made = self.prepared.task.recipe.model.arguments
        recipe = recipe.model_copy(deep=True)
        recipe.model.arguments.update({k: v for k, v in made.items() if k not in given})
        key = digest(recipe.model.model_dump(mode="json"))
        if key not in self._counts:
            keras.utils.clear_session()
            arguments = builder_arguments(
                recipe, self.prepared.arguments["num_classes"]
            )
            network = build_model(recipe.model.name, arguments, activation=None)
            self._counts[key] = network.count_params()
        return self._counts[key]


def best_score(run: RunFolder, recipe: Recipe) -> float:
    """Returns the best value of the monitor of a finished run.

    Args:
        run: The run.
        recipe: Its recipe.

    Returns:
        The value; NaN where it, or the loss on validation in any epoch, is not finite.
    """
    with run.metrics.open() as stream:
        rows = list(csv.DictReader(stream))
    losses = [float(row["val_loss"]) for row in rows if row.get("val_loss")]
    scores = [float(row[recipe.training.monitor]) for row in rows]
    finite = [score for score in scores if math.isfinite(score)]
    if not finite or not all(map(math.isfinite, losses)):
        return math.nan
    return max(finite) if recipe.training.mode == "max" else min(finite)


def _out_of_memory(error: Exception) -> str:
    """Returns a reason in one line, or raises an error that is none of memory.

    TensorFlow and JAX have classes of their own for it; both name the status.
    """
    name = type(error).__name__
    known = isinstance(error, MemoryError) or name == "ResourceExhaustedError"
    if not known and "RESOURCE_EXHAUSTED" not in str(error):
        raise error
    line = " ".join(str(error).split())[:200]
    return f"out of memory: {line}".removesuffix(": ")

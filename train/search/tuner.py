"""Searches for a better recipe: keras-tuner chooses the trials, each is a run."""

from __future__ import annotations

import csv
import math
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import keras
import keras_tuner as kt
from sklearn.exceptions import ConvergenceWarning

from landslide_tf.errors import LandslideTFError, RecipeError, RunError
from landslide_tf.train.engine import Prepared, prepare, train_or_resume
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.series import digest
from landslide_tf.train.run.session import Session
from landslide_tf.train.search.folder import Outcome, SearchFolder
from landslide_tf.train.search.space import SearchSpace, Values
from landslide_tf.train.tasks.network import build_model, builder_arguments

OracleName: TypeAlias = Literal["random", "hyperband", "bayesian"]
TRIALS = 20
TUNER, ADDRESS, PORT = (
    "KERASTUNER_TUNER_ID",
    "KERASTUNER_ORACLE_IP",
    "KERASTUNER_ORACLE_PORT",
)


@dataclass(frozen=True)
class SearchOptions:
    """Options of a search.

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
    """Searches around a recipe for a better value of its monitor.

    The first trial is the recipe itself. Each trial is a run folder below `trials`,
    with its exact score; `trials.csv` and `trials.md` list them and `best.yaml` is the
    winner, which scores the same when it is trained again. The same call resumes
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
    recipe = session.with_arrays(recipe)  # the winner has to find them from anywhere
    space = SearchSpace.around(recipe, options.vary)
    # What a run of the recipe needs is built first, for faults come before trials.
    prepared = prepare(recipe, session)
    keras.utils.clear_session()
    search = SearchFolder(Path(folder))
    settings = {"recipe": recipe.model_dump(mode="json"), **asdict(options)}
    del settings["trials"]  # a search may be resumed with more trials
    mode = recipe.training.mode

    def run() -> None:
        tuner = RunTuner(space, prepared, search, options, session, report)
        try:
            tuner.search()
        except kt.errors.FatalError as error:
            if error.__cause__ is None:
                raise
            raise error.__cause__ from None

    if role == "worker":
        search.claim(settings)
        run()
        return search
    with search.claimed(settings):
        run()
        search.write_tables(mode)
        search.write_best(
            mode,
            lambda best: space.recipe_at(best.values, best.epochs),
            recipe.training.monitor,
        )
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


class _RecipeFirst(kt.Oracle):
    """Makes the first trial of an oracle the recipe itself, which others must beat."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of a trial as keras-tuner's oracles do."""
        first = not self.trials
        with warnings.catch_warnings():
            # About a process fitted to few scores; nothing a user could change.
            warnings.simplefilter("ignore", ConvergenceWarning)
            response = super().populate_space(trial_id)
        if first and response["values"]:
            for parameter in self.hyperparameters.space:
                response["values"][parameter.name] = parameter.default
        return response


class _RandomOracle(_RecipeFirst, kt.oracles.RandomSearchOracle):
    """Random search that begins with the recipe."""


class _HyperbandOracle(_RecipeFirst, kt.oracles.HyperbandOracle):
    """Hyperband that begins with the recipe."""


class _BayesianOracle(_RecipeFirst, kt.oracles.BayesianOptimizationOracle):
    """Bayesian optimisation that begins with the recipe."""


def make_oracle(space: SearchSpace, options: SearchOptions) -> kt.Oracle:
    """Returns what chooses the trials.

    Random values; Hyperband, which trains many trials shortly and the better ones
    longer; or Bayesian, which fits a Gaussian process to the scores.

    Args:
        space: What may differ.
        options: Name of the oracle, trials, epochs of the longest one, and seed.

    Returns:
        The oracle; a failed trial counts as one and never ends the search.
    """
    section = space.recipe.training
    common = {
        "hyperparameters": space.parameters(),
        "objective": kt.Objective(section.monitor, direction=section.mode),
        "seed": options.seed + 1,  # keras-tuner draws a seed of its own in place of 0
        "max_consecutive_failed_trials": sys.maxsize,
    }
    trials = options.trials or TRIALS
    if options.oracle == "hyperband":
        oracle = _HyperbandOracle(max_epochs=options.epochs or section.epochs, **common)
        oracle.max_trials = options.trials
    elif options.oracle == "bayesian":
        # Its own rule, three a dimension, is more than most searches can afford.
        initial = len(space.dimensions) + 1
        oracle = _BayesianOracle(
            max_trials=trials, num_initial_points=initial, **common
        )
    else:
        oracle = _RandomOracle(max_trials=trials, **common)
    oracle.verbose = 0
    return oracle


class RunTuner(kt.Tuner):
    """A search whose trials are runs like any other.

    keras-tuner's own files are made anew each time: an oracle draws the same trials
    from the same seed and scores, and a trial that ended before gives its exact score
    from its run folder at once. So a search that was killed is resumed as if it had not
    been, with every oracle, and whatever keras-tuner was writing.

    Hyperband's later rounds train from the start, for their own number of epochs: what
    a trial scores is what its recipe scores.

    Args:
        space: What trials differ in.
        prepared: What a run of the space's recipe trains.
        folder: Folder of the search.
        options: How to search.
        session: Folders and output of the runs.
        report: Called with each trial that ended.
    """

    def __init__(
        self,
        space: SearchSpace,
        prepared: Prepared,
        folder: SearchFolder,
        options: SearchOptions,
        session: Session,
        report: Callable[[Outcome], None] | None,
    ) -> None:
        super().__init__(
            make_oracle(space, options),
            directory=str(folder.oracle),
            project_name=os.environ.get(TUNER, "tuner0"),
            overwrite=True,
        )
        given, made = space.recipe.model.arguments, prepared.task.recipe.model.arguments
        self._known = {k: v for k, v in made.items() if k not in given}
        self._counts: dict[str, int] = {}  # by the section `model`
        self._num_classes = prepared.arguments["num_classes"]
        self._space = space
        self._folder = folder
        self._options = options
        self._session = session
        self._report = report

    def run_trial(self, trial: kt.engine.trial.Trial) -> dict[str, float]:
        """Trains a trial, or reads how it ended before.

        Args:
            trial: Values of keras-tuner.

        Returns:
            The best value of the recipe's monitor by its name.

        Raises:
            FailedTrialError: If the trial has no score.
            FatalError: From whatever went wrong besides the trial: keras-tuner would
                note any other error and continue.
        """
        try:
            outcome = self._outcome(trial)
        except Exception as error:
            raise kt.errors.FatalError(str(error)) from error
        section = self._space.recipe.training
        self._folder.write_tables(section.mode)
        if self._report is not None:
            self._report(outcome)
        if outcome.score is None:
            raise kt.errors.FailedTrialError(outcome.reason)
        return {section.monitor: outcome.score}

    def _outcome(self, trial: kt.engine.trial.Trial) -> Outcome:
        drawn, space = trial.hyperparameters.values, self._space
        epochs = self._options.epochs or space.recipe.training.epochs
        values = space.values(drawn)
        recipe = space.recipe_at(values, drawn.get("tuner/epochs", epochs))
        number = int(trial.trial_id)
        run = self._folder.run_of(number, recipe)
        return self._folder.finish(run, lambda: self._run(number, values, recipe, run))

    def _run(
        self, number: int, values: Values, recipe: Recipe, run: RunFolder
    ) -> Outcome:
        """Builds and trains a network; what is the trial's own fault is a reason."""
        parameters, score, reason = None, None, None
        most = self._options.max_parameters
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
                train_or_resume(recipe, run.path, self._session)
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
            values=values,
            run=run.path.name,
            reason=reason,
        )

    def _count(self, recipe: Recipe) -> int:
        """Returns the parameters of a recipe's network; each is built once.

        Raises:
            RecipeError: If the builder does not take an argument's value.
        """
        recipe = recipe.model_copy(deep=True)
        recipe.model.arguments.update(self._known)
        key = digest(recipe.model.model_dump(mode="json"))
        if key not in self._counts:
            keras.utils.clear_session()
            arguments = builder_arguments(recipe, self._num_classes)
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

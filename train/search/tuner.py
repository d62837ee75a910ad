"""keras-tuner's part of a search: the space as a hypermodel, one run a trial."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import keras
import keras_tuner as kt
from sklearn.exceptions import ConvergenceWarning

from landslide_tf.errors import LandslideTFError
from landslide_tf.train.engine import Session, resume, train
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.search.folder import (
    Outcome,
    SearchFolder,
    best_score,
    locked,
    read_outcome,
    write_outcome,
)
from landslide_tf.train.search.space import SearchSpace, Values
from landslide_tf.train.tasks.setup import build_model, builder_arguments

OracleName: TypeAlias = Literal["random", "hyperband", "bayesian"]


class RecipeHyperModel(kt.HyperModel):
    """A segmentation network of a search space, giving logits.

    Args:
        space: The recipe and what may differ from it.
        num_classes: Classes of the data set.
        known: Builder arguments that come from the data.
    """

    def __init__(
        self, space: SearchSpace, num_classes: int, known: Mapping[str, Any]
    ) -> None:
        super().__init__(name=space.recipe.model.name)
        self.space = space
        self._num_classes = num_classes
        self._known = dict(known)

    def build(self, hp: kt.HyperParameters) -> keras.Model:
        """Returns the network, not compiled, of a point of the space."""
        self.space.declare(hp)
        return self.network(self.space.recipe_at(self.space.values(hp.values)))

    def network(self, recipe: Recipe) -> keras.Model:
        """Returns the network of a recipe.

        Raises:
            RecipeError: If the builder does not take an argument's value.
        """
        recipe = recipe.model_copy(deep=True)
        recipe.model.arguments.update(self._known)
        arguments = builder_arguments(recipe, self._num_classes)
        return build_model(recipe.model.name, arguments, activation=None)


class _RecipeFirst:
    """Makes the first trial of an oracle the recipe itself, which others must beat."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of a trial as keras-tuner's oracles do."""
        first = not self.trials
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

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of a trial as keras-tuner's oracles do."""
        with warnings.catch_warnings():
            # About the process fitted to few scores; nothing a user could change.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return super().populate_space(trial_id)


def make_oracle(
    name: OracleName, space: SearchSpace, *, trials: int | None, epochs: int, seed: int
) -> kt.Oracle:
    """Returns what chooses the trials.

    Args:
        name: Random values; Hyperband, which trains many trials shortly and the better
            ones longer; or Bayesian, which fits a Gaussian process to the scores.
        space: What may differ.
        trials: Most trials; None leaves Hyperband the number of its brackets.
        epochs: Length of Hyperband's longest trials.
        seed: Where the drawing starts.

    Returns:
        The oracle; a failed trial counts as one and never ends the search.
    """
    section = space.recipe.training
    common = {
        "objective": kt.Objective(section.monitor, direction=section.mode),
        "seed": seed + 1,  # keras-tuner draws a seed of its own in place of 0
        "max_consecutive_failed_trials": sys.maxsize,
    }
    if name == "hyperband":
        oracle = _HyperbandOracle(max_epochs=epochs, **common)
        oracle.max_trials = trials
    elif name == "bayesian":
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
    from its run folder at once. So a search that was killed goes on as if it had not
    been, with every oracle, and whatever keras-tuner was writing.

    Hyperband's later rounds train from the start, for their own number of epochs: what
    a trial scores is what its recipe scores.

    Args:
        oracle: What chooses the trials.
        hypermodel: The space.
        folder: Folder of the search.
        session: Folders and output of the runs.
        epochs: Length of a trial where the oracle does not say it.
        max_parameters: Most parameters of a network.
        report: Called with each trial that ended.
    """

    def __init__(
        self,
        oracle: kt.Oracle,
        hypermodel: RecipeHyperModel,
        folder: SearchFolder,
        *,
        session: Session,
        epochs: int,
        max_parameters: int | None,
        report: Callable[[Outcome], None],
    ) -> None:
        super().__init__(
            oracle,
            hypermodel,
            directory=str(folder.oracle),
            project_name=os.environ.get("KERASTUNER_TUNER_ID", "tuner0"),
            overwrite=True,
        )
        self._folder = folder
        self._session = session
        self._epochs = epochs
        self._max_parameters = max_parameters
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
                note any other error and go on.
        """
        try:
            outcome = self._outcome(trial)
        except Exception as error:
            raise kt.errors.FatalError(str(error)) from error
        self._report(outcome)
        if outcome.score is None:
            raise kt.errors.FailedTrialError(outcome.reason)
        return {self.hypermodel.space.recipe.training.monitor: outcome.score}

    def _outcome(self, trial: kt.engine.trial.Trial) -> Outcome:
        drawn = trial.hyperparameters.values
        space = self.hypermodel.space
        values = space.values(drawn)
        recipe = space.recipe_at(values, drawn.get("tuner/epochs", self._epochs))
        number = int(trial.trial_id)
        run = self._folder.run_of(number, recipe)
        with locked(run.path):
            outcome = read_outcome(run)
            if outcome is None:
                outcome = self._run(number, values, recipe, run)
                write_outcome(run, outcome)
        return outcome

    def _run(
        self, number: int, values: Values, recipe: Recipe, run: RunFolder
    ) -> Outcome:
        """Builds and trains a network; what is the trial's own fault is a reason."""
        parameters, score, reason = None, None, None
        keras.utils.clear_session()
        try:
            parameters = self.hypermodel.network(recipe).count_params()
        except LandslideTFError as error:
            reason = str(error)
        except Exception as error:
            reason = _out_of_memory(error)
        if parameters is not None and self._too_large(parameters):
            reason = (
                f"{parameters} parameters are more than the {self._max_parameters} of "
                "`--max-parameters`"
            )
        if reason is None:
            keras.utils.clear_session()  # frees the network that was counted
            try:
                score = _train_or_resume(recipe, run, self._session)
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

    def _too_large(self, parameters: int) -> bool:
        return self._max_parameters is not None and parameters > self._max_parameters


def _train_or_resume(recipe: Recipe, run: RunFolder, session: Session) -> float:
    if run.recipe.is_file():
        resume(run.path, session)
    else:
        train(recipe, run.path, session)
    return best_score(run, recipe.training)


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

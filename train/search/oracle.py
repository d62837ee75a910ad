"""What chooses the trials of a search: keras-tuner's oracles, the recipe first."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Any

import keras_tuner as kt
from keras_tuner.engine.trial import Trial
from sklearn.exceptions import ConvergenceWarning

from landslide_tf.choices import OracleName
from landslide_tf.errors import RecipeError
from landslide_tf.train.search.space import SearchSpace

TRIALS = 20


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


class _RecipeFirst(kt.Oracle):
    """Makes the first trial of an oracle the recipe itself, which others must beat.

    It keeps nothing on the disk: the same trials come of the same seed and scores.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of a trial as keras-tuner's oracles do."""
        first = not self.trials
        # About a process fitted to few scores; nothing a user could change.
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            response = super().populate_space(trial_id)
        if first and response["values"]:
            for parameter in self.hyperparameters.space:
                response["values"][parameter.name] = parameter.default
        return response

    def save(self) -> None:
        """Writes nothing."""

    def _save_trial(self, trial: Trial) -> None:
        """Writes nothing."""


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

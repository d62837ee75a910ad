"""Searches around a recipe of continual training."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras_tuner as kt
import numpy as np
from pydantic import ValidationError

from landslide_tf.errors import RecipeError, RunError, did_you_mean
from landslide_tf.train.continual.recipe import ContinualRecipe
from landslide_tf.train.continual.run import (
    ContinualFolder,
    resume_continual,
    train_continual,
)
from landslide_tf.train.engine import Session
from landslide_tf.train.recipe.schema import explain
from landslide_tf.train.search.folder import (
    Outcome,
    SearchFolder,
    best_outcome,
    locked,
    read_outcome,
    write_outcome,
)
from landslide_tf.train.search.space import Choice, Dimension, LogRange, Values, assign

_RATES = {"base.learning_rate": (1e-4, 3e-3), "joint.learning_rate": (1e-5, 1e-3)}
_CHOICES: dict[str, tuple[Any, ...]] = {
    "joint.strength": (0.3, 1.0, 3.0, 10.0),
    "model.dropout": (0.0, 0.1, 0.2),
    "training.batch_size": (2, 4, 8),
    "joint.preservation": ("mse", "kd_kl"),
}


@dataclass(frozen=True)
class ContinualSpace:
    """A recipe and what may differ from it.

    Attributes:
        recipe: The recipe as written, which the first trial is.
        dimensions: What trials differ in.
    """

    recipe: ContinualRecipe
    dimensions: tuple[Dimension, ...]

    @classmethod
    def around(
        cls, recipe: ContinualRecipe, vary: Sequence[str] = ()
    ) -> ContinualSpace:
        """Returns the space of a recipe.

        Args:
            recipe: The recipe.
            vary: Keys that may differ; none is all: both rates, λ, dropout, batch size
                and the form of the preservation.

        Raises:
            RecipeError: If a key cannot be searched, or the recipe has one region.
        """
        if len(recipe.regions) < 2:
            raise RecipeError(
                "A search needs a recipe of two regions or more: its score is that of "
                "the steps after the first."
            )
        names = [*_RATES, *_CHOICES]
        for name in vary:
            if name not in names:
                raise RecipeError(
                    f"`--vary`: expected some of {', '.join(names)}, received `{name}`."
                    f"{did_you_mean(name, names)}"
                )
        kept = [name for name in names if not vary or name in vary]
        return cls(recipe, tuple(_dimension(recipe, name) for name in kept))

    def draw(self, trial: int, seed: int) -> Values:
        """Returns the values of a trial; trial 0 is the recipe itself."""
        if trial == 0:
            return {d.name: d.own for d in self.dimensions}
        parameters = kt.HyperParameters()
        for dimension in self.dimensions:
            dimension.declare(parameters)
        seeds = np.random.SeedSequence([seed, trial]).generate_state(
            len(self.dimensions)
        )
        return {
            d.name: d.clean(p.random_sample(int(s)))
            for d, p, s in zip(self.dimensions, parameters.space, seeds, strict=True)
        }

    def recipe_at(self, values: Values) -> ContinualRecipe:
        """Returns the recipe of a trial.

        Raises:
            RecipeError: If the values do not go together.
        """
        content = self.recipe.model_dump(mode="json")
        for dimension in self.dimensions:
            for key, value in dimension.changes(values[dimension.name]).items():
                assign(content, key, value)
        try:
            return ContinualRecipe.model_validate(content)
        except ValidationError as error:
            line = explain(error, ContinualRecipe)
            raise RecipeError(f"Trial: {line}") from error


def _dimension(recipe: ContinualRecipe, name: str) -> Dimension:
    section, key = name.split(".")
    own = getattr(getattr(recipe, section), key)
    if name in _RATES:
        low, high = _RATES[name]
        return LogRange(name, min(low, own), max(high, own), own)
    forms: dict[str, dict[str, Any]] = {
        _label(value): {name: value} for value in _CHOICES[name]
    }
    # The recipe itself stays as written; None is the published dropout.
    return Choice(name, {**forms, _label(own): {}}, _label(own))


def _label(value: object) -> str:
    if value is None:
        return "published"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def tune_continual(
    recipe: ContinualRecipe,
    folder: str | Path,
    *,
    trials: int = 10,
    seed: int = 0,
    vary: Sequence[str] = (),
    session: Session | None = None,
    report: Callable[[Outcome], None] | None = None,
) -> SearchFolder:
    """Draws recipes around one at random, trains each and keeps the best.

    A trial's score is the selection value of its steps, the mean over all but the
    first: validation soft Dice + λ · preservation with **the recipe's own** λ, so that
    no trial wins by caring less, or the new region's soft IoU with `joint.selection:
    new_iou` and where no joint stage is trained.

    Args:
        recipe: What to start from; the first trial.
        folder: The folder of the search; missing, empty or of the same search, which
            goes on.
        trials: Number of trials.
        seed: Of the draws; the trainings keep the recipe's own seed.
        vary: Keys that may differ; none is all.
        session: Folders and output.
        report: Called with each trial that ended.

    Returns:
        The folder: `trials.csv`, `trials.md`, the winner as `best.yaml`, and the
        trainings below `trials`.

    Raises:
        RunError: If the folder is in use or no trial has a score.
        RecipeError: If a key cannot be searched.
        DataError: If a region's data are missing or corrupt.
    """
    space, search = ContinualSpace.around(recipe, vary), SearchFolder(Path(folder))
    mode = _mode(recipe)
    with locked(search.path, f"Another process searches in `{search.path}`."):
        options = {"seed": seed, "vary": list(vary)}
        search.claim({"recipe": recipe.model_dump(mode="json"), **options})
        for trial in range(trials):
            outcome = _outcome(space, search, trial, seed, session or Session())
            search.write_tables(mode)
            if report is not None:
                report(outcome)
        best = best_outcome(search.outcomes(), mode)
        winner = space.recipe_at(best.values)
        winner.description = (
            f"{recipe.description} (trial {best.trial} of a search with {trials}: "
            f"{best.score:.4f})"
        )
        winner.write(search.best)
    return search


def _mode(recipe: ContinualRecipe) -> Literal["min", "max"]:
    total = recipe.joint.selection == "val_total" and "joint" in recipe.stages
    return "min" if total else "max"


def _outcome(
    space: ContinualSpace,
    search: SearchFolder,
    trial: int,
    seed: int,
    session: Session,
) -> Outcome:
    values = space.draw(trial, seed)
    recipe = space.recipe_at(values)
    run = search.run_of(trial, recipe)
    outcome = read_outcome(run)
    if outcome is None:
        if run.recipe.is_file():
            place = resume_continual(run.path, session)
        else:
            place = train_continual(recipe, run.path, session)
        score = step_score(space.recipe, place)
        lost = not math.isfinite(score)
        outcome = Outcome(
            trial=trial,
            status="failed" if lost else "completed",
            score=None if lost else score,
            epochs=max(recipe.base.epochs, recipe.warmup.epochs, recipe.joint.epochs),
            parameters=place.run.load_model().count_params(),
            values=values,
            run=run.path.name,
            reason="the loss became not a number" if lost else None,
        )
        write_outcome(run, outcome)
    return outcome


def step_score(recipe: ContinualRecipe, place: ContinualFolder) -> float:
    """Returns the selection value of a finished training, the mean over its steps.

    Args:
        recipe: Whose λ counts, and whose selection rule.
        place: The training.

    Returns:
        The value of each step's selected epoch, averaged; NaN where one has none.

    Raises:
        RunError: If the epochs of a stage are not there.
    """
    mode, stage = _mode(recipe), recipe.stages[-1]
    scores = []
    for step in range(1, len(recipe.regions)):
        path = place.state / "history" / f"{step}_{stage}.csv"
        try:
            rows = list(csv.DictReader(io.StringIO(path.read_text())))
        except OSError as error:
            raise RunError(f"`{path}` is missing: train the trial anew.") from error
        scores.append(_selected(rows, mode, recipe.joint.strength))
    return float(np.mean(scores))


def _selected(rows: Sequence[dict[str, str]], mode: str, strength: float) -> float:
    """Returns the value of the epoch that its own run has selected."""
    if mode == "max":
        return max(float(row["val_soft_iou"]) for row in rows)
    best = min(rows, key=lambda row: float(row["val_loss"]))
    return float(best["val_dice"]) + strength * float(best["val_preservation"])

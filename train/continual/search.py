"""Searches around a recipe of continual training."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from landslide_tf.choices import Mode
from landslide_tf.errors import RecipeError, RunError
from landslide_tf.train.continual.recipe import ContinualRecipe
from landslide_tf.train.continual.run import (
    ContinualFolder,
    resume_continual,
    train_continual,
)
from landslide_tf.train.run.session import Session
from landslide_tf.train.search.folder import Outcome, SearchFolder
from landslide_tf.train.search.space import (
    Dimension,
    LogRange,
    Space,
    Values,
    choice,
    chosen,
)

_RATES = {"base.learning_rate": (1e-4, 3e-3), "joint.learning_rate": (1e-5, 1e-3)}
_CHOICES: dict[str, tuple[Any, ...]] = {
    "joint.strength": (0.3, 1.0, 3.0, 10.0),
    "model.dropout": (0.0, 0.1, 0.2),
    "training.batch_size": (2, 4, 8),
    "joint.preservation": ("mse", "kd_kl"),
}


class ContinualSpace(Space[ContinualRecipe]):
    """What `tune_continual` may change in a recipe."""

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
        found = [_dimension(recipe, name) for name in (*_RATES, *_CHOICES)]
        return cls(recipe, chosen(found, vary))

    def draw(self, trial: int, seed: int) -> Values:
        """Returns the values of a trial; trial 0 is the recipe itself.

        Args:
            trial: Its number, from 0.
            seed: Of the search.
        """
        if trial == 0:
            return self.values({})
        sequence = np.random.SeedSequence([seed, trial])
        seeds = sequence.generate_state(len(self.dimensions)).tolist()
        drawn = zip(self.parameters().space, seeds, strict=True)
        return self.values({p.name: p.random_sample(s) for p, s in drawn})


def _dimension(recipe: ContinualRecipe, name: str) -> Dimension:
    section, key = name.split(".")
    own = getattr(getattr(recipe, section), key)
    if name in _RATES:
        low, high = _RATES[name]
        return LogRange(name, min(low, own), max(high, own), own)
    return choice(name, _CHOICES[name], own)


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
    """Searches at random around a recipe and returns the best one.

    A trial's score is the selection value of its steps, the mean over all but the
    first: validation soft Dice + λ · preservation with **the recipe's own** λ, so that
    no trial wins by caring less, or the new region's soft IoU with `joint.selection:
    new_iou` and where no joint stage is trained.

    Args:
        recipe: What to start from; the first trial.
        folder: The folder of the search; missing, empty or of the same search, which
            is resumed.
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
    mode, monitor = _selection(recipe)
    settings = {"seed": seed, "vary": list(vary)}
    with search.claimed({"recipe": recipe.model_dump(mode="json"), **settings}):
        for trial in range(trials):
            outcome = _outcome(space, search, trial, seed, session)
            search.write_tables(mode)
            if report is not None:
                report(outcome)
        search.write_best(mode, lambda best: space.recipe_at(best.values), monitor)
    return search


def _selection(recipe: ContinualRecipe) -> tuple[Mode, str]:
    """Returns whether a small or a large score is better, and its name."""
    total = recipe.joint.selection == "val_total" and "joint" in recipe.stages
    return ("min", "val_total") if total else ("max", "new_iou")


def _outcome(
    space: ContinualSpace,
    search: SearchFolder,
    trial: int,
    seed: int,
    session: Session | None,
) -> Outcome:
    values = space.draw(trial, seed)
    recipe = space.recipe_at(values)
    run = search.run_of(trial, recipe)

    def train() -> Outcome:
        if run.recipe.is_file():
            place = resume_continual(run.path, session)
        else:
            place = train_continual(recipe, run.path, session)
        score = step_score(space.recipe, place)
        lost = not math.isfinite(score)
        return Outcome(
            trial=trial,
            status="failed" if lost else "completed",
            score=None if lost else score,
            epochs=max(recipe.base.epochs, recipe.warmup.epochs, recipe.joint.epochs),
            parameters=place.run.load_model().count_params(),
            values=values,
            run=run.path.name,
            reason="the loss became not a number" if lost else None,
        )

    return search.finish(run, train)  # the whole folder is this process's alone


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
    (mode, _), stage = _selection(recipe), recipe.stages[-1]
    scores = []
    for step in range(1, len(recipe.regions)):
        path = place.history(f"{step}_{stage}")
        try:
            rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
        except OSError as error:
            raise RunError(f"`{path}` is missing: train the trial anew.") from error
        if mode == "max":
            scores.append(max(float(row["val_soft_iou"]) for row in rows))
        else:  # of the epoch that the trial itself has selected
            best = min(rows, key=lambda row: float(row["val_loss"]))
            moved = recipe.joint.strength * float(best["val_preservation"])
            scores.append(float(best["val_dice"]) + moved)
    return float(np.mean(scores))

"""Recipes, the engine and evaluation.

Names load when they are first used, so that the optimisers, which Keras has to know
before it loads a compiled model, do not bring the engine with them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landslide_tf.train.engine import Session, resume, train
    from landslide_tf.train.evaluate import Evaluation, evaluate_run
    from landslide_tf.train.optimizers import CoupledSGD
    from landslide_tf.train.recipe import Recipe, load_recipe, shipped_recipes
    from landslide_tf.train.run import RunFolder, environment, versions
    from landslide_tf.train.schedules import make_schedule

_MODULES = {
    "CoupledSGD": "optimizers",
    "Evaluation": "evaluate",
    "Recipe": "recipe",
    "RunFolder": "run",
    "Session": "engine",
    "environment": "run",
    "evaluate_run": "evaluate",
    "load_recipe": "recipe",
    "make_schedule": "schedules",
    "resume": "engine",
    "shipped_recipes": "recipe",
    "train": "engine",
    "versions": "run",
}

__all__ = [
    "CoupledSGD",
    "Evaluation",
    "Recipe",
    "RunFolder",
    "Session",
    "environment",
    "evaluate_run",
    "load_recipe",
    "make_schedule",
    "resume",
    "shipped_recipes",
    "train",
    "versions",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        module = importlib.import_module(f"landslide_tf.train.{_MODULES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module 'landslide_tf.train' has no attribute '{name}'")

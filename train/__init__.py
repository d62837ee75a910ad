"""Recipes, the engine and evaluation."""

from landslide_tf.train.engine import train
from landslide_tf.train.evaluate import Evaluation, evaluate_run
from landslide_tf.train.optimizers import CoupledSGD
from landslide_tf.train.recipe import Recipe, load_recipe, shipped_recipes
from landslide_tf.train.run import RunFolder, environment, versions
from landslide_tf.train.schedules import make_schedule

__all__ = [
    "CoupledSGD",
    "Evaluation",
    "Recipe",
    "RunFolder",
    "environment",
    "evaluate_run",
    "load_recipe",
    "make_schedule",
    "shipped_recipes",
    "train",
    "versions",
]

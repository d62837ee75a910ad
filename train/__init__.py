"""Recipes, the engine and evaluation.

Names load when they are first used, so that the optimisers, which Keras has to know
before it loads a compiled model, do not bring the engine with them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landslide_tf.train.benchmark.grid import (
        Grid,
        GridChoice,
        load_grid,
        shipped_grids,
    )
    from landslide_tf.train.benchmark.runner import run_grid, summarize_grid
    from landslide_tf.train.continual.evaluation import read_matrix
    from landslide_tf.train.continual.matrix import plan_matrix, run_matrix
    from landslide_tf.train.continual.methods import MethodOptions
    from landslide_tf.train.continual.recipe import (
        ContinualRecipe,
        load_continual_recipe,
        shipped_continual_recipes,
    )
    from landslide_tf.train.continual.run import (
        ContinualFolder,
        describe_network,
        of_region,
        resume_continual,
        train_continual,
    )
    from landslide_tf.train.continual.search import tune_continual
    from landslide_tf.train.continual.summary import summarize_matrix
    from landslide_tf.train.engine import Session, resume, train
    from landslide_tf.train.evaluate import Evaluation, evaluate_run
    from landslide_tf.train.evidential.branches import BranchFolder, train_branches
    from landslide_tf.train.evidential.evaluation import (
        EvidentialEvaluation,
        evaluate_branches,
    )
    from landslide_tf.train.evidential.fusion import evidential_model, fuse_folder
    from landslide_tf.train.optimizers import CoupledSGD
    from landslide_tf.train.recipe.schema import Recipe, load_recipe, shipped_recipes
    from landslide_tf.train.run.folder import RunFolder, environment, versions
    from landslide_tf.train.run.import_weights import import_weights
    from landslide_tf.train.run.summary import run_facts
    from landslide_tf.train.schedules import make_schedule
    from landslide_tf.train.search.folder import Outcome, SearchFolder
    from landslide_tf.train.search.tuner import SearchOptions, tune
    from landslide_tf.train.transfer.adapt_run import adapt, adapt_recipe
    from landslide_tf.train.transfer.finetuning import (
        CurvePoint,
        FinetuneOptions,
        finetune,
        finetune_recipe,
    )

_MODULES = {
    "BranchFolder": "evidential.branches",
    "ContinualFolder": "continual.run",
    "ContinualRecipe": "continual.recipe",
    "CoupledSGD": "optimizers",
    "CurvePoint": "transfer.finetuning",
    "Evaluation": "evaluate",
    "EvidentialEvaluation": "evidential.evaluation",
    "FinetuneOptions": "transfer.finetuning",
    "Grid": "benchmark.grid",
    "GridChoice": "benchmark.grid",
    "MethodOptions": "continual.methods",
    "Outcome": "search.folder",
    "Recipe": "recipe.schema",
    "RunFolder": "run.folder",
    "SearchFolder": "search.folder",
    "SearchOptions": "search.tuner",
    "Session": "engine",
    "adapt": "transfer.adapt_run",
    "adapt_recipe": "transfer.adapt_run",
    "describe_network": "continual.run",
    "environment": "run.folder",
    "evaluate_branches": "evidential.evaluation",
    "evaluate_run": "evaluate",
    "evidential_model": "evidential.fusion",
    "finetune": "transfer.finetuning",
    "finetune_recipe": "transfer.finetuning",
    "fuse_folder": "evidential.fusion",
    "import_weights": "run.import_weights",
    "load_continual_recipe": "continual.recipe",
    "load_grid": "benchmark.grid",
    "load_recipe": "recipe.schema",
    "make_schedule": "schedules",
    "of_region": "continual.run",
    "plan_matrix": "continual.matrix",
    "read_matrix": "continual.evaluation",
    "resume": "engine",
    "resume_continual": "continual.run",
    "run_facts": "run.summary",
    "run_grid": "benchmark.runner",
    "run_matrix": "continual.matrix",
    "shipped_continual_recipes": "continual.recipe",
    "shipped_grids": "benchmark.grid",
    "shipped_recipes": "recipe.schema",
    "summarize_grid": "benchmark.runner",
    "summarize_matrix": "continual.summary",
    "train": "engine",
    "train_branches": "evidential.branches",
    "train_continual": "continual.run",
    "tune": "search.tuner",
    "tune_continual": "continual.search",
    "versions": "run.folder",
}

__all__ = [
    "BranchFolder",
    "ContinualFolder",
    "ContinualRecipe",
    "CoupledSGD",
    "CurvePoint",
    "Evaluation",
    "EvidentialEvaluation",
    "FinetuneOptions",
    "Grid",
    "GridChoice",
    "MethodOptions",
    "Outcome",
    "Recipe",
    "RunFolder",
    "SearchFolder",
    "SearchOptions",
    "Session",
    "adapt",
    "adapt_recipe",
    "describe_network",
    "environment",
    "evaluate_branches",
    "evaluate_run",
    "evidential_model",
    "finetune",
    "finetune_recipe",
    "fuse_folder",
    "import_weights",
    "load_continual_recipe",
    "load_grid",
    "load_recipe",
    "make_schedule",
    "of_region",
    "plan_matrix",
    "read_matrix",
    "resume",
    "resume_continual",
    "run_facts",
    "run_grid",
    "run_matrix",
    "shipped_continual_recipes",
    "shipped_grids",
    "shipped_recipes",
    "summarize_grid",
    "summarize_matrix",
    "train",
    "train_branches",
    "train_continual",
    "tune",
    "tune_continual",
    "versions",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        module = importlib.import_module(f"landslide_tf.train.{_MODULES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module 'landslide_tf.train' has no attribute '{name}'")

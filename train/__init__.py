"""Recipes, the engine and evaluation.

Names load when they are first used, so that the optimisers, which Keras has to know
before it loads a compiled model, do not bring the engine with them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landslide_tf.train.adapting import adapt, adapt_recipe
    from landslide_tf.train.benchmark import run_grid
    from landslide_tf.train.continual_evaluation import read_matrix
    from landslide_tf.train.continual_matrix import plan_matrix, run_matrix
    from landslide_tf.train.continual_recipe import (
        ContinualRecipe,
        load_continual_recipe,
        shipped_continual_recipes,
    )
    from landslide_tf.train.continual_run import (
        ContinualFolder,
        describe_network,
        of_region,
        resume_continual,
        train_continual,
    )
    from landslide_tf.train.continual_search import tune_continual
    from landslide_tf.train.continual_summary import summarize_matrix
    from landslide_tf.train.engine import Session, resume, train
    from landslide_tf.train.evaluate import Evaluation, evaluate_run
    from landslide_tf.train.evidential import BranchFolder, train_branches
    from landslide_tf.train.evidential_evaluation import (
        EvidentialEvaluation,
        evaluate_branches,
        evidential_model,
        fuse_folder,
    )
    from landslide_tf.train.facts import run_facts
    from landslide_tf.train.finetuning import (
        CurvePoint,
        FinetuneOptions,
        finetune,
        finetune_recipe,
    )
    from landslide_tf.train.grid import Grid, GridChoice, load_grid, shipped_grids
    from landslide_tf.train.imports import import_weights
    from landslide_tf.train.method_options import MethodOptions
    from landslide_tf.train.optimizers import CoupledSGD
    from landslide_tf.train.recipe import Recipe, load_recipe, shipped_recipes
    from landslide_tf.train.records import summarize
    from landslide_tf.train.run import RunFolder, environment, versions
    from landslide_tf.train.schedules import make_schedule
    from landslide_tf.train.search import SearchOptions, tune
    from landslide_tf.train.trials import Outcome, SearchFolder

_MODULES = {
    "BranchFolder": "evidential",
    "ContinualFolder": "continual_run",
    "ContinualRecipe": "continual_recipe",
    "CoupledSGD": "optimizers",
    "CurvePoint": "finetuning",
    "Evaluation": "evaluate",
    "EvidentialEvaluation": "evidential_evaluation",
    "FinetuneOptions": "finetuning",
    "Grid": "grid",
    "GridChoice": "grid",
    "MethodOptions": "method_options",
    "Outcome": "trials",
    "Recipe": "recipe",
    "RunFolder": "run",
    "SearchFolder": "trials",
    "SearchOptions": "search",
    "Session": "engine",
    "adapt": "adapting",
    "adapt_recipe": "adapting",
    "describe_network": "continual_run",
    "environment": "run",
    "evaluate_branches": "evidential_evaluation",
    "evaluate_run": "evaluate",
    "evidential_model": "evidential_evaluation",
    "finetune": "finetuning",
    "finetune_recipe": "finetuning",
    "fuse_folder": "evidential_evaluation",
    "import_weights": "imports",
    "load_continual_recipe": "continual_recipe",
    "load_grid": "grid",
    "load_recipe": "recipe",
    "make_schedule": "schedules",
    "of_region": "continual_run",
    "plan_matrix": "continual_matrix",
    "read_matrix": "continual_evaluation",
    "resume": "engine",
    "resume_continual": "continual_run",
    "run_facts": "facts",
    "run_grid": "benchmark",
    "run_matrix": "continual_matrix",
    "shipped_continual_recipes": "continual_recipe",
    "shipped_grids": "grid",
    "shipped_recipes": "recipe",
    "summarize": "records",
    "summarize_matrix": "continual_summary",
    "train": "engine",
    "train_branches": "evidential",
    "train_continual": "continual_run",
    "tune": "search",
    "tune_continual": "continual_search",
    "versions": "run",
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
    "summarize",
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

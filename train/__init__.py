"""Recipes, the engine and evaluation.

Names load when they are first used, so that the optimisers, which Keras has to know
before it loads a compiled model, do not bring the engine with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from landslide_tf.lazy import load_name, modules_of

# Type checkers run these imports; `__getattr__` reads from them where a name is.
if TYPE_CHECKING:
    from landslide_tf.train.benchmark.grid import (
        Grid,
        GridChoice,
        check_networks,
        load_grid,
        read_grid,
        shipped_grids,
    )
    from landslide_tf.train.benchmark.runner import run_grid, summarize_grid
    from landslide_tf.train.continual.evaluation import read_matrix
    from landslide_tf.train.continual.matrix import plan_matrix, run_matrix
    from landslide_tf.train.continual.methods import MethodOptions
    from landslide_tf.train.continual.recipe import (
        ContinualRecipe,
        check_continual_network,
        load_continual_recipe,
        read_continual_recipe,
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
    from landslide_tf.train.engine import resume, train
    from landslide_tf.train.evaluate import (
        Evaluation,
        evaluate_model,
        evaluate_run,
        example_inputs,
    )
    from landslide_tf.train.evidential.branches import train_branches
    from landslide_tf.train.evidential.evaluation import (
        EvidentialEvaluation,
        evaluate_branches,
    )
    from landslide_tf.train.evidential.folder import BranchFolder
    from landslide_tf.train.evidential.fusion import evidential_model, fuse_folder
    from landslide_tf.train.optimizers import CoupledSGD, make_schedule
    from landslide_tf.train.recipe.schema import (
        Recipe,
        check_network,
        load_recipe,
        read_recipe,
        shipped_recipes,
    )
    from landslide_tf.train.run.folder import RunFolder, environment, versions
    from landslide_tf.train.run.hosts import Hosts
    from landslide_tf.train.run.import_weights import import_weights
    from landslide_tf.train.run.session import Session
    from landslide_tf.train.run.together import train_together
    from landslide_tf.train.search.folder import Outcome, SearchFolder
    from landslide_tf.train.search.oracle import SearchOptions
    from landslide_tf.train.search.tuner import tune
    from landslide_tf.train.tasks import task_of
    from landslide_tf.train.tasks.summary import run_facts
    from landslide_tf.train.transfer.adaptation import adapt, adapt_recipe
    from landslide_tf.train.transfer.finetuning import (
        CurvePoint,
        FinetuneOptions,
        finetune,
        finetune_recipe,
    )

_MODULES = modules_of(__file__)
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> object:
    return load_name(__name__, _MODULES, name)

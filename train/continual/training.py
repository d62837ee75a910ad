"""Continual training: regions arrive one after the other, old images are not needed.

After Nagendra et al. 2022: the first region trains trunk and decoder; every other one
warms a decoder of its own up, records what the old decoders say of its images, and then
trains everything while those responses are preserved.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from landslide_tf.errors import RunError
from landslide_tf.losses import ResponsePreservationLoss
from landslide_tf.models import tsmu
from landslide_tf.pipelines import RegionBatches, WholeRegion
from landslide_tf.train.continual.data import RegionData
from landslide_tf.train.continual.recipe import (
    ContinualRecipe,
    JointSection,
    StageSection,
)
from landslide_tf.train.continual.responses import Responses, old_regions, record
from landslide_tf.train.continual.stage import (
    StagePlan,
    StageResult,
    UpdateModel,
    fit_stage,
)

__all__ = [
    "add_and_fit",
    "fit_base",
    "fit_joint",
    "joint_plan",
    "newest",
    "record",
    "record_region",
    "run_stage",
    "warm_up",
]


def fit_base(
    network: keras.Model,
    data: RegionData,
    recipe: ContinualRecipe,
    folder: Path,
    *,
    verbose: int | None = None,
) -> StageResult:
    """Trains trunk and decoder of a network with one region.

    Args:
        network: The network; has the best epoch's weights afterwards.
        data: The region's examples.
        recipe: Section `base` says how.
        folder: Folder of the checkpoints.
        verbose: Keras's verbosity.

    Returns:
        The rows and the best epoch.
    """
    model = UpdateModel(network, StagePlan(target=newest(network)))
    return run_stage(model, data, recipe, recipe.base, folder, 0, verbose)


def warm_up(
    network: keras.Model,
    data: RegionData,
    recipe: ContinualRecipe,
    folder: Path,
    *,
    verbose: int | None = None,
) -> StageResult:
    """Trains the newest decoder alone; trunk and old decoders stay bit by bit.

    Args:
        network: The network with the new region's decoder.
        data: The new region's examples.
        recipe: Section `warmup` says how.
        folder: Folder of the checkpoints.
        verbose: Keras's verbosity.

    Returns:
        The rows and the best epoch.

    Raises:
        RunError: If an old weight changed.
    """
    new = newest(network)
    before = _old_weights(network, new)
    model = UpdateModel(network, StagePlan(target=new, trunk=False))
    result = run_stage(model, data, recipe, recipe.warmup, folder, 1, verbose)
    for old, now in zip(before, _old_weights(network, new), strict=True):
        if old.tobytes() != now.tobytes():
            raise RunError(
                "A weight outside the new decoder changed while it was warmed up: the "
                "trained state is not kept; report this."
            )
    return result


def joint_plan(network: keras.Model, section: JointSection) -> StagePlan:
    """Returns the plan of the joint stage of a network's newest region."""
    new = newest(network)
    total = section.selection == "val_total"
    return StagePlan(
        target=new,
        preserved=old_regions(network, new),
        steady=section.bn_policy == "frozen",
        preservation=ResponsePreservationLoss(
            section.preservation, temperature=section.temperature
        ),
        strength=section.strength,
        monitor="val_loss" if total else "val_soft_iou",
        start=True,
    )


def fit_joint(
    network: keras.Model,
    data: RegionData,
    recipe: ContinualRecipe,
    folder: Path,
    *,
    recorded: list[Responses] | None = None,
    teacher: keras.Model | None = None,
    verbose: int | None = None,
) -> StageResult:
    """Trains everything with the new region while old responses are preserved.

    Args:
        network: The network after the warm-up.
        data: The new region's examples.
        recipe: Section `joint` says how.
        folder: Folder of the checkpoints.
        recorded: Responses of every old decoder, in the order of the regions.
        teacher: Copy of the network as it was, in place of `recorded`.
        verbose: Keras's verbosity.

    Returns:
        The rows and the selected epoch; -1 where no update made it better.
    """
    model = UpdateModel(network, joint_plan(network, recipe.joint), teacher)
    return run_stage(
        model, data, recipe, recipe.joint, folder, 2, verbose, recorded or []
    )


def run_stage(
    model: UpdateModel,
    data: RegionData,
    recipe: ContinualRecipe,
    section: StageSection,
    folder: Path,
    stage: int,
    verbose: int | None = None,
    recorded: Sequence[Responses] = (),
) -> StageResult:
    """Trains a stage of one region's step with the region's examples.

    Args:
        model: The network as the stage trains it.
        data: The region's examples.
        recipe: What all stages share.
        section: How long and how fast.
        folder: Folder of the checkpoints.
        stage: Number of the stage in its step, for the order of the examples.
        verbose: Keras's verbosity.
        recorded: Responses of the decoders to preserve.

    Returns:
        The rows and the selected epoch.
    """
    settings = recipe.training
    # Every stage of every step has an order of its own.
    index = len(tsmu.regions(model.network)) - 1
    seeds = np.random.SeedSequence([settings.seed, index, stage])
    training = RegionBatches(
        data.training,
        settings.batch_size,
        int(seeds.generate_state(1)[0]),
        [r.training for r in recorded],
    )
    validation = RegionBatches(
        data.validation,
        settings.validation_batch_size,
        responses=[r.validation for r in recorded],
    )
    return fit_stage(
        model,
        training,
        WholeRegion(validation),
        section,
        settings,
        folder,
        verbose=verbose,
    )


def add_and_fit(
    network: keras.Model,
    region: str,
    data: RegionData,
    recipe: ContinualRecipe,
    folder: Path,
    *,
    verbose: int | None = None,
) -> keras.Model:
    """Adds a region and trains it: warm-up, recording, joint stage, in memory.

    `train_continual` does the same with a state on disk that a killed process can go on
    from.

    Args:
        network: The network of the regions so far; its parts are trained further.
        region: The new region.
        data: Its examples.
        recipe: Says how.
        folder: Folder of the checkpoints, removed in the end.
        verbose: Keras's verbosity.

    Returns:
        The network with the new region.
    """
    network = tsmu.add_region(network, region)
    new = newest(network)
    if "warmup" in recipe.stages:
        warm_up(network, data, recipe, folder / "warmup", verbose=verbose)
    if "joint" in recipe.stages:
        old = old_regions(network, new)
        recorded = None
        if recipe.joint.responses == "recorded":
            recorded = record_region(network, old, data, recipe)
        fit_joint(
            network,
            data,
            recipe,
            folder / "joint",
            recorded=recorded,
            teacher=None if recorded is not None else tsmu.copy(network),
            verbose=verbose,
        )
    shutil.rmtree(folder, ignore_errors=True)
    return network


def record_region(
    network: keras.Model, old: Sequence[str], data: RegionData, recipe: ContinualRecipe
) -> list[Responses]:
    """Records what old decoders say of a new region's images, copies included.

    Args:
        network: The network.
        old: Regions of the decoders.
        data: The new region's examples.
        recipe: Section `joint` gives the type of the numbers.

    Returns:
        The responses, one a decoder.
    """
    made = [
        record(
            network,
            tuple(old),
            part,
            batch_size=recipe.training.validation_batch_size,
            dtype=recipe.joint.responses_dtype,
        )
        for part in (data.training, data.validation)
    ]
    return [Responses(*pair) for pair in zip(*made, strict=True)]


def newest(network: keras.Model) -> str:
    """Returns the region that arrived last."""
    return next(reversed(tsmu.decoders(network)))


def _old_weights(network: keras.Model, new: str) -> list[np.ndarray]:
    parts = [tsmu.trunk(network)]
    parts += [d for name, d in tsmu.decoders(network).items() if name != new]
    return [weight for part in parts for weight in part.get_weights()]

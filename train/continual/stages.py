"""The stages that train a network of several regions.

After Nagendra et al. 2022: the first region trains trunk and decoder; every other one
warms a decoder of its own up, records what the old decoders say of its images, and then
trains everything while those responses are preserved. Each stage works on a network in
memory; `training` puts them in the order of a method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from landslide_tf.errors import RunError
from landslide_tf.losses import ResponsePreservationLoss
from landslide_tf.models import tsmu
from landslide_tf.pipelines import (
    RegionBatches,
    WholeRegion,
)
from landslide_tf.pipelines.batches import data_errors
from landslide_tf.pipelines.sequences import evaluation_input, training_input
from landslide_tf.train.continual.recipe import (
    ContinualRecipe,
    ContinualTraining,
    JointSection,
    StageSection,
)
from landslide_tf.train.continual.regions import RegionData
from landslide_tf.train.continual.responses import Responses
from landslide_tf.train.continual.update_models import (
    StagePlan,
    UpdateModel,
    old_regions,
)
from landslide_tf.train.optimizers import LossScaleOptimizer
from landslide_tf.train.recipe.schema import TrainingSection
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.loop import run_fits
from landslide_tf.train.run.recorder import RunRecorder
from landslide_tf.train.run.session import Session, Verbosity
from landslide_tf.train.run.validation import Part

# Numbers of a step's stages, which tell their orders of the examples apart.
BASE, WARMUP, JOINT = 0, 1, 2


@dataclass(frozen=True)
class StageResult:
    """How a stage ended.

    Attributes:
        rows: One row an epoch, as in `metrics.csv`; epoch -1 is the start.
        epoch: The epoch whose weights the network has now, 0-based; -1 the start.
    """

    rows: list[dict[str, Any]]
    epoch: int


def fit_base(
    network: keras.Model,
    data: RegionData,
    recipe: ContinualRecipe,
    folder: Path,
    *,
    verbose: Verbosity | None = None,
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
    return fit_region(model, data, recipe, recipe.base, folder, BASE, verbose)


def warm_up(
    network: keras.Model,
    data: RegionData,
    recipe: ContinualRecipe,
    folder: Path,
    *,
    verbose: Verbosity | None = None,
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
    result = fit_region(model, data, recipe, recipe.warmup, folder, WARMUP, verbose)
    for old, now in zip(before, _old_weights(network, new), strict=True):
        if old.tobytes() != now.tobytes():
            raise RunError(
                "A weight outside the new decoder changed while it was warmed up: the "
                "trained state is not kept; report this."
            )
    return result


def joint_plan(
    network: keras.Model, section: JointSection, *, preserve: bool = True
) -> StagePlan:
    """Returns the plan of the joint stage of a network's newest region.

    Args:
        network: The network with the new region's decoder.
        section: How to preserve and to select.
        preserve: Whether the old decoders learn and keep their responses; otherwise
            they stay as they are.
    """
    new = newest(network)
    total = section.selection == "val_total"
    return StagePlan(
        target=new,
        preserved=old_regions(network, new) if preserve else (),
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
    recorded: Sequence[Responses] = (),
    verbose: Verbosity | None = None,
) -> StageResult:
    """Trains everything with the new region while old responses are preserved.

    Args:
        network: The network after the warm-up.
        data: The new region's examples.
        recipe: Section `joint` says how.
        folder: Folder of the checkpoints.
        recorded: Responses of every old decoder, in the order of the regions; none
            takes those of a copy of the network as it is now.
        verbose: Keras's verbosity.

    Returns:
        The rows and the selected epoch; -1 where no update made it better.
    """
    teacher = None if recorded else tsmu.copy(network)
    model = UpdateModel(network, joint_plan(network, recipe.joint), teacher)
    return fit_region(
        model, data, recipe, recipe.joint, folder, JOINT, verbose, recorded
    )


def fit_region(
    model: UpdateModel,
    data: RegionData,
    recipe: ContinualRecipe,
    section: StageSection,
    folder: Path,
    stage: int,
    verbose: Verbosity | None = None,
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
    training = RegionBatches(
        data.training,
        settings.batch_size,
        order_seed(model.network, settings.seed, stage),
        [r.training for r in recorded],
    )
    validation = RegionBatches(
        data.validation,
        settings.validation_batch_size,
        responses=[r.validation for r in recorded],
    )
    whole = WholeRegion(validation)
    return fit_stage(model, training, whole, section, settings, folder, verbose=verbose)


def order_seed(network: keras.Model, seed: int, stage: int) -> int:
    """Returns the seed of a stage's order: every stage of every step has its own.

    Args:
        network: Its regions tell the steps apart.
        seed: Of the training.
        stage: Number of the stage in its step.
    """
    seeds = np.random.SeedSequence([seed, len(tsmu.regions(network)) - 1, stage])
    return int(seeds.generate_state(1)[0])


def newest(network: keras.Model) -> str:
    """Returns the region that arrived last."""
    return next(reversed(tsmu.decoders(network)))


def _old_weights(network: keras.Model, new: str) -> list[np.ndarray]:
    decoders = tsmu.decoders(network)
    parts = [tsmu.trunk(network), *(decoders[n] for n in old_regions(network, new))]
    return [weight for part in parts for weight in part.get_weights()]


def fit_stage(
    model: UpdateModel,
    training: RegionBatches,
    validation: WholeRegion,
    section: StageSection,
    settings: ContinualTraining,
    folder: str | Path,
    *,
    verbose: Verbosity | None = None,
) -> StageResult:
    """Trains one stage, or resumes it where a killed process left it.

    Args:
        model: The network as the stage trains it; has the selected epoch's weights
            afterwards, and every part of it is trainable again.
        training: Training batches of the region.
        validation: What selects the epoch.
        section: Epochs, rate, decay, patience.
        settings: What all stages share.
        folder: Folder of the checkpoints; removed by the caller when the result is
            safe.
        verbose: As in `train.Session`.

    Returns:
        The rows and the selected epoch.

    Raises:
        RunError: If a checkpoint is damaged or belongs to another recipe.
        DataError: If there are fewer examples than a batch takes.
    """
    plan, steps = model.plan, training.steps_per_epoch
    optimizer: keras.optimizers.Optimizer = keras.optimizers.Adam(
        section.learning_rate, weight_decay=section.weight_decay or None
    )
    if settings.precision == "mixed_float16":
        optimizer = LossScaleOptimizer(optimizer)
    model.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    whole = evaluation_input(validation)
    with data_errors():
        model.evaluate(whole, steps=1, verbose=0)
    model.reset_metrics()
    model.optimizer.build(model.trainable_variables)
    kept = TrainingSection(
        epochs=section.epochs,
        batch_size=settings.batch_size,
        monitor=plan.monitor,
        mode="min" if plan.monitor == "val_loss" else "max",
        patience=section.patience or None,
        save_steps=settings.save_steps,
        save_minutes=settings.save_minutes,
    )
    recorder = RunRecorder(RunFolder(Path(folder)), kept)
    recorder.run.path.mkdir(parents=True, exist_ok=True)
    recorder.resume(model)
    if plan.start and not recorder.rows:
        with data_errors():
            logs = model.evaluate(whole, verbose=0, return_dict=True)
        recorder.start(model, {f"val_{name}": float(v) for name, v in logs.items()})
    run_fits(
        model,
        partial(training_input, training),
        recorder,
        [],
        steps=steps,
        validation=[Part(whole)],
        verbose=Session(verbose=verbose).verbosity,
    )
    epoch = recorder.restore_best(model)
    # One by one: Keras does not pass it on where the model's own value is the same.
    for part in (tsmu.trunk(model.network), *tsmu.decoders(model.network).values()):
        part.trainable = True
    return StageResult(recorder.rows, epoch)

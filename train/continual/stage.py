"""One stage of continual training: what learns, what is preserved, what stays."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import RunError
from landslide_tf.losses import ResponsePreservationLoss, SoftDiceLoss
from landslide_tf.metrics import SoftIoU
from landslide_tf.models import tsmu
from landslide_tf.pipelines import (
    EvaluationData,
    TrainingData,
    evaluation_input,
    training_input,
)
from landslide_tf.pipelines.region_batches import RegionBatch
from landslide_tf.train.continual.recipe import ContinualTraining, StageSection
from landslide_tf.train.optimizers import LossScaleOptimizer
from landslide_tf.train.recipe.schema import TrainingSection
from landslide_tf.train.run.checkpoint import assign_variables
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.loop import run_fits
from landslide_tf.train.run.recorder import RunRecorder

Selection = Literal["val_soft_iou", "val_loss"]


@dataclass(frozen=True)
class StagePlan:
    """What a stage does to a network.

    Attributes:
        target: Region whose decoder learns from the labels.
        trunk: Whether the trunk learns.
        preserved: Regions whose decoders learn, too, and keep their responses; the
            batches' responses are in this order.
        steady: Whether trunk and preserved decoders run in inference mode: batch norm
            keeps its statistics and nothing is dropped.
        preservation: How far responses have moved.
        strength: Weight λ of the preservation, summed over the decoders.
        monitor: Validation value that selects the epoch: the largest soft IoU, or the
            smallest loss.
        start: Whether the state before the first update may be selected.
    """

    target: str
    trunk: bool = True
    preserved: tuple[str, ...] = ()
    steady: bool = False
    preservation: ResponsePreservationLoss | None = None
    strength: float = 1.0
    monitor: Selection = "val_soft_iou"
    start: bool = False


@dataclass(frozen=True)
class StageResult:
    """How a stage ended.

    Attributes:
        rows: One row an epoch, as in `metrics.csv`; epoch -1 is the start.
        epoch: The epoch whose weights the network has now, 0-based; -1 the start.
    """

    rows: list[dict[str, Any]]
    epoch: int


class UpdateModel(keras.Model):
    """A network as one stage trains it (Nagendra et al. 2022).

    Takes `{"image": raw (B, H, W, bands)}` and labels `{"mask": (B, H, W)[,
    "responses": (B, H, W, preserved)]}`; gives the probabilities of the decoders in use
    by region. Weights are those of the network itself.

    Args:
        network: A model of `tsmu_net`.
        plan: What the stage does.
        teacher: Network whose responses are preserved; None takes the recorded ones.
    """

    def __init__(
        self,
        network: keras.Model,
        plan: StagePlan,
        teacher: keras.Model | None = None,
    ) -> None:
        super().__init__(name="update")
        self.network = network
        self.plan = plan
        self.teacher = teacher
        if teacher is not None:
            teacher.trainable = False
        self.dice = SoftDiceLoss()
        self.dice_tracker = keras.metrics.Mean("dice")
        self.soft_iou = SoftIoU()
        if plan.preserved:
            self.preservation_tracker = keras.metrics.Mean("preservation")
        self._set_trainable()

    def _set_trainable(self) -> None:
        tsmu.trunk(self.network).trainable = self.plan.trunk
        learning = {self.plan.target, *self.plan.preserved}
        for name, decoder in tsmu.decoders(self.network).items():
            decoder.trainable = name in learning

    def call(
        self, inputs: Mapping[str, Tensor], training: bool | None = None
    ) -> dict[str, Tensor]:
        """Returns the probabilities of the target and the preserved decoders."""
        plan, image = self.plan, inputs["image"]
        unsteady = bool(training) and not plan.steady
        features = tsmu.trunk(self.network)(
            tsmu.prepared(self.network, image), training=unsteady and plan.trunk
        )
        decoders = tsmu.decoders(self.network)
        modes = dict.fromkeys(plan.preserved, unsteady)
        modes[plan.target] = bool(training)
        return {
            name: tsmu.cropped(
                self.network, decoders[name](features, training=mode), image
            )
            for name, mode in modes.items()
        }

    def compute_loss(
        self,
        x: Mapping[str, Tensor] | None = None,
        y: Mapping[str, Tensor] | None = None,
        y_pred: Mapping[str, Tensor] | None = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Returns soft Dice of the target + λ · Σ preservation of the others."""
        del sample_weight
        images = keras.ops.cast(keras.ops.shape(y["mask"])[0], "float32")
        loss = self.dice(y["mask"], y_pred[self.plan.target])
        self.dice_tracker.update_state(loss, sample_weight=images)
        if not self.plan.preserved:
            return loss
        moved = self.preserved_loss(x, y, y_pred)
        self.preservation_tracker.update_state(moved, sample_weight=images)
        return loss + self.plan.strength * moved

    def preserved_loss(
        self,
        x: Mapping[str, Tensor],
        y: Mapping[str, Tensor],
        y_pred: Mapping[str, Tensor],
    ) -> Tensor:
        """Returns how far the old responses have moved, summed over the decoders."""
        if self.teacher is None:
            old = [
                y["responses"][..., k, None] for k in range(len(self.plan.preserved))
            ]
        else:
            old = responses(self.teacher, self.plan.preserved, x["image"])
            old = [keras.ops.stop_gradient(values) for values in old]
        losses = [
            self.plan.preservation(recorded, y_pred[name])
            for name, recorded in zip(self.plan.preserved, old, strict=True)
        ]
        return sum(losses[1:], losses[0])

    def compute_metrics(
        self,
        x: Mapping[str, Tensor],
        y: Mapping[str, Tensor],
        y_pred: Mapping[str, Tensor],
        sample_weight: Tensor | None = None,
    ) -> dict[str, Any]:
        """Updates the soft IoU of the target and returns every value."""
        self.soft_iou.update_state(y["mask"], y_pred[self.plan.target])
        return self.get_metrics_result()


def responses(
    network: keras.Model, names: tuple[str, ...], image: Tensor
) -> list[Tensor]:
    """Returns what decoders say of images, in inference mode.

    Args:
        network: A model of `tsmu_net`.
        names: Regions of the decoders.
        image: Raw images (B, H, W, bands).

    Returns:
        float32 probabilities (B, H, W, 1), one a decoder.
    """
    prepared = tsmu.prepared(network, image)
    features = tsmu.trunk(network)(prepared, training=False)
    decoders = tsmu.decoders(network)
    return [
        tsmu.cropped(network, decoders[name](features, training=False), image)
        for name in names
    ]


def fit_stage(
    model: UpdateModel,
    training: TrainingData[RegionBatch],
    validation: EvaluationData[RegionBatch],
    section: StageSection,
    settings: ContinualTraining,
    folder: str | Path,
    *,
    verbose: int | None = None,
) -> StageResult:
    """Trains one stage, or goes on where a killed process left it.

    Args:
        model: The network as the stage trains it; has the selected epoch's weights
            afterwards, and every part of it is trainable again.
        training: Training batches of the region.
        validation: What selects the epoch.
        section: Epochs, rate, decay, patience.
        settings: What all stages share.
        folder: Folder of the checkpoints; removed by the caller when the result is
            safe.
        verbose: Keras's verbosity; None as in `train.Session`.

    Returns:
        The rows and the selected epoch.

    Raises:
        RunError: If a checkpoint is damaged or belongs to another recipe.
        DataError: If there are fewer examples than a batch takes.
    """
    plan = model.plan
    steps = training.steps_per_epoch
    optimizer: keras.optimizers.Optimizer = keras.optimizers.Adam(
        section.learning_rate, weight_decay=section.weight_decay or None
    )
    if settings.precision == "mixed_float16":
        optimizer = LossScaleOptimizer(optimizer)
    model.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    whole = evaluation_input(validation)
    model.evaluate(whole, steps=1, verbose=0)
    model.reset_metrics()
    model.optimizer.build(model.trainable_variables)
    recorder = RunRecorder(
        RunFolder(Path(folder)), _recorded_section(plan, section, settings)
    )
    recorder.run.path.mkdir(parents=True, exist_ok=True)
    recorder.resume(model)
    if plan.start and not recorder.rows:
        logs = model.evaluate(whole, verbose=0, return_dict=True)
        recorder.start(model, {f"val_{name}": float(v) for name, v in logs.items()})
    run_fits(
        model,
        partial(training_input, training),
        recorder,
        [],
        steps=steps,
        validation=whole,
        verbose=_verbosity(verbose),
    )
    best = recorder.best_weights()
    if best is None or recorder.best_epoch is None:
        raise RunError(f"`{recorder.run.checkpoints}` holds no best weights.")
    assign_variables({"model": list(model.variables)}, best)
    # One by one: Keras does not pass it on where the model's own value is the same.
    for part in (tsmu.trunk(model.network), *tsmu.decoders(model.network).values()):
        part.trainable = True
    return StageResult(recorder.rows, recorder.best_epoch)


def _recorded_section(
    plan: StagePlan, section: StageSection, settings: ContinualTraining
) -> TrainingSection:
    return TrainingSection(
        epochs=section.epochs,
        batch_size=settings.batch_size,
        monitor=plan.monitor,
        mode="min" if plan.monitor == "val_loss" else "max",
        patience=section.patience or None,
        save_steps=settings.save_steps,
        save_minutes=settings.save_minutes,
    )


def _verbosity(verbose: int | None) -> int:
    if verbose is not None:
        return verbose
    return 1 if sys.stdout.isatty() else 2

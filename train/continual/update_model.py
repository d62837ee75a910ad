"""A network in one stage: what learns, what is preserved, what stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.losses import ResponsePreservationLoss, SoftDiceLoss
from landslide_tf.metrics import SoftIoU
from landslide_tf.models import tsmu

Selection: TypeAlias = Literal["val_soft_iou", "val_loss"]
Tensors: TypeAlias = Mapping[str, Tensor]


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
    preservation: ResponsePreservationLoss = field(
        default_factory=ResponsePreservationLoss
    )
    strength: float = 1.0
    monitor: Selection = "val_soft_iou"
    start: bool = False


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

    def call(self, inputs: Tensors, training: bool | None = None) -> dict[str, Tensor]:
        """Returns the probabilities of the target and the preserved decoders."""
        plan = self.plan
        unsteady = bool(training) and not plan.steady
        modes = dict.fromkeys(plan.preserved, unsteady)
        modes[plan.target] = bool(training)
        return decoded(
            self.network, inputs["image"], modes, trunk=unsteady and plan.trunk
        )

    def compute_loss(
        self,
        x: Tensors,
        y: Tensors,
        y_pred: Tensors,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Returns soft Dice of the target + λ · Σ preservation of the others."""
        images = keras.ops.cast(keras.ops.shape(y["mask"])[0], "float32")
        loss = self.dice(y["mask"], y_pred[self.plan.target])
        self.dice_tracker.update_state(loss, sample_weight=images)
        if not self.plan.preserved:
            return loss
        moved = self.preserved_loss(x, y, y_pred)
        self.preservation_tracker.update_state(moved, sample_weight=images)
        return loss + self.plan.strength * moved

    def preserved_loss(self, x: Tensors, y: Tensors, y_pred: Tensors) -> Tensor:
        """Returns how far the old responses have moved, summed over the decoders.

        Args:
            x: `"image"`, which a teacher sees.
            y: `"responses"` (B, H, W, preserved) where there is no teacher.
            y_pred: Probabilities (B, H, W, 1) by region.
        """
        if self.teacher is None:
            old = [
                y["responses"][..., k, None] for k in range(len(self.plan.preserved))
            ]
        else:
            modes = dict.fromkeys(self.plan.preserved, False)
            found = decoded(self.teacher, x["image"], modes)
            old = [keras.ops.stop_gradient(values) for values in found.values()]
        losses = [
            self.plan.preservation(recorded, y_pred[name])
            for name, recorded in zip(self.plan.preserved, old, strict=True)
        ]
        return sum(losses[1:], losses[0])

    def compute_metrics(
        self,
        x: Tensors,
        y: Tensors,
        y_pred: Tensors,
        sample_weight: Tensor | None = None,
    ) -> dict[str, Any]:
        """Updates the soft IoU of the target and returns every value."""
        self.soft_iou.update_state(y["mask"], y_pred[self.plan.target])
        return self.get_metrics_result()


def decoded(
    network: keras.Model,
    image: Tensor,
    modes: Mapping[str, bool],
    *,
    trunk: bool = False,
) -> dict[str, Tensor]:
    """Returns what decoders say of images.

    Args:
        network: A model of `tsmu_net`.
        image: Raw images (B, H, W, bands).
        modes: Whether each decoder runs in training mode, by its region.
        trunk: Whether the trunk runs in training mode.

    Returns:
        float32 probabilities (B, H, W, 1) by region.
    """
    features = tsmu.trunk(network)(tsmu.prepared(network, image), training=trunk)
    decoders = tsmu.decoders(network)
    return {
        name: tsmu.cropped(network, decoders[name](features, training=mode), image)
        for name, mode in modes.items()
    }


def old_regions(network: keras.Model, new: str) -> tuple[str, ...]:
    """Returns the regions whose decoders were there before a new one."""
    return tuple(name for name in tsmu.decoders(network) if name != new)

"""Networks of several regions as the stages train them: updates and baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import keras
import numpy as np

from landslide_tf.array_types import FloatArray, Tensor
from landslide_tf.losses import ResponsePreservationLoss, SoftDiceLoss
from landslide_tf.metrics import SoftIoU
from landslide_tf.models import tsmu
from landslide_tf.pipelines import RegionExamples

Selection: TypeAlias = Literal["val_soft_iou", "val_loss"]
Tensors: TypeAlias = Mapping[str, Tensor]
_REPLAYED = "replayed"  # regions' names are upper case


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


class JointModel(UpdateModel):
    """All regions at once: each image trains the trunk and its own region's decoder.

    The upper bound of continual training. Takes `"region"`, the place of the images'
    region, beside `"image"`; the network's `routing` is `"partition"`, so that no
    decoder's batch norm sees another region.

    Args:
        network: A model of `tsmu_net` with all regions.
    """

    def __init__(self, network: keras.Model) -> None:
        super().__init__(network, StagePlan(target=next(iter(tsmu.decoders(network)))))

    def _set_trainable(self) -> None:
        self.network.trainable = True

    def call(self, inputs: Tensors, training: bool | None = None) -> dict[str, Tensor]:
        """Returns the probabilities of the images' own decoders."""
        return {self.plan.target: self.network(dict(inputs), training=training)}


@dataclass(frozen=True)
class Anchor:
    """Where the trunk was, and how much each of its weights mattered.

    Attributes:
        weights: Trainable weights of the trunk after the previous region.
        fisher: Diagonal Fisher information of each, summed over the regions so far.
    """

    weights: list[FloatArray]
    fisher: list[FloatArray]

    def penalty(self, weights: Sequence[Tensor], strength: float) -> Tensor:
        """Returns ½ λ Σ F (θ − θ*)² (Kirkpatrick et al. 2017, equation 3).

        Args:
            weights: θ, tensors of the anchor's shapes.
            strength: λ.
        """
        ops = keras.ops
        moved = [
            ops.sum(
                ops.convert_to_tensor(fisher)
                * ops.square(ops.cast(now, "float32") - ops.convert_to_tensor(then))
            )
            for now, then, fisher in zip(
                weights, self.weights, self.fisher, strict=True
            )
        ]
        return 0.5 * strength * sum(moved[1:], moved[0])


class AnchoredModel(UpdateModel):
    """Fine-tuning with elastic weight consolidation of the trunk.

    Kirkpatrick et al. 2017, PNAS 114, 3521.

    Args:
        network: The network.
        plan: What the stage does.
        anchor: Of the old regions.
        strength: λ.
    """

    def __init__(
        self, network: keras.Model, plan: StagePlan, anchor: Anchor, strength: float
    ) -> None:
        super().__init__(network, plan)
        self._anchor = anchor
        self._strength = strength

    def compute_loss(
        self,
        x: Tensors,
        y: Tensors,
        y_pred: Tensors,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Returns the loss on the new region with the penalty."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        weights = tsmu.trunk(self.network).trainable_variables
        return loss + self._anchor.penalty(weights, self._strength)


def trunk_fisher(
    network: keras.Model, region: str, examples: RegionExamples
) -> list[FloatArray]:
    """Returns the diagonal empirical Fisher information of the trunk (TensorFlow).

    The mean over images of the squared gradient of the image's mean binary
    cross-entropy, in inference mode.

    Args:
        network: A network that has learnt the region.
        region: Whose decoder predicts.
        examples: The region's training examples; copies are left out.

    Returns:
        float32 arrays in the order of the trunk's trainable weights.
    """
    import tensorflow as tf

    weights = tsmu.trunk(network).trainable_variables

    @tf.function(reduce_retracing=True)
    def gradients(image: Tensor, mask: Tensor) -> list[Tensor]:
        with tf.GradientTape() as tape:
            found = decoded(network, image, {region: False})[region]
            truth, found = tf.reshape(mask, (-1,)), tf.reshape(found, (-1,))
            labelled = truth <= 1  # 255 is ignored
            truth = tf.cast(tf.boolean_mask(truth, labelled), tf.float32)
            found = tf.boolean_mask(found, labelled)
            # A mean of nothing would be NaN.
            loss = tf.reduce_sum(keras.ops.binary_crossentropy(truth, found))
            count = tf.reduce_sum(tf.cast(labelled, tf.float32))
            loss = tf.math.divide_no_nan(loss, count)
        return tape.gradient(loss, [w.value for w in weights])

    squares = [np.zeros(w.shape) for w in weights]
    for number in range(0, len(examples), examples.copies):
        image, mask = examples.load(number)
        found = gradients(image[None], mask[None])
        for total, gradient in zip(squares, found, strict=True):
            total += np.square(gradient.numpy())
    return [(s / len(examples.store)).astype(np.float32) for s in squares]


class ReplayModel(UpdateModel):
    """Fine-tuning that also sees a few examples of the old regions.

    Their own decoders, which do not change, predict the old examples; soft Dice of
    these is added with weight 1. Batches without old examples, those of validation, do
    without.

    Args:
        network: The network.
        plan: What the stage does.
        old: The old regions, in the order of the batches' `"old_region"`.
    """

    def __init__(
        self, network: keras.Model, plan: StagePlan, old: Sequence[str]
    ) -> None:
        super().__init__(network, plan)
        self._old = tuple(old)

    def call(self, inputs: Tensors, training: bool | None = None) -> dict[str, Tensor]:
        """Returns the target's probabilities, and those of old images together."""
        found = super().call(inputs, training=training)
        if "old_image" in inputs:
            found[_REPLAYED] = self._replayed(inputs, training)
        return found

    def _replayed(self, inputs: Tensors, training: bool | None) -> Tensor:
        unsteady = bool(training) and not self.plan.steady
        # All run on all: in inference mode images do not see each other.
        modes = dict.fromkeys(self._old, False)
        found = decoded(self.network, inputs["old_image"], modes, trunk=unsteady)
        region = keras.ops.reshape(inputs["old_region"], (-1, 1, 1, 1))
        chosen = found[self._old[0]]
        for place, name in enumerate(self._old[1:], start=1):
            own = keras.ops.equal(region, place)
            chosen = keras.ops.where(own, found[name], chosen)
        return chosen

    def compute_loss(
        self,
        x: Tensors,
        y: Tensors,
        y_pred: Tensors,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Returns soft Dice of the new region + soft Dice of the old examples."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if "old_mask" not in y:
            return loss
        return loss + self.dice(y["old_mask"], y_pred[_REPLAYED])

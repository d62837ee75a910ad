"""Networks of several regions as the baselines train them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from landslide_tf.array_types import FloatArray, Tensor
from landslide_tf.models import tsmu
from landslide_tf.pipelines import RegionExamples
from landslide_tf.train.continual.update_model import (
    StagePlan,
    Tensors,
    UpdateModel,
    decoded,
)

_REPLAYED = "replayed"  # regions' names are upper case


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

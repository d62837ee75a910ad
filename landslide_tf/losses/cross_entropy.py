"""Cross-entropy over the labelled pixels of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.losses.segmentation import Pixels, SegmentationLoss, weighted_mean


@keras.saving.register_keras_serializable(package="landslide_tf")
class SegmentationCrossEntropy(SegmentationLoss):
    """Softmax cross-entropy averaged over the pixels that have a label.

    L = Σ w_y · (−ln a_y) / Σ w_y over the valid pixels of the batch, with the softmax
    probability a_y of the pixel's class y and the class weight w_y (Xia et al. 2021,
    equation 2, which leaves the average open). Without class weights this is
    `keras.losses.SparseCategoricalCrossentropy(ignore_class=...)`.

    The average runs over pixels, not over images: an image with many ignored pixels
    counts less. A batch without any valid pixel gives 0 with zero gradients. With
    `tf.distribute` every replica averages over its own pixels, and Keras averages the
    replicas. All arithmetic is float32 under every precision policy.

    A model with one output channel is a sigmoid model, label 1 its class. A label that
    is neither a class nor the ignore value gives NaN (on TensorFlow's CPU an
    `InvalidArgumentError` that names it): compiled code cannot do better.

    Args:
        ignore_class: Label of pixels without a class; None ignores nothing.
        class_weights: One weight ≥ 0 a class, not all 0; None weighs all alike. A
            common factor changes nothing.
        from_logits: Whether predictions are logits; False takes probabilities.
        name: Name of the loss.

    Raises:
        ModelError: If a weight is negative or not finite, or all are 0.
    """

    def __init__(
        self,
        ignore_class: int | None = 255,
        class_weights: Sequence[float] | None = None,
        from_logits: bool = True,
        name: str = "segmentation_cross_entropy",
    ) -> None:
        super().__init__(ignore_class, class_weights, from_logits, name)

    def of_pixels(self, pixels: Pixels) -> Tensor:
        """Returns Σ w·ce / Σ w."""
        return weighted_mean(pixels.entropy(), pixels.weights(self.class_weights))

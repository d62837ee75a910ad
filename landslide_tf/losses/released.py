"""The losses of the LandslideNet release, faults included, for comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.choices import Formula
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.losses.cross_entropy import RADIUS, smoothed
from landslide_tf.losses.segmentation import Pixels, SegmentationLoss, weighted_mean

EPSILON = 1e-7


@keras.saving.register_keras_serializable(package="landslide_tf")
class ReleasedLoss(SegmentationLoss):
    """A loss as the code released with MFFENet computes it (Xu et al. 2022).

    For comparisons with that code; for training use the class in brackets.

    - `"cross_entropy"`: the mean divided once more by the batch size, which scales the
      learning rate [`SegmentationCrossEntropy`].
    - `"focal"`: ½·(1 − e^−m)²·m / batch size of that mean m before the division, not a
      focal loss of pixels [`FocalLoss`].
    - `"dice"`: softmax applied twice, one coefficient a class and image column,
      ignored pixels taken as class 0 [`DiceLoss`].
    - `"cross_entropy_dice"`: the sum of the two [`CrossEntropyDiceLoss`].
    - `"boundary"`: Σ w·ce / (all pixels) with w = 2 wherever the label is not followed
      by a larger one to the right or below, and less there: boundaries count less,
      and only two of four directions are seen. The map is shifted by up to 17 pixels.
      Needs at least 36 × 36 pixels [`BoundaryLoss`].

    Batches without a valid pixel give 0 in all but `"dice"`. One-channel models,
    unknown labels and precision are treated as in `SegmentationCrossEntropy`.

    Args:
        formula: One of the above.
        ignore_class: Label of pixels without a class; None ignores nothing.
        class_weights: One weight ≥ 0 a class, not all 0, for the cross-entropy; None
            weighs all alike.
        from_logits: Whether predictions are logits; False takes probabilities.
        name: Name of the loss.

    Raises:
        ModelError: If the formula is unknown or a weight is out of its range.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import losses
        >>> labels = np.array([[[0, 1, 255]]])  # the last pixel has no class
        >>> logits = np.array([[[[2.0, 0.0], [0.0, 1.0], [9.0, 0.0]]]], "float32")
        >>> round(float(losses.ReleasedLoss("focal")(labels, logits)), 4)
        0.0043
    """

    def __init__(
        self,
        formula: Formula = "boundary",
        ignore_class: int | None = 255,
        class_weights: Sequence[float] | None = None,
        from_logits: bool = True,
        name: str = "released_loss",
    ) -> None:
        super().__init__(ignore_class, class_weights, from_logits, name)
        check_choice("formula", formula, get_args(Formula), ModelError)
        self.formula = formula

    def of_pixels(self, pixels: Pixels) -> Tensor:
        """Returns the loss by its formula."""
        if self.formula == "boundary":
            return self._boundary(pixels)
        if self.formula == "dice":
            return _dice(pixels)
        ops = keras.ops
        batch = ops.cast(ops.shape(pixels.labels)[0], "float32")
        mean = weighted_mean(pixels.entropy(), pixels.weights(self.class_weights))
        if self.formula == "focal":
            return 0.5 * ops.square(-ops.expm1(-mean)) * mean / batch
        if self.formula == "cross_entropy":
            return mean / batch
        return mean / batch + _dice(pixels)

    def _boundary(self, pixels: Pixels) -> Tensor:
        weights = pixels.weights(self.class_weights) * released_boundary_weights(
            self._raw_labels(pixels)
        )
        return keras.ops.mean(weights * pixels.entropy())

    def _raw_labels(self, pixels: Pixels) -> Tensor:
        """Returns labels as numbers, the ignored ones as the release has them."""
        labels = keras.ops.cast(pixels.labels, "float32")
        ignored = 0.0 if self.ignore_class is None else float(self.ignore_class)
        return keras.ops.where(keras.ops.equal(pixels.valid, 0.0), ignored, labels)


def released_boundary_weights(labels: Tensor) -> Tensor:
    """Returns the released boundary weights.

    Args:
        labels: float32 classes (batch, height, width), at least 36 × 36.

    Returns:
        float32 (batch, height, width) in [0.5, 2].

    Raises:
        ModelError: If the labels are known to be smaller.
    """
    ops = keras.ops
    height, width = ops.shape(labels)[1:3]
    least = 2 * RADIUS + 2
    if any(isinstance(v, int) and v < least for v in (height, width)):
        raise ModelError(
            f"Expected labels of at least {least} by {least} pixels for the released "
            f"boundary loss, received {height} by {width}; use `BoundaryLoss`."
        )
    here = labels[:, :-1, :-1]
    step = here - 0.5 * labels[:, :-1, 1:] - 0.5 * labels[:, 1:, :-1]
    density = smoothed(ops.cast(step >= 0, "float32"), "valid")
    rows = _interpolation(height, height - least + 1)
    columns = _interpolation(width, width - least + 1)
    density = ops.einsum("hi,bij,wj->bhw", rows, density, columns)
    return ops.clip(1.5 * density + 0.5, 0.0, 4.0)


def _interpolation(new: Tensor | int, old: Tensor | int) -> Tensor:
    """Returns the matrix of linear interpolation with the end points in place."""
    ops = keras.ops
    steps = ops.cast(ops.convert_to_tensor(new) - 1, "float32")
    scale = ops.cast(ops.convert_to_tensor(old) - 1, "float32") / steps
    at = ops.cast(ops.arange(new), "float32") * scale
    distance = ops.expand_dims(at, 1) - ops.cast(ops.arange(old), "float32")
    return ops.maximum(1.0 - ops.abs(distance), 0.0)


def _dice(pixels: Pixels) -> Tensor:
    ops = keras.ops
    predicted = ops.softmax(pixels.probabilities(), axis=-1)
    truth = ops.one_hot(pixels.labels, pixels.classes, dtype="float32")
    both, all_predicted, all_true = (
        ops.sum(v, axis=(0, 1)) for v in (predicted * truth, predicted, truth)
    )
    index = 2.0 * both / (all_predicted + all_true + EPSILON)
    # The NaN of an unknown label has to pass.
    return 1.0 - ops.mean(index) + 0.0 * ops.sum(pixels.valid)

"""Cross-entropy over labelled pixels: plain, focal, and weighed near boundaries."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from landslide_tf.array_types import FloatArray, Tensor
from landslide_tf.losses.segmentation import (
    Pixels,
    SegmentationLoss,
    check_number,
)

# Keeps the slope of (1 − p)^γ finite at p = 1 where γ < 1.
SMALLEST_ERROR = 1e-7
# The smoothing kernel of the release: exp(-(x² + y²) / 51), x and y in -17..17.
RADIUS = 17
SPREAD = 51.0


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

    Example:
        >>> import numpy as np
        >>> from landslide_tf import losses
        >>> labels = np.array([[[0, 1, 255]]])  # the last pixel has no class
        >>> logits = np.array([[[[2.0, 0.0], [0.0, 1.0], [9.0, 0.0]]]], "float32")
        >>> round(float(losses.SegmentationCrossEntropy()(labels, logits)), 4)
        0.2201
    """

    weighs = "pixels"

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
        return pixels.mean(pixels.entropy(), pixels.weights(self.class_weights))


@keras.saving.register_keras_serializable(package="landslide_tf")
class FocalLoss(SegmentationLoss):
    """Focal loss averaged over the pixels that have a label.

    L = α · Σ w_y · (1 − a_y)^γ · (−ln a_y) / Σ w_y over the valid pixels of the batch,
    with the probability a_y of the pixel's class y (Lin et al. 2017, equations 4 and
    5). γ = 0 is cross-entropy. The balance between classes of their equation 5 is
    `class_weights=[1 - a, a]`; `alpha` here scales the loss as a whole, as a term of a
    sum needs it.

    Ignored pixels, empty batches, unknown labels, one-channel models, replicas and
    precision are treated as in `SegmentationCrossEntropy`.

    Args:
        gamma: Exponent γ ≥ 0; the paper's best is 2.
        alpha: Factor α > 0 of the whole loss; None is 1.
        ignore_class: Label of pixels without a class; None ignores nothing.
        class_weights: One weight ≥ 0 a class, not all 0; None weighs all alike.
        from_logits: Whether predictions are logits; False takes probabilities.
        name: Name of the loss.

    Raises:
        ModelError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import losses
        >>> labels = np.array([[[0, 1, 255]]])  # the last pixel has no class
        >>> logits = np.array([[[[2.0, 0.0], [0.0, 1.0], [9.0, 0.0]]]], "float32")
        >>> round(float(losses.FocalLoss(gamma=2.0)(labels, logits)), 4)
        0.0122
    """

    weighs = "pixels"

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | None = None,
        ignore_class: int | None = 255,
        class_weights: Sequence[float] | None = None,
        from_logits: bool = True,
        name: str = "focal_loss",
    ) -> None:
        super().__init__(ignore_class, class_weights, from_logits, name)
        self.gamma = check_number("gamma", gamma)
        if alpha is not None:
            alpha = check_number("alpha", alpha, positive=True)
        self.alpha = alpha

    def of_pixels(self, pixels: Pixels) -> Tensor:
        """Returns α · Σ w·(1 − a)^γ·ce / Σ w."""
        entropy = pixels.entropy()
        # 1 − exp(−ce) loses every digit of the error where the pixel is right.
        error = keras.ops.maximum(-keras.ops.expm1(-entropy), SMALLEST_ERROR)
        focal = keras.ops.power(error, self.gamma) * entropy
        loss = pixels.mean(focal, pixels.weights(self.class_weights))
        return loss if self.alpha is None else self.alpha * loss


def smoothing_profile() -> FloatArray:
    """Returns the kernel's profile along one axis; the kernel is its outer product."""
    x = np.arange(-RADIUS, RADIUS + 1)
    profile = np.exp(-(x**2) / SPREAD)
    return profile / profile.sum()


def smoothed(values: Tensor, padding: str) -> Tensor:
    """Applies the smoothing kernel.

    Args:
        values: float32 (batch, height, width).
        padding: `"same"` (zeros outside) or `"valid"`.

    Returns:
        float32 (batch, new height, new width).
    """
    ops = keras.ops
    profile = ops.convert_to_tensor(smoothing_profile(), dtype="float32")
    x = ops.expand_dims(values, -1)
    for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
        kernel = ops.reshape(profile, shape)
        x = ops.conv(x, kernel, padding=padding, data_format="channels_last")
    return ops.squeeze(x, -1)


def edges(labels: Tensor, valid: Tensor) -> Tensor:
    """Marks pixels with a 4-neighbour of another class, both having one.

    Args:
        labels: int32 classes (batch, height, width).
        valid: bool (batch, height, width): whether the label counts.

    Returns:
        float32 (batch, height, width) of 0 and 1.
    """
    ops = keras.ops
    marked = ops.zeros_like(valid)
    for axis in (1, 2):
        first = (slice(None),) * axis + (slice(None, -1),)
        second = (slice(None),) * axis + (slice(1, None),)
        differ = ops.not_equal(labels[first], labels[second])
        differ = ops.logical_and(differ, ops.logical_and(valid[first], valid[second]))
        for place in ((0, 1), (1, 0)):
            pad = [(0, 0)] * 3
            pad[axis] = place
            there = ops.pad(ops.cast(differ, "int32"), pad)
            marked = ops.logical_or(marked, ops.cast(there, "bool"))
    return ops.cast(marked, "float32")


@keras.saving.register_keras_serializable(package="landslide_tf")
class BoundaryLoss(SegmentationLoss):
    """Cross-entropy that gives pixels near class boundaries more weight.

    L = Σ w·w_y·(−ln a_y) / Σ w·w_y over the valid pixels of the batch, with the class
    weight w_y and w = `floor` + `gain` · B. B in [0, 1] is the smoothed density of
    boundary pixels (those with a 4-neighbour of another class) around a pixel, 1 along
    a long straight boundary, its sums those inside the image.

    This is the boundary-aware loss of MFFENet (Xu et al. 2022) with the constants and
    the kernel of its released code, exp(−(x² + y²) / 51) over 35 × 35 pixels. The
    released formula, in which boundary pixels count less than others, is
    `ReleasedLoss("boundary")`. Labels without a boundary give plain cross-entropy, and
    flips and quarter turns change nothing.

    Ignored pixels, empty batches, unknown labels, one-channel models, replicas and
    precision are treated as in `SegmentationCrossEntropy`.

    Args:
        floor: Weight far from any boundary, > 0.
        gain: What a boundary adds to it, ≥ 0.
        ignore_class: Label of pixels without a class; None ignores nothing.
        class_weights: One weight ≥ 0 a class, not all 0; None weighs all alike.
        from_logits: Whether predictions are logits; False takes probabilities.
        name: Name of the loss.

    Raises:
        ModelError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import losses
        >>> labels = np.zeros((1, 64, 64), int)
        >>> labels[:, :, 32:] = 1
        >>> near, far = np.eye(2)[[labels, labels]] * 0.8 + 0.1
        >>> near[:, :, 31] = far[:, :, 0] = [0.1, 0.9]  # wrong in one column each
        >>> loss = losses.BoundaryLoss(from_logits=False)
        >>> round(float(loss(labels, near)), 4), round(float(loss(labels, far)), 4)
        (0.1913, 0.1268)
    """

    weighs = "pixels"

    def __init__(
        self,
        floor: float = 0.5,
        gain: float = 1.5,
        ignore_class: int | None = 255,
        class_weights: Sequence[float] | None = None,
        from_logits: bool = True,
        name: str = "boundary_loss",
    ) -> None:
        super().__init__(ignore_class, class_weights, from_logits, name)
        self.floor = check_number("floor", floor, positive=True)
        self.gain = check_number("gain", gain)

    def of_pixels(self, pixels: Pixels) -> Tensor:
        """Returns Σ w·ce / Σ w."""
        weights = pixels.weights(self.class_weights) * self.boundary_weights(pixels)
        return pixels.mean(pixels.entropy(), weights)

    def boundary_weights(self, pixels: Pixels) -> Tensor:
        """Returns the weight w of every pixel, float32 (batch, height, width)."""
        ops = keras.ops
        marked = edges(pixels.labels, ops.equal(pixels.valid, 1.0))
        inside = smoothed(ops.ones_like(marked[:1]), "same")
        profile = smoothing_profile()
        # Both sides of a straight boundary are marked: two rows of the kernel.
        straight = profile[RADIUS] + profile[RADIUS + 1]
        density = smoothed(marked, "same") / (inside * float(straight))
        return self.floor + self.gain * ops.clip(density, 0.0, 1.0)

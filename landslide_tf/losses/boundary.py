"""Cross-entropy that weighs pixels by how near a class boundary is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from landslide_tf.array_types import FloatArray, Tensor
from landslide_tf.losses.segmentation import (
    Pixels,
    SegmentationLoss,
    check_number,
    weighted_mean,
)

# The smoothing kernel of the release: exp(-(x² + y²) / 51), x and y in -17..17.
RADIUS = 17
SPREAD = 51.0


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
    """Cross-entropy whose pixels count more the nearer a class boundary is.

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
    """

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
        return weighted_mean(pixels.entropy(), weights)

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

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        return {"floor": self.floor, "gain": self.gain, **super().get_config()}

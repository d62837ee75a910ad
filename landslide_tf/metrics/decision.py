"""From probabilities to classes: one rule for evaluation, maps and exports."""

from __future__ import annotations

from typing import Literal

import numpy as np

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.errors import ModelError

LandslideClass = int | Literal["sigmoid"]
SIGMOID_THRESHOLD = 0.5


def landslide_index(landslide_class: LandslideClass) -> int:
    """Returns the label value that means landslide.

    Args:
        landslide_class: Index of the class, or `"sigmoid"` for models with one output
            channel, whose masks are 0 (other), 1 (landslide).

    Returns:
        The index; 1 for `"sigmoid"`.
    """
    return 1 if landslide_class == "sigmoid" else landslide_class


def decide(
    probabilities: FloatArray,
    *,
    landslide_class: LandslideClass,
    threshold: float | None = None,
) -> IntArray:
    """Turns probabilities into class indices.

    Without a threshold this is the argmax (ties: the lowest index). With a threshold t
    a pixel is landslide where P(landslide) ≥ t, else the argmax of the other classes.

    Args:
        probabilities: Shape (..., classes), or (..., 1) for `"sigmoid"`, in [0, 1].
        landslide_class: Index of the landslide class, or `"sigmoid"`.
        threshold: t in [0, 1]; None is the argmax, and 0.5 for `"sigmoid"`.

    Returns:
        uint8 class indices of shape (...).

    Raises:
        ModelError: If the number of channels and `landslide_class` do not fit.
    """
    probabilities = np.asarray(probabilities)
    channels = probabilities.shape[-1]
    if landslide_class == "sigmoid":
        if channels != 1:
            raise ModelError(
                "Expected 1 output channel for `landslide_class='sigmoid'`, received "
                f"{channels}; give the index of the landslide class."
            )
        limit = SIGMOID_THRESHOLD if threshold is None else threshold
        return (probabilities[..., 0] >= limit).astype(np.uint8)
    if not 0 <= landslide_class < channels:
        raise ModelError(
            f"Expected `landslide_class` from 0 to {channels - 1} for {channels} "
            f"channels, received {landslide_class}; correct it in the metadata."
        )
    if threshold is None:
        return probabilities.argmax(axis=-1).astype(np.uint8)
    others = probabilities.copy()
    others[..., landslide_class] = -np.inf
    landslide = probabilities[..., landslide_class] >= threshold
    return np.where(landslide, landslide_class, others.argmax(-1)).astype(np.uint8)

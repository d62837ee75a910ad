"""The labelled pixels of a prediction, checked, in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.errors import DataError


def labelled_pixels(
    scores: ArrayLike, labels: ArrayLike, ignore_value: int | None, name: str
) -> tuple[FloatArray, IntArray]:
    """Returns the scores and labels of the pixels that have a label.

    Args:
        scores: Logits or probabilities, (..., classes), or (..., 1) of sigmoid models.
        labels: Integer classes, (...) or (..., 1).
        ignore_value: Label of pixels that never count; None ignores nothing.
        name: What the caller calls `scores`.

    Returns:
        Scores (N, classes) in their own floating dtype, and labels (N,).

    Raises:
        DataError: If the shapes or dtypes do not fit, a label is neither a class nor
            the ignore value, or a labelled pixel's score is not finite.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.dtype.kind != "f" or scores.ndim < 1:
        raise DataError(
            f"Expected floating-point `{name}` of shape (..., classes), received dtype "
            f"{scores.dtype}, shape {scores.shape}; give the model's output."
        )
    if labels.dtype.kind not in "iub":
        raise DataError(
            f"Expected integer `labels`, received dtype {labels.dtype}; give class "
            "indices."
        )
    if labels.shape not in (scores.shape[:-1], (*scores.shape[:-1], 1)):
        raise DataError(
            f"Expected `labels` of shape {scores.shape[:-1]} for `{name}` of shape "
            f"{scores.shape}, received {labels.shape}; give one class per pixel."
        )
    scores, labels = scores.reshape(-1, scores.shape[-1]), labels.ravel()
    if ignore_value is not None:
        valid = labels != ignore_value
        scores, labels = scores[valid], labels[valid]
    classes = max(scores.shape[-1], 2)
    strange = (labels < 0) | (labels >= classes)
    if strange.any():
        raise DataError(
            f"Expected every label from 0 to {classes - 1} or the ignore value "
            f"{ignore_value}, received {labels[strange][0]}; check the mask's values "
            "and the number of classes."
        )
    if not np.isfinite(scores).all():
        raise DataError(
            f"Expected finite `{name}` wherever there is a label, received NaN or "
            "infinity; ignore pixels without data."
        )
    return scores, labels


def labelled_probabilities(
    probabilities: ArrayLike, labels: ArrayLike, ignore_value: int | None
) -> tuple[FloatArray, IntArray]:
    """Returns the probabilities and labels of the pixels that have a label.

    Args:
        probabilities: As `labelled_pixels` takes them, in [0, 1].
        labels: Integer classes, (...) or (..., 1).
        ignore_value: Label of pixels that never count; None ignores nothing.

    Returns:
        Probabilities (N, classes) and labels (N,).

    Raises:
        DataError: As `labelled_pixels`, or if a value is outside [0, 1].
    """
    values, kept = labelled_pixels(probabilities, labels, ignore_value, "probabilities")
    # Softmax and blended tiles miss 1 by rounding.
    if values.size and not (values.min() >= 0 and values.max() <= 1 + 1e-3):
        raise DataError(
            "Expected `probabilities` from 0 to 1, received values from "
            f"{values.min():g} to {values.max():g}; give probabilities, not logits."
        )
    return values, kept

"""What the streaming metrics on the host share: checked pixels, counts that add up."""

from __future__ import annotations

import copy
from typing import ClassVar, Self

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
    values, classes = np.asarray(scores), np.asarray(labels)
    if values.dtype.kind != "f" or values.ndim < 1:
        raise DataError(
            f"Expected floating-point `{name}` of shape (..., classes), received dtype "
            f"{values.dtype}, shape {values.shape}; give the model's output."
        )
    check_integers(classes, "labels")
    if classes.shape not in (values.shape[:-1], (*values.shape[:-1], 1)):
        raise DataError(
            f"Expected `labels` of shape {values.shape[:-1]} for `{name}` of shape "
            f"{values.shape}, received {classes.shape}; give one class per pixel."
        )
    values, classes = values.reshape(-1, values.shape[-1]), classes.ravel()
    if ignore_value is not None:
        valid = classes != ignore_value
        values, classes = values[valid], classes[valid]
    check_range(classes, max(values.shape[-1], 2), ignore_value, "label")
    if not np.isfinite(values).all():
        raise DataError(
            f"Expected finite `{name}` wherever there is a label, received NaN or "
            "infinity; ignore pixels without data."
        )
    return values, classes


def check_integers(values: IntArray, name: str) -> None:
    """Refuses classes that are no integers, as a DataError."""
    if values.dtype.kind not in "iub":
        raise DataError(
            f"Expected integer `{name}`, received dtype {values.dtype}; give class "
            "indices, not probabilities."
        )


def check_range(
    values: IntArray, classes: int, ignore_value: int | None, what: str
) -> None:
    """Refuses a value outside 0..classes − 1, as a DataError."""
    strange = values[(values < 0) | (values >= classes)]
    if strange.size:
        raise DataError(
            f"Expected every {what} from 0 to {classes - 1} or the ignore value "
            f"{ignore_value}, received {strange[0]}; check the mask's values and the "
            "number of classes."
        )


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


class Accumulator:
    """Base of the counts on the host; halves merge by addition.

    Batches, tiles, scenes and processes may be counted apart.
    """

    arguments: ClassVar[tuple[str, ...]]  # what counts that merge have in common
    sums: ClassVar[tuple[str, ...]]  # attributes that add up

    def merge(self, other: Self) -> None:
        """Adds the counts of another accumulator.

        Args:
            other: Counts of other pixels with the same arguments.

        Raises:
            DataError: If the arguments differ.
        """
        mine, theirs = self._arguments(), other._arguments()
        if mine != theirs:
            names = ", ".join(self.arguments).replace("_", " ")
            raise DataError(
                f"Expected counts of ({names}) {mine}, received {theirs}; merge only "
                "counts of one evaluation."
            )
        for name in self.sums:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def __add__(self, other: Self) -> Self:
        result = copy.copy(self)
        result.merge(other)
        return result

    def _arguments(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.arguments)

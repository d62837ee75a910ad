"""From probabilities to classes, by one rule, and the threshold that labels choose."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.errors import DataError, ModelError
from landslide_tf.metrics.pixels import Accumulator, labelled_probabilities
from landslide_tf.words import counted

LandslideClass = int | Literal["sigmoid"]
SIGMOID_THRESHOLD = 0.5


def landslide_index(landslide_class: LandslideClass) -> int:
    """Returns the label value that means landslide.

    Args:
        landslide_class: Index of the class, or `"sigmoid"` for models with one output
            channel, whose masks are 0 (other), 1 (landslide).

    Returns:
        The index; 1 for `"sigmoid"`.

    Example:
        >>> from landslide_tf import metrics
        >>> metrics.landslide_index("sigmoid"), metrics.landslide_index(3)
        (1, 3)
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

    Example:
        >>> from landslide_tf import metrics
        >>> probabilities = [[0.6, 0.4], [0.8, 0.2]]
        >>> metrics.decide(probabilities, landslide_class=1, threshold=0.3).tolist()
        [1, 0]
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
            f"Expected `landslide_class` from 0 to {channels - 1} for "
            f"{counted(channels, 'channel')}, received {landslide_class}; correct it "
            "in the metadata."
        )
    if threshold is None:
        return probabilities.argmax(axis=-1).astype(np.uint8)
    others = probabilities.copy()
    others[..., landslide_class] = -np.inf
    landslide = probabilities[..., landslide_class] >= threshold
    return np.where(landslide, landslide_class, others.argmax(-1)).astype(np.uint8)


class ThresholdScores(NamedTuple):
    """The landslide scores of a threshold, or, as arrays, of all thresholds.

    Attributes:
        threshold: t: landslide where P(landslide) ≥ t.
        precision: TP / (TP + FP); NaN where nothing is predicted.
        recall: TP / (TP + FN).
        f1: 2·TP / (2·TP + FP + FN).

    Example:
        >>> from landslide_tf import metrics
        >>> scores = metrics.ThresholdScores(0.4, precision=0.5, recall=1.0, f1=2 / 3)
        >>> scores.recall
        1.0
    """

    threshold: float | FloatArray
    precision: float | FloatArray
    recall: float | FloatArray
    f1: float | FloatArray

    def at(self, place: int) -> ThresholdScores:
        """Returns the scores of one threshold of all.

        Args:
            place: Its position.

        Returns:
            Its scores as numbers.
        """
        return ThresholdScores(*(float(np.asarray(v)[place]) for v in self))


class ThresholdAccumulator(Accumulator):
    """Counts landslide probabilities of landslide and of other pixels on the host.

    The thresholds are k / bins for k = 0..bins. Under the rule of `decide`, landslide
    where P(landslide) ≥ t, the landslide scores at each of them are exact whatever the
    number of classes; the comparison runs in the probabilities' own dtype, as there.
    Halves merge by addition: batches, tiles and processes may be counted apart.

    With a temperature, give the probabilities after it: of more than two classes,
    pixels change their order.

    Args:
        landslide_class: Index of the landslide class, or `"sigmoid"`.
        bins: Number of steps from 0 to 1.
        ignore_value: Label of pixels that never count; None ignores nothing.

    Raises:
        DataError: If `bins` is below 2.

    Example:
        >>> from landslide_tf import metrics
        >>> counts = metrics.ThresholdAccumulator("sigmoid", bins=10)
        >>> counts.update([[0.15], [0.35], [0.85]], [0, 1, 1])
        >>> best = counts.best()
        >>> best.threshold, best.f1
        (0.2, 1.0)
    """

    arguments = ("landslide_class", "bins", "ignore_value")
    sums = ("counts",)

    def __init__(
        self,
        landslide_class: LandslideClass,
        bins: int = 1000,
        ignore_value: int | None = 255,
    ) -> None:
        if bins < 2:
            raise DataError(
                f"Expected `bins` of at least 2, received {bins}; 1000 is the usual "
                "choice."
            )
        self.landslide_class = landslide_class
        self.bins = bins
        self.ignore_value = ignore_value
        # Rows: other, landslide. Column k: at or above threshold k, below the next.
        self.counts: IntArray = np.zeros((2, bins + 1), np.int64)

    def update(self, probabilities: ArrayLike, labels: ArrayLike) -> None:
        """Adds the pixels of one batch, tile or scene.

        Args:
            probabilities: Shape (..., classes), or (..., 1) for `"sigmoid"`.
            labels: Integer classes, (...) or (..., 1).

        Raises:
            DataError: If the arrays do not fit each other or hold impossible values;
                nothing is counted then.
            ModelError: If `landslide_class` does not fit the number of channels.
        """
        values, classes = labelled_probabilities(
            probabilities, labels, self.ignore_value
        )
        landslide = values[:, self._channel(values.shape[-1])]
        edges = (np.arange(self.bins + 1) / self.bins).astype(values.dtype)
        column = np.searchsorted(edges, landslide, side="right") - 1
        truth = classes == landslide_index(self.landslide_class)
        cells = truth * (self.bins + 1) + column
        counts = np.bincount(cells, minlength=self.counts.size)
        self.counts = self.counts + counts.reshape(self.counts.shape)

    def curve(self) -> ThresholdScores:
        """Returns the landslide scores of every threshold.

        Returns:
            Arrays of shape (bins + 1,), thresholds ascending; 0/0 is NaN.
        """
        fp, tp = self._at_or_above()
        reference = tp[0]
        with np.errstate(invalid="ignore"):
            return ThresholdScores(
                threshold=np.arange(self.bins + 1) / self.bins,
                precision=tp / (tp + fp),
                recall=tp / reference,
                f1=2 * tp / (reference + tp + fp),
            )

    def best(self) -> ThresholdScores | None:
        """Returns the threshold with the highest landslide F1.

        Equal neighbours form a run, as where no pixel lies between two thresholds; the
        answer is the middle of the longest run, the lower of two.

        Returns:
            The threshold and its scores; None if landslide or other pixels are
            missing, which leaves nothing to tell apart.
        """
        place = self._best_place()
        return None if place is None else self.curve().at(place)

    def _best_place(self) -> int | None:
        if not self.counts.any(axis=1).all():
            return None
        f1 = np.asarray(self.curve().f1)
        best = np.concatenate([[False], f1 == f1.max(), [False]])
        starts, stops = np.flatnonzero(np.diff(best)).reshape(-1, 2).T
        longest = np.argmax(stops - starts)
        return int(starts[longest] + stops[longest] - 1) // 2

    def _at_or_above(self) -> IntArray:
        """Returns the pixels that each threshold calls landslide: (FP, TP)."""
        return self.counts[:, ::-1].cumsum(axis=1)[:, ::-1]

    def _channel(self, channels: int) -> int:
        if self.landslide_class == "sigmoid":
            fits, channel = channels == 1, 0
        else:
            channel = self.landslide_class
            fits = channels > 1 and 0 <= channel < channels
        if not fits:
            raise ModelError(
                f"Expected probabilities for `landslide_class={self.landslide_class!r}`"
                f", received {counted(channels, 'channel')}; correct it in the "
                "metadata."
            )
        return channel


def best_threshold(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    landslide_class: LandslideClass,
    bins: int = 1000,
    ignore_value: int | None = 255,
) -> ThresholdScores | None:
    """Returns the threshold with the highest landslide F1 on pixels in memory.

    Args:
        probabilities: Shape (..., classes), or (..., 1) for `"sigmoid"`.
        labels: Integer classes, (...) or (..., 1).
        landslide_class: Index of the landslide class, or `"sigmoid"`.
        bins: Number of steps from 0 to 1.
        ignore_value: Label of pixels that never count; None ignores nothing.

    Returns:
        The threshold and its scores, see `ThresholdAccumulator.best`; None if
        landslide or other pixels are missing.

    Raises:
        DataError: If the arrays do not fit each other or hold impossible values.
        ModelError: If `landslide_class` does not fit the number of channels.

    Example:
        >>> from landslide_tf import metrics
        >>> probabilities = [[0.85, 0.15], [0.65, 0.35], [0.15, 0.85]]
        >>> best = metrics.best_threshold(
        ...     probabilities, [0, 1, 1], landslide_class=1, bins=10
        ... )
        >>> best.threshold, best.f1
        (0.2, 1.0)
    """
    accumulator = ThresholdAccumulator(landslide_class, bins, ignore_value)
    accumulator.update(probabilities, labels)
    return accumulator.best()


def standard_error_threshold(
    images: Sequence[ThresholdAccumulator],
) -> ThresholdScores | None:
    """Returns the threshold nearest to 0.5 whose F1 cannot be told from the best.

    The highest F1 of few images is often that of a threshold that does harm elsewhere.
    This is the one-standard-error rule: of all thresholds whose landslide F1 is less
    than one standard error below the highest, the one nearest to 0.5. The error is that
    of the difference between the two over the images, by the delta method; it shrinks
    as images are added, and the choice then tends to that of `best_threshold`.

    Args:
        images: The counts of each image, 16 KiB for an image at 1000 bins.

    Returns:
        The threshold and its scores over all images; 0.5 for a single image, which has
        no error; None if landslide or other pixels are missing.

    Raises:
        DataError: If the counts have other arguments.

    Source:
        Breiman et al. 1984, Classification and Regression Trees, section 3.4.3 (the
        rule, there for the size of a tree).

    Example:
        Only one image of three would gain from the threshold with the best F1, 0.2:

        >>> from landslide_tf import metrics
        >>> images = [metrics.ThresholdAccumulator("sigmoid", bins=10) for _ in "abc"]
        >>> for image, landslide in zip(images, (0.35, 0.85, 0.85)):
        ...     image.update([[0.15], [landslide]], [0, 1])
        >>> chosen = metrics.standard_error_threshold(images)
        >>> chosen.threshold, chosen.f1
        (0.5, 0.8)
    """
    counted_images = [image for image in images if image.counts.any()]
    if not counted_images:
        return None
    total = functools.reduce(operator.add, counted_images)
    place, curve = total._best_place(), total.curve()
    if place is None:
        return None
    f1 = np.asarray(curve.f1)
    fp, tp = total._at_or_above()
    everything = tp[0] + tp + fp
    squares = np.zeros_like(f1)
    for image in counted_images:
        fp, tp = image._at_or_above()
        moves = (2 * tp - f1 * (tp[0] + tp + fp)) / everything
        squares += (moves - moves[place]) ** 2
    number = len(counted_images)
    if number == 1:
        squares += np.inf
    error = np.sqrt(squares * number / max(number - 1, 1))
    like_best = np.flatnonzero(f1[place] - f1 <= error)
    chosen = like_best[np.abs(like_best / total.bins - 0.5).argmin()]
    return curve.at(chosen)

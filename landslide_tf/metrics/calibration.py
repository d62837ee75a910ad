"""Whether probabilities keep their word: confidence against accuracy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.errors import DataError, ModelError
from landslide_tf.metrics.decision import LandslideClass, decide, landslide_index
from landslide_tf.metrics.pixels import labelled_probabilities


class ReliabilityAccumulator:
    """Confidence against accuracy in bins of confidence, counted on the host.

    Of M bins of equal width, bin k holds the pixels with a confidence in
    (k/M, (k+1)/M], and 0 belongs to the first (Guo et al. 2017, equations 1 to 3).
    Halves merge by addition: batches, tiles and processes may be counted apart.

    Where landslides are rare, almost all confidence is about other ground: with
    `landslide_class` the bins hold P(landslide) and the share of landslide among the
    labels, whichever class was predicted.

    Args:
        bins: M.
        landslide_class: The class whose probability is judged, an index or `"sigmoid"`;
            None judges the predicted class, as `decide` without a threshold.
        ignore_value: Label of pixels that never count; None ignores nothing.

    Raises:
        DataError: If `bins` is below 1.
    """

    def __init__(
        self,
        bins: int = 15,
        landslide_class: LandslideClass | None = None,
        ignore_value: int | None = 255,
    ) -> None:
        if bins < 1:
            raise DataError(
                f"Expected `bins` of at least 1, received {bins}; 15 is the usual "
                "choice."
            )
        self.bins = bins
        self.landslide_class = landslide_class
        self.ignore_value = ignore_value
        self.pixels: IntArray = np.zeros(bins, np.int64)
        self.hits: IntArray = np.zeros(bins, np.int64)
        self.confidence: NDArray[np.float64] = np.zeros(bins)

    def update(self, probabilities: ArrayLike, labels: ArrayLike) -> None:
        """Adds the pixels of one batch, tile or scene.

        Args:
            probabilities: Shape (..., classes), or (..., 1) of sigmoid models.
            labels: Integer classes, (...) or (..., 1).

        Raises:
            DataError: If the arrays do not fit each other or hold impossible values;
                nothing is counted then.
            ModelError: If there is no channel of `landslide_class`.
        """
        values, classes = labelled_probabilities(
            probabilities, labels, self.ignore_value
        )
        confidence, hits = self._judge(values, classes)
        edges = np.linspace(0, 1, self.bins + 1)[1:-1]
        index = np.searchsorted(edges, confidence, side="left")
        self.pixels += np.bincount(index, minlength=self.bins)
        self.hits += np.bincount(index[hits], minlength=self.bins)
        self.confidence += np.bincount(index, confidence, minlength=self.bins)

    def _judge(
        self, values: FloatArray, classes: IntArray
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Returns each pixel's confidence, and whether it was a hit."""
        single = values.shape[-1] == 1
        predicted = decide(values, landslide_class="sigmoid" if single else 0)
        values = values.astype(np.float64)
        if single:
            values = np.concatenate([1 - values, values], axis=-1)
        if self.landslide_class is None:
            return values.max(axis=-1), predicted == classes
        index = landslide_index(self.landslide_class)
        if not 0 <= index < values.shape[-1]:
            raise ModelError(
                f"Expected `landslide_class` from 0 to {values.shape[-1] - 1}, "
                f"received {index}; correct it in the metadata."
            )
        return values[:, index], classes == index

    def merge(self, other: ReliabilityAccumulator) -> None:
        """Adds the counts of another accumulator.

        Args:
            other: Counts of other pixels with the same arguments.

        Raises:
            DataError: If the arguments differ.
        """
        mine = (self.bins, self.landslide_class, self.ignore_value)
        theirs = (other.bins, other.landslide_class, other.ignore_value)
        if mine != theirs:
            raise DataError(
                f"Expected counts of (bins, landslide class, ignore value) {mine}, "
                f"received {theirs}; merge only counts of one evaluation."
            )
        self.pixels += other.pixels
        self.hits += other.hits
        self.confidence += other.confidence

    def __add__(self, other: ReliabilityAccumulator) -> ReliabilityAccumulator:
        result = ReliabilityAccumulator(
            self.bins, self.landslide_class, self.ignore_value
        )
        result.merge(self)
        result.merge(other)
        return result

    @property
    def ece(self) -> float:
        """Expected calibration error Σ n_k/N · |acc_k − conf_k|; NaN if empty."""
        total = self.pixels.sum()
        gaps = np.abs(self.hits - self.confidence).sum()
        return float(gaps / total) if total else math.nan

    @property
    def mce(self) -> float:
        """Largest gap between accuracy and confidence of a bin; NaN if empty."""
        filled = self.pixels > 0
        gaps = np.abs(self.hits - self.confidence)[filled] / self.pixels[filled]
        return float(gaps.max()) if gaps.size else math.nan

    def table(self) -> list[dict[str, float | int | None]]:
        """Returns the reliability diagram as JSON values.

        Returns:
            One row a bin: `above` and `up_to` (its bounds), `pixels`, mean `confidence`
            and `accuracy`, both None in an empty bin.
        """
        rows: list[dict[str, float | int | None]] = []
        for k, pixels in enumerate(self.pixels.tolist()):
            rows.append(
                {
                    "above": k / self.bins,
                    "up_to": (k + 1) / self.bins,
                    "pixels": pixels,
                    "confidence": self.confidence[k] / pixels if pixels else None,
                    "accuracy": self.hits[k] / pixels if pixels else None,
                }
            )
        return rows


def expected_calibration_error(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    bins: int = 15,
    landslide_class: LandslideClass | None = None,
    ignore_value: int | None = 255,
) -> float:
    """Returns the expected calibration error of pixels in memory.

    Args:
        probabilities: Shape (..., classes), or (..., 1) of sigmoid models.
        labels: Integer classes, (...) or (..., 1).
        bins: Number of bins of confidence.
        landslide_class: See `ReliabilityAccumulator`.
        ignore_value: Label of pixels that never count; None ignores nothing.

    Returns:
        The error in [0, 1]; NaN without labelled pixels.

    Raises:
        DataError: If the arrays do not fit each other or hold impossible values.
        ModelError: If there is no channel of `landslide_class`.
    """
    accumulator = ReliabilityAccumulator(bins, landslide_class, ignore_value)
    accumulator.update(probabilities, labels)
    return accumulator.ece

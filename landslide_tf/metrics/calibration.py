"""Calibration: confidence against accuracy, and the temperature that mends it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.errors import DataError, ModelError
from landslide_tf.metrics.decision import LandslideClass, decide, landslide_index
from landslide_tf.metrics.pixels import (
    Accumulator,
    labelled_pixels,
    labelled_probabilities,
)

TEMPERATURES = (0.05, 20.0)
PIXELS = 200_000


class ReliabilityAccumulator(Accumulator):
    """Accumulates accuracy by bins of confidence, on the host.

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

    Example:
        >>> from landslide_tf import metrics
        >>> reliability = metrics.ReliabilityAccumulator(bins=10)
        >>> reliability.update([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]], [1, 0, 0])
        >>> round(reliability.ece, 3)
        0.4
    """

    arguments = ("bins", "landslide_class", "ignore_value")
    sums = ("pixels", "hits", "confidence")

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
        self.pixels = self.pixels + np.bincount(index, minlength=self.bins)
        self.hits = self.hits + np.bincount(index[hits], minlength=self.bins)
        weighed = np.bincount(index, confidence, minlength=self.bins)
        self.confidence = self.confidence + weighed

    def _judge(
        self, values: FloatArray, classes: IntArray
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Returns each pixel's confidence, and whether it was a hit."""
        single = values.shape[-1] == 1
        predicted = decide(values, landslide_class="sigmoid" if single else 0)
        exact = values.astype(np.float64)
        if single:
            exact = np.concatenate([1 - exact, exact], axis=-1)
        if self.landslide_class is None:
            return exact.max(axis=-1), np.equal(predicted, classes)
        index = landslide_index(self.landslide_class)
        if not 0 <= index < exact.shape[-1]:
            raise ModelError(
                f"Expected `landslide_class` from 0 to {exact.shape[-1] - 1}, "
                f"received {index}; correct it in the metadata."
            )
        return exact[:, index], np.equal(classes, index)

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
        return [
            {
                "above": k / self.bins,
                "up_to": (k + 1) / self.bins,
                "pixels": pixels,
                "confidence": self.confidence[k] / pixels if pixels else None,
                "accuracy": self.hits[k] / pixels if pixels else None,
            }
            for k, pixels in enumerate(self.pixels.tolist())
        ]


def expected_calibration_error(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    bins: int = 15,
    landslide_class: LandslideClass | None = None,
    ignore_value: int | None = 255,
) -> float:
    """Returns the expected calibration error of pixels.

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

    Example:
        >>> from landslide_tf import metrics
        >>> sure = [[0.0, 1.0], [0.0, 1.0]]
        >>> metrics.expected_calibration_error(sure, [1, 0])  # right in one of two
        0.5
    """
    accumulator = ReliabilityAccumulator(bins, landslide_class, ignore_value)
    accumulator.update(probabilities, labels)
    return accumulator.ece


def apply_temperature(probabilities: ArrayLike, temperature: float) -> FloatArray:
    """Returns the probabilities that logits divided by a temperature would have given.

    p_c^(1/T) / Σ p^(1/T), which is softmax(z/T) for p = softmax(z), and σ(z/T) for one
    channel p = σ(z) (Guo et al. 2017, section 4.2). The argmax stays.

    Args:
        probabilities: Shape (..., classes), or (..., 1) of sigmoid models; NaN stays.
        temperature: T > 0; above 1 makes less sure.

    Returns:
        Probabilities of the same shape, float64 for float64 and else float32.

    Raises:
        ModelError: If the temperature is not a positive number.

    Example:
        >>> from landslide_tf import metrics
        >>> metrics.apply_temperature([0.1, 0.9], 2.0).round(3).tolist()
        [0.25, 0.75]
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise ModelError(
            f"Expected a `temperature` above 0, received {temperature}; 1 changes "
            "nothing."
        )
    values = np.asarray(probabilities)
    if values.dtype != np.float64:
        values = values.astype(np.float32)
    single = values.shape[-1] == 1
    if single:
        values = np.concatenate([1 - values, values], axis=-1)
    with np.errstate(divide="ignore"):
        scaled = np.log(values) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    result = powers / powers.sum(axis=-1, keepdims=True)
    return result[..., 1:] if single else result


class LogitSample:
    """A bounded random sample of labelled pixels from a stream.

    Every pixel draws a number, the lowest stay: each has the same chance, and the same
    seed and order of pixels give the same sample, whatever the size of the batches.

    Args:
        size: Most pixels kept.
        seed: Seed of the draws.
        ignore_value: Label of pixels that never count; None ignores nothing.

    Raises:
        DataError: If `size` is below 1.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import metrics
        >>> sample = metrics.LogitSample(size=100)
        >>> for batch in np.random.default_rng(0).normal(size=(5, 64, 2)):
        ...     sample.update(batch, np.zeros(64, int))
        >>> sample.logits.shape
        (100, 2)
    """

    def __init__(
        self, size: int = PIXELS, seed: int = 0, ignore_value: int | None = 255
    ) -> None:
        if size < 1:
            raise DataError(
                f"Expected `size` of at least 1, received {size}; {PIXELS} is the "
                "usual choice."
            )
        self.size = size
        self.ignore_value = ignore_value
        self._random = np.random.default_rng(seed)
        self._draws: NDArray[np.float64] = np.empty(0)
        self.logits: FloatArray | None = None
        self.labels: IntArray = np.empty(0, np.int64)

    def update(self, logits: ArrayLike, labels: ArrayLike) -> None:
        """Offers the pixels of one batch, tile or scene.

        Args:
            logits: Shape (..., classes), or (..., 1) of sigmoid models; logarithms of
                probabilities do as well where there are two classes or more.
            labels: Integer classes, (...) or (..., 1).

        Raises:
            DataError: If the arrays do not fit each other or earlier ones, or hold
                impossible values.
        """
        values, classes = labelled_pixels(logits, labels, self.ignore_value, "logits")
        if values.shape[-1] == 1:
            values = np.concatenate([np.zeros_like(values), values], axis=-1)
        if self.logits is None:
            self.logits = values[:0]
        if values.shape[-1] != self.logits.shape[-1]:
            raise DataError(
                f"Expected logits of {self.logits.shape[-1]} classes as before, "
                f"received {values.shape[-1]}; sample one model."
            )
        draws = self._random.random(len(values))
        if self._draws.size == self.size:
            low = draws < self._draws.max()
            draws, values, classes = draws[low], values[low], classes[low]
        draws = np.concatenate([self._draws, draws])
        values = np.concatenate([self.logits, values])
        classes = np.concatenate([self.labels, classes])
        if draws.size > self.size:
            kept = np.sort(np.argpartition(draws, self.size - 1)[: self.size])
            draws, values, classes = draws[kept], values[kept], classes[kept]
        self._draws, self.logits, self.labels = draws, values, classes

    def negative_log_likelihood(self, temperature: float = 1.0) -> float:
        """Returns the mean of −ln softmax(z/T) of the sampled pixels' classes.

        Args:
            temperature: T > 0.

        Returns:
            The mean in nats.

        Raises:
            DataError: If no pixel has been sampled.
        """
        if self.logits is None or not self.labels.size:
            raise DataError(
                "Expected at least one labelled pixel to calibrate with, received "
                "none; give a validation split with labels."
            )
        scaled = self.logits.astype(np.float64) / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        chosen = np.take_along_axis(scaled, self.labels[:, None].astype(np.int64), 1)
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - chosen[:, 0]))

    def temperature(self) -> float:
        """Returns the temperature with the smallest negative log-likelihood.

        Returns:
            T in [0.05, 20]; near a bound where the likelihood only grows towards it, as
            with logits that are always right.

        Raises:
            DataError: If no pixel has been sampled.
        """
        found = minimize_scalar(
            lambda log: self.negative_log_likelihood(math.exp(log)),
            bounds=[math.log(bound) for bound in TEMPERATURES],
            method="bounded",
            options={"xatol": 1e-6},
        )
        # The search never tries its bounds themselves.
        tried = (math.exp(found.x), *TEMPERATURES)
        return min(tried, key=self.negative_log_likelihood)


def fit_temperature(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    ignore_value: int | None = 255,
    max_pixels: int = PIXELS,
    seed: int = 0,
) -> float:
    """Returns the temperature that calibrates logits best.

    T minimises the negative log-likelihood of softmax(z/T) (Guo et al. 2017, section
    4.2) on a seeded sample of the labelled pixels. For pixels that do not fit into
    memory feed a `LogitSample`.

    Args:
        logits: Shape (..., classes), or (..., 1) of sigmoid models.
        labels: Integer classes, (...) or (..., 1).
        ignore_value: Label of pixels that never count; None ignores nothing.
        max_pixels: Most pixels used.
        seed: Seed of the sample.

    Returns:
        T in [0.05, 20].

    Raises:
        DataError: If the arrays do not fit each other, hold impossible values or no
            label.

    Example:
        >>> from landslide_tf import metrics
        >>> logits = [[0.0, 4.0]] * 3 + [[4.0, 0.0]]  # sure, and right in three of four
        >>> temperature = metrics.fit_temperature(logits, [1, 1, 1, 1])
        >>> round(temperature, 2)
        3.64
    """
    sample = LogitSample(max_pixels, seed, ignore_value)
    sample.update(logits, labels)
    return sample.temperature()

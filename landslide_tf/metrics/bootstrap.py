"""Intervals for the difference of two models, from the counts of every image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.errors import DataError, check_choice
from landslide_tf.words import counted

# From confusion matrices (..., C, C), rows = reference, to one number each (...).
Statistic: TypeAlias = Callable[[FloatArray], FloatArray]

SCORES = (
    "landslide_iou",
    "landslide_f1",
    "landslide_precision",
    "landslide_recall",
    "mean_f1",
    "miou",
    "oa",
)
_CHUNK = 200  # resamples at once; bounds the memory


@dataclass(frozen=True)
class Interval:
    """An estimate with its percentile interval.

    Attributes:
        estimate: The value on the images as they are.
        low: Lower end.
        high: Upper end.

    Example:
        >>> from landslide_tf.metrics import Interval
        >>> interval = Interval(estimate=0.04, low=0.01, high=0.07)
        >>> interval.low > 0  # better beyond the choice of test images
        True
    """

    estimate: float
    low: float
    high: float


def score_of_matrices(
    matrices: IntArray | FloatArray, score: str, landslide: int
) -> FloatArray:
    """Computes one score of many confusion matrices.

    Args:
        matrices: Counts, shape (..., classes, classes), rows = reference.
        score: A name of `SCORES`, as in `metrics.Scores`.
        landslide: Index of the landslide class.

    Returns:
        Shape (...), fractions; 0/0 is NaN, `miou` and `mean_f1` are means over the
        classes where they are defined.

    Raises:
        DataError: If there is no such score.

    Example:
        >>> from landslide_tf import metrics
        >>> matrices = [[[90, 2], [3, 5]], [[80, 0], [0, 20]]]
        >>> metrics.score_of_matrices(matrices, "landslide_iou", landslide=1).tolist()
        [0.5, 1.0]
    """
    check_choice("score", score, SCORES)
    counts = np.asarray(matrices, np.float64)
    tp = np.diagonal(counts, axis1=-2, axis2=-1)
    predicted, reference = counts.sum(axis=-2), counts.sum(axis=-1)
    if score == "oa":
        return _ratio(tp.sum(axis=-1), reference.sum(axis=-1))
    either = predicted + reference - tp
    parts = {
        "iou": (tp, either),
        "f1": (2 * tp, predicted + reference),
        "precision": (tp, predicted),
        "recall": (tp, reference),
    }
    values = _ratio(*parts["iou" if score == "miou" else score.rpartition("_")[2]])
    if score.startswith("landslide"):
        return values[..., landslide]
    defined = either > 0
    return _ratio(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))


def paired_bootstrap(
    first: IntArray,
    second: IntArray,
    statistic: Statistic,
    *,
    samples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Estimates the difference of a statistic between two models, with its interval.

    Both models saw the same images. Images are drawn with replacement, the same ones
    for both, their counts are summed and the statistic taken of the sums; models with
    several runs count with the mean over their runs. The interval is that of the
    percentiles (Efron and Tibshirani 1993, An Introduction to the Bootstrap, section
    13.3). It says how far the difference depends on the choice of test images, not on
    the seeds of training.

    Args:
        first: Counts of the first model, shape (runs, images, classes, classes).
        second: Counts of the second one, shape (runs, images, classes, classes), the
            images in the same order; the numbers of runs may differ.
        statistic: From matrices (..., classes, classes) to values (...).
        samples: Number of resamples, >= 1.
        level: Share of resamples within the interval, in (0, 1).
        seed: Of the draws.

    Returns:
        The difference, second less first. Resamples in which it is undefined are left
        out; all NaN where none is left.

    Raises:
        DataError: If the models did not see the same number of images.

    Example:
        >>> import functools
        >>> import numpy as np
        >>> from landslide_tf import metrics
        >>> good, bad = [[90, 0], [2, 8]], [[90, 0], [6, 4]]
        >>> first = np.array([[bad, bad, good, bad]])  # one run on four images
        >>> second = np.array([[good, good, good, bad]])
        >>> iou = functools.partial(
        ...     metrics.score_of_matrices, score="landslide_iou", landslide=1
        ... )
        >>> interval = metrics.paired_bootstrap(first, second, iou, samples=200)
        >>> round(interval.estimate, 3), interval.low >= 0
        (0.2, True)
    """
    if first.shape[1] != second.shape[1] or not first.shape[1]:
        raise DataError(
            f"Expected counts of the same images, received {first.shape[1]} and "
            f"{counted(second.shape[1], 'image')}: evaluate both models on one data "
            "set."
        )
    images = first.shape[1]
    generator = np.random.default_rng(seed)
    differences = []
    for start in range(0, samples, _CHUNK):
        weights = generator.multinomial(
            images, np.full(images, 1 / images), size=min(_CHUNK, samples - start)
        )
        differences.append(_difference(first, second, weights, statistic))
    drawn = np.concatenate(differences)
    drawn = drawn[np.isfinite(drawn)]
    every = np.ones((1, images), int)
    estimate = float(_difference(first, second, every, statistic)[0])
    if not drawn.size:
        return Interval(estimate, np.nan, np.nan)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high))


def _difference(
    first: IntArray, second: IntArray, weights: IntArray, statistic: Statistic
) -> FloatArray:
    """Difference of the statistic for each row of image weights."""
    means = []
    for counts in (first, second):
        runs, images, classes, _ = counts.shape
        flat = counts.astype(np.float64).reshape(runs, images, classes * classes)
        summed = weights.astype(np.float64) @ flat
        values = statistic(summed.reshape(runs, len(weights), classes, classes))
        means.append(values.mean(axis=0))
    return means[1] - means[0]


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    safe = np.where(denominator > 0, denominator, 1)
    return np.where(denominator > 0, numerator / safe, np.nan)

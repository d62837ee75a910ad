"""Scores of classifiers that give a whole image landslide or not."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score

from landslide_tf.errors import DataError
from landslide_tf.metrics.calibration import ReliabilityAccumulator
from landslide_tf.metrics.pixels import labelled_probabilities
from landslide_tf.metrics.scores import ConfusionAccumulator

IMAGE_SCORES = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "auc",
    "average_precision",
    "ece",
    "mce",
    "brier",
    "nll",
)
BINS = 15
_SMALLEST = 1e-12


def image_scores(probabilities: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Scores the probabilities of whole images.

    Precision, recall and F1 are those of landslide and 0 where a denominator is 0, as
    in scikit-learn; a tie counts as non-landslide. The expected calibration error has
    15 bins (Guo et al. 2017, equation 3); Brier is the mean of (P(landslide) − y)²;
    `nll` is in nats, of probabilities of at least 1e-12.

    Args:
        probabilities: P(non-landslide), P(landslide) (images, 2).
        labels: 1 for landslide, 0 else (images,).

    Returns:
        `IMAGE_SCORES` by name; `auc` and `average_precision` are NaN where the images
        are all of one class.

    Raises:
        DataError: If the arrays do not fit each other, hold impossible values or no
            image.

    Example:
        >>> from landslide_tf import metrics
        >>> probabilities = [[0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]
        >>> scores = metrics.image_scores(probabilities, [1, 0, 0])
        >>> round(scores["precision"], 3), scores["recall"], scores["auc"]
        (0.5, 1.0, 1.0)
    """
    values, truth = labelled_probabilities(
        np.asarray(probabilities, np.float64), labels, None
    )
    if not len(values) or values.shape[-1] != 2:
        raise DataError(
            "Expected probabilities (images, 2) of at least one image, received shape "
            f"{np.shape(probabilities)}."
        )
    landslide = values[:, 1]
    matrix = image_confusion(values, truth)
    (tn, fp), (fn, tp) = matrix.tolist()
    precision = tp / (tp + fp) if tp + fp else 0.0
    recall = tp / (tp + fn) if tp + fn else 0.0
    both = 0 < truth.sum() < len(truth)
    reliability = ReliabilityAccumulator(BINS, ignore_value=None)
    reliability.update(values, truth)
    own = np.clip(np.take_along_axis(values, truth[:, None], 1), _SMALLEST, 1)
    return {
        "accuracy": (tp + tn) / len(truth),
        "precision": precision,
        "recall": recall,
        "f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0,
        "auc": float(roc_auc_score(truth, landslide)) if both else math.nan,
        "average_precision": float(average_precision_score(truth, landslide))
        if both
        else math.nan,
        "ece": reliability.ece,
        "mce": reliability.mce,
        "brier": float(np.mean((landslide - truth) ** 2)),
        "nll": float(-np.mean(np.log(own))),
    }


def image_confusion(probabilities: ArrayLike, labels: ArrayLike) -> np.ndarray:
    """Counts images by truth and decision.

    Args:
        probabilities: P(non-landslide), P(landslide) (images, 2); ties are
            non-landslide.
        labels: 1 for landslide, 0 else (images,).

    Returns:
        int64 (2, 2), rows = truth, in the order (non-landslide, landslide).

    Example:
        >>> from landslide_tf import metrics
        >>> probabilities = [[0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]
        >>> metrics.image_confusion(probabilities, [1, 0, 0]).tolist()
        [[1, 1], [0, 1]]
    """
    values = np.asarray(probabilities)
    accumulator = ConfusionAccumulator(2, ignore_value=None)
    decided = (values[:, 1] > values[:, 0]).astype(np.int64)
    accumulator.update(np.asarray(labels), decided)
    return accumulator.matrix

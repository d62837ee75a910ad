"""Scores under the names of the CAS Landslide benchmark."""

from __future__ import annotations

import math

import numpy as np

from landslide_tf.errors import DataError
from landslide_tf.metrics.scores import Scores

# In the order of the published table.
CAS_COLUMNS = ("precision", "recall", "iou", "f1", "miou", "oa")


def cas_scores(scores: Scores, landslide: int = 1) -> dict[str, float]:
    """Returns what the CAS Landslide benchmark prints, in percent.

    In its table (Xu et al. 2024, Scientific Data 11, 12; the data set's repository)
    precision, recall and IoU are those of the landslide class, while "F1 score" is the
    mean over the classes. All are of one matrix over all pixels; undefined classes are
    left out of means.

    Args:
        scores: Scores of all evaluated pixels, with `empty="nan"`.
        landslide: The landslide class.

    Returns:
        `CAS_COLUMNS` in order: `precision`, `recall` and `iou` of the landslide class,
        `f1` and `miou` (means over the classes), `oa`; then `f1_landslide` and `fwiou`,
        the IoU weighted by the classes' shares of the reference.

    Raises:
        DataError: If there is no such class.
    """
    classes = len(scores.class_names)
    if not 0 <= landslide < classes:
        raise DataError(
            f"Expected a `landslide` class from 0 to {classes - 1}, received "
            f"{landslide}; give the index of the landslide class."
        )
    own = scores.of_class(landslide)
    values = {
        "precision": own["precision"],
        "recall": own["recall"],
        "iou": own["iou"],
        "f1": scores.mean_f1,
        "miou": scores.miou,
        "oa": scores.oa,
        "f1_landslide": own["f1"],
        "fwiou": _frequency_weighted(scores),
    }
    return {name: 100.0 * value for name, value in values.items()}


def _frequency_weighted(scores: Scores) -> float:
    reference = scores.matrix.sum(axis=1)
    present = reference > 0
    if not present.any():
        return math.nan
    return float(np.average(scores.iou[present], weights=reference[present]))

"""What the region × step matrices of continual training say, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from landslide_tf.array_types import FloatArray, IntArray

RESAMPLES, LEVEL, BOOTSTRAP_SEED = 1000, 0.95, 0

# Scores of the last axes' matrices by name; those of single regions keep an axis.
ScoreArrays = dict[str, FloatArray]


def as_matrix(rows: Sequence[Sequence[float | None]]) -> FloatArray:
    """Returns a matrix of JSON as float64, null as NaN."""
    return np.array(rows, dtype=np.float64)


def continual_scores(
    own: FloatArray,
    *,
    zero_shot: FloatArray | None = None,
    fresh: FloatArray | None = None,
    untrained: FloatArray | None = None,
) -> ScoreArrays:
    """Computes forgetting, transfer and averages from region × step matrices.

    Lopez-Paz and Ranzato 2017 (backward and forward transfer); Chaudhry et al. 2018,
    section 3 (forgetting, intransigence).

    Args:
        own: (..., steps, regions), as many of both: score of region k's own decoder
            after step t; NaN for k > t and where it is not known.
        zero_shot: The same shape: score on region k before its turn, k > t.
        fresh: (..., regions): score of a model trained on the region alone.
        untrained: (..., regions): score of a model that is not trained.

    Returns:
        `final_average`, `new_region_average`, and with two regions or more `forgetting`
        (> 0 = lost), `forgetting_per_region` (..., regions - 1) and `bwt`; with `fresh`
        also `intransigence_per_region` and `gain_per_region` (the final score less the
        fresh one), both (..., regions), and `fwt_learn`; with `zero_shot` and
        `untrained` also `fwt_zero_shot`. NaN where a score is missing.
    """
    regions = own.shape[-1]
    last, new = own[..., -1, :], np.diagonal(own, axis1=-2, axis2=-1)
    found = {
        "final_average": last.mean(axis=-1),
        "new_region_average": new.mean(axis=-1),
    }
    if fresh is not None:
        found["intransigence_per_region"] = fresh - new
        found["gain_per_region"] = last - fresh
    if regions == 1:
        return found
    lost = [
        own[..., k : regions - 1, k].max(axis=-1) - last[..., k]
        for k in range(regions - 1)
    ]
    found["forgetting_per_region"] = np.stack(lost, axis=-1)
    found["forgetting"] = found["forgetting_per_region"].mean(axis=-1)
    found["bwt"] = (last - new)[..., :-1].mean(axis=-1)
    if fresh is not None:
        found["fwt_learn"] = (new - fresh)[..., 1:].mean(axis=-1)
    if zero_shot is not None and untrained is not None:
        before = np.diagonal(zero_shot, offset=1, axis1=-2, axis2=-1)
        found["fwt_zero_shot"] = (before - untrained[..., 1:]).mean(axis=-1)
    return found


def pooled(counts: IntArray | FloatArray, score: str) -> FloatArray:
    """Returns a score of counts; 1 where there is nothing and nothing was found.

    Args:
        counts: (..., 4): true positives, false positives, false negatives, true
            negatives.
        score: `"iou"` or `"f1"`.

    Returns:
        (...), fractions.
    """
    tp, fp, fn = (counts[..., k].astype(np.float64) for k in range(3))
    factor = 2 if score == "f1" else 1
    top, bottom = factor * tp, factor * tp + fp + fn
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1), 1.0)


def resampled_cell(
    cell: Mapping[str, Any], score: str, region: int, *, samples: int = RESAMPLES
) -> FloatArray:
    """Returns a score of a cell in every bootstrap resample of its images.

    Two cells of one region are resampled alike, whatever the method, step and seed.

    Args:
        cell: Of `matrix.json`: `counts`, one row an image.
        score: `"iou"` or `"f1"`.
        region: Index of the region whose images these are.
        samples: Number of resamples.

    Returns:
        (samples,), fractions.
    """
    counts = np.array(cell["counts"], np.int64).reshape(-1, 4)
    images = len(counts)
    generator = np.random.default_rng([BOOTSTRAP_SEED, region])
    weights = generator.multinomial(images, np.full(images, 1 / images), size=samples)
    return pooled(weights @ counts, score)


def interval(drawn: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns the percentile interval over the first axis, NaN where one is NaN.

    Efron and Tibshirani 1993, section 13.3.
    """
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high

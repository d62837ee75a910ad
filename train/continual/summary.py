"""What a comparison of continual methods says, as matrices with intervals."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.ecoregions import REGIONS
from landslide_tf.train.continual.matrix import MatrixFolder, MatrixRun, Record
from landslide_tf.train.continual.methods import METHODS
from landslide_tf.train.run.folder import versions

SCORES = ("iou", "f1")
RESAMPLES, LEVEL, BOOTSTRAP_SEED = 1000, 0.95, 0
REMARK = (
    "36 of the 39 desert pairs lie on one site in Arizona and 388 of the 400 mountain "
    "pairs in the Colorado Front Range: \u201cregion\u201d is largely \u201csite\u201d."
)

Summary = dict[str, Any]  # JSON values, NaN for undefined numbers


def summarize_matrix(planned: Sequence[MatrixRun], folder: str | Path) -> Summary:
    """Computes matrices, forgetting and transfer of the methods that are recorded.

    Args:
        planned: From `plan_matrix`.
        folder: Folder of the comparison.

    Returns:
        `title`, `regions`, `test_examples`, `seeds`, `bootstrap` (how intervals were
        made), `versions`, `revisions`, `remark`, `methods` and, where `fresh` is there,
        `cross` (its networks by region i on region j). Of each method `about`, and for
        `iou` and `f1`:
        `matrix` (by step and region, null where there is no decoder yet, last step only
        for those that train at once), `zero_shot` likewise before a region's turn, and
        `scores` by name; numbers with `mean` and `std` over seeds, `low` and `high` of
        the interval over test examples, and `values` by seed.
    """
    place = MatrixFolder(Path(folder))
    recipe = planned[0].recipe
    names = [section.name for section in recipe.arrivals()]
    found: dict[str, dict[int, Record]] = {}
    for run in planned:
        record = place.read(run)
        if record is not None:
            found.setdefault(run.method, {})[run.seed] = record
    records = [record for own in found.values() for record in own.values()]
    ecoregions = any("ecoregion_landslides" in r.data for r in recipe.regions)
    summary: Summary = {
        "title": recipe.description,
        "regions": names,
        "test_examples": [
            len(record["steps"][-1][name]["ids"])
            for record in records[:1]
            for name in names
        ],
        "seeds": list(dict.fromkeys(run.seed for run in planned)),
        "bootstrap": {"over": "test examples", "samples": RESAMPLES, "level": LEVEL},
        "versions": versions(),
        "revisions": sorted({record["revision"] for record in records} - {None}),
        "remark": REMARK if ecoregions and set(names) & set(REGIONS) else None,
        "methods": {
            method: {"about": METHODS[method], "seeds": list(own)}
            for method, own in found.items()
            if method != "fresh"
        },
    }
    for score in SCORES:
        drawn = {
            method: {s: _drawn(r["steps"], names, score) for s, r in own.items()}
            for method, own in found.items()
        }
        fresh = drawn.pop("fresh", {})
        alone = {
            seed: {
                "fresh": np.diagonal(values, axis1=-2, axis2=-1),
                "untrained": _drawn([found["fresh"][seed]["untrained"]], names, score)[
                    :, 0
                ],
            }
            for seed, values in fresh.items()
        }
        for method, values in drawn.items():
            summary["methods"][method][score] = _of_method(values, alone)
        if fresh:
            summary.setdefault("cross", {})[score] = _entry(fresh.values())
    return summary


# Numbers and their resamples: (resamples + 1, ...), the number itself first.
_Drawn: TypeAlias = FloatArray


def _drawn(
    steps: Sequence[Mapping[str, Any] | None], names: Sequence[str], score: str
) -> _Drawn:
    """Returns the scores of steps and regions, NaN where there is no cell."""
    found = np.full((RESAMPLES + 1, len(steps), len(names)), np.nan)
    for step, row in enumerate(steps):
        for region, name in enumerate(names):
            cell = (row or {}).get(name)
            if cell is not None:
                counts = np.array(cell["counts"]).sum(axis=0)
                found[0, step, region] = pooled(counts, score)
                found[1:, step, region] = resampled_cell(cell, score, region)
    return found


def _of_method(
    drawn: Mapping[int, _Drawn], alone: Mapping[int, dict[str, _Drawn]]
) -> Summary:
    """Returns one score of a method: by step and region, and what follows from it."""
    own, before, scores = [], [], []
    for seed, values in drawn.items():
        turn = np.tri(values.shape[-1], dtype=bool)
        own.append(np.where(turn, values, np.nan))
        before.append(np.where(turn, np.nan, values))
        known = alone.get(seed, {})
        scores.append(continual_scores(own[-1], zero_shot=before[-1], **known))
    # What some seeds lack is no mean over the seeds.
    names = [name for name in scores[0] if all(name in one for one in scores)]
    return {
        "matrix": _entry(own),
        "zero_shot": _entry(before),
        "scores": {name: _entry([one[name] for one in scores]) for name in names},
    }


def _entry(values: Collection[_Drawn]) -> Summary:
    """Returns mean and spread over seeds, and the interval over test examples."""
    stacked = np.stack(list(values))  # (seeds, resamples + 1, ...)
    low, high = interval(stacked[:, 1:].mean(axis=0))
    spread = stacked[:, 0].std(axis=0, ddof=1) if len(values) > 1 else None
    return {
        "mean": stacked[:, 0].mean(axis=0).tolist(),
        "std": None if spread is None else spread.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "values": stacked[:, 0].tolist(),
    }


def continual_scores(
    own: FloatArray,
    *,
    zero_shot: FloatArray | None = None,
    fresh: FloatArray | None = None,
    untrained: FloatArray | None = None,
) -> dict[str, FloatArray]:
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

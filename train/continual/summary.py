"""What a comparison of continual methods says, as matrices with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landslide_tf.array_types import FloatArray
from landslide_tf.ecoregions import REGIONS
from landslide_tf.train.continual.matrix import MatrixCell, MatrixFolder, Record
from landslide_tf.train.continual.method_options import METHODS
from landslide_tf.train.continual.scores import (
    LEVEL,
    RESAMPLES,
    continual_scores,
    interval,
    pooled,
    resampled_cell,
)
from landslide_tf.train.run.folder import versions

SCORES = ("iou", "f1")
REMARK = (
    "36 of the 39 desert pairs lie on one site in Arizona and 388 of the 400 mountain "
    "pairs in the Colorado Front Range: \u201cregion\u201d is largely \u201csite\u201d."
)

Summary = dict[str, Any]  # JSON values, NaN for undefined numbers


def summarize_matrix(planned: Sequence[MatrixCell], folder: str | Path) -> Summary:
    """Computes matrices, forgetting and transfer as far as methods are there.

    Args:
        planned: From `plan_matrix`.
        folder: Folder of the comparison.

    Returns:
        `title`, `regions`, `test_examples`, `seeds`, `bootstrap` (how intervals were
        made), `versions`, `revisions`, `remark`, `methods` and, where `fresh` is there,
        `cross` (its networks by region i on region j). Of each method `about`, and for
        `iou` and `f1`:
        `matrix` ([step][region], null where there is no decoder yet, last step only
        for those that train at once), `zero_shot` likewise before a region's turn, and
        `scores` by name; numbers with `mean` and `std` over seeds, `low` and `high` of
        the interval over test examples, and `values` by seed.
    """
    place = MatrixFolder(Path(folder))
    recipe = planned[0].recipe
    names = [section.name for section in recipe.arrivals()]
    records: dict[str, dict[int, Record]] = {}
    for cell in planned:
        record = place.read(cell)
        if record is not None:
            records.setdefault(cell.method, {})[cell.seed] = record
    tables = {
        m: {s: _Tables.of(m, r) for s, r in f.items()} for m, f in records.items()
    }
    fresh = tables.get("fresh", {})
    ecoregions = any("ecoregion_landslides" in r.data for r in recipe.regions)
    summary: Summary = {
        "title": recipe.description,
        "regions": names,
        "test_examples": _test_examples(records),
        "seeds": list(dict.fromkeys(cell.seed for cell in planned)),
        "bootstrap": {"over": "test examples", "samples": RESAMPLES, "level": LEVEL},
        "versions": versions(),
        "revisions": _revisions(records),
        "remark": REMARK if ecoregions and set(names) & set(REGIONS) else None,
        "methods": {},
    }
    for method, found in tables.items():
        if method != "fresh":
            own = _summary_of(found, fresh)
            summary["methods"][method] = {"about": METHODS[method], **own}
    if fresh:
        summary["cross"] = {
            score: _entry([t.all[score] for t in fresh.values()]) for score in SCORES
        }
    return summary


def _revisions(records: Mapping[str, Mapping[int, Record]]) -> list[str]:
    every = {r["revision"] for found in records.values() for r in found.values()}
    return sorted(every - {None})


def _test_examples(records: Mapping[str, Mapping[int, Record]]) -> list[int]:
    for found in records.values():
        for record in found.values():
            return [len(record["steps"][-1][n]["ids"]) for n in record["regions"]]
    return []


# A number and its resamples: (resamples + 1, ...), the number itself first.
_Drawn = FloatArray


@dataclass(frozen=True)
class _Tables:
    """Scores of one method and seed with their resamples.

    Attributes:
        all: By score (resamples + 1, steps, regions), NaN where there is no cell.
        untrained: The same of networks that are not trained (resamples + 1, regions).
    """

    all: dict[str, _Drawn]
    untrained: dict[str, _Drawn] | None

    @classmethod
    def of(cls, method: str, record: Record) -> _Tables:
        names = record["regions"]
        untrained = record["untrained"]
        return cls(
            {
                s: np.stack([_row(r, names, s) for r in record["steps"]], 1)
                for s in SCORES
            },
            {s: _row(untrained, names, s) for s in SCORES} if untrained else None,
        )

    def own(self, score: str) -> _Drawn:
        """Scores of regions that had their turn."""
        steps = np.arange(self.all[score].shape[-1])
        return np.where(steps[:, None] >= steps, self.all[score], np.nan)

    def zero_shot(self, score: str) -> _Drawn:
        """Scores of regions before their turn."""
        steps = np.arange(self.all[score].shape[-1])
        return np.where(steps[:, None] < steps, self.all[score], np.nan)


def _row(row: Mapping[str, Any] | None, names: Sequence[str], score: str) -> _Drawn:
    """Returns the scores of a step with their resamples."""
    found = np.full((RESAMPLES + 1, len(names)), np.nan)
    for k, name in enumerate(names):
        cell = (row or {}).get(name)
        if cell is not None:
            found[0, k] = pooled(np.array(cell["counts"]).sum(axis=0), score)
            found[1:, k] = resampled_cell(cell, score, k)
    return found


def _summary_of(found: Mapping[int, _Tables], fresh: Mapping[int, _Tables]) -> Summary:
    """Returns the part of one method."""
    summary: Summary = {"seeds": list(found)}
    for score in SCORES:
        drawn: dict[str, list[_Drawn]] = {}
        for seed, tables in found.items():
            alone = fresh.get(seed)
            scores = continual_scores(
                tables.own(score),
                zero_shot=tables.zero_shot(score),
                fresh=None if alone is None else _diagonal(alone.all[score]),
                untrained=None if alone is None else alone.untrained[score],
            )
            for name, values in scores.items():
                drawn.setdefault(name, []).append(values)
        summary[score] = {
            "matrix": _entry([t.own(score) for t in found.values()]),
            "zero_shot": _entry([t.zero_shot(score) for t in found.values()]),
            # What some seeds lack is no mean over the seeds.
            "scores": {n: _entry(v) for n, v in drawn.items() if len(v) == len(found)},
        }
    return summary


def _diagonal(values: _Drawn) -> _Drawn:
    return np.diagonal(values, axis1=-2, axis2=-1)


def _entry(values: Sequence[_Drawn]) -> Summary:
    """Returns mean and spread over seeds, and the interval over test examples."""
    stacked = np.stack(values)  # (seeds, resamples + 1, ...)
    low, high = interval(stacked[:, 1:].mean(axis=0))
    spread = stacked[:, 0].std(axis=0, ddof=1) if len(values) > 1 else None
    return {
        "mean": stacked[:, 0].mean(axis=0).tolist(),
        "std": None if spread is None else spread.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "values": stacked[:, 0].tolist(),
    }

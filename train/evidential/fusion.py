"""Branches calibrated, fused by every rule, and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import IntArray
from landslide_tf.errors import DataError
from landslide_tf.evidence import RULES, FusionResult, combine_branches, fuse_branches
from landslide_tf.evidence.fusion import Variant
from landslide_tf.metrics import (
    IMAGE_SCORES,
    ReliabilityAccumulator,
    apply_temperature,
    fit_temperature,
    image_confusion,
    image_scores,
    paired_bootstrap,
    score_of_matrices,
)
from landslide_tf.metrics.classification import BINS
from landslide_tf.train.evidential.branches import FUSED
from landslide_tf.train.evidential.predictions import CLASSES, BranchTable, Predictions

BASELINE = "original"
# Rules first, then the variants of the published fusion.
METHODS = RULES
_SMALLEST = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Method:
    """What one branch or one rule decides about the test images of one seed.

    Attributes:
        name: A branch or a rule.
        scores: `IMAGE_SCORES` by name.
        confusion: int64 (2, 2), rows = truth.
        reliability: Rows of the reliability diagram.
        correct: Confusion matrix of each image, (images, 2, 2).
    """

    name: str
    scores: dict[str, float]
    confusion: IntArray
    reliability: list[dict[str, Any]]  # as ReliabilityAccumulator.table gives them
    correct: IntArray


def fit_temperatures(validation: BranchTable) -> dict[str, float]:
    """Fits one temperature a branch (Guo et al. 2017, section 4.2).

    Args:
        validation: Softmax values of the branches on validation images.

    Returns:
        Temperature by branch, in [0.05, 20].

    Raises:
        DataError: If there is no image.
    """
    # Logarithms of softmax values are logits up to a constant.
    return {
        branch: fit_temperature(
            np.log(np.maximum(validation.of(branch), _SMALLEST)), validation.labels
        )
        for branch in validation.branches
    }


def calibrated(table: BranchTable, temperatures: Mapping[str, float]) -> BranchTable:
    """Returns the branches with softmax(logits / temperature)."""
    values = [apply_temperature(table.of(b), temperatures[b]) for b in table.branches]
    return replace(table, probabilities=np.stack(values, axis=1))


def fuse_table(
    table: BranchTable,
    variant: Variant = "inverse",
    branches: Sequence[str] = FUSED,
) -> tuple[Predictions, FusionResult]:
    """Fuses the branches of every image.

    Args:
        table: The branches, calibrated.
        variant: See `evidence.fuse_branches`.
        branches: Which of them to fuse.

    Returns:
        The fused predictions by image name, and everything the fusion gives.

    Raises:
        DataError: If a branch is missing, or the variant is unknown.
    """
    result = fuse_branches(_chosen(table, branches), variant)
    return Predictions(table.stems, table.labels, result.probabilities), result


def all_methods(table: BranchTable) -> dict[str, NDArray[np.float64]]:
    """Returns the probabilities (images, 2) of every branch and every rule."""
    found = {branch: table.of(branch) for branch in table.branches}
    chosen = _chosen(table, FUSED)
    for rule in METHODS:
        found[rule] = np.asarray(combine_branches(chosen, rule))
    return found


def _chosen(table: BranchTable, branches: Sequence[str]) -> NDArray[np.float64]:
    missing = [b for b in branches if b not in table.branches]
    if missing:
        raise DataError(
            f"Expected predictions of the branches {tuple(branches)}, received none of "
            f"`{missing[0]}`; train it with `landslide-tf evidential train`."
        )
    return np.stack([table.of(b) for b in branches], axis=1)


def score_methods(table: BranchTable) -> dict[str, Method]:
    """Scores every branch and every rule on the images of a table.

    Args:
        table: The branches, calibrated.

    Returns:
        By name: branches, then rules.

    Raises:
        DataError: If a branch that is fused is missing.
    """
    return {
        name: _scored(name, values, table.labels)
        for name, values in all_methods(table).items()
    }


def _scored(name: str, values: NDArray[np.float64], labels: IntArray) -> Method:
    # Sums of masses may miss 1 by rounding.
    values = values / values.sum(axis=-1, keepdims=True)
    reliability = ReliabilityAccumulator(BINS, ignore_value=None)
    reliability.update(values, labels)
    each = np.zeros((len(labels), 2, 2), np.int64)
    decided = (values[:, 1] > values[:, 0]).astype(int)
    each[np.arange(len(labels)), labels, decided] = 1
    return Method(
        name,
        image_scores(values, labels),
        image_confusion(values, labels),
        reliability.table(),
        each,
    )


def summarise(seeds: Sequence[Mapping[str, Method]]) -> list[dict[str, Any]]:
    """Returns one row a method: mean and spread over seeds, interval over images.

    Args:
        seeds: `score_methods` of each seed, on the same images.

    Returns:
        Rows with `method`; for each of `IMAGE_SCORES` the mean and `<score>_sd`, the
        sample deviation over seeds (None for one seed); `confusion`, summed over the
        seeds; `difference`, `low` and `high`: accuracy less that of the branch
        `original`, its 95 % interval over images drawn with replacement (None where
        there is no such branch).

    Raises:
        DataError: If the seeds are not of the same images or methods.
    """
    names = list(seeds[0])
    for methods in seeds[1:]:
        if list(methods) != names or len(methods[names[0]].correct) != len(
            seeds[0][names[0]].correct
        ):
            raise DataError(
                "Expected the same branches and test images in every folder; give "
                "folders that differ in their seed alone."
            )
    rows = []
    for name in names:
        row: dict[str, Any] = {"method": name}
        for score in IMAGE_SCORES:
            values = np.array([methods[name].scores[score] for methods in seeds])
            row[score] = float(values.mean())
            spread = values.std(ddof=1) if len(values) > 1 else None
            row[f"{score}_sd"] = None if spread is None else float(spread)
        matrices = [methods[name].confusion for methods in seeds]
        row["confusion"] = np.sum(matrices, axis=0).tolist()
        row |= _difference(seeds, name)
        rows.append(row)
    return rows


def _difference(
    seeds: Sequence[Mapping[str, Method]], name: str
) -> dict[str, float | None]:
    if BASELINE not in seeds[0] or name == BASELINE:
        return dict.fromkeys(("difference", "low", "high"))
    first, second = (
        np.stack([methods[method].correct for methods in seeds])
        for method in (BASELINE, name)
    )
    found = paired_bootstrap(
        first, second, lambda m: score_of_matrices(m, "oa", CLASSES.index("landslide"))
    )
    return {"difference": found.estimate, "low": found.low, "high": found.high}

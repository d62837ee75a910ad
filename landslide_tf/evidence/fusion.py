"""Fusion of the class probabilities of several branches of one network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from landslide_tf.array_types import IntArray, Tensor
from landslide_tf.choices import Variant
from landslide_tf.errors import DataError, check_choice
from landslide_tf.evidence.masses import Masses, Values, pignistic
from landslide_tf.evidence.rules import dempster, murphy, xiao

Rule: TypeAlias = Literal["probability_mean", "vote", "dempster", "murphy", "xiao"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
RULES: tuple[str, ...] = (*get_args(Rule), *VARIANTS)

CLASSES = ("non-landslide", "landslide")
SETS = (frozenset(CLASSES[:1]), frozenset(CLASSES[1:]), frozenset(CLASSES))
# Keeps every mass above 0: no logarithm of 0, no weights of 0 / 0.
OFFSET = 1e-13
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class FusionResult:
    """The fused decision of every image.

    Attributes:
        probabilities: P(non-landslide), P(landslide) (..., 2). A decision score: three
            branches at 0.6 give 0.824.
        label: 1 where P(landslide) > P(non-landslide), else 0; ties are 0 (...).
        weights: Share of each branch in the average (..., branches).
        conflict: 2 m(N) m(L) of the average, the conflict of its first combination
            with itself (...).
        vacuity: Mass of the whole frame after the last combination (...).

    Example:
        >>> from landslide_tf import evidence
        >>> result = evidence.fuse_branches([[0.4, 0.6], [0.4, 0.6], [0.4, 0.6]])
        >>> int(result.label), result.weights.round(3).tolist()
        (1, [0.333, 0.333, 0.333])
    """

    probabilities: Values
    label: IntArray
    weights: Values
    conflict: Values
    vacuity: Values


def fuse_branches(
    probabilities: ArrayLike, variant: Variant = "inverse"
) -> FusionResult:
    """Fuses branches by the method of doi 10.1109/JSTARS.2024.3354455.

    Each branch becomes masses [m(N), m(L), m(Θ)] and is sharpened; branches are
    weighted by exp(belief Jensen–Rényi divergence of the *other* branches) and a factor
    of their entropies; the weighted average is combined n − 1 times with itself by
    Dempster's rule; the whole frame's mass is halved between the classes.

    - `"inverse"`: entropy factor exp(−(Deng + Rényi)): decided branches count more.
    - `"released"`: Deng · Rényi as published; undecided branches count more, and two
      branches certain of a landslide beside one at ½ give a tie.
    - `"support"`: no entropy factor; `"mean"`: equal weights.

    The default, `"inverse"`, differs from the release: `variant="released"` gives the
    published fusion. It trusts a confidently wrong branch: calibrate branches first.

    Args:
        probabilities: Softmax values (..., branches, 2) of (non-landslide, landslide),
            at least two branches, rows of sum 1 within 1e-3.
        variant: Which weights.

    Returns:
        The decision, float64; the same for any order of the branches.

    Raises:
        DataError: If the probabilities or the variant are not valid.

    Example:
        >>> from landslide_tf import evidence
        >>> branches = [[0.1, 0.9], [0.3, 0.7], [0.6, 0.4]]
        >>> evidence.fuse_branches(branches).probabilities.round(3).tolist()
        [0.003, 0.997]
    """
    check_choice("variant", variant, VARIANTS)
    values = fuse(_checked(probabilities), variant)
    result = values["probabilities"]
    label = (result[..., 1] > result[..., 0]).astype(np.int64)
    return FusionResult(**values, label=label)


def combine_branches(probabilities: ArrayLike, rule: str) -> Values:
    """Combines the branches by any rule, for comparisons.

    Args:
        probabilities: As `fuse_branches` takes.
        rule: A variant of `fuse_branches`; `"dempster"`, `"murphy"` or `"xiao"` on the
            masses of the branches before sharpening; `"probability_mean"`; or `"vote"`,
            the share of branches with P(landslide) > P(non-landslide).

    Returns:
        P(non-landslide), P(landslide) (..., 2).

    Raises:
        DataError: If the probabilities or the rule are not valid.

    Example:
        >>> from landslide_tf import evidence
        >>> branches = [[0.1, 0.9], [0.3, 0.7], [0.6, 0.4]]
        >>> evidence.combine_branches(branches, "vote").round(3).tolist()
        [0.333, 0.667]
    """
    check_choice("rule", rule, RULES)
    values = _checked(probabilities)
    for variant in VARIANTS:
        if rule == variant:
            return fuse(values, variant)["probabilities"]
    if rule == "probability_mean":
        return values.mean(axis=-2)
    if rule == "vote":
        share = (values[..., 1] > values[..., 0]).mean(axis=-1)
        return np.stack([1 - share, share], axis=-1)
    rules = {"dempster": dempster, "murphy": murphy, "xiao": xiao}
    return pignistic(rules[rule](branch_masses(values)))


def branch_masses(probabilities: ArrayLike) -> list[Masses]:
    """Returns the masses of each branch, for the rules of this package.

    Args:
        probabilities: As `fuse_branches` takes.

    Returns:
        One source a branch, on the frame ("non-landslide", "landslide"), with masses
        (..., 3).

    Raises:
        DataError: If the probabilities are not valid.

    Example:
        >>> from landslide_tf import evidence
        >>> sources = evidence.branch_masses([[0.1, 0.9], [0.6, 0.4]])
        >>> [source.values.round(2).tolist() for source in sources]
        [[0.09, 0.84, 0.07], [0.46, 0.31, 0.23]]
    """
    values = _masses(_checked(probabilities), np, OFFSET)
    return [Masses(CLASSES, SETS, branch) for branch in np.moveaxis(values, -2, 0)]


def _checked(probabilities: ArrayLike) -> Values:
    values = np.asarray(probabilities, np.float64)
    if values.ndim < 2 or values.shape[-1] != 2 or values.shape[-2] < 2:
        raise DataError(
            "Expected `probabilities` of shape (..., branches, 2) with at least two "
            f"branches, received {values.shape}; stack the branches' softmax values."
        )
    if not np.all(values >= 0):
        raise DataError(
            f"Expected `probabilities` of at least 0, received {np.min(values)}; apply "
            "softmax to logits first."
        )
    gap = np.abs(values.sum(axis=-1) - 1)
    if not np.all(gap <= SUM_TOLERANCE):
        raise DataError(
            "Expected `probabilities` of (non-landslide, landslide) with a sum of 1, "
            f"received a sum that is {np.max(gap):.3g} away; apply softmax first."
        )
    return values


def fuse(
    probabilities: Tensor,
    variant: Variant,
    ops: ModuleType = np,
    offset: float = OFFSET,
) -> dict[str, Tensor]:
    """Fuses branches as `fuse_branches`, with the functions of an array library.

    Args:
        probabilities: Softmax values (..., branches, 2), not checked.
        variant: Which weights.
        ops: NumPy or `keras.ops`.
        offset: Added to every mass; what single precision keeps beside 1.

    Returns:
        The fields of `FusionResult` but `label`.
    """
    sharpened = _sharpened(_masses(probabilities, ops, offset), ops)
    weights = _weights(sharpened, variant, ops)
    mean = ops.sum(weights[..., None] * sharpened, axis=-2)
    fused = mean
    for _ in range(sharpened.shape[-2] - 1):
        fused = _combined(fused, mean, ops)
    return {
        "probabilities": fused[..., :2] + fused[..., 2:] / 2,
        "weights": weights,
        "conflict": 2 * mean[..., 0] * mean[..., 1],
        "vacuity": fused[..., 2],
    }


def _masses(p: Tensor, ops: ModuleType, offset: float) -> Tensor:
    """Returns [p_N, p_L, (1 − |p_N − p_L|) / e] + offset, normalised (..., n, 3)."""
    doubt = (1 - ops.abs(p[..., :1] - p[..., 1:])) / math.e
    # A row of sum 1.001 may be further apart than 1.
    masses = ops.concatenate([p, ops.maximum(doubt, 0.0)], axis=-1) + offset
    return _normalised(masses, ops)


def _sharpened(masses: Tensor, ops: ModuleType) -> Tensor:
    whole = masses[..., 2:]
    b = ops.concatenate([masses[..., :2] + whole / 2, whole], axis=-1)
    return _normalised(b * b, ops)


def _weights(masses: Tensor, variant: Variant, ops: ModuleType) -> Tensor:
    """Returns the weights (..., n) of sharpened masses (..., n, 3)."""
    renyi = _renyi(masses, ops)
    if variant == "mean":
        return _normalised(ops.ones_like(renyi), ops)
    gaps = []
    # Not by subtracting from a sum: that would cancel the small masses away.
    for i in range(masses.shape[-2]):
        others = [masses[..., :i, :], masses[..., i + 1 :, :]]
        others = ops.concatenate(others, axis=-2)
        mean = ops.mean(_renyi(others, ops), axis=-1)
        gaps.append(_renyi(ops.mean(others, axis=-2), ops) - mean)
    weights = _normalised(ops.exp(ops.stack(gaps, axis=-1)), ops)
    if variant == "support":
        return weights
    share = ops.concatenate([masses[..., :2], masses[..., 2:] / 3], axis=-1)
    deng = -ops.sum(masses * ops.log2(share), axis=-1)  # of sets of 1, 1, 2 classes
    if variant == "released":
        factors = _normalised(deng, ops) * _normalised(renyi, ops)
        return _normalised(weights * factors, ops)
    doubt = deng + renyi
    least = ops.min(doubt, axis=-1, keepdims=True)
    return _normalised(weights * ops.exp(least - doubt), ops)


def _combined(first: Tensor, second: Tensor, ops: ModuleType) -> Tensor:
    """Returns Dempster's combination of masses (..., 3) of two classes."""
    classes = first[..., :2] * (second[..., :2] + second[..., 2:])
    classes = classes + first[..., 2:] * second[..., :2]
    whole = first[..., 2:] * second[..., 2:]
    return _normalised(ops.concatenate([classes, whole], axis=-1), ops)


def _renyi(masses: Tensor, ops: ModuleType) -> Tensor:
    """Returns Rényi's entropy (...) of order ½ of masses (..., 3), all above 0."""
    return 2 * ops.log2(ops.sum(ops.sqrt(masses), axis=-1))


def _normalised(x: Tensor, ops: ModuleType) -> Tensor:
    return x / ops.sum(x, axis=-1, keepdims=True)

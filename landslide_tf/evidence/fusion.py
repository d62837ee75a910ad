"""Fusion of the class probabilities of several branches of one network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from landslide_tf.array_types import IntArray
from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.evidence.divergences import jensen_renyi_of
from landslide_tf.evidence.entropies import deng_of, renyi_of
from landslide_tf.evidence.masses import Masses, Values
from landslide_tf.evidence.rules import dempster, murphy, xiao
from landslide_tf.evidence.transforms import pignistic

Variant: TypeAlias = Literal["inverse", "released", "support", "mean"]
Rule: TypeAlias = Literal["probability_mean", "vote", "dempster", "murphy", "xiao"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
RULES: tuple[str, ...] = (*get_args(Rule), *VARIANTS)

CLASSES = ("non-landslide", "landslide")
SETS = (frozenset(CLASSES[:1]), frozenset(CLASSES[1:]), frozenset(CLASSES))
SIZES = (1, 1, 2)
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
    """

    probabilities: Values
    label: IntArray
    weights: Values
    conflict: Values
    vacuity: Values


def fuse_branches(
    probabilities: ArrayLike, variant: Variant = "inverse"
) -> FusionResult:
    """Fuses branches as the release of doi 10.1109/JSTARS.2024.3354455 does.

    Each branch becomes masses [m(N), m(L), m(Θ)] and is sharpened; branches are
    weighted by exp(belief Jensen–Rényi divergence of the *other* branches) and a factor
    of their entropies; the weighted average is combined n − 1 times with itself by
    Dempster's rule; the whole frame's mass is halved between the classes.

    - `"inverse"`: entropy factor exp(−(Deng + Rényi)): decided branches count more.
    - `"released"`: Deng · Rényi as published; undecided branches count more, and two
      branches certain of a landslide beside one at ½ give a tie.
    - `"support"`: no entropy factor; `"mean"`: equal weights.

    `"inverse"` trusts a confidently wrong branch: calibrate branches first.

    Args:
        probabilities: Softmax values (..., branches, 2) of (non-landslide, landslide),
            at least two branches, rows of sum 1 within 1e-3.
        variant: Which weights.

    Returns:
        The decision, float64; the same for any order of the branches.

    Raises:
        DataError: If the probabilities or the variant are not valid.
    """
    if variant not in VARIANTS:
        raise DataError(
            f"`variant` cannot be `{variant}`.{did_you_mean(str(variant), VARIANTS)}"
        )
    sharpened = _sharpened(branch_values(probabilities))
    weights = _weights(sharpened, variant)
    mean = np.einsum("...n,...ns->...s", weights, sharpened)
    fused = mean
    for _ in range(weights.shape[-1] - 1):
        fused = _combined(fused, mean)
    vacuity = fused[..., 2]
    result = fused[..., :2] + vacuity[..., None] / 2
    return FusionResult(
        probabilities=result,
        label=(result[..., 1] > result[..., 0]).astype(np.int64),
        weights=weights,
        conflict=2 * mean[..., 0] * mean[..., 1],
        vacuity=vacuity,
    )


def combine_branches(probabilities: ArrayLike, rule: str) -> Values:
    """Applies any rule to the branches, for comparisons.

    Args:
        probabilities: As `fuse_branches` takes.
        rule: A variant of `fuse_branches`; `"dempster"`, `"murphy"` or `"xiao"` on the
            masses of the branches before sharpening; `"probability_mean"`; or `"vote"`,
            the share of branches with P(landslide) > P(non-landslide).

    Returns:
        P(non-landslide), P(landslide) (..., 2).

    Raises:
        DataError: If the probabilities or the rule are not valid.
    """
    if rule not in RULES:
        raise DataError(f"`rule` cannot be `{rule}`.{did_you_mean(str(rule), RULES)}")
    if rule in VARIANTS:
        return fuse_branches(probabilities, rule).probabilities
    values = _checked(probabilities)
    if rule == "probability_mean":
        return values.mean(axis=-2)
    if rule == "vote":
        share = (values[..., 1] > values[..., 0]).mean(axis=-1)
        return np.stack([1 - share, share], axis=-1)
    rules = {"dempster": dempster, "murphy": murphy, "xiao": xiao}
    return pignistic(rules[rule](branch_masses(values)))


def branch_masses(probabilities: ArrayLike) -> list[Masses]:
    """Returns the masses of each branch, for the rules of this room.

    Args:
        probabilities: As `fuse_branches` takes.

    Returns:
        One source a branch, on the frame ("non-landslide", "landslide"), with masses
        (..., 3).

    Raises:
        DataError: If the probabilities are not valid.
    """
    values = branch_values(probabilities)
    return [Masses(CLASSES, SETS, branch) for branch in np.moveaxis(values, -2, 0)]


def branch_values(probabilities: ArrayLike) -> Values:
    """Returns [p_N, p_L, (1 − |p_N − p_L|) / e] + 1e-13, normalised (..., n, 3)."""
    values = _checked(probabilities)
    doubt = (1 - np.abs(values[..., :1] - values[..., 1:])) / math.e
    # A row of sum 1.001 may be further apart than 1.
    masses = np.concatenate([values, np.maximum(doubt, 0.0)], axis=-1) + OFFSET
    return masses / masses.sum(axis=-1, keepdims=True)


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


def _sharpened(masses: Values) -> Values:
    half = masses[..., 2:] / 2
    squared = np.concatenate([masses[..., :2] + half, masses[..., 2:]], axis=-1) ** 2
    return squared / squared.sum(axis=-1, keepdims=True)


def _weights(sharpened: Values, variant: Variant) -> Values:
    """Returns the weights (..., n) of sharpened masses (..., n, 3)."""
    number = sharpened.shape[-2]
    branches = np.moveaxis(sharpened, -2, 0)
    if variant == "mean":
        weights = np.ones(sharpened.shape[:-1])
    else:
        others = [np.delete(branches, i, axis=0) for i in range(number)]
        weights = np.exp(np.stack([jensen_renyi_of(o) for o in others], axis=-1))
    if variant in ("inverse", "released"):
        deng, renyi = deng_of(sharpened, SIZES), renyi_of(sharpened)
        if variant == "inverse":
            doubt = deng + renyi
            weights = weights * np.exp(doubt.min(axis=-1, keepdims=True) - doubt)
        else:
            weights = weights / weights.sum(axis=-1, keepdims=True)
            weights = weights * (deng / deng.sum(axis=-1, keepdims=True))
            weights = weights * (renyi / renyi.sum(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def _combined(first: Values, second: Values) -> Values:
    """Returns Dempster's combination of masses (..., 3) of two classes."""
    whole = first[..., 2:] * second[..., 2:]
    classes = (
        first[..., :2] * (second[..., :2] + second[..., 2:])
        + first[..., 2:] * second[..., :2]
    )
    result = np.concatenate([classes, whole], axis=-1)
    return result / result.sum(axis=-1, keepdims=True)

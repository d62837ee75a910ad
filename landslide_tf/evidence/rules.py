"""Rules that combine several sources of evidence into one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from landslide_tf.errors import DataError, check_choice
from landslide_tf.evidence.masses import (
    FocalSet,
    Masses,
    TotalConflictError,
    Values,
    aligned,
    check_one_frame,
)
from landslide_tf.evidence.measures import deng_of, jensen_shannon_of
from landslide_tf.words import counted

InformationVolume: TypeAlias = Literal["exponential", "inverse"]

# Agreement below this is rounding: the masses then differ by nothing one could weigh.
_NO_CONFLICT = 1e-15


class Conjunction(NamedTuple):
    """What two sources agree on, before any normalisation.

    Attributes:
        sets: Non-empty intersections of the focal sets.
        values: Masses (..., sets); with the conflict their sum is 1.
        conflict: Mass (...) of the empty set, K.

    Example:
        >>> from landslide_tf import evidence
        >>> a, b = (
        ...     evidence.Masses.of({frozenset([name]): 1.0}, ["slide", "other"])
        ...     for name in ("slide", "other")
        ... )
        >>> float(evidence.conjunctive(a, b).conflict)
        1.0
    """

    sets: tuple[FocalSet, ...]
    values: Values
    conflict: Values


def conjunctive(first: Masses, second: Masses) -> Conjunction:
    """Multiplies masses and gives each product to the intersection of its two sets.

    (m ∩ n)(C) = Σ m(A) n(B) over A ∩ B = C (Shafer 1976, chapter 3).

    Args:
        first: Masses (..., sets).
        second: Masses on the same frame.

    Returns:
        The unnormalised masses and the conflict.

    Raises:
        DataError: If the frames or shapes differ.

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> a = evidence.Masses.of({slide: 0.8, whole: 0.2}, ["slide", "other"])
        >>> b = evidence.Masses.of({slide: 0.5, whole: 0.5}, ["slide", "other"])
        >>> both = evidence.conjunctive(a, b)
        >>> [sorted(focal) for focal in both.sets], both.values.round(3).tolist()
        ([['slide'], ['other', 'slide']], [0.9, 0.1])
    """
    check_one_frame([first, second])
    meets = [a & b for a in first.sets for b in second.sets]
    sets = tuple(dict.fromkeys(focal for focal in meets if focal))
    targets = np.zeros((len(meets), len(sets) + 1))
    for row, focal in enumerate(meets):
        targets[row, sets.index(focal) if focal else len(sets)] = 1
    try:
        products = first.values[..., :, None] * second.values[..., None, :]
    except ValueError as error:
        raise DataError(
            f"Expected sources for the same images, received masses of shapes "
            f"{first.values.shape} and {second.values.shape}; give both all images."
        ) from error
    values = products.reshape(*products.shape[:-2], -1) @ targets
    return Conjunction(sets, values[..., :-1], values[..., -1])


def dempster(sources: Sequence[Masses]) -> Masses:
    """Combines sources by the normalised conjunction (Dempster 1967).

    Args:
        sources: At least one, on one frame; the order does not matter.

    Returns:
        The combined masses.

    Raises:
        TotalConflictError: If the sources of an image contradict each other completely.
        DataError: If there is no source, or frames or shapes differ.

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> a = evidence.Masses.of({slide: 0.8, whole: 0.2}, ["slide", "other"])
        >>> b = evidence.Masses.of({slide: 0.5, whole: 0.5}, ["slide", "other"])
        >>> float(evidence.dempster([a, b]).belief(["slide"]).round(3))
        0.9
    """
    check_one_frame(sources)
    return reduce(_dempster_pair, sources)


def _dempster_pair(first: Masses, second: Masses) -> Masses:
    sets, values, _ = conjunctive(first, second)
    # The sum of what is left keeps the digits that 1 − K loses near total conflict.
    left = values.sum(axis=-1, keepdims=True)
    if not np.all(left > _NO_CONFLICT):
        raise TotalConflictError(
            "Expected sources that agree on something, received "
            f"{int(np.sum(left <= _NO_CONFLICT))} of {counted(left.size, 'image')} in "
            "total conflict; discount them, or use Yager's rule."
        )
    return Masses(first.frame, sets, values / left)


def yager(sources: Sequence[Masses]) -> Masses:
    """Combines sources with the conflict given to the whole frame (Yager 1987).

    Not associative: the sources are folded in their order.

    Args:
        sources: At least one, on one frame.

    Returns:
        The combined masses.

    Raises:
        DataError: If there is no source, or frames or shapes differ.

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> a = evidence.Masses.of({slide: 0.8, whole: 0.2}, ["slide", "other"])
        >>> b = evidence.Masses.of({slide: 0.5, whole: 0.5}, ["slide", "other"])
        >>> float(evidence.yager([a, b]).belief(["slide"]).round(3))
        0.9
    """
    check_one_frame(sources)
    return reduce(_yager_pair, sources)


def _yager_pair(first: Masses, second: Masses) -> Masses:
    sets, values, conflict = conjunctive(first, second)
    whole = frozenset(first.frame)
    parts = {focal: values[..., index] for index, focal in enumerate(sets)}
    parts[whole] = parts.get(whole, 0.0) + conflict
    return Masses.of(parts, first.frame)


def murphy(sources: Sequence[Masses]) -> Masses:
    """Combines the average of n sources n − 1 times with itself (Murphy 2000).

    Args:
        sources: At least one, on one frame; the order does not matter.

    Returns:
        The combined masses.

    Raises:
        DataError: If there is no source, or frames or shapes differ.

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> a = evidence.Masses.of({slide: 0.8, whole: 0.2}, ["slide", "other"])
        >>> b = evidence.Masses.of({slide: 0.5, whole: 0.5}, ["slide", "other"])
        >>> float(evidence.murphy([a, b]).belief(["slide"]).round(3))
        0.878
    """
    sets, values = aligned(sources)
    mean = Masses(sources[0].frame, sets, values.mean(axis=0))
    return dempster([mean] * len(sources))


def xiao(
    sources: Sequence[Masses], information_volume: InformationVolume = "exponential"
) -> Masses:
    """Combines the average weighted by `xiao_weights`, n − 1 times with itself.

    Xiao 2019 (Information Fusion 46), section 4.

    Args:
        sources: At least one, on one frame; the order does not matter.
        information_volume: See `xiao_weights`.

    Returns:
        The combined masses.

    Raises:
        DataError: If there is no source, frames or shapes differ, or the information
            volume is unknown.

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> a = evidence.Masses.of({slide: 0.8, whole: 0.2}, ["slide", "other"])
        >>> b = evidence.Masses.of({slide: 0.5, whole: 0.5}, ["slide", "other"])
        >>> float(evidence.xiao([a, b]).belief(["slide"]).round(3))
        0.837
    """
    weights = xiao_weights(sources, information_volume)
    sets, values = aligned(sources)
    mean = np.einsum("...n,n...s->...s", weights, values)
    return dempster([Masses(sources[0].frame, sets, mean)] * len(sources))


def xiao_weights(
    sources: Sequence[Masses], information_volume: InformationVolume = "exponential"
) -> Values:
    """Returns the weight of each source: credibility times information volume.

    The credibility is the normalised inverse of the mean belief Jensen–Shannon
    divergence to the other sources, equal where all agree (Xiao 2019, steps 1 to 7).

    Args:
        sources: At least one, on one frame.
        information_volume: `"exponential"` as published, exp(Deng entropy), which
            rewards undecided sources, or `"inverse"`, exp(−Deng entropy).

    Returns:
        Weights (..., sources) of sum 1.

    Raises:
        DataError: If there is no source, frames or shapes differ, or the information
            volume is unknown.

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> a = evidence.Masses.of({slide: 0.8, whole: 0.2}, ["slide", "other"])
        >>> b = evidence.Masses.of({slide: 0.5, whole: 0.5}, ["slide", "other"])
        >>> evidence.xiao_weights([a, b], "inverse").round(3).tolist()
        [0.68, 0.32]
    """
    check_choice("information_volume", information_volume, get_args(InformationVolume))
    sets, values = aligned(sources)
    number = len(sources)
    pairs = jensen_shannon_of(values[:, None], values[None, :])
    mean = np.moveaxis(pairs.sum(axis=0), 0, -1) / max(number - 1, 1)
    agree = np.any(mean <= _NO_CONFLICT, axis=-1, keepdims=True)
    support = 1 / np.where(agree, 1.0, mean)
    sign = 1 if information_volume == "exponential" else -1
    deng = np.moveaxis(deng_of(values, [len(focal) for focal in sets]), 0, -1)
    weights = support * np.exp(sign * deng)
    return weights / weights.sum(axis=-1, keepdims=True)

"""Entropies of masses, and divergences between sources of evidence, in bits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from landslide_tf.errors import DataError
from landslide_tf.evidence.masses import Masses, Values, aligned


def deng_entropy(masses: Masses) -> Values:
    """Returns −Σ m(A) log2(m(A) / (2^|A| − 1)) with 0 log 0 = 0 (Deng 2016).

    Args:
        masses: Masses of any frame.

    Returns:
        Bits (...), from 0 for one certain class to log2 Σ (2^|A| − 1).

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> ignorant = evidence.Masses.of({whole: 1.0}, ["slide", "other"])
        >>> float(evidence.deng_entropy(ignorant).round(3))  # log2(2² − 1)
        1.585
    """
    return deng_of(masses.values, [len(focal) for focal in masses.sets])


def renyi_entropy(masses: Masses, order: float = 0.5) -> Values:
    """Returns log2(Σ m(A)^order) / (1 − order) over the focal sets (Rényi 1961).

    Focal sets count as atoms: their sizes and overlaps do not matter.

    Args:
        masses: Masses of any frame.
        order: Above 0; 1 is Shannon's entropy, the limit.

    Returns:
        Bits (...), at least 0.

    Raises:
        DataError: If `order` is not above 0.

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> masses = evidence.Masses.of({slide: 0.5, whole: 0.5}, ["slide", "other"])
        >>> float(evidence.renyi_entropy(masses).round(3))
        1.0
    """
    return renyi_of(masses.values, order)


def deng_of(values: ArrayLike, sizes: ArrayLike) -> Values:
    """Returns Deng's entropy (...) of masses (..., sets) of sets of these sizes."""
    values = np.asarray(values, np.float64)
    parts = np.exp2(np.asarray(sizes, np.float64)) - 1
    # `+ 0.0` turns the minus zero of a certain source into zero.
    return -np.sum(x_log2(values, values / parts), axis=-1) + 0.0


def renyi_of(values: ArrayLike, order: float = 0.5) -> Values:
    """Returns Rényi's entropy (...) of weights (..., sets) of sum 1."""
    values = np.asarray(values, np.float64)
    if not 0 < order < math.inf:
        raise DataError(
            f"Expected a finite `order` above 0, received {order}; 0.5 is the released "
            "choice."
        )
    if order == 1:
        return -np.sum(x_log2(values, values), axis=-1) + 0.0
    return np.log2(np.sum(values**order, axis=-1)) / (1 - order)


def x_log2(factor: Values, argument: Values) -> Values:
    """Returns factor · log2(argument), 0 where the factor is 0."""
    return factor * np.log2(np.where(factor > 0, argument, 1.0))


def belief_jensen_renyi(sources: Sequence[Masses], order: float = 0.5) -> Values:
    """Returns R(mean of the masses) − mean of R(masses), R being Rényi's entropy.

    The divergence of the release of "Deep Evidential Remote Sensing Landslide Image
    Classification" (doi 10.1109/JSTARS.2024.3354455), which uses two sources and order
    ½. Symmetric, at least 0 for orders up to 1, 0 where all sources agree; not bounded
    by 1 with more than two focal sets. Focal sets count as atoms.

    Args:
        sources: At least one; a single source gives 0.
        order: Above 0.

    Returns:
        Bits (...).

    Raises:
        DataError: If there is no source, the frames or shapes differ, or `order` is
            not above 0.

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> a = evidence.Masses.of({slide: 0.8, whole: 0.2}, ["slide", "other"])
        >>> b = evidence.Masses.of({slide: 0.5, whole: 0.5}, ["slide", "other"])
        >>> float(evidence.belief_jensen_renyi([a, b]).round(4))
        0.0424
    """
    _, values = aligned(sources)
    return renyi_of(values.mean(axis=0), order) - renyi_of(values, order).mean(axis=0)


def belief_jensen_shannon(first: Masses, second: Masses) -> Values:
    """Returns ½ Σ m log2(2m/(m+n)) + n log2(2n/(m+n)) (Xiao 2019, equation 13).

    Args:
        first: Masses m (..., sets).
        second: Masses n on the same frame.

    Returns:
        Bits (...) in [0, 1]; 0 where both agree. Focal sets count as atoms.

    Raises:
        DataError: If the frames or shapes differ.

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> a = evidence.Masses.of({slide: 0.8, whole: 0.2}, ["slide", "other"])
        >>> b = evidence.Masses.of({slide: 0.5, whole: 0.5}, ["slide", "other"])
        >>> float(evidence.belief_jensen_shannon(a, b).round(4))
        0.0731
    """
    _, (m, n) = aligned([first, second])
    return jensen_shannon_of(m, n)


def jensen_shannon_of(m: Values, n: Values) -> Values:
    """Returns the belief Jensen–Shannon divergence (...) of masses (..., sets)."""
    total = np.where(m + n > 0, m + n, 1.0)
    terms = x_log2(m, 2 * m / total) + x_log2(n, 2 * n / total)
    return np.clip(0.5 * np.sum(terms, axis=-1), 0.0, 1.0)


def jousselme_distance(first: Masses, second: Masses) -> Values:
    """Returns √(½ (m − n)ᵀ D (m − n)), D = |A ∩ B| / |A ∪ B| (Jousselme et al. 2001).

    Unlike the divergences it sees that {a} is nearer to {a, b} than to {c}.

    Args:
        first: Masses m (..., sets).
        second: Masses n on the same frame.

    Returns:
        Distance (...) in [0, 1], a metric.

    Raises:
        DataError: If the frames or shapes differ.

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> a = evidence.Masses.of({slide: 0.8, whole: 0.2}, ["slide", "other"])
        >>> b = evidence.Masses.of({slide: 0.5, whole: 0.5}, ["slide", "other"])
        >>> float(evidence.jousselme_distance(a, b).round(4))
        0.2121
    """
    sets, (m, n) = aligned([first, second])
    overlap = np.array([[len(a & b) / len(a | b) for b in sets] for a in sets])
    gap = m - n
    squared = np.sum(gap * (gap @ overlap), axis=-1) / 2
    return np.sqrt(np.maximum(squared, 0.0))

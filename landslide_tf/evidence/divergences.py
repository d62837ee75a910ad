"""Divergences and distances between sources of evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from landslide_tf.evidence.entropies import renyi_of, x_log2
from landslide_tf.evidence.masses import Masses, Values, aligned


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
    """
    _, values = aligned(sources)
    return jensen_renyi_of(values, order)


def jensen_renyi_of(values: Values, order: float = 0.5) -> Values:
    """Returns the divergence (...) of masses (sources, ..., sets)."""
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
    """
    sets, (m, n) = aligned([first, second])
    overlap = np.array([[len(a & b) / len(a | b) for b in sets] for a in sets])
    gap = m - n
    squared = np.sum(gap * (gap @ overlap), axis=-1) / 2
    return np.sqrt(np.maximum(squared, 0.0))

"""Entropies of masses: how undecided a source of evidence is, in bits."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from landslide_tf.errors import DataError
from landslide_tf.evidence.masses import Masses, Values


def deng_entropy(masses: Masses) -> Values:
    """Returns −Σ m(A) log2(m(A) / (2^|A| − 1)) with 0 log 0 = 0 (Deng 2016).

    Args:
        masses: Masses of any frame.

    Returns:
        Bits (...), from 0 for one certain class to log2 Σ (2^|A| − 1).
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

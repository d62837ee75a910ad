"""Transforms of one source: discounting, pignistic probability, sharpening."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from landslide_tf.errors import DataError
from landslide_tf.evidence.masses import FocalSet, Masses, Values

# The subsets of a focal set become focal sets of the sharpened masses: 4095 of 12.
LARGEST_SET = 12


def discount(masses: Masses, reliability: ArrayLike) -> Masses:
    """Moves the share 1 − α of all evidence to the whole frame (Shafer 1976, ch. 11).

    Args:
        masses: Masses (..., sets).
        reliability: α in [0, 1], a number or one (...) for each image; 1 changes
            nothing, 0 leaves ignorance.

    Returns:
        Masses on the same frame.

    Raises:
        DataError: If a reliability is outside [0, 1] or does not fit the images.
    """
    alpha = np.asarray(reliability, np.float64)
    if not np.all((alpha >= 0) & (alpha <= 1)):
        raise DataError(
            f"Expected a `reliability` in [0, 1], received {reliability!r}; it is a "
            "fraction."
        )
    whole = frozenset(masses.frame)
    parts = masses.as_dict()
    try:
        result = {focal: alpha * value for focal, value in parts.items()}
        result[whole] = result.get(whole, 0.0) + 1 - alpha
        return Masses.of(result, masses.frame)
    except ValueError as error:
        raise DataError(
            "Expected a number or one `reliability` for each image of "
            f"{masses.values.shape[:-1]}, received shape {alpha.shape}; give one each."
        ) from error


def pignistic(masses: Masses) -> Values:
    """Returns BetP(x) = Σ m(A) / |A| over the sets A that hold x (Smets 1994).

    Args:
        masses: Masses (..., sets).

    Returns:
        Probabilities (..., classes) in the order of the frame.
    """
    shares = [
        [1 / len(focal) if element in focal else 0.0 for element in masses.frame]
        for focal in masses.sets
    ]
    return masses.values @ np.array(shares)


def sharpen(masses: Masses) -> Masses:
    """Squares the enhanced pignistic masses: b(A)² / Σ b².

    b(A) = Σ m(B) |A| / |B| over the sets B that contain A. For two classes this is
    what the release of doi 10.1109/JSTARS.2024.3354455 computes, [m(N) + m(Θ)/2,
    m(L) + m(Θ)/2, m(Θ)] squared and normalised; other frames are our generalisation.

    Args:
        masses: Masses (..., sets), of sets with at most 12 classes.

    Returns:
        Masses of all subsets of the focal sets.

    Raises:
        DataError: If a focal set is too large.
    """
    largest = max(len(focal) for focal in masses.sets)
    if largest > LARGEST_SET:
        raise DataError(
            f"Expected focal sets of at most {LARGEST_SET} classes, received one of "
            f"{largest}; sharpening gives mass to each of its subsets."
        )
    sets = tuple(dict.fromkeys(s for focal in masses.sets for s in _subsets(focal)))
    shares = [[len(a) / len(b) if a <= b else 0.0 for a in sets] for b in masses.sets]
    squared = (masses.values @ np.array(shares)) ** 2
    return Masses(masses.frame, sets, squared / squared.sum(axis=-1, keepdims=True))


def _subsets(focal: FocalSet) -> list[FocalSet]:
    members = sorted(focal, key=str)
    return [
        frozenset(chosen)
        for size in range(1, len(members) + 1)
        for chosen in combinations(members, size)
    ]

"""Basic belief assignments: masses of the subsets of a frame, and their transforms."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslide_tf.errors import DataError
from landslide_tf.words import counted

FocalSet: TypeAlias = frozenset[Hashable]
Values: TypeAlias = NDArray[np.float64]

SUM_TOLERANCE = 1e-9
# The subsets of a focal set become focal sets of the sharpened masses: 4095 of 12.
LARGEST_SET = 12


class TotalConflictError(DataError):
    """Sources that contradict each other completely cannot be combined.

    Example:
        >>> from landslide_tf import evidence
        >>> sure = [
        ...     evidence.Masses.of({frozenset([name]): 1.0}, ["slide", "other"])
        ...     for name in ("slide", "other")
        ... ]
        >>> try:
        ...     evidence.dempster(sure)
        ... except evidence.TotalConflictError as error:
        ...     print(str(error)[:41])
        Expected sources that agree on something,
    """


@dataclass(frozen=True, eq=False)
class Masses:
    """Belief assignments, one per image: the evidence for each set of classes.

    The focal sets are shared by all images, their masses are an array, so that every
    rule and measure works on all images at once (Shafer 1976, chapter 2).

    Attributes:
        frame: The mutually exclusive classes.
        sets: The focal sets, non-empty subsets of the frame; a set may have mass 0.
        values: Masses (..., sets), at least 0, of sum 1 within 1e-9.

    Raises:
        DataError: If the frame, a set or a mass is not valid.

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> masses = evidence.Masses.of({slide: 0.6, whole: 0.4}, ["slide", "other"])
        >>> float(masses.belief(["slide"])), float(masses.plausibility(["other"]))
        (0.6, 0.4)
    """

    frame: tuple[Hashable, ...]
    sets: tuple[FocalSet, ...]
    values: Values

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", np.asarray(self.values, np.float64))
        _check_sets(self.frame, self.sets)
        if self.values.ndim == 0 or self.values.shape[-1] != len(self.sets):
            raise DataError(
                f"Expected masses of shape (..., {len(self.sets)}), one for each focal "
                f"set, received {self.values.shape}; name every set once."
            )
        if not np.all(self.values >= 0):
            raise DataError(
                f"Expected masses of at least 0, received {np.min(self.values)}; a "
                "mass is a share of the evidence."
            )
        gap = np.abs(self.values.sum(axis=-1) - 1)
        if not np.all(gap <= SUM_TOLERANCE):
            raise DataError(
                f"Expected masses of sum 1, received a sum that is {np.max(gap):.3g} "
                "away; divide by the sum first."
            )

    @classmethod
    def of(
        cls, masses: Mapping[FocalSet, ArrayLike], frame: Iterable[Hashable]
    ) -> Masses:
        """Makes masses from a mapping of focal sets.

        Args:
            masses: Mass of each focal set, a number or an array (...) of all images.
            frame: The classes; `"ab"` is the frame of `"a"` and `"b"`.

        Returns:
            The masses.

        Raises:
            DataError: If the frame, a set or a mass is not valid.
        """
        arrays = [np.asarray(value, np.float64) for value in masses.values()]
        if not arrays:
            raise DataError("Expected at least one focal set, received none; add one.")
        values = np.stack(np.broadcast_arrays(*arrays), axis=-1)
        return cls(tuple(frame), tuple(masses), values)

    def as_dict(self) -> dict[FocalSet, Values]:
        """Returns the masses (...) of each focal set."""
        return {focal: self.values[..., index] for index, focal in enumerate(self.sets)}

    def belief(self, focal: Iterable[Hashable]) -> Values:
        """Returns Bel(A) (...), the mass of all subsets of A (Shafer 1976)."""
        wanted = frozenset(focal)
        return self._total([part <= wanted for part in self.sets])

    def plausibility(self, focal: Iterable[Hashable]) -> Values:
        """Returns Pl(A) (...), the mass of all sets that meet A (Shafer 1976)."""
        wanted = frozenset(focal)
        return self._total([bool(part & wanted) for part in self.sets])

    def _total(self, chosen: list[bool]) -> Values:
        return self.values @ np.array(chosen, np.float64)


def _check_sets(frame: tuple[Hashable, ...], sets: tuple[FocalSet, ...]) -> None:
    classes = frozenset(frame)
    if not frame or len(classes) != len(frame):
        raise DataError(
            f"Expected a `frame` of distinct classes, received {frame!r}; name each "
            "class once."
        )
    for focal in sets:
        if not isinstance(focal, frozenset) or not focal or not focal <= classes:
            shown = sorted(focal, key=str) if isinstance(focal, frozenset) else focal
            raise DataError(
                f"Expected focal sets that are non-empty frozensets of {frame!r}, "
                f"received {shown!r}; the empty set cannot have mass."
            )
    if len(set(sets)) != len(sets) or not sets:
        raise DataError(
            f"Expected distinct focal sets, received {len(sets)} with "
            f"{counted(len(sets) - len(set(sets)), 'repetition')}; add their masses up."
        )


def aligned(sources: Sequence[Masses]) -> tuple[tuple[FocalSet, ...], Values]:
    """Returns the union of the focal sets of several sources and all their masses.

    Args:
        sources: At least one; their leading shapes broadcast.

    Returns:
        The sets in order of first appearance, and the masses (sources, ..., sets).

    Raises:
        DataError: If there is no source, or frames or shapes do not fit.
    """
    check_one_frame(sources)
    sets = tuple(dict.fromkeys(focal for source in sources for focal in source.sets))
    try:
        shape = np.broadcast_shapes(*(s.values.shape[:-1] for s in sources))
    except ValueError as error:
        raise DataError(
            "Expected sources for the same images, received masses of shapes "
            f"{[s.values.shape for s in sources]}; give every source all images."
        ) from error
    values = np.zeros((len(sources), *shape, len(sets)))
    for row, source in zip(values, sources, strict=True):
        row[..., [sets.index(focal) for focal in source.sets]] = source.values
    return sets, values


def check_one_frame(sources: Sequence[Masses]) -> None:
    """Raises a DataError unless there are sources and all are of the same classes."""
    if not sources:
        raise DataError("Expected at least one source of evidence, received none.")
    frames = {frozenset(source.frame): source.frame for source in sources}
    if len(frames) > 1:
        raise DataError(
            f"Expected sources on one frame, received {list(frames.values())}; refine "
            "them to the same classes first."
        )


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

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> sure = evidence.Masses.of({slide: 1.0}, ["slide", "other"])
        >>> evidence.discount(sure, 0.9).values.round(3).tolist()
        [0.9, 0.1]
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

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> masses = evidence.Masses.of({slide: 0.6, whole: 0.4}, ["slide", "other"])
        >>> evidence.pignistic(masses).round(3).tolist()
        [0.8, 0.2]
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

    Example:
        >>> from landslide_tf import evidence
        >>> slide, whole = frozenset(["slide"]), frozenset(["slide", "other"])
        >>> masses = evidence.Masses.of({slide: 0.6, whole: 0.4}, ["slide", "other"])
        >>> sharpened = evidence.sharpen(masses)
        >>> float(sharpened.belief(["slide"]).round(3))
        0.762
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

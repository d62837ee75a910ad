"""Splits by scene that do not depend on order, and scenes that share ground."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from etils import epath

from landslide_tf.datasets.common.reading import read_table
from landslide_tf.errors import DataError, did_you_mean, warn
from landslide_tf.words import counted

SPLITS = ("train", "validation", "test")
Bounds = tuple[float, float, float, float]  # left, bottom, right, top

# Neighbours of a tiling share an edge, not ground: an overlap narrower than this part
# of the smaller footprint is rounding.
_ROUNDING = 1e-6


class SharedGroundWarning(UserWarning):
    """Examples of different splits show the same ground."""


def split_by_hash(
    ids: Iterable[str],
    seed: int,
    *,
    test: float = 0.2,
    validation: float = 0.1,
    groups: Iterable[Sequence[str]] = (),
) -> dict[str, tuple[str, ...]]:
    """Splits the scenes of a data set, whatever their order.

    Scenes are ordered by the SHA-256 of "seed:id"; the first become test, the next
    validation, the rest train, with counts rounded half up. Patches are cut after
    the split, so that those of one scene never part. Xia et al. 2021 do not print
    their split; this one replaces it.

    Args:
        ids: Names of the scenes (pairs of image and label), each once.
        seed: Seed of the split.
        test: Fraction of the test split, in [0, 1].
        validation: Fraction of the validation split; with `test` below 1.
        groups: Ids that must share a split, as `overlapping_footprints` finds them. A
            group goes where its first id would go, or to the next split with space for
            the whole group, so that test and validation never grow beyond their
            fractions.

    Returns:
        Ids by split, `train`, `validation` and `test`, each in ascending order.

    Raises:
        DataError: If an id comes twice, a group names an unknown id, or the fractions
            are not valid.
    """
    names = _checked_ids(ids)
    free = {
        "test": _count(test, "test", len(names)),
        "validation": _count(validation, "validation", len(names)),
    }
    if not test + validation < 1:
        raise DataError(
            f"Expected `test` and `validation` to sum to less than 1, received {test} "
            f"and {validation}; leave something to train on."
        )
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    order = {name: seeded_digest(seed, name) for name in names}
    units = _merged(names, groups)
    for unit in sorted(units, key=lambda unit: min(order[name] for name in unit)):
        found = next((part for part in free if len(unit) <= free[part]), "train")
        if found in free:
            free[found] -= len(unit)
        parts[found] += unit
    return {part: tuple(sorted(members)) for part, members in parts.items()}


def read_splits(path: epath.Path, names: Iterable[str], column: str) -> dict[str, str]:
    """Reads a user's own split.

    Args:
        path: CSV file with a header; the column `split` says `train`, `validation` (or
            `val`) or `test`.
        names: Ids that must have a split; others may be there.
        column: Column of the ids, named by what they are.

    Returns:
        Split by id.

    Raises:
        DataError: If the file is broken, names another split or leaves out an id.
    """
    rows = read_table(path, (column, "split"))
    chosen = {row[column].strip(): row["split"].strip() for row in rows}
    chosen = {k: "validation" if v == "val" else v for k, v in chosen.items()}
    for name, word in chosen.items():
        if word not in SPLITS:
            raise DataError(
                f"`{path}` must name train, val or test for every {column}, received "
                f"`{word}` for `{name}`.{did_you_mean(word, SPLITS)}"
            )
    if missing := sorted(set(names) - chosen.keys()):
        raise DataError(
            f"`{path}` must name a split for every {column}, received none for "
            f"`{missing[0]}`, {len(missing)} in all; add them or remove the file."
        )
    return chosen


def overlapping_footprints(
    bounds: Mapping[str, Bounds],
) -> list[tuple[str, ...]]:
    """Groups scenes that show the same ground.

    Args:
        bounds: Left, bottom, right and top of each scene by its id, all in one
            coordinate system.

    Returns:
        Groups of two ids or more, ascending; ids of a group are linked by footprints
        that overlap. Footprints that only touch do not.

    Raises:
        DataError: If bounds are not finite or enclose nothing.
    """
    return [unit for unit in ground_units(bounds) if len(unit) > 1]


def ground_units(bounds: Mapping[str, Bounds]) -> list[tuple[str, ...]]:
    """Returns all scenes, those that show the same ground together.

    Args:
        bounds: As for `overlapping_footprints`.

    Returns:
        The groups of `overlapping_footprints`, and every other scene alone, ascending.

    Raises:
        DataError: If bounds are not finite or enclose nothing.
    """
    return _merged(sorted(bounds), overlapping_pairs(bounds))


def overlapping_pairs(bounds: Mapping[str, Bounds]) -> list[tuple[str, str]]:
    """Finds scenes that show the same ground.

    Args:
        bounds: As for `overlapping_footprints`.

    Returns:
        Pairs of ids, ascending. Footprints that only touch are no pair.

    Raises:
        DataError: If bounds are not finite or enclose nothing.
    """
    names = sorted(bounds)
    boxes = np.array([_checked_bounds(name, bounds[name]) for name in names])
    links = []
    for k, name in enumerate(names):
        others = boxes[k + 1 :]
        # Left and bottom of the common part, then right and top.
        low = np.maximum(boxes[k, :2], others[:, :2])
        high = np.minimum(boxes[k, 2:], others[:, 2:])
        sides = np.minimum(boxes[k, 2:] - boxes[k, :2], others[:, 2:] - others[:, :2])
        shared = (high - low > _ROUNDING * sides).all(axis=1)
        links += [(name, names[k + 1 + j]) for j in np.flatnonzero(shared)]
    return links


def warn_of_shared_ground(
    splits: Mapping[str, Iterable[str]], bounds: Mapping[str, Bounds]
) -> list[tuple[str, ...]]:
    """Warns where a given split lets training see the ground it is tested on.

    Args:
        splits: Ids by split.
        bounds: Left, bottom, right and top of the scenes by id, in one coordinate
            system; ids without bounds are not checked.

    Returns:
        The groups of `overlapping_footprints` whose ids lie in more than one split.

    Raises:
        DataError: If an id comes twice, or bounds are not finite or enclose nothing.
    """
    members = {split: tuple(names) for split, names in splits.items()}
    _checked_ids(name for names in members.values() for name in names)
    split_of = {name: split for split, names in members.items() for name in names}
    known = {name: bounds[name] for name in split_of if name in bounds}
    crossing = [
        group
        for group in overlapping_footprints(known)
        if len({split_of[name] for name in group}) > 1
    ]
    if crossing:
        first = ", ".join(f"`{name}` ({split_of[name]})" for name in crossing[0][:4])
        warn(
            "Scenes of different splits show the same ground, "
            f"{counted(len(crossing), 'group')} in all: {first}; put each group into "
            "one split, or scores on it are too good.",
            SharedGroundWarning,
        )
    return crossing


def _checked_ids(ids: Iterable[str]) -> list[str]:
    names = sorted(ids)
    if twice := [name for name, following in pairwise(names) if name == following]:
        raise DataError(
            f"Expected each id once, received `{twice[0]}` twice; name scenes apart."
        )
    return names


def _count(fraction: float, name: str, total: int) -> int:
    if not 0 <= fraction <= 1:
        raise DataError(
            f"Expected `{name}` to be a fraction from 0 to 1, received {fraction}."
        )
    # In decimals: 0.29 × 50 is below 14.5 in floating point.
    return math.floor(Fraction(str(float(fraction))) * total + Fraction(1, 2))


def seeded_digest(seed: int | str, name: str) -> str:
    """Returns the number, in hexadecimal, that orders names by chance."""
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _checked_bounds(name: str, bounds: Bounds) -> tuple[float, ...]:
    box = tuple(float(value) for value in bounds)
    if len(box) != 4 or not (
        all(map(math.isfinite, box)) and box[0] < box[2] and box[1] < box[3]
    ):
        raise DataError(
            f"Expected bounds of `{name}` as finite (left, bottom, right, top), "
            f"received {box}; check its georeference."
        )
    return box


def _merged(
    names: Sequence[str], groups: Iterable[Sequence[str]]
) -> list[tuple[str, ...]]:
    """Returns every name in one unit; groups that share a name are one unit."""
    unit_of = {name: frozenset([name]) for name in names}
    for group in groups:
        if unknown := sorted(set(group) - unit_of.keys()):
            raise DataError(
                f"Expected `groups` to hold ids of the data set, received "
                f"`{unknown[0]}`; give ids as they are in `ids`."
            )
        units = {unit_of[name] for name in group}
        if len(units) > 1:
            joined = frozenset().union(*units)
            unit_of |= dict.fromkeys(joined, joined)
    return sorted(tuple(sorted(unit)) for unit in set(unit_of.values()))

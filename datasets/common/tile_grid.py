"""Tiles of a regular grid: neighbours, and tiles that overlap by exactly a half."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np

Position = tuple[int, int]  # row and column of the grid, or of a corner
# Digests of a tile's quarters by the corner that they are in.
Quarters = Mapping[Position, bytes]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a tile lies in the picture it was cut from.

    Attributes:
        component: First tile, in order, of those that are linked.
        x: Column in steps of half a tile, from 0.
        y: Row in steps of half a tile, from 0.
    """

    component: str
    x: int
    y: int


def near(positions: Iterable[Position]) -> set[Position]:
    """Returns positions of a grid with their eight neighbours.

    Args:
        positions: Row and column of each.

    Returns:
        The positions and those around them.
    """
    around = (-1, 0, 1)
    return {(r + i, c + j) for r, c in positions for i in around for j in around}


def starts(length: int, size: int, stride: int) -> list[int]:
    """Returns where tiles begin along a side.

    Args:
        length: Rows or columns of the image, at least `size`.
        size: Rows or columns of a tile.
        stride: From tile to tile.

    Returns:
        First row or column of each: every `stride`, the last one moved inside.
    """
    last = length - size
    return [*range(0, last, stride), last]


def quarter_digests(image: np.ndarray) -> dict[Position, bytes]:
    """Returns the digests of a tile's quarters.

    Args:
        image: (H, W, bands), height and width even.

    Returns:
        SHA-256 by corner, (row, column) of 0 or 1, of each quarter that has any
        contrast: what is filled with one colour looks the same everywhere.
    """
    found = {}
    for row, half in enumerate(np.array_split(image, 2)):
        for column, quarter in enumerate(np.array_split(half, 2, axis=1)):
            if (quarter != quarter[:1, :1]).any():
                pixels = np.ascontiguousarray(quarter)
                found[row, column] = hashlib.sha256(pixels.data).digest()
    return found


def pairs_with_equal_quarters(
    digests: Mapping[str, Quarters],
) -> dict[tuple[str, str], float]:
    """Finds tiles that share ground.

    Args:
        digests: `quarter_digests` of each tile.

    Returns:
        Share of the tile that is common, by pair; pairs in order.
    """
    holders: dict[bytes, set[str]] = defaultdict(set)
    for name, corners in digests.items():
        for digest in corners.values():
            holders[digest].add(name)
    shared = Counter(
        pair for names in holders.values() for pair in combinations(sorted(names), 2)
    )
    return {pair: 0.25 * count for pair, count in sorted(shared.items())}


def rebuild_grid(digests: Mapping[str, Quarters]) -> tuple[dict[str, Place], int]:
    """Finds the places of tiles that were cut from one picture with half a tile's step.

    A quarter of one tile that equals another quarter of another tile tells where the
    two lie. Digests that one corner of several tiles has are ambiguous and left out.

    Args:
        digests: `quarter_digests` of each tile.

    Returns:
        Place of each tile, and the number of links that contradict it.
    """
    holders: dict[bytes, list[tuple[str, Position]]] = defaultdict(list)
    for name in sorted(digests):
        for corner, digest in digests[name].items():
            holders[digest].append((name, corner))
    links: dict[str, list[tuple[str, Position]]] = {n: [] for n in sorted(digests)}
    for held in holders.values():
        if len({corner for _, corner in held}) == len(held):
            for (one, p), (other, q) in combinations(held, 2):
                step = (p[0] - q[0], p[1] - q[1])  # from `one` to `other`
                links[one].append((other, step))
                links[other].append((one, (-step[0], -step[1])))
    places: dict[str, Place] = {}
    contradictions = 0
    for first in links:
        if first not in places:
            found, faults = _walk(first, links)
            contradictions += faults
            top, left = np.min(list(found.values()), axis=0).tolist()
            for name, (row, column) in found.items():
                places[name] = Place(first, column - left, row - top)
    return places, contradictions


def _walk(
    first: str, links: Mapping[str, list[tuple[str, Position]]]
) -> tuple[dict[str, Position], int]:
    """Returns (row, column) of all tiles that are linked, and the faulty links."""
    found = {first: (0, 0)}
    waiting = [first]
    faults = 0
    for name in waiting:  # grows on the way
        for other, step in links[name]:
            place = (found[name][0] + step[0], found[name][1] + step[1])
            if other not in found:
                found[other] = place
                waiting.append(other)
            elif found[other] != place:
                faults += 1
    return found, faults // 2

"""Tiles that overlap by exactly a half: what they share, and the grid they are from."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict, deque
from collections.abc import Hashable, Mapping
from itertools import combinations
from typing import Generic, TypeVar

import numpy as np

Name = TypeVar("Name", bound=Hashable)
Corner = tuple[int, int]  # row and column


@dataclasses.dataclass(frozen=True)
class Place(Generic[Name]):
    """Where a tile lies in the picture it was cut from.

    Attributes:
        component: First tile, in order, of those that are linked.
        x: Column in steps of half a tile, from 0.
        y: Row in steps of half a tile, from 0.
    """

    component: Name
    x: int
    y: int


def quarter_digests(image: np.ndarray) -> dict[Corner, bytes]:
    """Returns the digests of a tile's quarters.

    Args:
        image: (H, W, bands), height and width even.

    Returns:
        SHA-256 by corner, (row, column) of 0 or 1, of each quarter that has any
        contrast: what is filled with one colour looks the same everywhere.
    """
    found = {}
    for row, half in enumerate(_halves(image)):
        for column, quarter in enumerate(_halves(half.swapaxes(0, 1))):
            if (quarter != quarter[:1, :1]).any():
                pixels = np.ascontiguousarray(quarter)
                found[row, column] = hashlib.sha256(pixels.data).digest()
    return found


def pairs_with_equal_quarters(
    digests: Mapping[Name, Mapping[Corner, bytes]],
) -> dict[tuple[Name, Name], float]:
    """Finds tiles that share ground.

    Args:
        digests: `quarter_digests` of each tile.

    Returns:
        Share of the tile that is common, by pair; pairs in order.
    """
    holders: dict[bytes, set[Name]] = defaultdict(set)
    for name, corners in digests.items():
        for digest in corners.values():
            holders[digest].add(name)
    shares: dict[tuple[Name, Name], float] = defaultdict(float)
    for names in holders.values():
        for pair in combinations(sorted(names), 2):
            shares[pair] += 0.25
    return dict(sorted(shares.items()))


def rebuild_grid(
    digests: Mapping[Name, Mapping[Corner, bytes]],
) -> tuple[dict[Name, Place[Name]], int]:
    """Finds the places of tiles that were cut from one picture with half a tile's step.

    A quarter of one tile that equals another quarter of another tile tells where the
    two lie. Digests that one corner of several tiles has are ambiguous and left out.

    Args:
        digests: `quarter_digests` of each tile.

    Returns:
        Place of each tile, and the number of links that contradict it.
    """
    holders: dict[bytes, list[tuple[Name, Corner]]] = defaultdict(list)
    for name in sorted(digests):
        for corner, digest in digests[name].items():
            holders[digest].append((name, corner))
    links: dict[Name, list[tuple[Name, Corner]]] = {
        name: [] for name in sorted(digests)
    }
    for held in holders.values():
        if len({corner for _, corner in held}) < len(held):
            continue
        for (one, p), (other, q) in combinations(held, 2):
            step = (p[0] - q[0], p[1] - q[1])  # from `one` to `other`
            links[one].append((other, step))
            links[other].append((one, (-step[0], -step[1])))
    places: dict[Name, Place[Name]] = {}
    contradictions = 0
    for first in links:
        if first in places:
            continue
        found, faults = _walk(first, links)
        contradictions += faults
        top = min(row for row, _ in found.values())
        left = min(column for _, column in found.values())
        for name, (row, column) in found.items():
            places[name] = Place(first, column - left, row - top)
    return places, contradictions


def _walk(
    first: Name, links: Mapping[Name, list[tuple[Name, Corner]]]
) -> tuple[dict[Name, Corner], int]:
    """Returns (row, column) of all tiles that are linked, and the faulty links."""
    found = {first: (0, 0)}
    waiting = deque([first])
    faults = 0
    while waiting:
        name = waiting.popleft()
        for other, step in links[name]:
            place = (found[name][0] + step[0], found[name][1] + step[1])
            if other not in found:
                found[other] = place
                waiting.append(other)
            elif found[other] != place:
                faults += 1
    return found, faults // 2


def _halves(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle = len(image) // 2
    return image[:middle], image[middle:]

"""Tiles that overlap by exactly a half: what they share, and the grid they are from."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Mapping
from itertools import combinations
from typing import TypeVar

import numpy as np

Name = TypeVar("Name", bound=Hashable)
_Half = tuple[slice, slice]


def quarter_digests(image: np.ndarray) -> list[bytes]:
    """Returns the digests of a tile's quarters.

    Args:
        image: (H, W, bands), height and width even.

    Returns:
        SHA-256 of each quarter that has any contrast, four at most; what is filled
        with one colour looks the same everywhere.
    """
    found = []
    for half in _halves(image, 0):
        for quarter in _halves(image[half], 1):
            pixels = image[half][quarter]
            if (pixels != pixels[:1, :1]).any():
                found.append(hashlib.sha256(pixels.tobytes()).digest())
    return found


def pairs_with_equal_quarters(
    digests: Mapping[Name, list[bytes]],
) -> dict[tuple[Name, Name], float]:
    """Finds tiles that share ground.

    Args:
        digests: `quarter_digests` of each tile.

    Returns:
        Share of the tile that is common, by pair; pairs in order.
    """
    holders: dict[bytes, list[Name]] = defaultdict(list)
    for name in sorted(digests):
        for digest in set(digests[name]):
            holders[digest].append(name)
    shares: dict[tuple[Name, Name], float] = defaultdict(float)
    for names in holders.values():
        for pair in combinations(names, 2):
            shares[pair] += 0.25
    return dict(sorted(shares.items()))


def _halves(image: np.ndarray, axis: int) -> tuple[_Half, _Half]:
    middle = image.shape[axis] // 2
    first, second = slice(None, middle), slice(middle, None)
    whole = slice(None)
    if axis == 0:
        return (first, whole), (second, whole)
    return (whole, first), (whole, second)

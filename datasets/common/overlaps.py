"""Finding images that show the same pixels, however they were cut."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError

# An anchor is a run of pixels that is looked for everywhere.
_ROWS, _COLUMNS = 2, 16
_LATTICE = 24  # pixels between anchors
_LEAST_DEVIATION = 6.0  # grey levels of 255; flatter runs are found all over
_LEAST_HITS = 4  # at one common shift
_SHIFTS_VERIFIED = 8  # of a pair, those with the most hits first
_TABLE_BITS = 24

_COLUMN_BASE = 0x9E3779B97F4A7C15
_ROW_BASE = 0xC2B2AE3D27D4EB4F
_WORD = 2**64


@dataclasses.dataclass(frozen=True)
class Overlap:
    """Two images that show the same pixels.

    Attributes:
        first: Name of an image.
        second: Name of the other one, later in order.
        shift: Rows and columns; pixel (r, c) of `second` is pixel
            (r + shift[0], c + shift[1]) of `first`.
        overlap_share: Common rectangle, as a share of the smaller image.
        equal_share: Share of the rectangle's pixels that are equal.
    """

    first: str
    second: str
    shift: tuple[int, int]
    overlap_share: float
    equal_share: float


def find_overlaps(images: Mapping[str, np.ndarray]) -> list[Overlap]:
    """Finds all pairs of images that were cut from one picture.

    Runs of 2 x 16 pixels on a lattice of 24 pixels, with a standard deviation above 6
    grey levels, are looked for at every place of every other image. A pair with four
    hits or more at one shift is compared over the whole common rectangle and counts
    where more than half of its pixels are equal. Overlaps too small to hold four runs,
    and images that were resampled, turned or compressed anew, are not found.

    Args:
        images: One band (H, W) of each image by name, any size and real dtype;
            green of colour images. Grey levels count as they are with uint8 and as
            1/255 of an image's own range otherwise.

    Returns:
        Pairs, ordered by name.

    Raises:
        DataError: If an array is not (H, W).
    """
    names = sorted(images)
    bands = [np.asarray(images[name]) for name in names]
    if wrong := [name for name, b in zip(names, bands, strict=True) if b.ndim != 2]:
        raise DataError(
            f"Expected one band (height, width) of `{wrong[0]}`, received "
            f"{np.shape(images[wrong[0]])}."
        )
    anchors = _Anchors.of(bands)
    hits: Counter[tuple[int, int, int, int]] = Counter()
    for k, band in enumerate(bands):
        hits.update(anchors.hits(k, band))
    shifts: dict[tuple[int, int], list[tuple[int, tuple[int, int]]]] = {}
    for (i, j, row, column), count in hits.items():
        if count >= _LEAST_HITS:
            shifts.setdefault((i, j), []).append((count, (row, column)))
    found = []
    for (i, j), candidates in sorted(shifts.items()):
        candidates.sort(reverse=True)
        for _, shift in candidates[:_SHIFTS_VERIFIED]:
            overlap, equal = _compare(bands[i], bands[j], shift)
            if equal > 0.5:
                found.append(Overlap(names[i], names[j], shift, overlap, equal))
                break
    return found


@dataclasses.dataclass(frozen=True)
class _Anchors:
    """Hashes of all anchors in ascending order, with the place of each."""

    hashes: NDArray[np.uint64]
    places: NDArray[np.int64]  # (anchors, 3): image, row, column
    table: NDArray[np.bool_]  # by the leading bits: whether any hash begins so

    @classmethod
    def of(cls, bands: Sequence[np.ndarray]) -> _Anchors:
        """Collects the anchors of all images."""
        hashes = [np.empty(0, np.uint64)]
        places = [np.empty((0, 3), np.int64)]
        for k, band in enumerate(bands):
            if band.shape[0] < _ROWS or band.shape[1] < _COLUMNS:
                continue
            at = np.argwhere(_textured(band)) * _LATTICE
            found = _hashes(band)[at[:, 0], at[:, 1]]
            # What an image repeats says nothing about where it was cut.
            found, first, repeats = np.unique(
                found, return_index=True, return_counts=True
            )
            first = first[repeats == 1]
            hashes.append(found[repeats == 1])
            places.append(np.insert(at[first], 0, k, axis=1))
        joined = np.concatenate(hashes)
        order = np.argsort(joined, kind="stable")
        table = np.zeros(2**_TABLE_BITS, bool)
        table[_leading(joined)] = True
        return cls(joined[order], np.concatenate(places)[order], table)

    def hits(self, k: int, band: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
        """Yields (lower image, higher image, row, column) of each anchor found.

        Args:
            k: Number of the image that is looked through.
            band: That image.
        """
        if band.shape[0] < _ROWS or band.shape[1] < _COLUMNS:
            return
        hashes = _hashes(band)
        at = np.argwhere(self.table[_leading(hashes)])
        wanted = hashes[at[:, 0], at[:, 1]]
        low = np.searchsorted(self.hashes, wanted, "left")
        count = np.searchsorted(self.hashes, wanted, "right") - low
        # One line for each anchor of each place.
        at, low = np.repeat(at, count, axis=0), np.repeat(low, count)
        within = np.arange(len(low)) - np.repeat(np.cumsum(count) - count, count)
        found = self.places[low + within]
        others = found[:, 0] != k
        found, at = found[others], at[others]
        shift = found[:, 1:] - at
        for (other, *_), (row, column) in zip(
            found.tolist(), shift.tolist(), strict=True
        ):
            # The anchor's image is the first one of the pair, or the signs change.
            if other < k:
                yield other, k, row, column
            else:
                yield k, other, -row, -column


def _textured(band: np.ndarray) -> NDArray[np.bool_]:
    """Tells at which places of the lattice an anchor can be told from others."""
    windows = np.lib.stride_tricks.sliding_window_view(band, (_ROWS, _COLUMNS))
    windows = windows[::_LATTICE, ::_LATTICE].astype(np.float64)
    level = 1.0
    if band.dtype != np.uint8:
        finite = band[np.isfinite(band)]
        low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
        level = (float(high) - float(low)) / 255
    with np.errstate(invalid="ignore"):  # infinite values
        return windows.std(axis=(2, 3)) > max(_LEAST_DEVIATION * level, 1e-12)


def _hashes(band: np.ndarray) -> NDArray[np.uint64]:
    """Hashes every run of 2 x 16 pixels: (H - 1, W - 15), by its first pixel."""
    bits = band if band.dtype.kind in "bui" else band.view(f"u{band.dtype.itemsize}")
    h = bits.astype(np.uint64)
    step = 1
    while step < _COLUMNS:
        factor = np.uint64(pow(_COLUMN_BASE, step, _WORD))
        h = h[:, :-step] + factor * h[:, step:]
        step *= 2
    h = h[:-1] + np.uint64(_ROW_BASE) * h[1:]
    # The low bits of such a sum depend on the low bits of the pixels alone.
    h ^= h >> np.uint64(32)
    h *= np.uint64(_COLUMN_BASE)
    return h


def _leading(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return hashes >> np.uint64(64 - _TABLE_BITS)


def _compare(
    first: np.ndarray, second: np.ndarray, shift: tuple[int, int]
) -> tuple[float, float]:
    """Returns the share of the smaller image that is common, and equal in it."""
    one, other = [], []
    for a, b, moved in zip(first.shape, second.shape, shift, strict=True):
        low, high = max(0, moved), min(a, b + moved)
        one.append(slice(low, high))
        other.append(slice(low - moved, high - moved))
    common = first[tuple(one)] == second[tuple(other)]
    return common.size / min(first.size, second.size), float(common.mean())

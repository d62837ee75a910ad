"""Statistics of channels over all pixels, in the memory of a few examples.

The numbers are those NumPy gives for all values in one array, bit by bit: the order in
which it adds is kept, and the median is counted, not sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError
from landslide_tf.pipelines.batches import ReadAhead
from landslide_tf.pipelines.inputs import ChannelStatistics, channel_values
from landslide_tf.pipelines.store import ExampleStore

# Values that NumPy casts, and adds up, at a time.
_BUFFER = 8192
# Values whose sum is left to NumPy, which halves longer arrays the same way.
_LEAF = 2**18


def channel_statistics(
    store: ExampleStore, names: Sequence[str]
) -> dict[str, ChannelStatistics]:
    """Measures channels over all pixels of a store.

    Missing values take the channel's median before mean and deviation are taken, so
    that holes neither shift the mean nor widen the deviation. The examples are read
    four times.

    Args:
        store: Examples of the training split.
        names: Channel names.

    Returns:
        Statistics by channel name, float64.

    Raises:
        DataError: If a channel has no valid value at all.
    """
    channels = [store.description.channels[name] for name in names]
    if not channels:
        return {}

    def read(number: int) -> list[NDArray[np.float32]]:
        example = store.examples[number]
        return [channel_values(example, c, None).ravel() for c in channels]

    def examples() -> Iterator[list[NDArray[np.float32]]]:
        ahead = ReadAhead(read, len(store))
        return (ahead(number) for number in range(len(store)))

    count = sum(height * width for height, width in store.shapes)
    medians = _medians(examples, len(channels))
    for name, median in zip(names, medians, strict=True):
        if median is None:
            raise DataError(f"`{name}` of `{store.description.name}` has no values.")
    sums = [_BufferedSum() for _ in channels]
    for values in examples():
        for own, total, median in zip(values, sums, medians, strict=True):
            total.add(_filled(own, median))
    means = [total.result() / count for total in sums]
    squares = [_PairwiseSum(count) for _ in channels]
    for values in examples():
        for own, square, median, mean in zip(
            values, squares, medians, means, strict=True
        ):
            square.add((_filled(own, median) - np.float64(mean)) ** 2)
    return {
        name: ChannelStatistics(
            mean=float(mean),
            std=float(np.sqrt(square.total / count)) or 1.0,
            median=float(median or 0.0),
        )
        for name, mean, square, median in zip(
            names, means, squares, medians, strict=True
        )
    }


def _filled(
    values: NDArray[np.float32], median: np.float32 | None
) -> NDArray[np.float32]:
    missing = np.isnan(values)
    return (
        np.where(missing, np.float32(median or 0), values) if missing.any() else values
    )


def _medians(
    examples: Callable[[], Iterator[list[NDArray[np.float32]]]], count: int
) -> list[np.float32 | None]:
    """Returns the median of each channel's valid values, None where it has none.

    Floats are counted by the upper half of their bits, then those around the middle
    by the lower half.
    """
    upper = np.zeros((count, 2**16), np.int64)
    for values in examples():
        for own, counts in zip(values, upper, strict=True):
            counts += np.bincount(_ordered(own) >> 16, minlength=2**16)
    ranks = [((n - 1) // 2, n // 2) for n in upper.sum(axis=1).tolist()]
    ends = upper.cumsum(axis=1)
    bins = [
        tuple(int(np.searchsorted(end, rank, side="right")) for rank in pair)
        for end, pair in zip(ends, ranks, strict=True)
    ]
    lower = np.zeros((count, 2, 2**16), np.int64)
    for values in examples():
        for own, chosen, counts in zip(values, bins, lower, strict=True):
            keys = _ordered(own)
            for number, part in zip(chosen, counts, strict=True):
                inside = keys[keys >> 16 == number] & 0xFFFF
                part += np.bincount(inside, minlength=2**16)
    found: list[np.float32 | None] = []
    for end, pair, chosen, counts in zip(ends, ranks, bins, lower, strict=True):
        if not end[-1]:
            found.append(None)
            continue
        middle = []
        for rank, number, part in zip(pair, chosen, counts, strict=True):
            before = int(end[number - 1]) if number else 0
            low = int(np.searchsorted(part.cumsum(), rank - before, side="right"))
            middle.append(_value((number << 16) | low))
        found.append(np.mean(np.array(middle, np.float32)))
    return found


def _ordered(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Returns numbers of 32 bits in the order of the values, which are not NaN."""
    bits = values[~np.isnan(values)].view(np.uint32)
    negative = bits >> 31 == 1
    return np.where(negative, ~bits, bits | np.uint32(2**31)).astype(np.int64)


def _value(key: int) -> np.float32:
    bits = key ^ 2**31 if key >> 31 else key ^ (2**32 - 1)
    return np.uint32(bits).view(np.float32)


class _BufferedSum:
    """The sum of float32 values as NumPy adds them in float64, buffer by buffer."""

    def __init__(self) -> None:
        self._total = 0.0
        self._rest = np.zeros(0, np.float32)

    def add(self, values: NDArray[np.float32]) -> None:
        """Adds values, the last of them when more come or at the end."""
        held = np.concatenate([self._rest, values])
        whole = len(held) // _BUFFER * _BUFFER
        self._add(held[:whole])
        self._rest = held[whole:]

    def _add(self, values: NDArray[np.float32]) -> None:
        self._total = np.add.reduce(values, dtype=np.float64, initial=self._total)

    def result(self) -> float:
        """Returns the sum; nothing is added after it."""
        self._add(self._rest)
        return float(self._total)


class _PairwiseSum:
    """The sum of a known number of float64 values as NumPy adds them pairwise.

    Args:
        count: How many values will come.
    """

    total = 0.0

    def __init__(self, count: int) -> None:
        self._tree = _halves(count)
        self._wanted = next(self._tree)
        self._held: list[NDArray[np.float64]] = []

    def add(self, values: NDArray[np.float64]) -> None:
        """Adds values; `total` is the sum when all have come."""
        self._held.append(values)
        while sum(map(len, self._held)) >= self._wanted:
            held = np.concatenate(self._held)
            leaf, self._held = held[: self._wanted], [held[self._wanted :]]
            try:
                self._wanted = self._tree.send(leaf)
            except StopIteration as end:
                self.total = end.value
                return


def _halves(count: int) -> Generator[int, NDArray[np.float64], float]:
    """Asks for the values of one leaf after the other, and returns the sum of all."""
    if count <= _LEAF:
        return float(np.add.reduce((yield count)))
    half = count // 2
    half -= half % 8
    first = yield from _halves(half)
    return first + (yield from _halves(count - half))

"""What training and evaluation take batches from, and the one way into `tf.data`.

Every kind of task describes its batches and gives them by number, as functions of
(seed, epoch, step) alone. `training_stream` and `evaluation_stream` make a
`tf.data.Dataset` of any of them; `sequences` makes a `keras.utils.PyDataset`.
"""

from __future__ import annotations

import abc
import atexit
import gc
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError

if TYPE_CHECKING:
    import tensorflow as tf

# Batches that are made before the step which asks for them.
AHEAD = 4

# Where TensorFlow's tensors begin: at multiples of these bytes.
_ALIGNMENT = 64

Arrays: TypeAlias = Mapping[str, NDArray[np.generic]]
AnyLabels: TypeAlias = NDArray[np.uint8] | Arrays
AnyBatch: TypeAlias = tuple[Arrays, AnyLabels]
Batch_co = TypeVar("Batch_co", bound=AnyBatch, covariant=True)
Item = TypeVar("Item")
Value = TypeVar("Value", bound=np.generic)


@dataclass(frozen=True)
class ArraySpec:
    """Shape and type of one array of a batch.

    Attributes:
        shape: Its shape without the batch axis; None where sizes differ.
        dtype: NumPy's name of its type.
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"


Specs: TypeAlias = Mapping[str, ArraySpec]


@dataclass(frozen=True)
class Share:
    """The examples of every batch that one of several processes reads.

    Attributes:
        number: Which of the shares, 0-based.
        count: How many there are; they divide a batch evenly.
    """

    number: int = 0
    count: int = 1

    def of(self, examples: Sequence[Item]) -> Sequence[Item]:
        """Returns its part of the examples of a batch."""
        size = len(examples) // self.count
        return examples[self.number * size : (self.number + 1) * size]


WHOLE = Share()


class TrainingData(Protocol[Batch_co]):
    """Batches without end, each a function of (seed, epoch, step) alone."""

    @property
    def batch_size(self) -> int:
        """Examples of every batch."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""

    @property
    def inputs(self) -> Specs:
        """The arrays that a network takes, by name."""

    @property
    def labels(self) -> ArraySpec | Specs:
        """The labels: one array, or several by name."""

    def batch(self, epoch: int, step: int, share: Share = WHOLE) -> Batch_co:
        """Returns inputs and labels of a batch.

        Args:
            epoch: Epoch, 0-based.
            step: Step of the epoch, 0-based.
            share: Which of its examples to read.
        """


class EvaluationData(Protocol[Batch_co]):
    """Every example once, in batches of a fixed order."""

    @property
    def inputs(self) -> Specs:
        """The arrays that a network takes, by name."""

    @property
    def labels(self) -> ArraySpec | Specs:
        """The labels: one array, or several by name."""

    def __len__(self) -> int:
        """Returns the number of batches."""

    def examples_in(self, number: int) -> int:
        """Returns the number of examples of a batch, without reading them."""

    def batch(self, number: int, share: Share = WHOLE) -> Batch_co:
        """Returns inputs and labels of a batch, numbered from 0."""


class DrawnBatches(abc.ABC, Generic[Batch_co]):
    """Training data whose batches are cut from an order of draws, one an epoch."""

    batch_size: int

    @property
    @abc.abstractmethod
    def steps_per_epoch(self) -> int:
        """Whole batches of an epoch."""

    @abc.abstractmethod
    def order(self, epoch: int) -> NDArray[np.int64]:
        """Returns the draws of an epoch, which depend on (seed, epoch) alone."""

    @abc.abstractmethod
    def load(self, epoch: int, draws: Sequence[int]) -> Batch_co:
        """Returns chosen draws of an epoch as a batch."""

    @cached_property
    def _order(self) -> Callable[[int], NDArray[np.int64]]:
        # Two epochs, because reading ahead goes beyond an epoch's end.
        return lru_cache(maxsize=2)(self.order)

    def batch(self, epoch: int, step: int, share: Share = WHOLE) -> Batch_co:
        """Returns inputs and labels of a batch.

        Args:
            epoch: Epoch, 0-based.
            step: Step of the epoch, 0-based.
            share: Which of its examples to read.
        """
        first = step * self.batch_size
        draws = self._order(epoch)[first : first + self.batch_size]
        return self.load(epoch, share.of(draws.tolist()))


class GroupedBatches(abc.ABC, Generic[Batch_co]):
    """Evaluation data whose batches are groups of example numbers."""

    @abc.abstractmethod
    def numbers(self) -> list[list[int]]:
        """Returns the example numbers of each batch."""

    @abc.abstractmethod
    def load(self, numbers: Sequence[int]) -> Batch_co:
        """Returns chosen examples as a batch."""

    @cached_property
    def _groups(self) -> list[list[int]]:
        return self.numbers()

    def __len__(self) -> int:
        """Returns the number of batches."""
        return len(self._groups)

    def examples_in(self, number: int) -> int:
        """Returns the number of examples of a batch, without reading them."""
        return len(self._groups[number])

    def batch(self, number: int, share: Share = WHOLE) -> Batch_co:
        """Returns inputs and labels of a batch, numbered from 0."""
        return self.load(share.of(self._groups[number]))


def consecutive(count: int, most: int) -> list[list[int]]:
    """Returns the numbers 0 to `count` - 1 in groups of at most `most`."""
    return [list(range(k, min(k + most, count))) for k in range(0, count, most)]


def stacked(
    arrays: Sequence[NDArray[Value]], axis: Literal[0, -1] = 0
) -> NDArray[Value]:
    """Stacks equal arrays of a batch in memory that TensorFlow takes over as it is.

    TensorFlow copies an array that does not begin at a multiple of 64 bytes, which
    takes as long as a tenth of the work on an example.

    Args:
        arrays: One array or more, of one shape and type.
        axis: Where the new axis goes: first or last.

    Returns:
        What `np.stack` returns.
    """
    shape = list(arrays[0].shape)
    shape.insert(0 if axis == 0 else len(shape), len(arrays))
    kind = arrays[0].dtype
    room = np.empty(math.prod(shape) * kind.itemsize + _ALIGNMENT, np.uint8)
    first = -room.ctypes.data % _ALIGNMENT
    out = room[first : first + room.size - _ALIGNMENT].view(kind).reshape(shape)
    return np.stack(arrays, axis, out=out)


class ReadAhead(Generic[Item]):
    """Makes numbered items in threads, the next ones before they are asked for.

    An item depends on its number alone, so any number may be asked for at any time;
    only the next numbers come faster.

    Args:
        make: Makes an item.
        count: How many there are; None for no end.
    """

    def __init__(self, make: Callable[[int], Item], count: int | None = None) -> None:
        self._make = make
        self._count = count
        self._waiting: dict[int, Future[Item]] = {}
        self._lock = Lock()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_cores(), "batches")

    def __call__(self, number: int) -> Item:
        """Returns an item."""
        with self._lock:
            last = number + AHEAD
            if self._count is not None:
                last = min(last, self._count - 1)
            wanted = range(number, max(number, last) + 1)
            for old in self._waiting.keys() - set(wanted):
                self._waiting.pop(old).cancel()
            for new in wanted:
                if new not in self._waiting:
                    self._waiting[new] = self._pool.submit(self._make, new)
            future = self._waiting.pop(number)
        return future.result()


def _cores() -> int:
    # Not on every system is there a way to ask which of them this process may use.
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def read_batches(
    data: EvaluationData[Batch_co],
) -> Iterator[Batch_co]:
    """Yields inputs and labels of every batch, the next ones made ahead."""
    read = ReadAhead(data.batch, len(data))
    return (read(number) for number in range(len(data)))


def training_stream(
    data: TrainingData[AnyBatch], epoch: int = 0, step: int = 0
) -> tf.data.Dataset:
    """Returns training data as a `tf.data.Dataset` without end.

    Args:
        data: The batches.
        epoch: Epoch of the first batch.
        step: Step of the first batch in that epoch.

    Returns:
        A dataset of (inputs, labels); use it with `steps_per_epoch`.
    """
    steps = data.steps_per_epoch
    return _dataset(
        data,
        lambda number: data.batch(*divmod(number, steps)),
        epoch * steps + step,
        None,
        data.batch_size,
    )


def evaluation_stream(data: EvaluationData[AnyBatch]) -> tf.data.Dataset:
    """Returns evaluation data as a finite `tf.data.Dataset` of (inputs, labels)."""
    return _dataset(data, data.batch, 0, len(data), None)


def _dataset(
    data: TrainingData[AnyBatch] | EvaluationData[AnyBatch],
    make: Callable[[int], AnyBatch],
    first: int,
    count: int | None,
    batch_size: int | None,
) -> tf.data.Dataset:
    """Returns numbered batches as a dataset that needs no thread of TensorFlow's.

    Threads of `tf.data` that run Python wait for an interpreter that ends, which
    waits for them. Here they run none of their own accord: our threads read ahead,
    and TensorFlow asks for one batch when the step does.
    """
    import tensorflow as tf

    def spec(part: ArraySpec) -> tf.TensorSpec:
        return tf.TensorSpec((batch_size, *part.shape), part.dtype)

    signature = tf.nest.map_structure(spec, (dict(data.inputs), _plain(data.labels)))
    flat = tf.nest.flatten(signature)
    read = ReadAhead(make, count)

    def load(number: np.int64) -> list[NDArray[np.generic]]:
        try:
            return tf.nest.flatten(read(int(number)))
        except DataError as error:
            _refused.append(error)
            raise

    def mapped(number: tf.Tensor) -> AnyBatch:
        values = tf.numpy_function(load, [number], [part.dtype for part in flat])
        for value, part in zip(values, flat, strict=True):
            value.set_shape(part.shape)
        return tf.nest.pack_sequence_as(signature, values)

    atexit.unregister(_release_iterators)  # it must come before TensorFlow's own
    atexit.register(_release_iterators)
    if count is None:
        return tf.data.Dataset.counter(first).map(mapped)
    return tf.data.Dataset.range(first, count).map(mapped)


# What was wrong with data, which TensorFlow puts as text into an error of its own.
_refused: list[DataError] = []


@contextmanager
def data_errors() -> Iterator[None]:
    """Raises what was wrong with the data of a batch as the DataError that it was.

    Example:
        >>> from landslide_tf.pipelines.batches import data_errors
        >>> with data_errors():
        ...     pass  # model.fit(training_stream(data), ...)
    """
    _refused.clear()
    try:
        yield
    except Exception as error:
        if _refused:
            raise _refused[0] from error
        raise


def _plain(labels: ArraySpec | Specs) -> ArraySpec | dict[str, ArraySpec]:
    return labels if isinstance(labels, ArraySpec) else dict(labels)


def _release_iterators() -> None:
    """Ends every open iterator while the interpreter still answers their threads.

    Whoever puts `prefetch` or a parallel `map` behind our datasets has such threads.
    """
    import tensorflow as tf

    for found in gc.get_objects():
        if isinstance(found, tf.data.Iterator):
            # Dropping the handle joins the iterator's threads.
            found._iterator_resource = None

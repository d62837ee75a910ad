"""Overlapping windows over a scene, and how their predictions become one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError

WINDOW = 512  # where training does not say another
_SHARED = 4  # one over the share of a window that its neighbour sees too
# A weight of 0 would lose the pixel that only one window sees, at the scene's rim.
_FLOOR = 1e-3


@dataclass(frozen=True)
class Axis:
    """Windows along one axis of a scene.

    Attributes:
        size: Pixels of the scene.
        offsets: First pixel of each window, multiples of the model's stride.
        window: Pixels of a window; the last one ends where the scene ends.

    >>> from landslide_tf.mapping.windows import Axis
    >>> windows = Axis(40, (0, 24), 32)
    >>> windows.end(1), windows.finished(0)
    (40, 24)
    """

    size: int
    offsets: tuple[int, ...]
    window: int

    def end(self, number: int) -> int:
        """Returns the pixel after a window's last."""
        return min(self.offsets[number] + self.window, self.size)

    def finished(self, number: int) -> int:
        """Returns the pixel before which no later window has a part."""
        last = number + 1 == len(self.offsets)
        return self.size if last else self.offsets[number + 1]

    def weights(self) -> list[NDArray[np.float32]]:
        """Returns what each window counts at each of its pixels.

        Hann weights, floored above zero, divided by their sum over the windows, so that
        they add up to 1 at every pixel.
        """
        ramp = np.sin(np.pi * (np.arange(self.window) + 0.5) / self.window) ** 2
        ramp = np.maximum(ramp, _FLOOR)
        total = np.zeros(self.size)
        spans = [slice(o, self.end(k)) for k, o in enumerate(self.offsets)]
        for span in spans:
            total[span] += ramp[: span.stop - span.start]
        return [
            (ramp[: span.stop - span.start] / total[span]).astype(np.float32)
            for span in spans
        ]


def window_of(
    trained: int | None,
    stride: int,
    *,
    window: int | None = None,
    overlap: int | None = None,
) -> tuple[int, int]:
    """Chooses the windows of a scene.

    Pooling over the whole image and wide dilations see in a larger window what they
    never saw in training, so windows are as large as the examples were.

    Args:
        trained: Rows or columns of the largest training example; None = not known.
        stride: Total stride of the model.
        window: Rows and columns of a window; None = those of training, on the stride.
        overlap: Pixels that windows share; None = the fewest that the stride allows
            from a quarter on.

    Returns:
        Rows and columns of a window, and the pixels that windows share.

    >>> from landslide_tf.mapping.windows import window_of
    >>> window_of(100, 16)
    (112, 32)
    """
    if window is None:
        window = -(-(trained or WINDOW) // stride) * stride
    if overlap is None:
        overlap = window - _step(window, window // _SHARED, stride)
    return window, overlap


def _step(window: int, overlap: int, stride: int) -> int:
    return max(stride, (window - overlap) // stride * stride)


def axis(size: int, *, window: int, overlap: int, stride: int = 1) -> Axis:
    """Places windows along one axis.

    Off the model's total stride a window sees other cells than the whole scene does, so
    offsets are multiples of it, and the last window is cut off, not moved.

    Args:
        size: Pixels of the scene, at least 1.
        window: Pixels of a window, a multiple of `stride`.
        overlap: Fewest pixels that neighbours share, 0 to half a window.
        stride: Total stride of the model.

    Returns:
        The windows.

    Raises:
        DataError: If the numbers do not fit each other.

    >>> from landslide_tf.mapping.windows import axis
    >>> axis(100, window=48, overlap=16, stride=16).offsets
    (0, 32, 64)
    """
    if window < 1 or window % stride:
        near = max(stride, round(window / stride) * stride)
        raise DataError(
            f"Expected `window` as a multiple of the model's stride {stride}, received "
            f"{window}; choose for instance {near}."
        )
    if not 0 <= overlap <= window // 2:
        raise DataError(
            f"Expected `overlap` from 0 to {window // 2}, half of the window, received "
            f"{overlap}."
        )
    step = _step(window, overlap, stride)
    count = 1 + max(0, -(-(size - window) // step))
    return Axis(size, tuple(step * k for k in range(count)), window)


class Blender:
    """Puts predictions of windows together, one row of windows after the other.

    Only the rows of pixels that later windows still change are kept.

    Args:
        rows: Windows from top to bottom.
        columns: Windows from left to right.
        channels: Channels of a prediction.

    >>> import numpy as np
    >>> from landslide_tf.mapping.windows import Blender, axis
    >>> one = axis(4, window=8, overlap=0)
    >>> blender = Blender(one, one, channels=1)
    >>> blender.add(0, 0, np.full((4, 4, 1), 0.25, np.float32))
    >>> blender.take(0)[:, :, 0].max()
    np.float32(0.25)
    """

    def __init__(self, rows: Axis, columns: Axis, channels: int) -> None:
        self._rows, self._columns, self._channels = rows, columns, channels
        self._down = rows.weights()
        # NumPy is fast along long axes, so columns and channels are one.
        self._across = [np.repeat(each, channels) for each in columns.weights()]
        height = min(rows.window, rows.size)
        self._sum = np.zeros((height, columns.size * channels), np.float32)

    def add(self, row: int, column: int, values: FloatArray) -> None:
        """Adds a window.

        Args:
            row: Number of its row of windows; rows come in order.
            column: Its number in the row. A window may be missing where its pixels do
                not count.
            values: Its prediction (h, w, channels).
        """
        weights = self._down[row][:, None] * self._across[column]
        weights *= values.reshape(weights.shape)
        start = self._columns.offsets[column] * self._channels
        self._sum[: len(weights), start : start + weights.shape[1]] += weights

    def take(self, row: int) -> FloatArray:
        """Returns the pixels that a row of windows finishes.

        Args:
            row: Number of the row of windows, all of whose windows were added.

        Returns:
            float32 (rows finished, width, channels).
        """
        count = self._rows.finished(row) - self._rows.offsets[row]
        done = self._sum[:count].copy()
        rest = len(self._sum) - count
        self._sum[:rest] = self._sum[count:]
        self._sum[rest:] = 0
        return done.reshape(count, self._columns.size, self._channels)


def batched(numbers: Iterable[int], columns: Axis, size: int) -> Iterator[list[int]]:
    """Groups windows of a row into batches of windows of one width.

    Args:
        numbers: Numbers of windows in the row, ascending.
        columns: Windows from left to right.
        size: Most windows of a batch.

    Yields:
        The numbers of each batch.

    >>> from landslide_tf.mapping.windows import axis, batched
    >>> list(batched(range(4), axis(56, window=16, overlap=0), 2))
    [[0, 1], [2], [3]]
    """
    widths = itertools.groupby(numbers, lambda k: columns.end(k) - columns.offsets[k])
    for _, same in widths:
        group = list(same)
        for start in range(0, len(group), size):
            yield group[start : start + size]


def blended(
    maps: Mapping[str, NDArray[Any]],
    predict: Callable[[Mapping[str, NDArray[Any]]], FloatArray],
    rows: Axis,
    columns: Axis,
    size: int,
) -> FloatArray:
    """Predicts whole arrays window by window, as strips of a scene are.

    Args:
        maps: Arrays (height, width, channels) by name.
        predict: From windows (B, h, w, channels) by name to (B, h, w, classes).
        rows: Windows from top to bottom.
        columns: Windows from left to right.
        size: Most windows of a batch.

    Returns:
        float32 (height, width, classes).

    >>> import numpy as np
    >>> from landslide_tf.mapping.windows import axis, blended
    >>> grey = {"image": np.arange(12.0).reshape(3, 4, 1)}
    >>> rows, columns = (axis(n, window=2, overlap=1) for n in (3, 4))
    >>> blended(grey, lambda tiles: tiles["image"] / 2, rows, columns, 8)[2, 3]
    array([5.5], dtype=float32)
    """
    done: list[FloatArray] = []
    blender: Blender | None = None
    for row, top in enumerate(rows.offsets):
        for group in batched(range(len(columns.offsets)), columns, size):
            spans = [slice(columns.offsets[k], columns.end(k)) for k in group]
            tiles = {
                name: np.stack([array[top : rows.end(row), span] for span in spans])
                for name, array in maps.items()
            }
            predicted = predict(tiles)
            blender = blender or Blender(rows, columns, predicted.shape[-1])
            for column, values in zip(group, predicted, strict=True):
                blender.add(row, column, values)
        assert blender is not None  # there is at least one window
        done.append(blender.take(row))
    return np.concatenate(done)

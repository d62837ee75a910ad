"""What a model takes of the windows of a scene, each pixel read once.

Windows overlap, and files decode whole blocks. So the scene is read in blocks that lie
side by side, by several threads and ahead of the model, and windows are put together of
them. A block is kept until no window needs it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.mapping.scene import ModelScene
from landslide_tf.mapping.windows import Axis, batched
from landslide_tf.raster.grid import Window
from landslide_tf.raster.scene_reader import Pixels, SceneReader
from landslide_tf.raster.windows import map_windows

T = TypeVar("T")
Place = tuple[int, int]  # first row and column of a block
Part = tuple[slice, slice]

_ROWS, _COLUMNS = 512, 1024  # of a block; files often have blocks of 512 or 256


class Batch(NamedTuple):
    """Windows that the model sees at once.

    Attributes:
        numbers: Their numbers in their row of windows; those without a valid pixel are
            left out, so that there may be none.
        inputs: What the model takes of them, by name (B, h, w, channels).
        valid: Valid pixels of the rows that are finished by it, bool (h, W): none but
            by the last batch of a row of windows.
    """

    numbers: list[int]
    inputs: dict[str, FloatArray]
    valid: NDArray[np.bool_]


def window_batches(
    scene: ModelScene, rows: Axis, columns: Axis, *, size: int, first: int = 0
) -> Generator[Batch, None, None]:
    """Yields the windows of a scene row by row, the next batch being made meanwhile.

    Args:
        scene: The scene.
        rows: Windows from top to bottom.
        columns: Windows from left to right.
        size: Most windows of a batch.
        first: The first row of windows that is wanted.

    Yields:
        The batches, at least one a row of windows.

    Raises:
        DataError: If a file cannot be read.
    """
    with (
        contextlib.closing(_Blocks(scene, rows.offsets[first])) as blocks,
        contextlib.closing(
            _ahead(_batches(blocks, rows, columns, size, first))
        ) as all_,
    ):
        yield from all_


def _ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yields items of which the next is made in a thread meanwhile."""
    with ThreadPoolExecutor(1, "next-batch") as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def _batches(
    blocks: _Blocks, rows: Axis, columns: Axis, size: int, first: int
) -> Iterator[Batch]:
    groups = list(batched(range(len(columns.offsets)), columns, size))
    for row in range(first, len(rows.offsets)):
        top = rows.offsets[row]
        blocks.forget_above(top)
        for group in groups:
            windows = {
                k: Window(
                    top,
                    columns.offsets[k],
                    rows.end(row) - top,
                    columns.end(k) - columns.offsets[k],
                )
                for k in group
            }
            seen = [k for k in group if blocks.is_seen(windows[k])]
            height = rows.finished(row) - top if group is groups[-1] else 0
            valid = blocks.valid(Window(top, 0, height, columns.size))
            yield Batch(seen, blocks.inputs([windows[k] for k in seen]), valid)


class _Blocks:
    """The blocks of a scene that windows need, read from top to bottom.

    Args:
        scene: The scene.
        top: The first row that is needed.
    """

    def __init__(self, scene: ModelScene, top: int) -> None:
        self._scene, (height, width) = scene, scene.scene.grid.shape
        self._held: dict[Place, Pixels] = {}
        self._blank: set[Place] = set()
        self._places = [
            (row, column)
            for row in range(top // _ROWS * _ROWS, height, _ROWS)
            for column in range(0, width, _COLUMNS)
        ]
        self._waiting = iter(self._places)
        self._next = next(self._waiting, None)
        windows = map(self._window, self._places)
        self._coming = map_windows(
            scene.scene, lambda _, pixels: pixels, windows, skip_empty=True
        )
        self._reader = SceneReader(scene.scene)

    def _window(self, place: Place) -> Window:
        (row, column), (height, width) = place, self._scene.scene.grid.shape
        return Window(
            row, column, min(_ROWS, height - row), min(_COLUMNS, width - column)
        )

    def _parts(self, window: Window) -> Iterator[tuple[Place, Part, Part]]:
        """Yields the blocks of a window, and where their pixels lie in both."""
        bottom, right = window.row + window.height, window.column + window.width
        while self._next is not None and self._next[0] < bottom:
            pixels = next(self._coming)
            self._held[self._next] = pixels
            if not pixels.valid.any():
                self._blank.add(self._next)
            self._next = next(self._waiting, None)
        for row in range(window.row // _ROWS * _ROWS, bottom, _ROWS):
            for column in range(window.column // _COLUMNS * _COLUMNS, right, _COLUMNS):
                top, left = max(row, window.row), max(column, window.column)
                end = min(row + _ROWS, bottom), min(column + _COLUMNS, right)
                yield (
                    (row, column),
                    _part(top, left, end, (window.row, window.column)),
                    _part(top, left, end, (row, column)),
                )

    def is_seen(self, window: Window) -> bool:
        """Whether a window holds a valid pixel."""
        return any(
            place not in self._blank and self._held[place].valid[part].any()
            for place, _, part in self._parts(window)
        )

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """Returns the valid pixels of a window (h, w)."""
        found = np.empty((window.height, window.width), bool)
        for place, there, here in self._parts(window):
            found[there] = self._held[place].valid[here]
        return found

    def inputs(self, windows: list[Window]) -> dict[str, FloatArray]:
        """Returns what the model takes of windows of one size (B, h, w, channels)."""
        if not windows:
            return {}
        shape = (len(windows), windows[0].height, windows[0].width)
        scene = self._scene.scene
        image = np.empty((*shape, len(scene.bands)), np.float32)
        factors = np.empty((*shape, len(scene.factors)), np.float32)
        for number, window in enumerate(windows):
            for place, there, here in self._parts(window):
                pixels = self._whole(place)
                image[number][there] = pixels.image[here]
                if scene.factors:
                    factors[number][there] = pixels.factors[here]
        return self._scene.inputs(image, factors)

    def _whole(self, place: Place) -> Pixels:
        """Returns a block; what was left out of one that does not count is read."""
        if place in self._blank:
            pixels = self._reader.read(self._window(place), whole=True)
            self._held[place] = pixels._replace(valid=self._held[place].valid)
            self._blank.remove(place)
        return self._held[place]

    def forget_above(self, top: int) -> None:
        """Drops the blocks that end above a row."""
        for place in [place for place in self._held if place[0] + _ROWS <= top]:
            del self._held[place]
            self._blank.discard(place)

    def close(self) -> None:
        """Closes all files."""
        self._coming.close()
        self._reader.close()


def _part(top: int, left: int, end: Place, origin: Place) -> Part:
    row, column = origin
    return slice(top - row, end[0] - row), slice(left - column, end[1] - column)

"""Strips of a scene, predicted while the next windows are read."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.mapping.members import Predict
from landslide_tf.mapping.scene import ModelScene
from landslide_tf.mapping.windows import Axis, Blender, batched
from landslide_tf.raster.grid import Window
from landslide_tf.raster.scene import SceneReader

T = TypeVar("T")
_AHEAD = 2  # batches that are read before they are needed
_PIXELS = 1 << 20  # of a batch


class Strip(NamedTuple):
    """Finished rows of the upright grid.

    Attributes:
        number: Counted from 0 at the top.
        values: float32 (h, W, channels); 0 where not valid.
        valid: bool (h, W).
    """

    number: int
    values: FloatArray
    valid: NDArray[np.bool_]


class _Batch(NamedTuple):
    row: int
    columns: list[int]  # empty: the row is complete
    inputs: dict[str, FloatArray]
    valid: dict[int, NDArray[np.bool_]]


def batch_size(tile: int) -> int:
    """Returns how many windows a batch holds: about a million pixels."""
    return max(1, _PIXELS // (tile * tile))


def predict_strips(
    scene: ModelScene,
    predict: Predict,
    rows: Axis,
    columns: Axis,
    channels: int,
    *,
    size: int,
    start: int = 0,
) -> Generator[Strip, None, None]:
    """Yields the strips of a scene, from top to bottom.

    Windows without a valid pixel are not predicted.

    Args:
        scene: The scene.
        predict: From a batch to (B, h, w, channels).
        rows: Windows from top to bottom.
        columns: Windows from left to right.
        channels: Channels of a prediction.
        size: Windows a batch.
        start: Number of the first strip wanted; the windows above that reach into it
            are predicted again, so that it is what it would have been.

    Yields:
        The strips.
    """
    first = next(k for k in range(start + 1) if rows.end(k) > rows.offsets[start])
    blender = Blender(rows, columns, channels)
    height = min(rows.tile, rows.size)
    valid = np.zeros((height, columns.size), bool)
    found: list[tuple[int, FloatArray]] = []

    def read() -> Iterator[_Batch]:
        return _batches(scene, rows, columns, size, first)

    with prefetched(read) as batches:
        for batch in batches:
            for column, whole in batch.valid.items():
                left = columns.offsets[column]
                # Windows that overlap read the same pixels.
                valid[: len(whole), left : columns.end(column)] |= whole
            if batch.columns:
                values = predict(batch.inputs)
                found += zip(batch.columns, values, strict=True)
                continue
            done = blender.blend(batch.row, found)
            strip_valid = valid[: len(done)].copy()
            valid[: height - len(done)] = valid[len(done) :]
            valid[height - len(done) :] = False
            found = []
            if batch.row >= start:
                done[~strip_valid] = 0
                yield Strip(batch.row, done, strip_valid)


def _batches(
    scene: ModelScene, rows: Axis, columns: Axis, size: int, first: int
) -> Iterator[_Batch]:
    with SceneReader(scene.scene, skip_empty=True) as reader:
        for row in range(first, len(rows.offsets)):
            top = rows.offsets[row]
            height = rows.end(row) - top
            for group in batched(range(len(columns.offsets)), columns, size):
                left = columns.offsets[group[0]]
                # At once, since windows share pixels.
                window = Window(top, left, height, columns.end(group[-1]) - left)
                pixels = reader.read(window)
                found, whole = scene.inputs(pixels), pixels.valid
                spans = {
                    k: slice(columns.offsets[k] - left, columns.end(k) - left)
                    for k in group
                }
                valid = {
                    k: whole[:, span]
                    for k, span in spans.items()
                    if whole[:, span].any()
                }
                if valid:
                    inputs = {
                        name: np.stack([values[:, spans[k]] for k in valid])
                        for name, values in found.items()
                    }
                    yield _Batch(row, list(valid), inputs, valid)
            yield _Batch(row, [], {}, {})


@contextmanager
def prefetched(source: Callable[[], Iterator[T]]) -> Iterator[Iterator[T]]:
    """Runs an iterator in a thread of its own, a few items ahead.

    Args:
        source: Makes the iterator, in that thread.

    Yields:
        Its items; what it raises is raised here.
    """
    items: queue.Queue[tuple[str, object]] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def put(kind: str, value: object) -> None:
        while not stop.is_set():
            try:
                items.put((kind, value), timeout=0.1)
                return
            except queue.Full:
                continue

    def run() -> None:
        try:
            for item in source():
                put("item", item)
                if stop.is_set():
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=run, daemon=True, name="scene-reader")
    thread.start()

    def taken() -> Iterator[T]:
        while True:
            kind, value = items.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(value, BaseException)
                raise value
            yield value  # type: ignore[misc]

    try:
        yield taken()
    finally:
        stop.set()
        thread.join()

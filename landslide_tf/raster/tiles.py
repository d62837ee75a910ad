"""Tiles of scenes, their classes, and windows read in parallel."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError
from landslide_tf.raster.aligned import Window
from landslide_tf.raster.scene import Pixels, Scene, SceneReader

T = TypeVar("T")

IDENTITY = "identity"
# Windows that wait for the reader of results, for each one that is being read.
_AHEAD = 2


class Tile(NamedTuple):
    """A square window of a scene that becomes an example.

    Attributes:
        scene: Id of the scene.
        row: First row.
        column: First column.
        size: Rows and columns.
        transform: How to turn or mirror it, one of `terrain.DIHEDRAL`.
        counts: Pixels of each class.
    """

    scene: str
    row: int
    column: int
    size: int
    transform: str = IDENTITY
    counts: tuple[int, ...] = ()

    @property
    def window(self) -> Window:
        """The window to read."""
        return Window(self.row, self.column, self.size, self.size)

    @property
    def id(self) -> str:
        """Name of the example."""
        name = f"{self.scene}_{self.row:05d}_{self.column:05d}"
        return name if self.transform == IDENTITY else f"{name}_{self.transform}"


def starts(length: int, size: int, stride: int) -> list[int]:
    """Returns where tiles begin: every `stride`, the last one moved inside."""
    last = length - size
    return [*range(0, last, stride), last]


def map_windows(
    scene: Scene,
    function: Callable[[Window, Pixels], T],
    windows: Iterable[Window],
    *,
    factors: bool = True,
    workers: int | None = None,
) -> Iterator[T]:
    """Applies a function to windows of a scene, several at a time.

    Args:
        scene: The scene.
        function: What to do with a window and its pixels; runs in a thread.
        windows: Which windows.
        factors: Whether the pixels hold factors.
        workers: Threads; None = one a core, four at most.

    Yields:
        The results in the order of the windows.

    Raises:
        DataError: As `SceneReader`.
    """
    workers = workers or min(4, os.cpu_count() or 1)
    # Opened here: rasterio warns when files are opened, and Python's filters of
    # warnings cannot be changed by several threads at a time.
    readers = [SceneReader(scene, factors=factors) for _ in range(workers)]
    free: SimpleQueue[SceneReader] = SimpleQueue()
    for reader in readers:
        free.put(reader)

    def work(window: Window) -> T:
        reader = free.get()
        try:
            return function(window, reader.read(window))
        finally:
            free.put(reader)

    waiting: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="windows")
    try:
        for window in windows:
            waiting.append(pool.submit(work, window))
            if len(waiting) >= workers + _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        for reader in readers:
            reader.close()


class Survey(NamedTuple):
    """What a scene holds.

    Attributes:
        tiles: The tiles of a regular grid.
        low: Smallest value of each band, 0 where there is no valid pixel.
        high: Largest value of each band.
    """

    tiles: list[Tile]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def survey(
    scene: Scene, size: int, classes: int, *, workers: int | None = None
) -> Survey:
    """Reads all of a scene once: its tiles side by side, and the range of its bands.

    Args:
        scene: The scene.
        size: Rows and columns of a tile, pixels.
        classes: Number of classes.
        workers: As in `map_windows`.

    Returns:
        Tiles and ranges.

    Raises:
        DataError: If the scene is smaller than a tile, or as `SceneReader`.
    """

    def look(window: Window, pixels: Pixels) -> tuple[Tile, NDArray[np.float64]]:
        image = pixels.image.reshape(-1, pixels.image.shape[-1])
        ends = np.stack([image.min(axis=0), image.max(axis=0)])
        return _counted(scene, window, pixels, classes), ends.astype(np.float64)

    windows = _grid(scene, size, size)
    found = list(map_windows(scene, look, windows, factors=False, workers=workers))
    ends = np.array([ends for _, ends in found])
    tiles = [tile for tile, _ in found]
    return Survey(tiles, ends[:, 0].min(axis=0), ends[:, 1].max(axis=0))


def _grid(scene: Scene, size: int, stride: int) -> list[Window]:
    check_size(scene, size)
    if not 1 <= stride <= size:
        raise DataError(
            f"Expected `stride` from 1 to the tile's {size} pixels, received {stride}."
        )
    return [
        Window(row, column, size, size)
        for row in starts(scene.grid.height, size, stride)
        for column in starts(scene.grid.width, size, stride)
    ]


def grid_tiles(
    scene: Scene, size: int, stride: int, classes: int, *, workers: int | None = None
) -> list[Tile]:
    """Lists the tiles of a regular grid over a scene.

    Args:
        scene: The scene.
        size: Rows and columns of a tile, pixels.
        stride: Rows and columns from tile to tile.
        classes: Number of classes.
        workers: As in `map_windows`.

    Returns:
        The tiles, row by row, with their counts.

    Raises:
        DataError: If the scene is smaller than a tile, or as `SceneReader`.
    """
    windows = _grid(scene, size, stride)
    return counted_tiles(scene, windows, classes, workers=workers)


def check_size(scene: Scene, size: int) -> None:
    """Refuses tiles that are larger than the scene."""
    if not 1 <= size <= min(scene.grid.shape):
        raise DataError(
            f"Expected tiles of at most {min(scene.grid.shape)} pixels, the smaller "
            f"side of scene `{scene.id}`, received {size}; choose smaller tiles or a "
            "finer `gsd`."
        )


def counted_tiles(
    scene: Scene,
    windows: Sequence[Window],
    classes: int,
    *,
    workers: int | None = None,
) -> list[Tile]:
    """Returns square windows of a scene as tiles with their counts."""

    def count(window: Window, pixels: Pixels) -> Tile:
        return _counted(scene, window, pixels, classes)

    return list(map_windows(scene, count, windows, factors=False, workers=workers))


def _counted(scene: Scene, window: Window, pixels: Pixels, classes: int) -> Tile:
    counts = np.bincount(pixels.mask.ravel(), minlength=256)[:classes]
    return Tile(
        scene.id,
        window.row,
        window.column,
        window.height,
        counts=tuple(counts.tolist()),
    )

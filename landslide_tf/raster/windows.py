"""Windows of a scene, read in parallel and ahead of what is done with them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from landslide_tf.raster.grid import Window
from landslide_tf.raster.scene import Scene
from landslide_tf.raster.scene_reader import Pixels, SceneReader

T = TypeVar("T")

# Windows that wait for the reader of results, for each one that is being read.
_AHEAD = 2


def map_windows(
    scene: Scene,
    function: Callable[[Window, Pixels], T],
    windows: Iterable[Window],
    *,
    factors: bool = True,
    skip_empty: bool = False,
    workers: int | None = None,
) -> Generator[T, None, None]:
    """Applies a function to windows of a scene, several at a time and ahead.

    Args:
        scene: The scene.
        function: What to do with a window and its pixels; runs in a thread.
        windows: Which windows.
        factors: Whether the pixels hold factors.
        skip_empty: As in `SceneReader`.
        workers: Threads; None = one a core, four at most.

    Yields:
        The results in the order of the windows.

    Raises:
        DataError: As `SceneReader`.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.raster.scene import make_scene
    >>> from landslide_tf.raster.windows import map_windows
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 4, 2)
    >>> path = Path("/vsimem/windows.tif")  # a file in memory
    >>> values = np.arange(1, 9, dtype=np.uint8).reshape(1, 4, 2)
    >>> write_plain(path, grid, Layer("uint8", 0, ["grey"]), [(0, values)])
    >>> scene = make_scene("s", path, bands=["grey"], factors=[])
    >>> halves = [Window(0, 0, 2, 2), Window(2, 0, 2, 2)]
    >>> list(map_windows(scene, lambda _, pixels: int(pixels.image.max()), halves))
    [4, 8]
    """
    workers = workers or min(4, os.cpu_count() or 1)
    # Opened here: rasterio warns when files are opened, and Python's filters of
    # warnings cannot be changed by several threads at a time.
    readers = [
        SceneReader(scene, factors=factors, skip_empty=skip_empty)
        for _ in range(workers)
    ]
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

"""The masks that the scheme looks at, window by window: no map is held in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.objects import label_objects
from landslide_tf.objects.strips import Mask
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.grid import Window, around
from landslide_tf.raster.legend import read_legend
from landslide_tf.recognition.comparison import new_pixels, spread
from landslide_tf.recognition.options import SchemeOptions
from landslide_tf.terrain import Grid


class MapMasks:
    """Reads where a class map says landslide; one thread uses it.

    Args:
        path: The map.
        grid: The grid to read on.

    Raises:
        DataError: If the file cannot be read or does not say what is landslide.
    """

    def __init__(self, path: Path, grid: Grid) -> None:
        self._value = read_legend(path).landslide_value(path)
        self._raster = AlignedRaster(path, "map", grid, kernel="nearest")

    def read(self, window: Window) -> tuple[Mask, Mask]:
        """Returns where the map says landslide, and where it says anything (h, w)."""
        (classes,), known = self._raster.read(window)
        return (classes == self._value) & known, known

    def close(self) -> None:
        """Closes the file."""
        self._raster.close()


def cleaned(
    after: MapMasks,
    before: MapMasks | None,
    window: Window,
    grid: Grid,
    options: SchemeOptions,
) -> tuple[Mask, Mask]:
    """Takes out what was landslide before, where asked, and fills holes.

    What lies around the window is looked at as well: a hole that reaches beyond that
    has pixels enough to stay.

    Args:
        after: The map.
        before: That of the date before.
        window: Part of the grid.
        grid: The grid.
        options: How.

    Returns:
        The landslides of the map, and those that are left (h, w).
    """
    subtracted = before is not None and options.change == "pixel"
    margin = options.min_hole + (options.buffer if subtracted else 0)
    wide, inner = around(window, grid.shape, margin)
    mapped, known = after.read(wide)
    landslide = mapped
    if before is not None and subtracted:
        old, _ = before.read(wide)
        landslide = new_pixels(mapped, old, buffer=options.buffer)
    rest = ~landslide & known
    large, _ = label_objects(rest, connectivity=4, min_area=options.min_hole)
    filled: NDArray[np.bool_] = landslide | (rest & (large == 0))
    return mapped[inner], filled[inner]


def share_before(
    before: MapMasks, window: Window, grid: Grid, buffer: int
) -> FloatArray:
    """Returns 1 where landslides before reach, widened, else 0; NaN = not known.

    Args:
        before: The map of the date before.
        window: Part of the grid.
        grid: The grid.
        buffer: Pixels by which its landslides are widened.

    Returns:
        float64 (h, w, 1), as `objects.zonal_means` takes it.
    """
    wide, inner = around(window, grid.shape, buffer)
    old, known = before.read(wide)
    return np.where(known, spread(old, buffer), np.nan)[inner][..., None]

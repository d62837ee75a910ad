"""Values of rasters inside polygons, each part of a raster read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.objects.cells import held_cells, spans
from landslide_tf.raster.antimeridian import Geometries
from landslide_tf.raster.grid import Window
from landslide_tf.terrain import Grid

_BLOCK = 1024  # rows and columns of the rasters that are read at once

Read = Callable[[Window], FloatArray]


def zonal_means(
    geometries: Geometries, grid: Grid, read: Read, channels: int
) -> FloatArray:
    """Averages layers inside each polygon, pixels as `pixel_attributes` takes them.

    Args:
        geometries: Polygons in the system of the grid.
        grid: The grid of the pixels, north up.
        read: Gives a window of the layers, float (h, w, channels), NaN = not known.
        channels: Number of layers.

    Returns:
        float64 (N, channels), NaN where no pixel is known.

    >>> import numpy as np
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.objects import zonal_means
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 2, 4)
    >>> def read(window):
    ...     columns = np.arange(window.column, window.column + window.width)
    ...     return np.tile(columns, (window.height, 1))[..., None]
    >>> box = np.array([shapely.box(500_000, 4_599_980, 500_020, 4_600_000)], object)
    >>> zonal_means(box, grid, read, 1).tolist()
    [[0.5]]
    """
    means = np.full((len(geometries), channels), np.nan)
    for zones in zones_of(geometries, grid, [read]):
        means[zones.numbers] = zones.means()
    return means


@dataclass(frozen=True)
class Zones:
    """Values of the pixels of some geometries, one geometry behind the other.

    Attributes:
        numbers: Which geometries (k,).
        counts: Pixels of each (k,), at least one.
        values: Their values (n, channels), NaN = not known.
    """

    numbers: NDArray[np.int64]
    counts: NDArray[np.int64]
    values: FloatArray

    @property
    def starts(self) -> NDArray[np.int64]:
        """First pixel of each geometry."""
        return np.cumsum(self.counts) - self.counts

    def means(self) -> FloatArray:
        """Returns the means of what is known (k, channels), NaN = nothing."""
        known = np.isfinite(self.values)
        values = np.where(known, self.values, 0).astype(np.float64)
        totals = np.add.reduceat(values, self.starts)
        number = np.add.reduceat(known, self.starts, dtype=np.int64)
        return np.where(number > 0, totals / np.maximum(number, 1), np.nan)

    def largest(self) -> FloatArray:
        """Returns the largest known values (k, channels)."""
        return np.fmax.reduceat(self.values, self.starts)

    def smallest(self) -> FloatArray:
        """Returns the smallest known values (k, channels)."""
        return np.fmin.reduceat(self.values, self.starts)

    def percentiles(self, percent: float) -> FloatArray:
        """Returns percentiles of the only channel (k,), as `numpy.percentile`."""
        zone = np.repeat(np.arange(len(self.counts)), self.counts)
        known = np.isfinite(self.values[:, 0])
        zone, values = zone[known], self.values[known, 0].astype(np.float64)
        values = values[np.lexsort((values, zone))]
        number = np.bincount(zone, minlength=len(self.counts))
        place = (number - 1) * percent / 100
        below = np.floor(place).astype(np.int64)
        found = np.full(len(self.counts), np.nan)
        some = number > 0
        start = (np.cumsum(number) - number)[some]
        low, high = below[some], np.minimum(below + 1, number - 1)[some]
        share = (place - below)[some]
        found[some] = (1 - share) * values[start + low] + share * values[start + high]
        return found


def zones_of(
    geometries: Geometries, grid: Grid, readers: list[Read]
) -> Iterator[Zones]:
    """Yields the pixel values of the geometries on the grid, those that are finished.

    Rasters are read block by block; kept are the values of unfinished geometries.
    """
    if not len(geometries):
        return
    reach = spans(geometries, grid)
    top, left, bottom, right = reach.T
    on_grid = (bottom > top) & (right > left)
    waiting: dict[int, list[FloatArray]] = {}
    for row in range(0, grid.height, _BLOCK):
        here = np.flatnonzero(on_grid & (top < row + _BLOCK) & (bottom > row))
        for column in range(0, grid.width, _BLOCK):
            inside = here[(left[here] < column + _BLOCK) & (right[here] > column)]
            if not inside.size:
                continue
            low = np.maximum(reach[inside, :2], (row, column))
            high = np.minimum(reach[inside, 2:], (row + _BLOCK, column + _BLOCK))
            parts = np.concatenate([low, high], axis=1)
            found, counts = _values(geometries[inside], grid, parts, readers)
            whole = (parts == reach[inside]).all(axis=1)
            ended = (high == reach[inside, 2:]).all(axis=1) & ~whole
            pieces = np.split(found, np.cumsum(counts)[:-1])
            for k in np.flatnonzero(~whole):
                waiting.setdefault(int(inside[k]), []).append(pieces[k])
            crossing = [np.concatenate(waiting.pop(int(n))) for n in inside[ended]]
            values = [found[np.repeat(whole, counts)], *crossing]
            number = np.append(counts[whole], [len(v) for v in crossing]).astype(int)
            of = np.append(inside[whole], inside[ended])
            for empty in of[number == 0]:
                point = _cell(geometries[empty], grid)
                values.append(_read(readers, point)[0])
            of = np.append(of[number > 0], of[number == 0])
            number = np.append(number[number > 0], np.ones((number == 0).sum(), int))
            if of.size:
                yield Zones(of, number, np.concatenate(values))


def _values(
    geometries: Geometries,
    grid: Grid,
    parts: NDArray[np.int64],
    readers: list[Read],
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Returns the values of what geometries hold in parts of a block, and how many."""
    first, last = parts[:, :2].min(axis=0), parts[:, 2:].max(axis=0)
    (top, left), (height, width) = first.tolist(), (last - first).tolist()
    values = _read(readers, Window(top, left, height, width))
    found, counts = [], np.zeros(len(parts), np.int64)
    for cells in held_cells(geometries, grid, parts):
        found.append(values[cells.row - top, cells.column - left])
        counts += np.bincount(cells.owner, minlength=len(parts))
    return np.concatenate(found), counts


def _read(readers: list[Read], window: Window) -> FloatArray:
    """Returns all channels of a window, (h, w, channels)."""
    return np.concatenate([read(window) for read in readers], axis=-1)


def _cell(geometry: Any, grid: Grid) -> Window:  # noqa: ANN401 - a shapely geometry
    """Returns the pixel in which a geometry without a pixel's centre lies."""
    point = geometry.representative_point()
    column, row = ~grid.transform @ (point.x, point.y)
    inside = np.clip(np.floor((row, column)), 0, np.array(grid.shape) - 1)
    return Window(int(inside[0]), int(inside[1]), 1, 1)

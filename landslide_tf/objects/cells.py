"""Which pixels of a grid polygons hold, for many polygons at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.objects.outlines import apply
from landslide_tf.raster.antimeridian import Geometries
from landslide_tf.raster.grid import Window
from landslide_tf.terrain import Grid

_AT_ONCE = (
    2**16
)  # pixels of windows that are looked at together: sorting them fits a cache


class Cells(NamedTuple):
    """Pixels that polygons hold, polygon by polygon, each in reading order.

    Attributes:
        owner: Position of the polygon (n,), ascending.
        row: Row on the grid (n,).
        column: Column (n,).
    """

    owner: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]


def spans(geometries: Geometries, grid: Grid) -> NDArray[np.int64]:
    """Returns the rows and columns that geometries reach, within a grid.

    Args:
        geometries: Geometries in the system of the grid.
        grid: The grid, north up.

    Returns:
        First row and column of each, and those behind the last, (N, 4).

    >>> import numpy as np
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.objects.cells import spans
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 6, 6)
    >>> spans(np.array([shapely.box(500_010, 4_599_960, 500_055, 4_599_980)]), grid)
    array([[2, 1, 4, 6]])
    """
    west, south, east, north = shapely.bounds(geometries).T
    upper = apply(~grid.transform, np.stack([west, north], axis=1))
    lower = apply(~grid.transform, np.stack([east, south], axis=1))
    # Outlines along pixel edges miss whole numbers by rounding.
    upper, lower = np.floor(upper + 1e-6), np.ceil(lower - 1e-6)
    found = np.concatenate([upper[:, ::-1], lower[:, ::-1]], axis=1)
    limits = np.array(grid.shape * 2)
    return np.clip(np.nan_to_num(found), 0, limits).astype(np.int64)


def held_cells(
    geometries: Geometries, grid: Grid, windows: NDArray[np.int64]
) -> Iterator[Cells]:
    """Yields the pixels whose centre lies in polygons, some polygons at a time.

    Polygons may overlap: each has its own pixels. Parts that are no areas hold none.

    Args:
        geometries: Polygons in the system of the grid (N,).
        grid: The grid, north up.
        windows: Where each is looked at: first row and column, and those behind the
            last, (N, 4).

    Yields:
        Pixels of polygons that follow each other; each polygon is in one of them.

    >>> import numpy as np
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.objects.cells import held_cells, spans
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 6, 6)
    >>> box = np.array([shapely.box(500_010, 4_599_960, 500_055, 4_599_980)])
    >>> (cells,) = held_cells(box, grid, spans(box, grid))
    >>> cells.row.tolist(), cells.column.tolist()
    ([2, 2, 2, 2, 3, 3, 3, 3], [1, 2, 3, 4, 1, 2, 3, 4])
    """
    sizes = (windows[:, 2:] - windows[:, :2]).prod(axis=1)
    start = 0
    while start < len(windows):
        within = np.searchsorted(np.cumsum(sizes[start:]), _AT_ONCE, "right")
        end = start + max(int(within), 1)
        cells = _held(geometries[start:end], grid, windows[start:end])
        yield cells._replace(owner=cells.owner + start)
        start = end


class NumberedCells:
    """Says for windows of a grid which polygon holds each pixel.

    Args:
        geometries: Polygons in the system of the grid; where they overlap, the last
            has the pixel.
        grid: The grid, north up.

    >>> import numpy as np
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.objects.cells import NumberedCells
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 6, 6)
    >>> box = np.array([shapely.box(500_010, 4_599_960, 500_055, 4_599_980)])
    >>> NumberedCells(box, grid).read(Window(1, 0, 2, 6)).tolist()
    [[0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 0]]
    """

    def __init__(self, geometries: Geometries, grid: Grid) -> None:
        self._geometries, self._grid = geometries, grid
        self._spans = spans(geometries, grid)

    def read(self, window: Window) -> NDArray[np.int32]:
        """Returns the number of the polygon from 1, int32 (h, w), 0 = none."""
        row, column, height, width = window
        low = np.maximum(self._spans[:, :2], (row, column))
        high = np.minimum(self._spans[:, 2:], (row + height, column + width))
        here = np.flatnonzero((low < high).all(axis=1))
        parts = np.concatenate([low, high], axis=1)[here]
        found = np.zeros((height, width), np.int32)
        for cells in held_cells(self._geometries[here], self._grid, parts):
            found[cells.row - row, cells.column - column] = here[cells.owner] + 1
        return found


def _held(geometries: Geometries, grid: Grid, windows: NDArray[np.int64]) -> Cells:
    """Returns the pixels of polygons, all windows laid out one behind the other.

    Along a row a polygon begins and ends where its edges cross the line through the
    centres of the pixels: inside is what lies behind an odd number of them.
    """
    top, left, bottom, right = windows.T
    width = right - left
    first = np.append(0, np.cumsum((bottom - top) * width))
    (x0, y0), (x1, y1), of = _edges(geometries, grid)
    low, high = (
        np.clip(np.ceil(y - 0.5), top[of], bottom[of]).astype(np.int64)
        for y in (np.minimum(y0, y1), np.maximum(y0, y1))
    )
    crossed = high - low
    edge = np.repeat(np.arange(len(of)), crossed)
    before = np.cumsum(crossed) - crossed
    row = low[edge] + np.arange(len(edge)) - before[edge]
    of, x0, y0 = of[edge], x0[edge], y0[edge]
    x = x0 + (row + 0.5 - y0) * (x1[edge] - x0) / (y1[edge] - y0)
    # Right of its window an edge closes the row, where the next one begins.
    column = np.clip(np.ceil(x - 0.5), left[of], right[of]).astype(np.int64)
    place = first[of] + (row - top[of]) * width[of] + column - left[of]
    edges = (np.bincount(place, minlength=first[-1] + 1) & 1).astype(np.uint8)
    inside = np.flatnonzero(np.bitwise_xor.accumulate(edges)[:-1])
    owner = np.searchsorted(first, inside, "right") - 1
    down, across = np.divmod(inside - first[owner], width[owner])
    return Cells(owner, top[owner] + down, left[owner] + across)


def _edges(
    geometries: Geometries, grid: Grid
) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Returns both ends (2, n) of all edges of polygons in columns and rows, and whose.

    Geometries of other kinds have none.
    """
    parts, of = shapely.get_parts(geometries, return_index=True)
    deeper, part = shapely.get_parts(parts, return_index=True)  # of collections
    rings, ring_of = shapely.get_rings(deeper, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    cells = apply(~grid.transform, points)
    joined = ring[1:] == ring[:-1]
    owner = of[part[ring_of[ring[1:][joined]]]]
    return cells[:-1][joined].T, cells[1:][joined].T, owner

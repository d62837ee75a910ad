"""Grids of raster files: where their cells lie, and whether two share ground.

Every question to a file about its place (system, units, orientation, control points)
is asked here, whoever reads the file.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from landslide_tf.errors import DataError
from landslide_tf.raster.names import FilePath
from landslide_tf.raster.opening import open_raster
from landslide_tf.terrain import Grid, cell_size
from landslide_tf.terrain.elevation import check_placed

# Cells that coincide to this part of a cell are the same.
SAME = 1e-3

Turn = tuple[slice, slice]
"""An index that mirrors the rows or columns of an array, or leaves them."""

AS_STORED: Turn = (slice(None), slice(None))


class Window(NamedTuple):
    """Part of a grid.

    Attributes:
        row: First row.
        column: First column.
        height: Rows.
        width: Columns.

    >>> from landslide_tf.raster.grid import Window
    >>> Window(4, 8, 2, 3).box.flatten()  # column, row, width, height
    (8, 4, 3, 2)
    """

    row: int
    column: int
    height: int
    width: int

    @property
    def box(self) -> RasterWindow:
        """The window as rasterio takes it."""
        return RasterWindow(self.column, self.row, self.width, self.height)


def rows_of(shape: tuple[int, int], rows: int = 512) -> Iterator[Window]:
    """Yields whole rows of an array, some hundred at a time, from the top.

    Args:
        shape: Its rows and columns.
        rows: Rows of a window; the last may have fewer.

    Yields:
        The windows.

    >>> from landslide_tf.raster.grid import rows_of
    >>> [(window.row, window.height) for window in rows_of((5, 3), 2)]
    [(0, 2), (2, 2), (4, 1)]
    """
    height, width = shape
    for row in range(0, height, rows):
        yield Window(row, 0, min(rows, height - row), width)


def around(
    window: Window, shape: tuple[int, int], margin: int
) -> tuple[Window, tuple[slice, slice]]:
    """Returns a window with what lies around it, and where it lies in that.

    Args:
        window: Part of an array.
        shape: Rows and columns of the array, which the result stays in.
        margin: Pixels on each side.

    Returns:
        The larger window, and the rows and columns of the first in it.

    >>> from landslide_tf.raster.grid import Window, around
    >>> around(Window(2, 0, 2, 3), (9, 3), 1)[0]
    Window(row=1, column=0, height=4, width=3)
    """
    top, left = max(window.row - margin, 0), max(window.column - margin, 0)
    bottom = min(window.row + window.height + margin, shape[0])
    right = min(window.column + window.width + margin, shape[1])
    row, column = window.row - top, window.column - left
    inner = slice(row, row + window.height), slice(column, column + window.width)
    return Window(top, left, bottom - top, right - left), inner


def stored_grid(dataset: DatasetReader) -> Grid:
    """Returns the grid of an open file as it is stored, without rasterio's warning.

    Raises:
        DataError: If control points, a sensor model or a system without a transform
            place it.

    >>> from rasterio import Affine
    >>> from rasterio.io import MemoryFile
    >>> from landslide_tf.raster.grid import stored_grid
    >>> with MemoryFile() as memory, memory.open(
    ...     driver="GTiff", count=1, height=3, width=2, dtype="uint8",
    ...     crs="EPSG:32633", transform=Affine(10, 0, 0, 0, 10, 0),
    ... ) as dataset:
    ...     stored_grid(dataset).transform.e  # south on top
    10.0
    """
    with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
        check_placed(dataset)
        return Grid.of(dataset)


def north_up(grid: Grid) -> tuple[Grid, Turn]:
    """Returns a grid with north up and east right, where that can be said.

    Args:
        grid: The grid of a file as it is stored.

    Returns:
        The same cells in rows from north to south and columns from west to east, and
        the index that turns arrays of one into arrays of the other. A grid that is
        rotated or has no place is returned as it is.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.grid import north_up
    >>> from landslide_tf.terrain import Grid
    >>> south_up = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, 10, 4_600_000), 3, 2)
    >>> grid, turn = north_up(south_up)
    >>> grid.transform.f, turn[0]
    (4600030.0, slice(None, None, -1))
    """
    if grid.is_georeferenced and not grid.is_rotated:
        return grid.upright()
    return grid, AS_STORED


def grid_of(path: FilePath, what: str) -> Grid:
    """Returns the grid of a file that must have a place, north up.

    Args:
        path: The file.
        what: What it is, for messages.

    Returns:
        Its grid; where the file has the south on top, that of its mirror image.

    Raises:
        DataError: If it cannot be read, has no CRS, or is rotated.

    >>> from pathlib import Path
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.grid import grid_of
    >>> from landslide_tf.terrain import Grid
    >>> south_up = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, 10, 4_600_000), 2, 2)
    >>> path = Path("/vsimem/south.tif")  # a file in memory
    >>> write_plain(path, south_up, Layer("uint8", 0, ["grey"]), [])
    >>> grid_of(path, "image") == south_up.upright()[0]
    True
    """
    return upright_grid(stored_grid_of(path, what), f"{what} `{path}`")


def stored_grid_of(path: FilePath, what: str) -> Grid:
    """Returns the grid of a file as it is stored.

    Args:
        path: The file.
        what: What it is, for messages.

    Returns:
        Its grid, as of `stored_grid`.

    Raises:
        DataError: If it cannot be read.

    >>> from pathlib import Path
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.grid import stored_grid_of
    >>> from landslide_tf.terrain import Grid
    >>> south_up = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, 10, 4_600_000), 2, 2)
    >>> path = Path("/vsimem/stored.tif")  # a file in memory
    >>> write_plain(path, south_up, Layer("uint8", 0, ["grey"]), [])
    >>> stored_grid_of(path, "image") == south_up
    True
    """
    with open_raster(path, what) as dataset:
        return stored_grid(dataset)


def upright_grid(grid: Grid, name: str) -> Grid:
    """Returns a grid that must have a place, north up; `name` serves messages.

    Raises:
        DataError: If it has no CRS, or is rotated.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.grid import upright_grid
    >>> from landslide_tf.terrain import Grid
    >>> south_up = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, 10, 4_600_000), 3, 2)
    >>> upright_grid(south_up, "DEM").transform.e
    -10.0
    """
    if grid.crs is None:
        raise DataError(
            f"{name} must have a coordinate reference system, received none; "
            "assign it (`rio edit-info --crs EPSG:… --transform …`)."
        )
    try:
        upright, _ = grid.upright()
        cell_size(upright)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    return upright


def mean_cell(grid: Grid) -> float:
    """Returns the size of a grid's cells in metres, in the middle, both ways.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.grid import mean_cell
    >>> from landslide_tf.terrain import Grid
    >>> mean_cell(Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -40, 4_600_000), 3, 2))
    20.0
    """
    east, north = _cell_in_middle(grid)
    return (east * north) ** 0.5


def row_areas(grid: Grid) -> NDArray[np.float64]:
    """Returns the area of a cell of each row of an upright grid, m², float64 (H,).

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.grid import row_areas
    >>> from landslide_tf.terrain import Grid
    >>> row_areas(Grid("EPSG:32633", Affine(10, 0, 0, 0, -20, 0), 2, 2)).tolist()
    [200.0, 200.0]
    """
    east, north = (np.broadcast_to(size, grid.height) for size in cell_size(grid))
    return np.ascontiguousarray(east * north)


def _cell_in_middle(grid: Grid) -> tuple[float, float]:
    sizes = [np.broadcast_to(size, grid.height) for size in cell_size(grid)]
    east, north = (float(size[grid.height // 2]) for size in sizes)
    return east, north


def with_cell(grid: Grid, gsd: float | None) -> Grid:
    """Returns the grid of the same ground with square cells of another size.

    Args:
        grid: A north-up grid.
        gsd: Cell size, metres; None keeps the grid.

    Returns:
        The grid, from the same upper left corner.

    Raises:
        DataError: If the size is not above 0 or leaves no cell.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.grid import with_cell
    >>> from landslide_tf.terrain import Grid
    >>> fine = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 60, 45)
    >>> with_cell(fine, 20).shape
    (30, 22)
    """
    if gsd is None:
        return grid
    if not (np.isfinite(gsd) and gsd > 0):
        raise DataError(f"Expected `gsd` above 0 metres, received {gsd}.")
    east, north = _cell_in_middle(grid)
    across, down = gsd / east, gsd / north
    if max(abs(across - 1), abs(down - 1)) < SAME:
        return grid
    # Whole cells only: a last one that the image covers in part would be half empty.
    width, height = int(grid.width / across), int(grid.height / down)
    if min(width, height) < 1:
        raise DataError(
            f"Expected `gsd` smaller than the image, received {gsd} m for an image of "
            f"{grid.width * east:.4g} m by {grid.height * north:.4g} m."
        )
    scaled = grid.transform @ rasterio.Affine.scale(across, down)
    return replace(grid, transform=scaled, height=height, width=width)


def same_cells(own: Grid, grid: Grid) -> Turn | None:
    """Says whether a file has the cells of a grid, in its order or mirrored.

    Args:
        own: Grid of the file, as stored.
        grid: Another grid.

    Returns:
        The index that turns arrays of one into arrays of the other; None where their
        cells differ.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.grid import same_cells
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 3, 2)
    >>> same_cells(grid, grid)
    (slice(None, None, None), slice(None, None, None))
    >>> same_cells(grid.window(0, 1, 3, 2), grid) is None
    True
    """
    for candidate, turn in ((own, AS_STORED), north_up(own)):
        if candidate.crs != grid.crs or candidate.shape != grid.shape:
            return None
        between = ~candidate.transform @ grid.transform
        drift = max(
            abs(between.a - 1), abs(between.e - 1), abs(between.b), abs(between.d)
        )
        offset = max(abs(between.c), abs(between.f))
        if drift * max(grid.shape) < SAME and offset < SAME:
            return turn
    return None

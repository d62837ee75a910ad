"""Windows of raster files on the grid of an image, whatever grid the files have."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window as RasterWindow

from landslide_tf.errors import DataError
from landslide_tf.terrain import Grid, cell_size

# Grids whose cells coincide to a thousandth of a cell are one grid.
_SAME = 1e-3
# A cell this much larger than the source's is made of the mean of what it covers.
_COARSER = 1.5

Bounds = tuple[float, float, float, float]


class Window(NamedTuple):
    """Part of a grid."""

    row: int
    column: int
    height: int
    width: int


def stored_grid(dataset: DatasetReader) -> Grid:
    """Returns the grid of an open file as it is stored, without rasterio's warning."""
    with warnings.catch_warnings():
        # Our own errors say more than rasterio's warning.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return Grid.of(dataset)


def open_dataset(path: str | os.PathLike[str], what: str) -> DatasetReader:
    """Opens a file, to be closed by the caller; otherwise as `open_raster`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path)
    except RasterioError as error:
        raise DataError(
            f"{what} `{path}` must be a raster that can be read, received: "
            f"{str(error).splitlines()[0]}; check that the file is there and whole."
        ) from error


@contextlib.contextmanager
def open_raster(path: str | os.PathLike[str], what: str) -> Iterator[DatasetReader]:
    """Opens a raster file.

    Args:
        path: The file.
        what: What it is, for messages (`"image"`).

    Yields:
        The open dataset.

    Raises:
        DataError: If it cannot be opened or read.
    """
    with open_dataset(path, what) as dataset, readable(path, what):
        yield dataset


@contextlib.contextmanager
def readable(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Turns a failure to read a file's pixels into one line that names the file."""
    try:
        yield
    except RasterioIOError as error:
        raise DataError(
            f"{what} `{path}` must be a whole raster, received: "
            f"{str(error).splitlines()[0]}; the file is truncated or corrupt."
        ) from error


def grid_of(path: str | os.PathLike[str], what: str) -> Grid:
    """Returns the grid of a file, north up.

    Args:
        path: The file.
        what: What it is, for messages.

    Returns:
        Its grid; where the file has the south on top, that of its mirror image.

    Raises:
        DataError: If it cannot be read, has no CRS, or is rotated.
    """
    with open_raster(path, what) as dataset:
        grid = stored_grid(dataset)
    if grid.crs is None:
        raise DataError(
            f"{what} `{path}` must have a coordinate reference system, received none; "
            "assign it (`rio edit-info --crs EPSG:… --transform …`)."
        )
    try:
        upright, _ = grid.upright()
        cell_size(upright)
    except DataError as error:
        raise DataError(f"{what} `{path}`: {error}") from error
    return upright


def mean_cell(grid: Grid) -> float:
    """Returns the size of a grid's cells in metres, in the middle, both ways."""
    sizes = [np.broadcast_to(size, grid.height) for size in cell_size(grid)]
    east, north = (float(size[grid.height // 2]) for size in sizes)
    return (east * north) ** 0.5


def with_cell(grid: Grid, gsd: float | None) -> Grid:
    """Returns the grid of the same ground with square cells of another size.

    Args:
        grid: A north-up grid.
        gsd: Cell size, metres; None keeps the grid.

    Returns:
        The grid, from the same upper left corner.

    Raises:
        DataError: If the size is not above 0 or leaves no cell.
    """
    if gsd is None:
        return grid
    if not (np.isfinite(gsd) and gsd > 0):
        raise DataError(f"Expected `gsd` above 0 metres, received {gsd}.")
    sizes = [np.broadcast_to(size, grid.height) for size in cell_size(grid)]
    east, north = (float(size[grid.height // 2]) for size in sizes)
    across, down = gsd / east, gsd / north
    if max(abs(across - 1), abs(down - 1)) < _SAME:
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


def bounds_in(grid: Grid, crs: Any) -> Bounds:  # noqa: ANN401 - rasterio's CRS
    """Returns left, bottom, right and top of a north-up grid in another system."""
    t = grid.transform
    box = (t.c, t.f + grid.height * t.e, t.c + grid.width * t.a, t.f)
    return box if grid.crs == crs else transform_bounds(grid.crs, crs, *box)


def check_overlap(path: str | os.PathLike[str], what: str, grid: Grid) -> None:
    """Refuses a raster that has no place on the ground or none in common.

    Args:
        path: The raster file.
        what: What it is, for messages.
        grid: Grid of the image.

    Raises:
        DataError: If it has no CRS or shows other ground.
    """
    own = grid_of(path, what)
    a, b = bounds_in(own, grid.crs), bounds_in(grid, grid.crs)
    if min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) <= max(a[1], b[1]):
        raise DataError(
            f"{what} `{path}` must overlap the image, received {own} beside {grid}: "
            "they share no ground; check the systems of both."
        )


def _same_cells(own: Grid, grid: Grid) -> bool:
    if own.crs != grid.crs or own.shape != grid.shape:
        return False
    between = ~own.transform @ grid.transform
    drift = max(abs(between.a - 1), abs(between.e - 1), abs(between.b), abs(between.d))
    return (
        drift * max(grid.shape) < _SAME and max(abs(between.c), abs(between.f)) < _SAME
    )


class AlignedRaster:
    """Bands of a file on a grid, read window by window.

    An instance belongs to one thread, as GDAL's datasets do.

    Args:
        path: The file.
        what: What it is, for messages.
        grid: The grid to read on.
        indexes: Bands, from 1.
        kernel: Resampling where the file has another grid; the mean is taken where
            cells grow, except for `"nearest"`.
        values: Stored values that mean something, even where the file tags one of
            them as nodata: masks often say that 0 is no value.
        placed: Grid of a file that has no CRS.

    Raises:
        DataError: If the file cannot be opened or lacks a band.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        what: str,
        grid: Grid,
        *,
        indexes: Sequence[int] = (1,),
        kernel: str = "cubic",
        values: Collection[float] = (),
        placed: Grid | None = None,
    ) -> None:
        self.path, self.what, self.indexes = Path(path), what, list(indexes)
        self._source: DatasetReader | WarpedVRT = open_dataset(path, what)
        if max(self.indexes) > self._source.count:
            raise DataError(
                f"{what} `{path}` must have a band {max(self.indexes)}, received "
                f"{self._source.count} bands."
            )
        self.dtype = np.dtype(self._source.dtypes[self.indexes[0] - 1])
        self.scales = [self._source.scales[k - 1] for k in self.indexes]
        self.offsets = [self._source.offsets[k - 1] for k in self.indexes]
        self._base = self._source
        self._meant = frozenset(values) & {self._source.nodata}
        own = placed or stored_grid(self._source)
        if not _same_cells(own, grid):
            self._source = self._warped(placed, grid, kernel)

    def _warped(self, placed: Grid | None, grid: Grid, kernel: str) -> WarpedVRT:
        own = placed or grid_of(self.path, self.what)
        coarser = mean_cell(grid) > _COARSER * mean_cell(own)
        if kernel != "nearest" and coarser:
            kernel = "average"
        alpha = ColorInterp.alpha in self._base.colorinterp
        place = {}
        if placed is not None:
            place = {"src_crs": placed.crs, "src_transform": placed.transform}
        no_tag = self._base.nodata is None or bool(self._meant)
        if self._meant:
            place |= {"src_nodata": None, "nodata": None}
        return WarpedVRT(
            self._base,
            **place,
            crs=grid.crs,
            transform=grid.transform,
            height=grid.height,
            width=grid.width,
            resampling=Resampling[kernel],
            # Without a nodata value, cells beyond the file would read as 0.
            add_alpha=no_tag and not alpha,
        )

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Reads a window.

        Args:
            window: Part of the grid, inside it.

        Returns:
            Bands (C, h, w) in the file's dtype, and where all of them hold a value,
            bool (h, w).

        Raises:
            DataError: If the file is truncated or corrupt.
        """
        box = RasterWindow(window.column, window.row, window.width, window.height)
        with readable(self.path, self.what):
            values = self._source.read(self.indexes, window=box)
            valid = (self._source.read_masks(self.indexes, window=box) > 0).all(axis=0)
        if self._meant and self._source is self._base:
            valid[:] = True
        if values.dtype.kind == "f":
            valid &= np.isfinite(values).all(axis=0)
        return values, valid

    def close(self) -> None:
        """Closes the file."""
        self._source.close()
        self._base.close()

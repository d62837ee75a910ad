"""Windows of raster files on the grid of an image, whatever grid the files have.

How resampling is understood, of images as of elevation models, is said here and nowhere
else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterWindow

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.raster import grid as grids
from landslide_tf.raster.grid import AS_STORED, Window
from landslide_tf.raster.names import FilePath
from landslide_tf.raster.opening import open_dataset, readable
from landslide_tf.raster.validity import (
    alpha_bands,
    is_measurable,
    known_cells,
    opaque,
)
from landslide_tf.terrain import Grid
from landslide_tf.terrain.resampling import on_each_turn
from landslide_tf.words import counted

# A cell this much larger than the source's is made of the mean of what it covers.
_COARSER = 1.5


class AlignedRaster:
    """Bands of a file on a grid, read window by window.

    Where the file has the grid's cells, in its order or mirrored, they are read as
    they are stored; otherwise they are resampled. An instance belongs to one thread, as
    GDAL's datasets do.

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
        nodata: Number that stands for no data; None = as the file tags.

    Attributes:
        dtype: Type of the first band.

    Raises:
        DataError: If the file cannot be opened or lacks a band.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.aligned import AlignedRaster
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.terrain import Grid
    >>> south_up = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, 10, 4_600_000), 2, 2)
    >>> stored = np.array([[[1, 2], [3, 0]]], np.uint8)
    >>> path = Path("/vsimem/aligned.tif")  # a file in memory
    >>> write_plain(path, south_up, Layer("uint8", 0, ["red"]), [(0, stored)])
    >>> raster = AlignedRaster(path, "image", south_up.upright()[0])
    >>> values, valid = raster.read(Window(0, 0, 2, 2))
    >>> raster.close()
    >>> values[0].tolist(), valid.tolist()
    ([[3, 0], [1, 2]], [[True, False], [True, True]])
    """

    def __init__(
        self,
        path: FilePath,
        what: str,
        grid: Grid,
        *,
        indexes: Sequence[int] = (1,),
        kernel: str = "cubic",
        values: Collection[float] = (),
        placed: Grid | None = None,
        nodata: float | None = None,
    ) -> None:
        self.path, self.what, self.indexes = path, what, list(indexes)
        self._base = open_dataset(path, what)
        if max(self.indexes) > self._base.count:
            raise DataError(
                f"{what} `{path}` must have a band {max(self.indexes)}, received "
                f"{counted(self._base.count, 'band')}."
            )
        self.dtype = np.dtype(self._base.dtypes[self.indexes[0] - 1])
        # GDAL's masks know of alpha bands of grey and RGB images only.
        self._alpha = [k for k in alpha_bands(self._base) if k not in self.indexes]
        if ColorInterp.alpha in self._base.colorinterp and not self._alpha:
            self._base = opaque(self._base)
        self._sources: list[DatasetReader | WarpedVRT] = [self._base]
        self._nodata = self._base.nodata if nodata is None else nodata
        self._meant = frozenset(values) & {self._nodata}
        self._grid = grid
        own = placed or grids.stored_grid(self._base)
        turn = grids.same_cells(own, grid)
        if turn is None:
            self._sources = self._warped(own, placed, grid, kernel)
        self._turn = turn or AS_STORED

    def _warped(
        self, stored: Grid, placed: Grid | None, grid: Grid, kernel: str
    ) -> list[DatasetReader | WarpedVRT]:
        """Returns the file on the grid, from each side of the antimeridian."""
        own = placed or grids.grid_of(self.path, self.what)
        coarser = grids.mean_cell(grid) > _COARSER * grids.mean_cell(own)
        if kernel != "nearest" and coarser:
            kernel = "average"
        how: dict[str, Any] = {}
        nodata = None if self._meant else self._nodata
        measurable = is_measurable(nodata, self.dtype)
        if nodata is not None and not measurable:
            # Else the number of one band would be mixed into its neighbours.
            how["UNIFIED_SRC_NODATA"] = "NO"
        # Without a nodata value, cells beyond the file would read as 0; with one that
        # is measured, too, GDAL changes the values that are equal to it.
        add_alpha = nodata is None or measurable
        add_alpha &= ColorInterp.alpha not in self._base.colorinterp
        if add_alpha:
            self._alpha.append(self._base.count + 1)
        return [
            WarpedVRT(
                self._base,
                **how,
                src_crs=at.crs,
                src_transform=at.transform,
                src_nodata=nodata,
                nodata=None if add_alpha else nodata,
                crs=grid.crs,
                transform=grid.transform,
                height=grid.height,
                width=grid.width,
                resampling=Resampling[kernel],
                add_alpha=add_alpha,
            )
            for at in on_each_turn(stored, grid)
        ]

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Reads a window.

        Args:
            window: Part of the grid, inside it.

        Returns:
            Bands (C, h, w) in the file's dtype, and where they hold a value
            (`validity.known_cells`), all of them a finite one, bool (h, w).

        Raises:
            DataError: If the file is truncated or corrupt.
        """
        row, column, height, width = window
        if self._turn[0].step == -1:
            row = self._grid.height - row - height
        if self._turn[1].step == -1:
            column = self._grid.width - column - width
        box = Window(row, column, height, width).box
        with readable(self.path, self.what):
            values, valid = self._read(self._sources[0], box)
            for source in self._sources[1:]:
                others, known = self._read(source, box)
                values = np.where(valid, values, others)
                valid |= known
        if values.dtype.kind == "f":
            valid &= np.isfinite(values).all(axis=0)
        return values[(slice(None), *self._turn)], valid[self._turn]

    def _read(
        self, source: DatasetReader | WarpedVRT, box: RasterWindow
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Returns bands of one view of the file, and where they hold a value."""
        stored = source is self._base
        values = source.read(self.indexes, window=box)
        nodata = self._nodata if stored else None
        valid = known_cells(source, self.indexes, self._alpha, nodata=nodata, box=box)
        if self._meant and stored:
            valid[:] = True
        return values, valid

    def physical(self, values: NDArray[Any], position: int = 0) -> FloatArray:
        """Returns what stored values stand for, by the file's scale and offset.

        Args:
            values: Values of one band, as `read` gives them, any shape.
            position: Which of `indexes` the band is.

        Returns:
            The values in the unit of the band.
        """
        index = self.indexes[position] - 1
        return values * self._base.scales[index] + self._base.offsets[index]

    def close(self) -> None:
        """Closes the file."""
        for source in self._sources:
            source.close()
        self._base.close()

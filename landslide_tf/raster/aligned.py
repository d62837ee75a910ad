"""Windows of raster files on the grid of an image, whatever grid the files have.

How nodata, masks and resampling are understood, of images as of elevation models, is
said here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.io import DatasetReader, MemoryFile
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterWindow

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.raster import grid as grids
from landslide_tf.raster.grid import AS_STORED, Window
from landslide_tf.terrain import Grid

# A cell this much larger than the source's is made of the mean of what it covers.
_COARSER = 1.5


def alpha_bands(dataset: DatasetReader) -> list[int]:
    """Returns the bands, from 1, that say where an image is transparent.

    GDAL takes the fourth band of a byte image for it where nothing else is said; a band
    with a name is data.

    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from rasterio.io import MemoryFile
    >>> from landslide_tf.raster.aligned import alpha_bands
    >>> with MemoryFile() as memory:
    ...     with memory.open(
    ...         driver="GTiff", count=4, height=2, width=2, dtype="uint8",
    ...         transform=Affine(10, 0, 0, 0, -10, 0),
    ...     ) as dataset:
    ...         unnamed = alpha_bands(dataset)
    ...         dataset.set_band_description(4, "nir")
    ...         unnamed, alpha_bands(dataset)
    ([4], [])
    """
    return [
        number
        for number, (meaning, name) in enumerate(
            zip(dataset.colorinterp, dataset.descriptions, strict=True), 1
        )
        if meaning == ColorInterp.alpha and not name
    ]


def known_cells(
    dataset: DatasetReader | WarpedVRT,
    indexes: Sequence[int],
    alpha: Sequence[int],
    *,
    box: RasterWindow | None = None,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.bool_]:
    """Says where all of some bands hold a value and nothing is transparent.

    Where a file has both a nodata value and an alpha band, both count.

    Args:
        dataset: The open file.
        indexes: Bands, from 1.
        alpha: Bands that say where the image is transparent, from 1.
        box: Part of the file; None = all of it.
        shape: Rows and columns to read it in; None = its own.

    Returns:
        bool (h, w).

    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from rasterio.io import MemoryFile
    >>> from landslide_tf.raster.aligned import alpha_bands, known_cells
    >>> stored = np.array([[[0, 9, 9]]] * 3 + [[[255, 0, 255]]], np.uint8)
    >>> with MemoryFile() as memory:
    ...     with memory.open(
    ...         driver="GTiff", count=4, height=1, width=3, dtype="uint8", nodata=0,
    ...         transform=Affine(10, 0, 0, 0, -10, 0),
    ...     ) as dataset:
    ...         dataset.write(stored)
    ...         known_cells(dataset, [1, 2, 3], alpha_bands(dataset)).tolist()
    [[False, False, True]]
    """
    bands = list(indexes)
    size = None if shape is None else (len(bands), *shape)
    flags = [dataset.mask_flag_enums[k - 1] for k in bands]
    by_nodata = all(flag == [MaskFlags.nodata] for flag in flags)
    if by_nodata and ColorInterp.alpha in dataset.colorinterp:
        # GDAL's masks forget the alpha band then, of which rasterio warns.
        values = dataset.read(bands, window=box, out_shape=size)
        nodata = np.array([dataset.nodatavals[k - 1] for k in bands], values.dtype)
        known = (values != nodata[:, None, None]).all(axis=0)
    else:
        masks = dataset.read_masks(bands, window=box, out_shape=size)
        known = (masks > 0).all(axis=0)
    for k in alpha:
        known &= dataset.read(k, window=box, out_shape=shape) > 0
    return known


def _without_alpha(dataset: DatasetReader) -> DatasetReader:
    """Closes a file and returns a view of it in which all bands are data.

    GDAL masks pixels by an alpha band, and weights them by it where it resamples.
    """
    with dataset, MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(dataset, memory.name, driver="VRT")
        view = memory.read().decode()
    return grids.open_dataset(view.replace("<ColorInterp>Alpha</ColorInterp>", ""), "")


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
        path: grids.FilePath,
        what: str,
        grid: Grid,
        *,
        indexes: Sequence[int] = (1,),
        kernel: str = "cubic",
        values: Collection[float] = (),
        placed: Grid | None = None,
    ) -> None:
        self.path, self.what, self.indexes = Path(path), what, list(indexes)
        self._base = grids.open_dataset(path, what)
        if max(self.indexes) > self._base.count:
            raise DataError(
                f"{what} `{path}` must have a band {max(self.indexes)}, received "
                f"{self._base.count} bands."
            )
        self.dtype = np.dtype(self._base.dtypes[self.indexes[0] - 1])
        # GDAL's masks know of alpha bands of grey and RGB images only.
        self._alpha = [k for k in alpha_bands(self._base) if k not in self.indexes]
        if ColorInterp.alpha in self._base.colorinterp and not self._alpha:
            self._base = _without_alpha(self._base)
        self._source: DatasetReader | WarpedVRT = self._base
        self._meant = frozenset(values) & {self._base.nodata}
        self._grid = grid
        own = placed or grids.stored_grid(self._base)
        turn = grids.same_cells(own, grid)
        if turn is None:
            self._source = self._warped(placed, grid, kernel)
        self._turn = turn or AS_STORED

    def _warped(self, placed: Grid | None, grid: Grid, kernel: str) -> WarpedVRT:
        own = placed or grids.grid_of(self.path, self.what)
        coarser = grids.mean_cell(grid) > _COARSER * grids.mean_cell(own)
        if kernel != "nearest" and coarser:
            kernel = "average"
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
            add_alpha=no_tag and ColorInterp.alpha not in self._base.colorinterp,
        )

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Reads a window.

        Args:
            window: Part of the grid, inside it.

        Returns:
            Bands (C, h, w) in the file's dtype, and where all of them hold a value and
            nothing is transparent, bool (h, w).

        Raises:
            DataError: If the file is truncated or corrupt.
        """
        row, column, height, width = window
        if self._turn[0].step == -1:
            row = self._grid.height - row - height
        if self._turn[1].step == -1:
            column = self._grid.width - column - width
        box = Window(row, column, height, width).box
        with grids.readable(self.path, self.what):
            values = self._source.read(self.indexes, window=box)
            valid = known_cells(self._source, self.indexes, self._alpha, box=box)
        if self._meant and self._source is self._base:
            valid[:] = True
        if values.dtype.kind == "f":
            valid &= np.isfinite(values).all(axis=0)
        return values[(slice(None), *self._turn)], valid[self._turn]

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
        self._source.close()
        self._base.close()

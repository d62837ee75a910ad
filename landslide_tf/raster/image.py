"""Bands of an image, in one file or several, on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.bands import BandSource
from landslide_tf.raster.grid import Window, stored_grid_of
from landslide_tf.terrain import Grid


class AlignedBands:
    """Bands of one file or several on a grid; each file is opened once.

    An instance belongs to one thread.

    Args:
        sources: Where the bands are.
        grid: The grid to read on.
        stored: Grid of files that have no CRS.
        nodata: Number that stands for no data; None = as each file tags.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.image import AlignedBands
    >>> from landslide_tf.raster.bands import BandSource
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 1, 2)
    >>> path, stored = Path("/vsimem/two.tif"), np.array([[[1, 2]], [[3, 4]]], np.uint8)
    >>> write_plain(path, grid, Layer("uint8", 0, ["red", "nir"]), [(0, stored)])
    >>> sources = [BandSource("nir", str(path), 2), BandSource("red", str(path), 1)]
    >>> bands = AlignedBands(sources, grid, grid)
    >>> layers, valid = bands.read(Window(0, 0, 1, 2))
    >>> bands.close()
    >>> [layer.tolist() for layer in layers]
    [[[3, 4]], [[1, 2]]]
    """

    def __init__(
        self,
        sources: Sequence[BandSource],
        grid: Grid,
        stored: Grid,
        *,
        nodata: float | None = None,
    ) -> None:
        by_path: dict[str, list[int]] = {}
        for position, source in enumerate(sources):
            by_path.setdefault(source.path, []).append(position)
        self._files: list[tuple[AlignedRaster, list[int]]] = []
        self._at: dict[int, tuple[AlignedRaster, int]] = {}
        for path, positions in by_path.items():
            placed = None if stored_grid_of(path, "image").crs else stored
            raster = AlignedRaster(
                path, "image", grid, indexes=[sources[k].number for k in positions],
                placed=placed, nodata=nodata,
            )  # fmt: skip
            self._files.append((raster, positions))
            self._at |= {position: (raster, k) for k, position in enumerate(positions)}

    @property
    def dtype(self) -> np.dtype[Any]:
        """What holds the stored values of all bands."""
        return np.result_type(*(raster.dtype for raster, _ in self._files))

    def read(
        self, window: Window, *, calibrated: bool = False
    ) -> tuple[list[NDArray[Any]], NDArray[np.bool_]]:
        """Reads a window.

        Args:
            window: Part of the grid, inside it.
            calibrated: Whether values are in their unit, by the files' scale and
                offset, or as stored.

        Returns:
            The bands in order, each (h, w), and where all files hold values.
        """
        valid = np.ones((window.height, window.width), bool)
        layers: dict[int, NDArray[Any]] = {}
        for raster, positions in self._files:
            values, whole = raster.read(window)
            valid &= whole
            layers |= zip(positions, values, strict=True)
        ordered = [layers[k] for k in range(len(layers))]
        if calibrated:
            ordered = [self.physical(k, layer) for k, layer in enumerate(ordered)]
        return ordered, valid

    def physical(self, position: int, values: NDArray[Any]) -> FloatArray:
        """Returns what stored values of a band stand for, by its scale and offset."""
        raster, k = self._at[position]
        return raster.physical(values, k)

    def close(self) -> None:
        """Closes all files."""
        for raster, _ in self._files:
            raster.close()

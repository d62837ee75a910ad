"""Terrain factors of windows of a grid, from an elevation model of any grid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.raster.aligned import (
    Window,
    bounds_in,
    open_dataset,
    readable,
    stored_grid,
)
from landslide_tf.terrain import Grid, TerrainFactors, factors_on_grid
from landslide_tf.terrain.elevation import NoElevation

# Cells around a window that the resampling kernel of elevations reaches.
_REACH = 4


def _data_bands(dataset: DatasetReader) -> list[int]:
    """Returns the bands, from 1, that are no transparency."""
    return [
        k
        for k, meaning in enumerate(dataset.colorinterp, 1)
        if meaning != ColorInterp.alpha
    ]


def _around(start: int, length: int, size: int) -> tuple[int, int]:
    """Returns first cell and end of a window with the cells around it, on the grid.

    A grid of one or two rows or columns has slopes only with what lies beyond.
    """
    if size <= 2:
        return -1, size + 1
    return max(start - 1, 0), min(start + length + 1, size)


class AlignedDem:
    """Terrain factors on a grid, computed window by window.

    Windows are computed with the cells around them, so that they fit together as if
    the whole grid had been computed at once.

    Args:
        path: Elevation model of one band, any grid and system.
        grid: The grid to read on.
        factors: Names of `terrain.FACTORS`.
        options: Further arguments of `terrain.factors_on_grid`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        grid: Grid,
        factors: Sequence[str],
        options: dict[str, Any] | None = None,  # as factors_on_grid takes them
    ) -> None:
        self.path, self.factors = Path(path), tuple(factors)
        self._grid, self._options = grid, options or {}
        self._dataset = open_dataset(path, "DEM")
        if (count := len(_data_bands(self._dataset))) != 1:
            raise DataError(
                f"DEM `{path}` must have one band of elevations, received {count}."
            )
        self._own = stored_grid(self._dataset)

    def read(self, window: Window) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Computes a window.

        Args:
            window: Part of the grid, inside it.

        Returns:
            float32 (h, w, F), NaN where there is no elevation, and where all
            elevations of the 3 × 3 cells around are known, bool (h, w).

        Raises:
            DataError: If the model is truncated or corrupt, its system does not
                convert into the grid's, or an option is not valid.
        """
        top, bottom = _around(window.row, window.height, self._grid.height)
        left, right = _around(window.column, window.width, self._grid.width)
        found = self._compute(self._grid.window(top, left, bottom - top, right - left))
        shape = (window.height, window.width)
        if found is None:
            nothing = np.full((*shape, len(self.factors)), np.nan, np.float32)
            return nothing, np.zeros(shape, bool)
        inside = (
            slice(window.row - top, window.row - top + window.height),
            slice(window.column - left, window.column - left + window.width),
        )
        return found.values[inside], found.valid[inside]

    def _compute(self, target: Grid) -> TerrainFactors | None:
        """Returns the factors of a grid; None where there are no elevations."""
        own = self._own
        left, bottom, right, top = bounds_in(target, own.crs)
        corners = ~own.transform @ (np.array([left, right]), np.array([top, bottom]))
        (low, high), (first, last) = np.sort(corners[0]), np.sort(corners[1])
        margins = [
            _REACH * max(1.0, (high - low) / target.width) + 2,
            _REACH * max(1.0, (last - first) / target.height) + 2,
        ]
        columns = [
            max(int(low - margins[0]), 0),
            min(int(high + margins[0]), own.width),
        ]
        rows = [
            max(int(first - margins[1]), 0),
            min(int(last + margins[1]), own.height),
        ]
        if columns[0] >= columns[1] or rows[0] >= rows[1]:
            return None
        part = own.window(
            rows[0], columns[0], rows[1] - rows[0], columns[1] - columns[0]
        )
        box = RasterWindow(columns[0], rows[0], part.width, part.height)
        with readable(self.path, "DEM"):
            values = self._dataset.read(1, window=box).astype(np.float64)
            values[self._dataset.read_masks(1, window=box) == 0] = np.nan
        values = values * self._dataset.scales[0] + self._dataset.offsets[0]
        try:
            return factors_on_grid(
                (values, part, None), target, factors=self.factors, **self._options
            )
        except NoElevation:
            return None  # the elevations end, or have a hole, where the window lies

    def close(self) -> None:
        """Closes the file."""
        self._dataset.close()

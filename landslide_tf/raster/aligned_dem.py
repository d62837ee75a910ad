"""Terrain factors on the grid of an image, whatever grid the elevations have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine

from landslide_tf.array_types import FloatArray
from landslide_tf.raster.dem import DemFiles, open_dem
from landslide_tf.raster.grid import SAME, Window
from landslide_tf.raster.opening import readable
from landslide_tf.raster.systems import bounds_in, full_turn, system_of
from landslide_tf.raster.validity import alpha_bands, known_cells
from landslide_tf.terrain import (
    Grid,
    TerrainFactors,
    factors_on_grid,
    hillshade,
)
from landslide_tf.terrain.distances import cells_by
from landslide_tf.terrain.elevation import NoElevation
from landslide_tf.terrain.on_grid import elevations_on_grid

# Cells around a window that the resampling kernel of elevations reaches.
_REACH = 4


def _around(start: int, length: int, size: int) -> tuple[int, int]:
    """Returns first cell and end of a window with the cells around it, on the grid.

    A grid of one or two rows or columns has slopes only with what lies beyond.
    """
    if size <= 2:
        return -1, size + 1
    return max(start - 1, 0), min(start + length + 1, size)


def _in_file(first: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    """Yields first column and number of the parts of a span that goes round a file."""
    while first < end:
        column = first % width
        count = min(end - first, width - column)
        yield column, count
        first += count


class AlignedDem:
    """Terrain factors on a grid, computed window by window.

    Windows are computed with the cells around them, so that they fit together as if
    the whole grid had been computed at once.

    Args:
        dem: Elevation model, any grid and system.
        grid: The grid to read on.
        factors: Names of `terrain.FACTORS`.
        options: How factors are made: `derive`, `resampling`, `edges`, `method` and
            `distances` of `terrain.factors_on_grid`.

    Raises:
        DataError: As `open_dem`.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.aligned_dem import AlignedDem
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.dem import DemFiles
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 6, 6)
    >>> heights = np.float32(np.arange(0, 60, 10)).reshape(1, 1, 6).repeat(6, axis=1)
    >>> path = Path("/vsimem/dem.tif")  # a file in memory
    >>> write_plain(path, grid, Layer("float32", -9999, ["elevation"]), [(0, heights)])
    >>> dem = AlignedDem(DemFiles(path), grid, ("slope", "aspect"))
    >>> values, known = dem.read(Window(2, 2, 1, 1))
    >>> dem.close()
    >>> values.round(3).tolist()
    [[[45.0, 270.0]]]
    """

    def __init__(
        self,
        dem: DemFiles,
        grid: Grid,
        factors: Sequence[str],
        options: Mapping[str, Any] | None = None,  # as factors_on_grid takes them
    ) -> None:
        self.factors = tuple(factors)
        self._dem, self._grid, self._options = dem, grid, dict(options or {})
        self._open = open_dem(dem)
        self._alpha = alpha_bands(self._open.dataset)
        placed = self._open.grid
        self._full_turn = full_turn(system_of(placed)) if placed.crs else None

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
        target, inside = self._with_rim(window)
        found = self._compute(target)
        shape = (window.height, window.width)
        if found is None:
            nothing = np.full((*shape, len(self.factors)), np.nan, np.float32)
            return nothing, np.zeros(shape, bool)
        return found.values[inside], found.valid[inside]

    def hillshade(
        self, window: Window, *, azimuth: float = 315.0, altitude: float = 45.0
    ) -> NDArray[np.uint8]:
        """Computes a window of the relief lit by the sun, see `terrain.hillshade`.

        Args:
            window: Part of the grid, inside it.
            azimuth: Direction of the sun, degrees clockwise from north.
            altitude: Height of the sun above the horizon, degrees.

        Returns:
            uint8 (h, w) in 1..255, 0 where there is no elevation.

        Raises:
            DataError: As `read`.
        """
        target, inside = self._with_rim(window)
        near = self._near(target)
        kernel = self._options.get("resampling", "cubic")
        try:
            heights = near and elevations_on_grid(
                near, target, resampling=kernel, z_unit=self._open.metres
            )
        except NoElevation:
            heights = None
        if heights is None:
            return np.zeros((window.height, window.width), np.uint8)
        how = {k: v for k, v in self._options.items() if k in ("method", "edges")}
        cell = cells_by(target, self._options.get("distances", "grid"))
        return hillshade(heights, cell, azimuth=azimuth, altitude=altitude, **how)[
            inside
        ]

    def _with_rim(self, window: Window) -> tuple[Grid, tuple[slice, slice]]:
        """Returns the grid of a window with the cells around it, and where it lies."""
        top, bottom = _around(window.row, window.height, self._grid.height)
        left, right = _around(window.column, window.width, self._grid.width)
        inside = (
            slice(window.row - top, window.row - top + window.height),
            slice(window.column - left, window.column - left + window.width),
        )
        return self._grid.window(top, left, bottom - top, right - left), inside

    def _compute(self, target: Grid) -> TerrainFactors | None:
        """Returns the factors of a grid; None where there are no elevations."""
        near = self._near(target)
        if near is None:
            return None
        try:
            return factors_on_grid(
                near,
                target,
                factors=self.factors,
                z_unit=self._open.metres,
                **self._options,
            )
        except NoElevation:
            return None  # the elevations end, or have a hole, where the window lies

    def _near(self, target: Grid) -> tuple[FloatArray, Grid, None] | None:
        """Reads the elevations that a grid needs, and their grid; None for none."""
        own, turn, aside = self._open.grid, self._full_turn, 0.0
        left, bottom, right, top = bounds_in(target, own.crs)
        if turn is not None:  # the grid may lie a turn away
            middle, _ = own.transform @ (own.width / 2, own.height / 2)
            aside = turn * round((middle - (left + right) / 2) / turn)
        x, y = np.array([left, right]) + aside, np.array([top, bottom])
        spans = []
        for ends, cells in zip(
            ~own.transform @ (x, y), target.shape[::-1], strict=True
        ):
            low, high = np.sort(ends)
            margin = _REACH * max(1.0, (high - low) / cells) + 2
            spans.append((int(low - margin), int(high + margin)))
        (first, end), (row, last) = spans
        row, last = max(row, 0), min(last, own.height)
        across = abs(own.width * own.transform.a)
        round_globe = turn is not None and abs(across - turn) < SAME * abs(
            own.transform.a
        )
        if not round_globe or end - first > own.width:
            first, end = max(first, 0), min(end, own.width)
        if first >= end or row >= last:
            return None
        parts = [
            self._stored(Window(row, column, last - row, width))
            for column, width in _in_file(first, end, own.width)
        ]
        values = np.concatenate(parts, axis=1)
        part = own.window(row, first, *values.shape)
        moved = Affine.translation(-aside, 0) @ part.transform
        return values, replace(part, transform=moved), None

    def _stored(self, window: Window) -> FloatArray:
        """Returns elevations of a window of the files, NaN = none."""
        dataset = self._open.dataset
        with readable(", ".join(self._dem.paths), "DEM"):
            values = dataset.read(1, window=window.box).astype(np.float64)
            known = known_cells(dataset, [1], self._alpha, box=window.box)
        values = values * dataset.scales[0] + dataset.offsets[0]
        values[~known] = np.nan
        return values

    def close(self) -> None:
        """Closes the files."""
        self._open.dataset.close()

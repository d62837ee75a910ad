"""Where the cells of a raster lie, and how large they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.io import DatasetReader

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.terrain.units import horizontal_part

WGS84 = (6378137.0, 298.257223563)  # semi-major axis in metres, inverse flattening


@dataclass(frozen=True)
class Grid:
    """Position, size and coordinate system of a raster.

    Attributes:
        crs: Coordinate reference system, anything `CRS.from_user_input` reads, of
            which the horizontal part is kept, or `None` for coordinates in metres of
            a system without a name.
        transform: From (column, row) to coordinates of the cell's corner.
        height: Rows.
        width: Columns.

    Example:
        >>> from rasterio import Affine
        >>> from landslide_tf import terrain
        >>> transform = Affine(30, 0, 500000, 0, -30, 2000000)
        >>> grid = terrain.Grid("EPSG:32633", transform, height=100, width=200)
        >>> str(grid.window(10, 20, 50, 50))
        'EPSG:32633 (500600, 1998200, 502100, 1999700)'
    """

    crs: CRS | None
    transform: Affine
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.crs is not None and not isinstance(self.crs, CRS):
            try:
                crs = CRS.from_user_input(self.crs)
            except CRSError as error:
                raise DataError(
                    f"`crs` must name a coordinate reference system, got `{self.crs}`;"
                    " write for example `EPSG:32633`."
                ) from error
            object.__setattr__(self, "crs", crs)
        if self.crs is not None:
            object.__setattr__(self, "crs", horizontal_part(self.crs))
        if min(self.height, self.width) < 1:
            raise DataError(
                "`height` and `width` must be at least 1, got"
                f" {self.height} and {self.width}."
            )
        if not isinstance(self.transform, Affine):
            got = type(self.transform).__name__
            raise DataError(
                f"`transform` must be an `Affine`, got `{got}`;"
                " write `Affine.from_gdal(*six_numbers)`."
            )
        numbers = tuple(self.transform)
        if not np.isfinite(numbers).all() or self.transform.is_degenerate:
            raise DataError(
                f"`transform` must be finite and invertible, got {numbers[:6]}."
            )

    def __str__(self) -> str:
        """CRS and bounds, for messages."""
        name = self.crs.to_string() if self.crs else "no CRS"
        if len(name) > 40:  # the whole WKT of a system without a code
            name = (re.findall(r'"([^"]*)"', name) or [name])[0]
        x, y = self.transform @ (
            np.array([0, self.width, 0, self.width]),
            np.array([0, 0, self.height, self.height]),
        )
        bounds = (x.min(), y.min(), x.max(), y.max())
        return f"{name} ({', '.join(f'{value:.10g}' for value in bounds)})"

    @classmethod
    def of(cls, dataset: DatasetReader) -> Grid:
        """Returns the grid of an open rasterio dataset."""
        return cls(
            dataset.crs or None, dataset.transform, dataset.height, dataset.width
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def is_georeferenced(self) -> bool:
        """Whether anything is known of place and cell size."""
        return self.crs is not None or self.transform != Affine.identity()

    @property
    def is_rotated(self) -> bool:
        """Whether rows do not run along east–west or columns along north–south."""
        a, b, _, d, e, _ = tuple(self.transform)[:6]
        return max(abs(b), abs(d)) > 1e-6 * min(abs(a), abs(e))

    def window(self, row: int, column: int, height: int, width: int) -> Grid:
        """Returns a part of the grid; it may reach beyond the edges."""
        moved = self.transform @ Affine.translation(column, row)
        return replace(self, transform=moved, height=height, width=width)

    def upright(self) -> tuple[Grid, tuple[slice, slice]]:
        """Returns the grid with north up and east right, and the way back.

        Returns:
            The same cells in rows from north to south and columns from west to
            east, and an index that turns its arrays into arrays of this grid (and
            the other way round).

        Raises:
            DataError: The axes are rotated or sheared.
        """
        if self.is_rotated:
            raise DataError(
                "`transform` must have rows along east-west and columns along"
                f" north-south, got the rotated {tuple(self.transform)[:6]}; warp it to"
                " a north-up grid first (`rio warp` or `gdalwarp`)."
            )
        transform, back = self.transform, [slice(None), slice(None)]
        if transform.e > 0:
            transform = transform @ Affine(1, 0, 0, 0, -1, self.height)
            back[0] = slice(None, None, -1)
        if transform.a < 0:
            transform = transform @ Affine(-1, 0, self.width, 0, 1, 0)
            back[1] = slice(None, None, -1)
        return replace(self, transform=transform), (back[0], back[1])


def _ellipsoid(crs: CRS) -> tuple[float, float]:
    """Returns semi-major axis and inverse flattening; WGS-84 for every Earth system."""
    found = re.search(r'SPHEROID\["[^"]*",([-\d.eE+]+),([-\d.eE+]+)', crs.to_wkt())
    if found:
        axis, flattening = float(found[1]), float(found[2])
        if abs(axis / WGS84[0] - 1) > 0.01:  # another planet
            return axis, flattening
    return WGS84


def _metres_per_radian(
    latitude: FloatArray, ellipsoid: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Returns the length of a radian of longitude and of latitude."""
    axis, inverse = ellipsoid
    e2 = (2 - 1 / inverse) / inverse if inverse else 0.0
    w = 1 - e2 * np.sin(latitude) ** 2
    return axis * np.cos(latitude) / np.sqrt(w), axis * (1 - e2) / w**1.5


def _linear_unit(crs: CRS) -> float:
    try:
        return float(crs.units_factor[1])
    except CRSError as error:
        raise DataError(
            f"`crs` must have a linear or angular unit, got `{crs.to_string()}`; warp"
            " the raster to a projected or geographic system."
        ) from error


def cell_size(grid: Grid) -> tuple[Any, Any]:  # two floats or two arrays
    """Returns the size of the cells in metres, east–west and north–south.

    Geographic systems: the arcs of the ellipsoid (WGS-84 on Earth) at the latitude of
    each row's centre, `Δλ·a·cos φ/√(1 − e² sin² φ)` and
    `Δφ·a(1 − e²)/(1 − e² sin² φ)^(3/2)`. Web Mercator, whose metres are metres at
    the equator only, is taken back to these arcs. Other projections: the linear
    unit of the system; their scale error is not corrected.

    Args:
        grid: The raster's grid, not rotated.

    Returns:
        Two floats, or two float64 arrays (height,), ready as `cell` of `slope`.

    Raises:
        DataError: Rotated, without georeference, beyond a pole, or without unit.

    Example:
        >>> from rasterio import Affine
        >>> from landslide_tf import terrain
        >>> degree = Affine(0.001, 0, 15.0, 0, -0.001, 60.0)
        >>> east, north = terrain.cell_size(terrain.Grid("EPSG:4326", degree, 2, 2))
        >>> east.round(1).tolist(), north.round(1).tolist()
        ([55.8, 55.8], [111.4, 111.4])
    """
    if not grid.is_georeferenced:
        raise DataError(
            "`grid` must say how large its cells are, got neither CRS nor transform;"
            " georeference the raster, or call `slope` with a `cell` in metres."
        )
    grid.upright()
    dx, dy = abs(grid.transform.a), abs(grid.transform.e)
    if grid.crs is None:
        return dx, dy
    rows = grid.transform.f + (np.arange(grid.height) + 0.5) * grid.transform.e
    if grid.crs.is_geographic:
        radian = float(grid.crs.units_factor[1])
        latitude, east, north = rows * radian, dx * radian, dy * radian
        if np.abs(latitude).max() >= np.pi / 2:
            raise DataError(
                "`grid` must lie between the poles, got rows up to latitude"
                f" {np.degrees(np.abs(latitude).max()):.4f}; check the order of axes"
                " and the transform."
            )
    elif grid.crs.to_epsg() == 3857:
        latitude = np.arctan(np.sinh(rows / WGS84[0]))
        east, north = dx / WGS84[0], dy / WGS84[0] * np.cos(latitude)
    else:
        unit = _linear_unit(grid.crs)
        return dx * unit, dy * unit
    per_lon, per_lat = _metres_per_radian(latitude, _ellipsoid(grid.crs))
    return east * per_lon, north * per_lat


def aligned_offset(source: Grid, target: Grid) -> tuple[int, int] | None:
    """Returns (row, column) of the target's first cell in the source's cells.

    `None` where the cells of the two grids do not coincide.
    """
    if source.crs != target.crs:
        return None
    between = ~source.transform @ target.transform
    steps = np.array([between.a - 1, between.e - 1, between.b, between.d])
    # A thousandth of a cell, gathered over the whole grid.
    if np.abs(steps).max() * max(target.shape) > 1e-3:
        return None
    row, column = round(between.f), round(between.c)
    if max(abs(between.f - row), abs(between.c - column)) > 1e-3:
        return None
    return row, column

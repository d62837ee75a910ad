"""Where the cells of a raster lie, how large they are, and the way to other grids."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import rasterio.warp
from rasterio import Affine

# The only home of the errors that `rasterio.warp.transform` lets through.
from rasterio._err import CPLE_AppDefinedError, CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.vrt import WarpedVRT

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.terrain.units import horizontal_part

WGS84 = (6378137.0, 298.257223563)  # semi-major axis in metres, inverse flattening
Kernel: TypeAlias = Literal["cubic", "bilinear", "nearest"]

# Sums of kernel weights miss 1 by some 1e-16, and a lake would slope. Elevations
# rounded to a nanometre keep level ground level; a power of two is exact for float32.
_QUANTUM = 2.0**-30


@dataclass(frozen=True)
class Grid:
    """A raster's place on the ground.

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


def _transform(source: CRS, target: CRS, points: FloatArray) -> FloatArray:
    """Returns points (2, N) in another system, NaN where there are none.

    One point outside a projection's domain fails the whole call: it is halved then.
    """
    try:
        return np.array(rasterio.warp.transform(source, target, *points))
    except CPLE_AppDefinedError:
        middle = points.shape[1] // 2
        if middle == 0:
            return np.full(points.shape, np.nan)
        halves = points[:, :middle], points[:, middle:]
        return np.concatenate(
            [_transform(source, target, half) for half in halves], axis=1
        )


def to_crs(
    x: FloatArray, y: FloatArray, source: Grid, target: Grid
) -> tuple[FloatArray, FloatArray]:
    """Returns coordinates of the target's system; NaN where there are none."""
    if source.crs == target.crs:
        return x, y
    points = np.stack([np.ravel(x), np.ravel(y)])
    known = np.isfinite(points).all(axis=0)
    out = np.full(points.shape, np.nan)
    try:
        out[:, known] = _transform(source.crs, target.crs, points[:, known])
    except (CPLE_BaseError, CRSError, RasterioError) as error:
        raise DataError(
            "`dem` and `grid` must have systems that convert into each other, got"
            f" {source} and {target}; check that both are of one planet and placed on"
            " it."
        ) from error
    out[~np.isfinite(out)] = np.nan
    return out[0].reshape(np.shape(x)), out[1].reshape(np.shape(x))


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


def _copy(values: FloatArray, offset: tuple[int, int], out: FloatArray) -> None:
    """Copies the cells of `values` from `offset` on to `out`, where there are any."""
    cuts = []
    for start, size, length in zip(offset, out.shape, values.shape, strict=True):
        first, last = max(start, 0), min(start + size, length)
        if first >= last:
            return
        cuts.append((slice(first - start, last - start), slice(first, last)))
    (rows_to, rows), (columns_to, columns) = cuts
    out[rows_to, columns_to] = values[rows, columns]


def _cells_per_cell(source: Grid, target: Grid) -> tuple[float, float] | None:
    """Returns how many of the source's columns and rows a cell of the target spans."""
    columns, rows = np.meshgrid(
        (np.arange(9) + 0.5) / 9 * target.width,
        (np.arange(9) + 0.5) / 9 * target.height,
    )
    spans = []
    for step in ((0.5, 0.0), (0.0, 0.5)):
        ends = []
        for sign in (1, -1):
            x, y = target.transform @ (columns + sign * step[0], rows + sign * step[1])
            xy = to_crs(x, y, target, source)
            ends.append(np.stack(~source.transform @ xy))
        spans.append(ends[0] - ends[1])
    lengths = np.hypot(*spans)  # (source column or row, ...)
    if not np.isfinite(lengths).any():
        return None
    across, down = np.nanmedian(lengths, axis=(1, 2))
    return float(across), float(down)


def _warp(values: FloatArray, source: Grid, target: Grid, kernel: Kernel) -> FloatArray:
    """Returns `values` resampled by GDAL's warper."""
    extras = {}
    span = _cells_per_cell(source, target)
    if span is not None:
        # Left alone, GDAL guesses the scale from each chunk's window and widens the
        # kernel of small ones.
        extras = {"XSCALE": f"{1 / span[0]:.17g}", "YSCALE": f"{1 / span[1]:.17g}"}
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            dtype="float64",
            nodata=np.nan,
            BIGTIFF="IF_SAFER",
            crs=source.crs,
            transform=source.transform,
            height=source.height,
            width=source.width,
            count=1,
        ) as dataset:
            dataset.write(values, 1)
        with (
            memory.open() as dataset,
            WarpedVRT(
                dataset,
                crs=target.crs,
                transform=target.transform,
                height=target.height,
                width=target.width,
                nodata=np.nan,
                resampling=Resampling[kernel],
                # `rasterio.warp.reproject` takes an eighth of a cell as good enough;
                # the kinks of that piecewise transformation would be slopes.
                tolerance=1e-6,
                **extras,
            ) as warped,
        ):
            return warped.read(1, out_dtype="float64")


def bring(values: FloatArray, source: Grid, target: Grid, kernel: Kernel) -> FloatArray:
    """Resamples a raster; cells registered by area, nodata kept.

    Cubic convolution is that of Keys (1981, IEEE Transactions on Acoustics, Speech,
    and Signal Processing 29(6), 1153–1160), a = −0.5, widened where the target is
    coarser. Cells that coincide are copied.

    Args:
        values: float64 (H, W), NaN = nodata.
        source: Grid of `values`.
        target: Grid of the result.
        kernel: `"cubic"`, `"bilinear"` or `"nearest"`.

    Returns:
        float64 (H, W) of the target, NaN = nodata or not covered.
    """
    offset = aligned_offset(source, target)
    if offset is not None:
        out = np.full(target.shape, np.nan)
        _copy(values, offset, out)
        return out
    out = _warp(values, source, target, kernel)
    out /= _QUANTUM
    np.rint(out, out=out)
    out *= _QUANTUM
    return out

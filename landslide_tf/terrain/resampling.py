"""Elevations and coordinates of one grid on another."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import rasterio.warp
from rasterio import Affine

# The only home of the errors that `rasterio.warp.transform` lets through.
from rasterio._err import CPLE_AppDefinedError, CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from landslide_tf.array_types import FloatArray
from landslide_tf.choices import Kernel
from landslide_tf.errors import DataError
from landslide_tf.terrain.grid import Grid, aligned_offset

# Sums of kernel weights miss 1 by some 1e-16, and a lake would slope. Elevations
# rounded to a nanometre keep level ground level; a power of two is exact for float32.
_QUANTUM = 2.0**-30
_LATTICE = 17  # points a side that show on which longitudes a grid lies


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
    """Returns coordinates of the target's system; NaN where there are none.

    Longitudes are those on which the target lies, or next to it: 181° or −179°.
    """
    x, y = _converted(x, y, source, target)
    turn = _turn(target)
    if turn is not None:
        middle, _ = target.transform @ (target.width / 2, target.height / 2)
        x = x + turn * np.rint((middle - x) / turn)
    return x, y


def _converted(
    x: FloatArray, y: FloatArray, source: Grid, target: Grid
) -> tuple[FloatArray, FloatArray]:
    """Returns coordinates as GDAL gives them in the target's system."""
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


def _turn(grid: Grid) -> float | None:
    """Returns the longitudes around the globe, 360 in degrees; None for lengths."""
    if grid.crs is None or not grid.crs.is_geographic:
        return None
    return float(round(2 * math.pi / grid.crs.units_factor[1], 9))


def on_each_turn(source: Grid, target: Grid) -> list[Grid]:
    """Returns a grid in degrees wherever GDAL looks for it from another grid.

    GDAL gives longitudes from -180° to 180°, or those of the target where both have one
    system, and finds nothing of a source that lies at the same place a turn away.

    Args:
        source: A grid.
        target: The grid that is warped to.

    Returns:
        The source, once or moved by whole turns of longitude; as it is where the target
        lies elsewhere.
    """
    turn = _turn(source)
    if turn is None or target.crs is None:
        return [source]
    steps = np.linspace(0, 1, _LATTICE)
    columns, rows = np.meshgrid(steps * target.width, steps * target.height)
    x, y = target.transform @ (columns, rows)
    x, y = _converted(x, y, target, source)
    x = x[np.isfinite(x)]
    if not x.size:
        return [source]
    between = np.ptp((x - x[0] + turn / 2) % turn) / (_LATTICE - 1)
    ends, _ = source.transform @ (
        np.array([0, source.width]),
        np.array([0, source.height]),
    )
    west, east = ends.min() - between, ends.max() + between
    return [
        replace(source, transform=Affine.translation(n * turn, 0) @ source.transform)
        for n in (-1, 0, 1)
        if ((x >= west + n * turn) & (x <= east + n * turn)).any()
    ] or [source]


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
        out = np.full(target.shape, np.nan)
        for placed in on_each_turn(source, target):
            with (
                memory.open() as dataset,
                WarpedVRT(
                    dataset,
                    src_crs=placed.crs,
                    src_transform=placed.transform,
                    crs=target.crs,
                    transform=target.transform,
                    height=target.height,
                    width=target.width,
                    nodata=np.nan,
                    resampling=Resampling[kernel],
                    # `rasterio.warp.reproject` takes an eighth of a cell as good
                    # enough; the kinks of that piecewise transformation would be
                    # slopes.
                    tolerance=1e-6,
                    **extras,
                ) as warped,
            ):
                found = warped.read(1, out_dtype="float64")
            out = np.where(np.isnan(out), found, out)
        return out


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

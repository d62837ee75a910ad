"""Bringing rasters from grid to grid."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import rasterio.warp

# The only home of the errors that `rasterio.warp.transform` lets through.
from rasterio._err import CPLE_AppDefinedError, CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.terrain.grid import Grid

Kernel: TypeAlias = Literal["cubic", "bilinear", "nearest"]

# Sums of kernel weights miss 1 by some 1e-16, and a lake would slope. Elevations
# rounded to a nanometre keep level ground level; a power of two is exact for float32.
_QUANTUM = 2.0**-30


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
            at = (columns + sign * step[0], rows + sign * step[1])
            xy = to_crs(*(target.transform @ at), target, source)
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
    place = {"crs": source.crs, "transform": source.transform}
    size = {"height": source.height, "width": source.width, "count": 1}
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            dtype="float64",
            nodata=np.nan,
            BIGTIFF="IF_SAFER",
            **place,
            **size,
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

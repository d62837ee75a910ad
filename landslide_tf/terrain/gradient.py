"""The downslope vector of an elevation model, block of rows by block of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.choices import Edges, Method
from landslide_tf.errors import DataError, check_choice

# One number, (east-west, north-south), or that pair with one value a row.
Cell: TypeAlias = float | tuple[ArrayLike, ArrayLike]
Window: TypeAlias = Sequence[FloatArray] | FloatArray  # nine cells

# Cells a block: with eight float64 neighbours and four temporaries of this size a
# block stays in a core's second-level cache.
BLOCK_CELLS = 1 << 16


def _sum_differences(
    window: Window, pairs: Sequence[tuple[int, int, int]], out: FloatArray
) -> None:
    """Writes the weighted sum of differences `w·(z[a] − z[b])` to `out`."""
    term = np.empty_like(out)
    out[...] = 0.0
    for a, b, weight in pairs:
        # Differences first: sums of elevations would lose the last digits.
        np.subtract(window[a], window[b], out=term)
        if weight != 1:
            term *= weight
        out += term


# West minus east and south minus north of the window z0..z8, row by row from the
# north-west; the third entry is the divisor K in cells.
STENCILS: dict[
    str, tuple[tuple[tuple[int, int, int], ...], tuple[tuple[int, int, int], ...], int]
] = {
    "horn": (
        ((3, 5, 2), (0, 2, 1), (6, 8, 1)),
        ((7, 1, 2), (6, 0, 1), (8, 2, 1)),
        8,
    ),
    "zevenbergen_thorne": (((3, 5, 1),), ((7, 1, 1),), 2),
}


def check_positive(name: str, value: object) -> float:
    """Returns `value` as a float; raises `DataError` unless finite and above 0."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if not (np.isfinite(number) and number > 0):
        raise DataError(f"`{name}` must be a finite number above 0, got `{value}`.")
    return number


def real_array(name: str, value: ArrayLike) -> NDArray[Any]:  # any real dtype
    """Returns `value` as a (H, W) array of real numbers, masked cells as NaN.

    Raises:
        DataError: Another number of axes, an empty array, or no real numbers.
    """
    if isinstance(value, np.ma.MaskedArray):
        value = np.ma.filled(value.astype(np.float64), np.nan)
    array = np.asarray(value)
    if array.ndim != 2 or array.size == 0:
        raise DataError(
            f"`{name}` must be an array (height, width) of at least one cell, got shape"
            f" {array.shape}; pass one band without batch or channel axis."
        )
    if array.dtype.kind not in "iuf":
        raise DataError(
            f"`{name}` must hold real numbers, got dtype `{array.dtype}`; convert it"
            " to float32 first."
        )
    return array


def float_output(shape: tuple[int, ...], dtype: DTypeLike) -> FloatArray:
    """Returns an array to fill; raises `DataError` unless `dtype` can hold NaN."""
    if np.dtype(dtype).kind != "f":
        raise DataError(f"`dtype` must be a float type (NaN = nodata), got `{dtype}`.")
    return np.empty(shape, dtype)


def missing_to_nan(
    block: FloatArray, source: NDArray[Any], nodata: float | None
) -> bool:
    """Sets cells of `block` that are nodata in `source`, or not finite, to NaN.

    Args:
        block: Float copy of `source`, changed in place.
        source: The cells in their own dtype, in which `nodata` is compared.
        nodata: Value of missing cells, or `None`.

    Returns:
        Whether any cell is missing.
    """
    missing = ~np.isfinite(block)
    if nodata is not None and not np.isnan(nodata):
        # A float32 file cannot hold the float64 nodata value of its own header.
        with np.errstate(over="ignore"):
            value = source.dtype.type(nodata) if source.dtype.kind == "f" else nodata
        missing |= source == value
    if not missing.any():
        return False
    block[missing] = np.nan
    return True


def cell_columns(cell: Cell, height: int) -> tuple[FloatArray, FloatArray]:
    """Returns east–west and north–south cell sizes, each (1, 1) or (height, 1).

    Args:
        cell: Size of a cell in horizontal units: a number, a pair (east–west,
            north–south), or a pair of arrays with one value a row.
        height: Rows of the elevation model.

    Raises:
        DataError: Not above zero, or neither one nor `height` values.
    """
    pair: Sequence[ArrayLike]
    if isinstance(cell, tuple | list):
        pair = cell
    else:
        pair = (cell, cell) if np.ndim(cell) == 0 else list(np.asarray(cell))
    if len(pair) != 2:
        raise DataError(
            "`cell` must be a number or a pair (east-west, north-south), got"
            f" {len(pair)} entries; give one value a row as a pair of arrays."
        )
    sizes = []
    for name, value in zip(("east-west", "north-south"), pair, strict=True):
        try:
            size = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            size = np.full(1, np.nan)
        if size.ndim > 1 or size.size not in (1, height):
            raise DataError(
                f"`cell` ({name}) must be one number or one a row ({height}), got"
                f" shape {size.shape}."
            )
        if not (np.isfinite(size).all() and (size > 0).all()):
            shown = value if np.ndim(value) == 0 else size.min()
            raise DataError(
                f"`cell` ({name}) must be finite and above 0, got `{shown}`; row 0 of"
                " the elevation model is its northern edge."
            )
        sizes.append(size.reshape(-1, 1))
    return sizes[0], sizes[1]


def _load(
    dem: NDArray[Any], rows: slice, edges: Edges, nodata: float | None
) -> tuple[FloatArray, bool]:
    """Returns rows `rows` as float64 with a rim of one cell, and "has holes".

    The rim is the neighbouring row where there is one, else extrapolated linearly
    (2·near − far) or NaN.
    """
    height, width = dem.shape
    first, last = max(rows.start - 1, 0), min(rows.stop + 1, height)
    z = np.full((rows.stop - rows.start + 2, width + 2), np.nan)
    top = first - (rows.start - 1)
    inner = z[top : top + last - first, 1:-1]
    inner[...] = dem[first:last]
    holes = missing_to_nan(inner, dem[first:last], nodata)
    if edges == "compute":
        if rows.start == 0:
            z[0] = 2 * z[1] - z[2]
        if rows.stop == height:
            z[-1] = 2 * z[-2] - z[-3]
        z[:, 0] = 2 * z[:, 1] - z[:, 2]
        z[:, -1] = 2 * z[:, -2] - z[:, -3]
    return z, holes


def _fill_from_centre(window: Window) -> list[FloatArray]:
    """Replaces missing neighbours by the centre value, `edges="compute"`."""
    centre = window[4]
    return [np.where(np.isnan(cell), centre, cell) for cell in window]


def _windows(
    z: FloatArray, holes: bool, edges: Edges
) -> tuple[Window, NDArray[np.bool_] | None]:
    """Returns the nine cells of each window, and which results are missing."""
    height, width = z.shape[0] - 2, z.shape[1] - 2
    window = [
        z[dy : dy + height, dx : dx + width] for dy in range(3) for dx in range(3)
    ]
    if not holes:  # a rim of NaN spreads by itself
        return window, None
    if edges == "compute":
        return _fill_from_centre(window), np.isnan(window[4])
    return window, np.asarray(np.isnan(window).any(axis=0))


def _corners(
    z: FloatArray,
    rows: slice,
    height: int,
    difference: Callable[..., None],
    gx: FloatArray,
    gy: FloatArray,
) -> None:
    """Computes the corner cells anew: there the missing column is a copy.

    Elsewhere a missing column is extrapolated. The asymmetry is GDAL's.
    """
    width = z.shape[1] - 2
    for row in {0, height - 1}:
        if not rows.start <= row < rows.stop:
            continue
        i = row - rows.start
        for j, columns in ((0, (1, 1, 2)), (width - 1, (width - 1, width, width))):
            corner = z[i : i + 3, columns].reshape(9, 1, 1)
            at = (slice(i, i + 1), slice(j, j + 1))
            difference(_fill_from_centre(corner), gx[at], gy[at])


def gradient_blocks(
    dem: NDArray[Any],
    cell: Cell,
    *,
    method: Method,
    edges: Edges,
    nodata: float | None,
) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
    """Yields the downslope vector (east, north) of an elevation model.

    Horn (1981, Proceedings of the IEEE 69(1), 14–47) weights the three rows and
    columns of the window 1, 2, 1; Zevenbergen and Thorne (1987, Earth Surface
    Processes and Landforms 12, 47–56) use the four direct neighbours.

    Args:
        dem: Elevations (H, W), any real dtype, row 0 in the north.
        cell: See `cell_columns`.
        method: `"horn"` or `"zevenbergen_thorne"`.
        edges: `"compute"`: cells beyond the edge are extrapolated and a missing
            neighbour counts as the centre value; `"nodata"`: the outermost ring and
            every neighbour of a missing cell are NaN.
        nodata: Value of missing cells; values that are not finite always are.

    Yields:
        Rows, and their east and north components: float64 (rows, W), vertical units
        a horizontal unit, NaN = missing. The arrays may be overwritten.

    Raises:
        DataError: An argument is not valid, or fewer than 2 × 2 cells with
            `edges="compute"`.
    """
    check_choice("method", method, tuple(STENCILS))
    check_choice("edges", edges, ("compute", "nodata"))
    height, width = dem.shape
    if edges == "compute" and min(height, width) < 2:
        raise DataError(
            f'`dem` must have at least 2 x 2 cells with `edges="compute"`, got shape'
            f" {dem.shape}; take a larger window of the elevation model."
        )
    east, north = cell_columns(cell, height)
    east_pairs, north_pairs, divisor = STENCILS[method]

    def difference(window: Window, gx: FloatArray, gy: FloatArray) -> None:
        _sum_differences(window, east_pairs, gx)
        _sum_differences(window, north_pairs, gy)

    step = max(1, BLOCK_CELLS // width)
    for start in range(0, height, step):
        rows = slice(start, min(start + step, height))
        count = rows.stop - rows.start
        with np.errstate(all="ignore"):  # overflow of absurd elevations: missing
            z, holes = _load(dem, rows, edges, nodata)
            window, missing = _windows(z, holes, edges)
            gx, gy = np.empty((2, count, width))
            difference(window, gx, gy)
            if edges == "compute":
                _corners(z, rows, height, difference, gx, gy)
            if missing is not None:
                gx[missing] = gy[missing] = np.nan
            gx /= divisor * (east if len(east) == 1 else east[rows])
            gy /= divisor * (north if len(north) == 1 else north[rows])
        yield rows, gx, gy

"""Slope, aspect and hillshade of an elevation model."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.choices import Edges, Method
from landslide_tf.errors import DataError, check_choice
from landslide_tf.terrain.gradient import (
    Cell,
    check_positive,
    float_output,
    gradient_blocks,
    real_array,
)

FLAT = -1.0  # aspect of level ground in arrays
GDAL_NODATA = -9999.0  # nodata, and flat aspect, in files that GDAL writes


def slope(
    dem: ArrayLike,
    cell: Cell,
    *,
    method: Method = "horn",
    units: Literal["degrees", "percent"] = "degrees",
    scale: float = 1.0,
    z_factor: float = 1.0,
    edges: Edges = "compute",
    nodata: float | None = None,
    gdal_compat: bool = False,
    dtype: DTypeLike = np.float32,
) -> FloatArray:
    """Returns the slope of the ground.

    `t = z_factor·√(gx² + gy²) / scale` with the gradient (gx, gy) of Horn (1981) or
    of Zevenbergen and Thorne (1987); the slope is `atan t`, or `100·t` percent.
    Computed in float64, with differences before sums. Equal to `gdaldem slope`
    except where that loses digits by summing float32 elevations.

    Args:
        dem: Elevations (H, W), any real dtype or masked array, row 0 in the north.
        cell: Cell size in horizontal units: a number, a pair (east–west,
            north–south), or a pair of arrays (H,) with one value a row.
        method: `"horn"` (8 neighbours) or `"zevenbergen_thorne"` (4 neighbours).
        units: `"degrees"` in [0, 90] or `"percent"`.
        scale: Vertical units per horizontal unit (gdaldem's `-s`), above 0.
        z_factor: Factor of the elevations, above 0.
        edges: `"compute"`: every cell with an elevation gets a value, with linear
            extrapolation beyond the edge (in the four corner cells the east–west
            component is halved, as in GDAL); `"nodata"`: the outermost ring and
            the neighbours of missing cells are missing.
        nodata: Value of missing cells; NaN and infinities always are missing.
        gdal_compat: Writes −9999 in place of NaN.
        dtype: Float type of the result.

    Returns:
        Array (H, W) of `dtype`, NaN = nodata.

    Raises:
        DataError: An argument is not valid.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import terrain
        >>> dem = 10.0 * np.arange(4)[::-1, None] * np.ones(4)  # falls to the south
        >>> float(terrain.slope(dem, cell=10.0)[1, 1])
        45.0
    """
    check_choice("units", units, ("degrees", "percent"))
    factor = check_positive("z_factor", z_factor) / check_positive("scale", scale)
    dem = real_array("dem", dem)
    out = float_output(dem.shape, dtype)
    for rows, gx, gy in gradient_blocks(
        dem, cell, method=method, edges=edges, nodata=nodata
    ):
        gx *= gx
        gy *= gy
        gx += gy
        np.sqrt(gx, out=gx)
        gx *= factor
        if units == "degrees":
            np.arctan(gx, out=gx)
            gx *= 180.0 / np.pi
        else:
            gx *= 100.0
        out[rows] = gx
    if gdal_compat:
        out[np.isnan(out)] = GDAL_NODATA
    return out


def aspect(
    dem: ArrayLike,
    cell: Cell,
    *,
    method: Method = "horn",
    trigonometric: bool = False,
    flat: Literal["minus_one", "zero"] = "minus_one",
    edges: Edges = "compute",
    nodata: float | None = None,
    gdal_compat: bool = False,
    dtype: DTypeLike = np.float32,
) -> FloatArray:
    """Returns the aspect: the direction in which the ground falls.

    `atan2(gx, gy)` of the downslope vector (east, north) of Horn (1981) or of
    Zevenbergen and Thorne (1987). Unlike `gdaldem aspect`, whose result is right
    for square cells only, the components are divided by the cell sizes.

    Args:
        dem: Elevations (H, W), any real dtype or masked array, row 0 in the north.
        cell: As in `slope`.
        method: As in `slope`.
        trigonometric: Counts counter-clockwise from east, not clockwise from north.
        flat: Value of level ground: `"minus_one"` or `"zero"`.
        edges: As in `slope`.
        nodata: As in `slope`.
        gdal_compat: Reproduces gdaldem: cell sizes are ignored, nodata and level
            ground are −9999, or both 0 with `flat="zero"`.
        dtype: Float type of the result.

    Returns:
        Array (H, W) of `dtype`: degrees in [0, 360), −1 = level, NaN = nodata.

    Raises:
        DataError: An argument is not valid.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import terrain
        >>> dem = 10.0 * np.arange(4)[::-1, None] * np.ones(4)  # falls to the south
        >>> float(terrain.aspect(dem, cell=10.0)[1, 1])
        180.0
    """
    check_choice("flat", flat, ("minus_one", "zero"))
    dem = real_array("dem", dem)
    level = 0.0 if flat == "zero" else GDAL_NODATA if gdal_compat else FLAT
    out = float_output(dem.shape, dtype)
    for rows, gx, gy in gradient_blocks(
        dem, 1.0 if gdal_compat else cell, method=method, edges=edges, nodata=nodata
    ):
        is_level = (gx == 0) & (gy == 0)
        east, north = (gy, gx) if trigonometric else (gx, gy)
        angle = np.arctan2(east, north)
        angle *= 180.0 / np.pi
        angle[angle < 0] += 360.0
        block = out[rows]
        block[...] = angle
        # 359.99999999 is 360 in float32, and so is -1e-20 + 360 in float64.
        block[block >= 360.0] = 0.0
        block[is_level] = level
    if gdal_compat:
        out[np.isnan(out)] = 0.0 if flat == "zero" else GDAL_NODATA
    return out


def hillshade(
    dem: ArrayLike,
    cell: Cell,
    *,
    method: Method = "horn",
    azimuth: float = 315.0,
    altitude: float = 45.0,
    scale: float = 1.0,
    z_factor: float = 1.0,
    edges: Edges = "compute",
    nodata: float | None = None,
) -> NDArray[np.uint8]:
    """Returns the hillshade, as computed by `gdaldem hillshade`.

    With the sun at azimuth A and altitude h and the scaled gradient (X, Y):
    `c = (sin h + cos h·(X sin A + Y cos A)) / √(1 + X² + Y²)` (Horn, 1981), and
    `1 + 254·c` rounded, or 1 in the shade.

    Args:
        dem: Elevations (H, W), any real dtype or masked array, row 0 in the north.
        cell: As in `slope`.
        method: As in `slope`.
        azimuth: Direction of the sun, degrees clockwise from north.
        altitude: Height of the sun above the horizon, degrees in [0, 90].
        scale: As in `slope`.
        z_factor: As in `slope`.
        edges: As in `slope`.
        nodata: As in `slope`.

    Returns:
        uint8 (H, W) in 1..255, 0 = nodata.

    Raises:
        DataError: An argument is not valid.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import terrain
        >>> dem = 10.0 * np.arange(4)[::-1, None] * np.ones(4)  # falls to the south
        >>> int(terrain.hillshade(dem, cell=10.0)[1, 1])
        38
    """
    factor = check_positive("z_factor", z_factor) / check_positive("scale", scale)
    if not np.isfinite(azimuth) or not 0 <= altitude <= 90:
        raise DataError(
            "`azimuth` must be finite and `altitude` within 0 to 90 degrees, got"
            f" `{azimuth}` and `{altitude}`."
        )
    dem = real_array("dem", dem)
    sun, height = np.radians(azimuth), np.radians(altitude)
    east, north = np.cos(height) * np.sin(sun), np.cos(height) * np.cos(sun)
    out = np.zeros(dem.shape, np.uint8)
    for rows, gx, gy in gradient_blocks(
        dem, cell, method=method, edges=edges, nodata=nodata
    ):
        gx *= factor
        gy *= factor
        shade = np.sin(height) + gx * east + gy * north
        shade /= np.sqrt(1.0 + gx * gx + gy * gy)
        value = np.floor(1.5 + 254.0 * np.maximum(shade, 0.0))
        out[rows] = np.where(np.isnan(value), 0.0, value)
    return out

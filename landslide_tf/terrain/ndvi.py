"""The normalised difference vegetation index."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.terrain.gradient import (
    BLOCK_CELLS,
    float_output,
    missing_to_nan,
    real_array,
)


def ndvi(
    nir: ArrayLike,
    red: ArrayLike,
    *,
    scale: float = 1.0,
    offset: float = 0.0,
    nodata: float | None = None,
    fill: float = 0.0,
    dtype: DTypeLike = np.float32,
) -> FloatArray:
    """Returns `(NIR − R) / (NIR + R)`, clipped to [−1, 1].

    Rouse et al. (1974), "Monitoring vegetation systems in the Great Plains with
    ERTS". The index depends on an additive offset, so the product's calibration is
    applied first: Landsat Collection 2 level 2 has scale 2.75e-5, offset −0.2.

    Args:
        nir: Near infrared (H, W), any real dtype (Landsat 8: band 5).
        red: Red (H, W) (Landsat 8: band 4).
        scale: Factor from stored value to reflectance.
        offset: Added after the factor.
        nodata: Stored value of missing cells in both bands; NaN always is missing.
        fill: Value where NIR + R = 0; may be NaN.
        dtype: Float type of the result.

    Returns:
        Array (H, W) of `dtype` in [−1, 1], NaN = nodata.

    Raises:
        DataError: Shapes differ or values are no real numbers.

    Example:
        >>> from landslide_tf import terrain
        >>> terrain.ndvi([[0.4, 0.1]], [[0.1, 0.1]], dtype="float64").round(2).tolist()
        [[0.6, 0.0]]
    """
    nir, red = real_array("nir", nir), real_array("red", red)
    if nir.shape != red.shape:
        raise DataError(
            f"`nir` and `red` must have one shape, got {nir.shape} and {red.shape};"
            " bring them to one grid first."
        )
    out = float_output(nir.shape, dtype)
    step = max(1, BLOCK_CELLS // nir.shape[1])
    for start in range(0, len(nir), step):
        rows = slice(start, start + step)
        bands = []
        for source in (nir[rows], red[rows]):
            band = source.astype(np.float64)
            missing_to_nan(band, source, nodata)
            bands.append(band * scale + offset)
        total = bands[0] + bands[1]
        empty = total == 0
        total[empty] = 1.0
        index = np.clip((bands[0] - bands[1]) / total, -1.0, 1.0)
        index[empty] = fill
        out[rows] = index
    return out

"""Reading the tiles of MMLS version 2 in both of their distributions.

Apart from the builder, which lists and splits files: this is about pixels.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from etils import epath

from landslide_tf.array_types import FloatArray
from landslide_tf.datasets.common.reading import (
    Raster,
    binary,
    open_array,
    read_mask,
    read_raster,
    reading,
)
from landslide_tf.errors import DataError

SIZE = 128
CELL = 232.0  # metres
BANDS = ("red", "green", "blue", "dem", "slope", "thermal", "gray")
DEM, SLOPE = BANDS.index("dem"), BANDS.index("slope")
DIVISORS = np.array([255, 255, 255, 12822, 90, 255, 255], np.float32)

_RAW_ORDER = ("thermal", "slope", "dem", "gray", "red", "green", "blue")
_FROM_RAW = [_RAW_ORDER.index(name) for name in BANDS]
_LARGEST_UNIT = 1.5  # no band scaled to 0..1 comes near it, every raw one exceeds it
_NO_SLOPE = -1e30
_MOST_DEGREES_OFF = 0.1  # the raw slope is exact to 1e-5 degrees
_LEAST_CORRELATION = 0.6  # of a single tile; version 1 goes down to 0.82


@dataclasses.dataclass(frozen=True)
class Tile:
    """A tile as it is stored in the data set.

    Attributes:
        image: float32 (128, 128, 7), bands in the order of `BANDS`.
        raw: Whether the values have units.
        filled: Number of pixels whose slope was missing.
        transform: Six numbers of the affine transform; NaN = not known.
        crs: Coordinate system as WKT; empty = not known.
    """

    image: FloatArray
    raw: bool
    filled: int
    transform: np.ndarray
    crs: str


def read_tile(path: epath.Path) -> Tile:
    """Reads a tile of either distribution.

    Args:
        path: TIFF or NumPy file.

    Returns:
        The tile with its bands in one order and its slope complete.

    Raises:
        DataError: If the file is broken or holds something else.
    """
    raster = _read(path)
    image = raster.values
    if image.shape != (SIZE, SIZE, len(BANDS)) or image.dtype != np.float32:
        raise DataError(
            f"`{path}` must hold float32 values ({SIZE}, {SIZE}, {len(BANDS)}), "
            f"received {image.dtype} {image.shape}; restore the file."
        )
    raw = bool(raster.crs) or bool(np.nanmax(image) > _LARGEST_UNIT)
    if raw:
        image = np.ascontiguousarray(image[..., _FROM_RAW])
    filled = _fill_slope(image) if raw else 0
    if not np.isfinite(image).all() or (not raw and image.min() < 0):
        raise DataError(
            f"`{path}` must hold finite values, scaled ones from 0 to 1, received "
            f"{np.nanmin(image):g} to {np.nanmax(image):g} with "
            f"{np.count_nonzero(~np.isfinite(image))} that are no numbers."
        )
    _check_slope(image, raw, path)
    return Tile(image, raw, filled, raster.transform, raster.crs)


def read_tile_mask(path: epath.Path) -> np.ndarray:
    """Reads a mask, whose background is tagged as nodata in the challenge's files.

    Args:
        path: TIFF, PNG or NumPy file.

    Returns:
        uint8 (128, 128), 1 = landslide.

    Raises:
        DataError: If the file is broken, of another size, or has other values.
    """
    if path.suffix.lower() != ".npy":
        return read_mask(path, (SIZE, SIZE))
    mask = open_array(path)
    if mask.size != SIZE * SIZE:
        raise DataError(
            f"`{path}` must be a mask of ({SIZE}, {SIZE}), received {mask.shape}."
        )
    return binary(mask.reshape(SIZE, SIZE), path)


def _read(path: epath.Path) -> Raster:
    unknown = np.full(6, np.nan)
    if path.suffix.lower() == ".npy":
        return Raster(np.array(open_array(path)), unknown, "")
    raster = read_raster(path)
    if raster.values.shape == (SIZE, len(BANDS), 1):
        # An array written as a stack, as in version 1: each page is one row.
        import tifffile  # too slow for `import landslide_tf`

        with reading(path, "a TIFF"):
            return Raster(tifffile.imread(path), unknown, "")
    return raster


def _horn(dem: FloatArray) -> FloatArray:
    from landslide_tf.terrain import slope  # too slow for `import landslide_tf`

    # What lies beyond the tile is not known: its edge is repeated.
    padded = np.pad(dem.astype(np.float64), 1, mode="edge")
    return slope(padded, CELL)[1:-1, 1:-1]


def _fill_slope(image: FloatArray) -> int:
    """Gives pixels of the mosaic's rim a slope, in place, and counts them."""
    missing = ~(image[..., SLOPE] > _NO_SLOPE)
    if missing.any():
        image[missing, SLOPE] = _horn(image[..., DEM])[missing]
    return int(missing.sum())


def _check_slope(image: FloatArray, raw: bool, path: epath.Path) -> None:
    inside = (slice(1, -1), slice(1, -1))
    steep, stored = _horn(image[..., DEM])[inside], image[..., SLOPE][inside]
    if raw:
        off = float(np.median(np.abs(steep - stored)))
        fits, found = off <= _MOST_DEGREES_OFF, f"{off:.2f} degrees off"
    else:
        flat = not (np.ptp(steep) and np.ptp(stored))
        alike = 1.0 if flat else np.corrcoef(steep.ravel(), stored.ravel())[0, 1]
        fits, found = alike >= _LEAST_CORRELATION, f"correlation {alike:.2f}"
    if not fits:
        order = _RAW_ORDER if raw else BANDS
        raise DataError(
            f"`{path}` must hold bands {', '.join(order)}: its slope is not that of "
            f"its elevations ({found}); is it a tile of MMLS version 1?"
        )

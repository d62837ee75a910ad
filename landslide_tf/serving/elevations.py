"""Slope and aspect of elevations inside the graph, equal to `landslide_tf.terrain`.

Apart from `terrain`, whose functions go through large rasters block by block: this one
sees small tiles, a batch at once, where there is no NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from landslide_tf.array_types import Tensor
from landslide_tf.metadata import Terrain
from landslide_tf.serving.requests import NO_VALUE, refuse
from landslide_tf.terrain.gradient import STENCILS
from landslide_tf.terrain.grid import WGS84
from landslide_tf.terrain.surface import FLAT, GDAL_NODATA

ELEVATION, CELL_SIZE, LATITUDE = "elevation", "cell_size", "latitude"
DERIVED = ("dem", "slope", "aspect", "aspect_sin", "aspect_cos")

# Cells of a window whose western or eastern column is a copy of the middle one.
_WEST_COPIED = (1, 1, 2, 4, 4, 5, 7, 7, 8)
_EAST_COPIED = (0, 1, 1, 3, 4, 4, 6, 7, 7)
# Numbers that files without a tag have where nothing was measured; no land lies there.
_NO_ELEVATION = (GDAL_NODATA, -32768.0)


def derived(
    inputs: Mapping[str, Tensor], names: Sequence[str], terrain: Terrain
) -> tuple[dict[str, Tensor], Tensor]:
    """Makes terrain factors of a batch of elevations.

    Args:
        inputs: `elevation` (batch, height, width, 1), metres, row 0 in the north; not
            known where not finite, beyond 1e30, -9999 or -32768. `cell_size` (batch,
            2), east-west and north-south in the middle of the tile, metres. `latitude`
            (batch,) of that middle, degrees, for grids of degrees, whose cells shrink
            towards the poles; NaN for all other grids.
        names: Of `DERIVED`.
        terrain: Method and edges.

    Returns:
        float32 (batch, height, width, 1) by name, in degrees, NaN = no value, and bool
        (batch, height, width, 1): every elevation of the 3 x 3 window is known.
    """
    import tensorflow as tf

    z = tf.cast(inputs[ELEVATION][..., 0], tf.float64)
    known = tf.abs(z) < NO_VALUE
    for number in _NO_ELEVATION:
        known &= z != number
    nan = tf.constant(math.nan, tf.float64)
    z = tf.where(known, z, nan)
    east, north = _cells(inputs, tf.shape(z)[1])
    steps_east, steps_north, divisor = STENCILS[terrain.method]
    window = _window(z, terrain.edges)
    gx = _difference(window, steps_east) / (divisor * east)
    gy = _difference(window, steps_north) / (divisor * north)
    missing = tf.reduce_any(tf.math.is_nan(window), axis=-1)
    level = (gx == 0) & (gy == 0)
    found = {}
    for name in names:
        values = z if name == "dem" else _factor(name, gx, gy, level)
        values = tf.where(~known if name == "dem" else missing, nan, values)
        found[name] = tf.cast(values, tf.float32)[..., None]
    return found, _whole(known)[..., None]


def _factor(name: str, gx: Tensor, gy: Tensor, level: Tensor) -> Tensor:
    """Returns a factor of the downslope vector, float64."""
    import tensorflow as tf

    if name == "slope":
        return tf.atan(tf.sqrt(gx * gx + gy * gy)) * (180 / math.pi)
    angle = tf.atan2(gx, gy)
    if name != "aspect":
        wave = tf.sin(angle) if name == "aspect_sin" else tf.cos(angle)
        return tf.where(level, tf.constant(0, wave.dtype), wave)
    degrees = angle * (180 / math.pi)
    degrees = tf.where(degrees < 0, degrees + 360, degrees)
    # 359.99999999 is 360 in float32, and so is -1e-20 + 360 in float64.
    whole = tf.cast(degrees, tf.float32) >= 360
    flat = tf.constant(FLAT, degrees.dtype)
    return tf.where(level, flat, tf.where(whole, tf.zeros_like(degrees), degrees))


def check_cells(inputs: Mapping[str, Tensor], edges: str) -> list[Tensor]:
    """Returns the checks of what is derived from: cells, latitudes, smallest size."""
    import tensorflow as tf

    cell, latitude = inputs[CELL_SIZE], inputs[LATITUDE]
    # A degree is 111 km at most; nobody maps landslides with cells of a micrometre.
    sizes = tf.reduce_all((cell > 1e-6) & (cell < 1e6))
    words = f"`{CELL_SIZE}` must be above 0, in metres, received {{}}."
    checks = [refuse(sizes, words, cell)]
    between = tf.reduce_all(tf.math.is_nan(latitude) | (tf.abs(latitude) < 90))
    words = f"`{LATITUDE}` must lie between the poles, in degrees, or be NaN for "
    words += "grids in metres, received {}."
    checks.append(refuse(between, words, latitude))
    if edges == "compute":
        size = tf.shape(inputs[ELEVATION])[1:3]
        words = f"`{ELEVATION}` must be at least 2 x 2 cells, received {{}}."
        checks.append(refuse(tf.reduce_all(size >= 2), words, size))
    return checks


def _cells(inputs: Mapping[str, Tensor], height: Tensor) -> tuple[Tensor, Tensor]:
    """Returns sizes of the cells, metres, float64 (batch, height, 1).

    On a grid of degrees the arcs of the ellipsoid at each row's latitude, relative to
    those at the tile's middle (`terrain.cell_size`).
    """
    import tensorflow as tf

    cell = tf.cast(inputs[CELL_SIZE], tf.float64)[:, :, None, None]
    given = tf.cast(inputs[LATITUDE], tf.float64)[:, None, None]
    geographic = tf.math.is_finite(given)
    middle = tf.where(geographic, given, 0) * (math.pi / 180)
    steps = (tf.cast(height, tf.float64) - 1) / 2
    rows = steps - tf.cast(tf.range(height), tf.float64)[None, :, None]
    per_lon, per_lat = _arcs(middle)
    east, north = cell[:, 0], cell[:, 1]
    lon, lat = _arcs(middle + rows * north / per_lat)
    # The arc of a degree of longitude is 0 at a pole, that of no row of a real tile.
    lon = tf.maximum(lon / per_lon, 1e-9)
    return (
        east * tf.where(geographic, lon, 1),
        north * tf.where(geographic, lat / per_lat, 1),
    )


def _arcs(latitude: Tensor) -> tuple[Tensor, Tensor]:
    """Returns metres a radian of longitude and of latitude, on WGS-84."""
    import tensorflow as tf

    axis, inverse = WGS84
    e2 = (2 - 1 / inverse) / inverse
    w = 1 - e2 * tf.sin(latitude) ** 2
    return axis * tf.cos(latitude) / tf.sqrt(w), axis * (1 - e2) / w**1.5


def _window(z: Tensor, edges: str) -> Tensor:
    """Returns the nine cells of each window, (batch, height, width, 9).

    Row by row from the north-west. With `edges="compute"` as GDAL: beyond the edge
    elevations go on linearly, in the four corners the missing column is a copy, and a
    missing neighbour is the centre.
    """
    import tensorflow as tf

    if edges == "nodata":
        nan = tf.constant(math.nan, z.dtype)
        return _nine(tf.pad(z, [[0, 0], [1, 1], [1, 1]], constant_values=nan))
    rows = [2 * z[:, :1] - z[:, 1:2], z, 2 * z[:, -1:] - z[:, -2:-1]]
    tall = tf.concat(rows, axis=1)
    first = 2 * tall[..., :1] - tall[..., 1:2]
    last = 2 * tall[..., -1:] - tall[..., -2:-1]
    cells = _nine(tf.concat([first, tall, last], axis=2))
    height, width = tf.shape(z)[1], tf.shape(z)[2]
    row, column = tf.range(height)[:, None, None], tf.range(width)[:, None]
    outer = (row == 0) | (row == height - 1)
    for at, copied in ((0, _WEST_COPIED), (width - 1, _EAST_COPIED)):
        turned = tf.gather(cells, copied, axis=-1)
        cells = tf.where(outer & (column == at), turned, cells)
    return tf.where(tf.math.is_nan(cells), cells[..., 4:5], cells)


def _nine(padded: Tensor) -> Tensor:
    import tensorflow as tf

    ones = [1, 1, 1, 1]
    return tf.image.extract_patches(
        padded[..., None], [1, 3, 3, 1], ones, ones, padding="VALID"
    )


def _difference(window: Tensor, steps: Sequence[tuple[int, int, int]]) -> Tensor:
    import tensorflow as tf

    ahead, behind, weights = zip(*steps, strict=True)
    # Differences first: sums of elevations would lose the last digits.
    single = tf.gather(window, ahead, axis=-1) - tf.gather(window, behind, axis=-1)
    return tf.reduce_sum(single * tf.constant(weights, window.dtype), axis=-1)


def _whole(known: Tensor) -> Tensor:
    """Returns where all cells of the 3 x 3 window, inside the tile, are known."""
    import tensorflow as tf

    holes = tf.cast(~known, tf.float32)[..., None]
    return tf.nn.max_pool2d(holes, 3, 1, "SAME")[..., 0] < 0.5

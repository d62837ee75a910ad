"""Terrain factors on the grid of an image: one recipe for the whole package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.choices import Derive, Distances, Edges, Kernel, Method
from landslide_tf.errors import DataError, check_choice
from landslide_tf.terrain.distances import cells_by
from landslide_tf.terrain.elevation import (
    Dem,
    Elevation,
    NoElevation,
    no_overlap,
    read_elevation,
)
from landslide_tf.terrain.grid import Grid
from landslide_tf.terrain.resampling import bring, to_crs
from landslide_tf.terrain.surface import FLAT, aspect, slope
from landslide_tf.terrain.units import metres_of

FACTORS: tuple[str, ...] = ("dem", "slope", "aspect", "aspect_sin", "aspect_cos")
"""Names that `factors_on_grid` makes: metres, degrees, degrees, and two ratios."""

# Shorter mean directions than this have no direction: opposite slopes cancelled.
_NO_DIRECTION = 1e-6
_LATTICE = 17  # points a side at which the angle between two norths is computed


@dataclass(frozen=True)
class TerrainFactors:
    """Terrain factors of every cell of a grid.

    Attributes:
        values: float32 (H, W, F) in raw units; NaN = nodata, aspect −1 = level.
        names: What each of the F channels is.
        valid: bool (H, W): every elevation of the 3 × 3 window is known.
        covered: Share of the grid's cells that have an elevation, in (0, 1].

    Example:
        >>> import numpy as np
        >>> from rasterio import Affine
        >>> from landslide_tf import terrain
        >>> coarse = terrain.Grid("EPSG:32633", Affine(30, 0, 0, 0, -30, 300), 10, 10)
        >>> fine = terrain.Grid("EPSG:32633", Affine(10, 0, 60, 0, -10, 240), 16, 16)
        >>> dem = 30.0 * np.arange(10)[::-1, None] * np.ones(10)  # falls to the south
        >>> factors = terrain.factors_on_grid((dem, coarse, None), fine)
        >>> factors.names, factors.values.shape, factors.covered
        (('slope', 'aspect'), (16, 16, 2), 1.0)
    """

    values: NDArray[np.float32]
    names: tuple[str, ...]
    valid: NDArray[np.bool_]
    covered: float


def _check_factors(factors: Sequence[str]) -> tuple[str, ...]:
    names = (factors,) if isinstance(factors, str) else tuple(factors)
    for name in names:
        check_choice("factors", name, FACTORS)
    if not names or len(set(names)) < len(names):
        raise DataError(
            f"`factors` must hold each factor once and at least one, got {names}."
        )
    return names


def _whole_windows(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns where all cells of the 3 × 3 window, inside the array, are true."""
    padded = np.pad(known, 1, constant_values=True)
    rows = padded[:-2] & padded[1:-1] & padded[2:]
    return rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]


def _direction(angle: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns sine and cosine of an aspect, (0, 0) where level."""
    radians = np.radians(angle)
    level = angle < 0
    return np.where(level, 0.0, np.sin(radians)), np.where(level, 0.0, np.cos(radians))


def _turn_of_north(
    source: Grid, target: Grid, distances: Distances
) -> tuple[FloatArray, FloatArray]:
    """Returns sine and cosine of the azimuth, on the target, of the source's north.

    Each float64 (H, W). The norths of two projections differ by the convergence of
    their meridians.
    """
    rows = np.linspace(0, target.height, min(target.height + 1, _LATTICE))
    columns = np.linspace(0, target.width, min(target.width + 1, _LATTICE))
    at = np.meshgrid(columns, rows)
    x, y = target.transform @ (at[0], at[1])
    x, y = to_crs(x, y, target, source)
    ahead = to_crs(x, y + abs(source.transform.e), source, target)
    there = ~target.transform @ ahead
    east, north = cells_by(target, distances)
    if np.ndim(east):
        centres = np.arange(target.height) + 0.5
        east, north = (np.interp(rows, centres, v)[:, None] for v in (east, north))
    angle = np.arctan2((there[0] - at[0]) * east, (at[1] - there[1]) * north)
    fields = []
    for node in (np.sin(angle), np.cos(angle)):
        # Beyond the reach of a projection there is no elevation to turn either.
        node = np.nan_to_num(node)
        wide = np.array(
            [np.interp(np.arange(target.width) + 0.5, columns, line) for line in node]
        )
        high = np.interp(np.arange(target.height) + 0.5, rows, np.arange(len(rows)))
        first = np.minimum(high.astype(int), len(rows) - 2)
        weight = (high - first)[:, None]
        fields.append((1 - weight) * wide[first] + weight * wide[first + 1])
    return fields[0], fields[1]


def _read_onto(
    dem: Dem,
    target: Grid,
    kernel: Kernel,
    nodata: float | None,
    z_unit: str | float | None,
) -> tuple[Elevation, FloatArray]:
    """Returns the elevation model as read, and its elevations on the target grid."""
    found = read_elevation(dem, target, nodata, z_unit)
    if not np.isfinite(found.values).any():
        raise NoElevation(
            "`dem` must have elevations where `grid` lies, got nodata only; check"
            f" the nodata value and the place of both: {target}."
        )
    values = bring(found.values, found.grid, target, kernel)
    if not np.isfinite(values).any():
        raise no_overlap("`dem`", found.grid, target)
    return found, values


def elevations_on_grid(
    dem: Dem,
    grid: Grid,
    *,
    resampling: Kernel = "cubic",
    nodata: float | None = None,
    z_unit: str | float | None = None,
) -> FloatArray:
    """Returns the elevations that `factors_on_grid` makes its factors of.

    Args:
        dem: As in `factors_on_grid`.
        grid: As in `factors_on_grid`.
        resampling: As in `factors_on_grid`.
        nodata: As in `factors_on_grid`.
        z_unit: As in `factors_on_grid`.

    Returns:
        float64 (H, W), metres, NaN where there is none.

    Raises:
        DataError: As `factors_on_grid`.
    """
    target, back = grid.upright()
    found, values = _read_onto(dem, target, resampling, nodata, z_unit)
    return values[back] * found.metres


def _derive_before(
    found: Elevation,
    target: Grid,
    names: Sequence[str],
    kernel: Kernel,
    z_factor: float,
    method: Method,
    edges: Edges,
    distances: Distances,
) -> dict[str, FloatArray]:
    """Computes the factors on the model's own grid and resamples them."""
    native, cell, out = found.grid, cells_by(found.grid, distances), {}
    if "slope" in names:
        steep = slope(
            found.values,
            cell,
            z_factor=z_factor,
            method=method,
            edges=edges,
            dtype=np.float64,
        )
        # Cubic convolution overshoots.
        out["slope"] = np.clip(bring(steep, native, target, kernel), 0, 90)
    if any(name.startswith("aspect") for name in names):
        angle = aspect(found.values, cell, method=method, edges=edges, dtype=np.float64)
        s, c = (bring(v, native, target, kernel) for v in _direction(angle))
        if native.crs != target.crs:
            a, b = _turn_of_north(native, target, distances)
            s, c = s * b + c * a, c * b - s * a
        length = np.hypot(s, c)
        level = length < _NO_DIRECTION
        length[level] = 1.0
        out["aspect_sin"] = np.where(level, 0.0, s / length)
        out["aspect_cos"] = np.where(level, 0.0, c / length)
        out["aspect"] = np.where(level, FLAT, np.degrees(np.arctan2(s, c)) % 360)
    return out


def _derive_after(
    dem: FloatArray,
    target: Grid,
    names: Sequence[str],
    z_factor: float,
    method: Method,
    edges: Edges,
    distances: Distances,
) -> dict[str, FloatArray]:
    """Computes the factors of elevations that lie on the target grid."""
    cell, out = cells_by(target, distances), {}
    if "slope" in names:
        out["slope"] = slope(dem, cell, z_factor=z_factor, method=method, edges=edges)
    if any(name.startswith("aspect") for name in names):
        out["aspect"] = aspect(dem, cell, method=method, edges=edges)
        if {"aspect_sin", "aspect_cos"} & set(names):
            out["aspect_sin"], out["aspect_cos"] = _direction(out["aspect"])
    return out


def factors_on_grid(
    dem: Dem,
    grid: Grid,
    *,
    derive: Derive = "after",
    resampling: Kernel = "cubic",
    edges: Edges = "compute",
    factors: Sequence[str] = ("slope", "aspect"),
    method: Method = "horn",
    distances: Distances = "grid",
    z_unit: str | float | None = None,
    nodata: float | None = None,
) -> TerrainFactors:
    """Returns terrain factors on the grid of an image.

    The elevations are brought to the grid in float64 with nodata kept, and slope and
    aspect are computed there, with cells in metres: linear units of the system are
    applied, degrees become metres on the ellipsoid row by row (see `cell_size`).
    Factors after resampling is the order of Xia et al. (2021, Remote Sensing 13, 5116).

    Args:
        dem: Elevation model: path, open rasterio dataset of one band, or (array
            (H', W'), its grid, its nodata value or `None`); any grid and system.
        grid: Grid of the image; south-up is fine, rotated is not.
        derive: `"after"` resampling, or `"before"` it: then slope, and sine and
            cosine of the aspect, are resampled.
        resampling: `"cubic"` (Keys 1981, a = −0.5), `"bilinear"` or `"nearest"`.
        edges: As in `slope`.
        factors: Names of `FACTORS`: `"dem"` (metres), `"slope"` (degrees),
            `"aspect"` (degrees clockwise from the grid's north, −1 = level),
            `"aspect_sin"` and `"aspect_cos"` ((0, 0) = level).
        method: As in `slope`.
        distances: `"grid"`: horizontal distances are those of the projection, as GDAL
            takes them; `"ground"`: on the ellipsoid, where a Mercator or
            equirectangular system stretches them (see `distances.cells_by`).
        z_unit: Unit of the elevations: a name of `Z_UNITS`, or metres a unit; None =
            what the file says of its band or vertical axis, else metres.
        nodata: Value of missing elevations that the file does not declare.

    Returns:
        The factors, NaN where there is no elevation, and how much is covered.

    Raises:
        DataError: The model cannot be read, has no place on the ground or none in
            common with the grid, or an argument is not valid.

    Example:
        >>> import numpy as np
        >>> from rasterio import Affine
        >>> from landslide_tf import terrain
        >>> coarse = terrain.Grid("EPSG:32633", Affine(30, 0, 0, 0, -30, 300), 10, 10)
        >>> fine = terrain.Grid("EPSG:32633", Affine(10, 0, 60, 0, -10, 240), 16, 16)
        >>> dem = 30.0 * np.arange(10)[::-1, None] * np.ones(10)  # falls to the south
        >>> factors = terrain.factors_on_grid((dem, coarse, None), fine)
        >>> factors.values[8, 8].round(1).tolist()  # slope, aspect
        [45.0, 180.0]
    """
    check_choice("derive", derive, ("after", "before"))
    check_choice("resampling", resampling, ("cubic", "bilinear", "nearest"))
    names = _check_factors(factors)
    if z_unit is not None:
        metres_of(z_unit)  # refuses an unknown one before the model is read
    if not isinstance(grid, Grid):
        raise DataError(
            f"`grid` must be a `Grid`, got `{type(grid).__name__}`; write"
            " `Grid.of(dataset)`."
        )
    target, back = grid.upright()
    cells_by(target, distances)  # refuses a grid without before the model is read
    found, values = _read_onto(dem, target, resampling, nodata, z_unit)
    metres = found.metres
    known = np.isfinite(values)
    if derive == "after":
        layers = _derive_after(values, target, names, metres, method, edges, distances)
    else:
        layers = _derive_before(
            found, target, names, resampling, metres, method, edges, distances
        )
    layers["dem"] = values * metres
    out = np.empty((*target.shape, len(names)), np.float32)
    for channel, name in enumerate(names):
        out[..., channel] = layers[name][back]
        if name == "aspect":
            # Rounding to float32 can reach the end of [0, 360).
            out[..., channel][out[..., channel] >= 360] = 0
    valid = np.ascontiguousarray(_whole_windows(known)[back])
    return TerrainFactors(out, names, valid, float(known.mean()))

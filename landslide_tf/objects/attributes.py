"""What is measured of landslide objects: shape, probability, terrain, amalgamation."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from scipy import ndimage
from skimage.morphology import reconstruction

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.objects.outlines import apply, in_metres
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.raster.antimeridian import Geometries
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import Window
from landslide_tf.terrain import Grid
from landslide_tf.terrain.distances import Distances

TERRAIN = (
    "elev_min_m",
    "elev_max_m",
    "elev_mean_m",
    "relief_m",
    "slope_mean_deg",
    "slope_p90_deg",
    "aspect_mean_deg",
)
"""Names of the terrain attributes of an object."""

AMALGAMATED = 0.5
"""Share of an object's largest half-width that a second maximum needs; ours."""

_BLOCK = 1024  # rows and columns of the rasters that are read at once
_LOBE = 1.0  # cells by which a maximum stands out of the saddles around it

Read = Callable[[Window], FloatArray]


def shape_attributes(metric: Geometries) -> dict[str, FloatArray]:
    """Measures polygons.

    Length and width are the sides of the smallest rectangle around a polygon, in any
    direction; its orientation is that of the length.

    Args:
        metric: Polygons in metres, as `in_metres` returns them.

    Returns:
        By name (N,): `area_m2`, `perimeter_m`, `length_m`, `width_m`; `lwr` (length by
        width), `rectangularity` (area by length and width), `compactness` (4π area by
        squared perimeter), `solidity` (area by that of the convex hull);
        `eq_diameter_m` of a circle of that area; `orientation_deg` from the north,
        clockwise, in [0, 180).

    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.objects import shape_attributes
    >>> found = shape_attributes(np.array([shapely.box(0, 0, 40, 10)]))
    >>> found["lwr"].round(6).tolist(), found["orientation_deg"].round(6).tolist()
    ([4.0], [90.0])
    """
    area, perimeter = shapely.area(metric), shapely.length(metric)
    boxes = shapely.minimum_rotated_rectangle(metric)
    corners = shapely.get_coordinates(boxes).reshape(-1, 5, 2)
    sides = np.diff(corners[:, :3], axis=1)
    lengths = np.hypot(sides[..., 0], sides[..., 1])
    longer = np.argmax(lengths, axis=1)[:, None]
    length, width = lengths.max(axis=1), lengths.min(axis=1)
    along = np.take_along_axis(sides, longer[..., None], axis=1)[:, 0]
    angle = np.degrees(np.arctan2(along[:, 0], along[:, 1])) % 180
    return {
        "area_m2": area,
        "perimeter_m": perimeter,
        "length_m": length,
        "width_m": width,
        "lwr": length / width,
        "rectangularity": area / (length * width),
        "compactness": 4 * np.pi * area / perimeter**2,
        "solidity": area / shapely.area(shapely.convex_hull(metric)),
        "eq_diameter_m": np.sqrt(4 * area / np.pi),
        "orientation_deg": angle,
    }


def pixel_attributes(
    geometries: Geometries,
    grid: Grid,
    *,
    probability: Path | None = None,
    dem: DemFiles | None = None,
    distances: Distances = "grid",
) -> dict[str, FloatArray]:
    """Summarises rasters inside each polygon, reading each part of them once.

    A pixel belongs to a polygon that holds its centre; a polygon that holds none has
    the pixel that it lies in. Polygons may overlap.

    Args:
        geometries: Polygons in the system of the grid.
        grid: The grid of the pixels, north up.
        probability: Raster of the landslide probability, scale applied.
        dem: Elevations of any grid.
        distances: Of the slopes, as in `terrain.factors_on_grid`.

    Returns:
        By name (N,), NaN where nothing is known: `probability` (mean) and `max_prob`;
        with elevations the attributes of `TERRAIN`: metres, degrees, and the circular
        mean of the aspects of what slopes.

    Raises:
        DataError: If a raster cannot be read.

    >>> import numpy as np
    >>> import shapely
    >>> from pathlib import Path
    >>> from rasterio import Affine
    >>> from landslide_tf.objects import pixel_attributes
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.dem import DemFiles
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 6, 6)
    >>> plane = np.float32(5 * np.arange(6)).reshape(1, 1, 6).repeat(6, axis=1)
    >>> path = Path("/vsimem/plane.tif")  # a file in memory
    >>> write_plain(path, grid, Layer("float32", -9999, ["elevation"]), [(0, plane)])
    >>> box = np.array([shapely.box(500_010, 4_599_960, 500_050, 4_599_980)], object)
    >>> found = pixel_attributes(box, grid, dem=DemFiles(path))
    >>> found["slope_mean_deg"].round(4).tolist(), found["relief_m"].tolist()
    ([26.5651], [15.0])
    """
    names = (*(("probability", "max_prob") if probability else ()),)
    names += TERRAIN if dem is not None else ()
    table = {name: np.full(len(geometries), np.nan) for name in names}
    # Without an environment of all, each call of rasterio makes and ends its own.
    with rasterio.Env(), contextlib.ExitStack() as stack:
        readers: list[Read] = []
        if probability is not None:
            readers.append(_chances(probability, grid, stack))
        if dem is not None:
            made = ("dem", "slope", "aspect")
            terrain = AlignedDem(dem, grid, made, {"distances": distances})
            stack.callback(terrain.close)
            readers.append(lambda window: terrain.read(window)[0])
        if not readers:
            return table
        for number, values in _pixel_values(geometries, grid, readers):
            row: list[float] = []
            if probability is not None:
                known = values[np.isfinite(values[:, 0]), 0]
                row += [known.mean(), known.max()] if known.size else [math.nan] * 2
            if dem is not None:
                row += _terrain(values[:, -3:])
            for name, value in zip(names, row, strict=True):
                table[name][number] = value
    return table


def zonal_means(
    geometries: Geometries, grid: Grid, read: Read, channels: int
) -> FloatArray:
    """Averages layers inside each polygon, pixels as `pixel_attributes` takes them.

    Args:
        geometries: Polygons in the system of the grid.
        grid: The grid of the pixels, north up.
        read: Gives a window of the layers, float (h, w, channels), NaN = not known.
        channels: Number of layers.

    Returns:
        float64 (N, channels), NaN where no pixel is known.

    >>> import numpy as np
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.objects import zonal_means
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 2, 4)
    >>> def read(window):
    ...     columns = np.arange(window.column, window.column + window.width)
    ...     return np.tile(columns, (window.height, 1))[..., None]
    >>> box = np.array([shapely.box(500_000, 4_599_980, 500_020, 4_600_000)], object)
    >>> zonal_means(box, grid, read, 1).tolist()
    [[0.5]]
    """
    means = np.full((len(geometries), channels), np.nan)
    for number, values in _pixel_values(geometries, grid, [read]):
        known = np.isfinite(values)
        count = known.sum(axis=0)
        total = np.where(known, values, 0).sum(axis=0, dtype=np.float64)
        means[number, count > 0] = total[count > 0] / count[count > 0]
    return means


def _chances(path: Path, grid: Grid, stack: contextlib.ExitStack) -> Read:
    raster = AlignedRaster(path, "probabilities", grid)
    stack.callback(raster.close)

    def read(window: Window) -> FloatArray:
        (stored,), known = raster.read(window)
        return np.where(known, raster.physical(stored), np.nan)[..., None]

    return read


def _pixel_values(
    geometries: Geometries, grid: Grid, readers: list[Read]
) -> Iterator[tuple[int, FloatArray]]:
    """Yields number and pixel values (n, channels) of each geometry on the grid.

    Rasters are read block by block; kept are the values of unfinished geometries.
    """
    if not len(geometries):
        return
    spans = _spans(geometries, grid)
    top, left, bottom, right = spans.T
    on_grid = (bottom > top) & (right > left)
    waiting: dict[int, list[FloatArray]] = {}
    for row in range(0, grid.height, _BLOCK):
        here = np.flatnonzero(on_grid & (top < row + _BLOCK) & (bottom > row))
        for column in range(0, grid.width, _BLOCK):
            inside = here[(left[here] < column + _BLOCK) & (right[here] > column)]
            if not inside.size:
                continue
            low = np.maximum(spans[inside, :2], (row, column))
            high = np.minimum(spans[inside, 2:], (row + _BLOCK, column + _BLOCK))
            first, last = low.min(axis=0), high.max(axis=0)
            window = _window(first, last)
            values = np.concatenate([read(window) for read in readers], axis=-1)
            for number, start, end in zip(inside, low, high, strict=True):
                a, b = start - first, end - first
                burnt = _burnt(geometries[number], grid, _window(start, end))
                part = values[a[0] : b[0], a[1] : b[1]][burnt]
                waiting.setdefault(int(number), []).append(part)
        for number in here[bottom[here] <= row + _BLOCK]:
            found = np.concatenate(waiting.pop(int(number)))
            if not len(found):
                point = _cell(geometries[number], grid)
                alone = [read(point) for read in readers]
                found = np.concatenate(alone, axis=-1)[0]
            yield int(number), found


def _window(start: NDArray[np.int64], end: NDArray[np.int64]) -> Window:
    (top, left), (height, width) = start.tolist(), (end - start).tolist()
    return Window(top, left, height, width)


def _spans(geometries: Geometries, grid: Grid) -> NDArray[np.int64]:
    """Returns first row and column of each geometry, and those behind the last."""
    west, south, east, north = shapely.bounds(geometries).T
    upper = apply(~grid.transform, np.stack([west, north], axis=1))
    lower = apply(~grid.transform, np.stack([east, south], axis=1))
    # Outlines along pixel edges miss whole numbers by rounding.
    upper, lower = np.floor(upper + 1e-6), np.ceil(lower - 1e-6)
    spans = np.concatenate([upper[:, ::-1], lower[:, ::-1]], axis=1)
    limits = np.array(grid.shape * 2)
    return np.clip(spans, 0, limits).astype(np.int64)


def _burnt(geometry: Any, grid: Grid, window: Window) -> NDArray[np.bool_]:  # noqa: ANN401
    """Returns which pixels of a window have their centre in a geometry."""
    corner = Affine.translation(window.column, window.row)
    burnt = rasterio.features.rasterize(
        [(geometry, 1)],
        out_shape=(window.height, window.width),
        transform=grid.transform @ corner,
        dtype=np.uint8,
    )
    return burnt > 0


def _cell(geometry: Any, grid: Grid) -> Window:  # noqa: ANN401 - a shapely geometry
    """Returns the pixel in which a geometry without a pixel's centre lies."""
    point = geometry.representative_point()
    column, row = ~grid.transform @ (point.x, point.y)
    inside = np.clip(np.floor((row, column)), 0, np.array(grid.shape) - 1)
    return Window(int(inside[0]), int(inside[1]), 1, 1)


def _terrain(values: FloatArray) -> list[float]:
    """Returns the terrain attributes of pixels (N, [elevation, slope, aspect])."""
    elevation, slope, aspect = values[np.isfinite(values).all(axis=1)].T
    if not elevation.size:
        return [math.nan] * len(TERRAIN)
    sloping = np.radians(aspect[aspect >= 0].astype(float))
    direction = math.nan
    if sloping.size:
        towards = np.sin(sloping).mean(), np.cos(sloping).mean()
        direction = math.degrees(math.atan2(*towards))
    low, high = float(elevation.min()), float(elevation.max())
    numbers = (
        low, high, elevation.mean(), high - low, slope.mean(),
        np.percentile(slope, 90), direction % 360,
    )  # fmt: skip
    return [float(number) for number in numbers]


def amalgamated(
    geometries: Geometries, grid: Grid, *, bound: float = AMALGAMATED
) -> NDArray[np.bool_]:
    """Says which objects look like several landslides that were mapped as one.

    Those whose distance transform has more than one maximum above a bound; maxima
    that stand out by less than a cell are the grid's and do not count.

    Args:
        geometries: Polygons in the system of the grid.
        grid: The grid of the pixels, north up.
        bound: Share of the largest distance that a maximum must reach, in (0, 1].

    Returns:
        bool (N,).

    Raises:
        DataError: If the bound is no share.

    >>> import numpy as np
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.objects import amalgamated
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(1, 0, 0, 0, -1, 40), 40, 90)
    >>> lobes = [shapely.Point(x, 20).buffer(15) for x in (20, 60)]
    >>> both = shapely.union_all([*lobes, shapely.box(20, 18, 60, 22)])
    >>> amalgamated(np.array([both, lobes[0]], object), grid).tolist()
    [True, False]
    """
    if not 0 < bound <= 1:
        raise DataError(
            f"Expected `bound` above 0 and at most 1, received {bound}; it is a share."
        )
    found = np.zeros(len(geometries), bool)
    if not len(geometries):
        return found
    with rasterio.Env():
        for number, span in enumerate(_spans(geometries, grid)):
            if (span[2:] - span[:2]).min() < 3:
                continue
            burnt = _burnt(geometries[number], grid, _window(span[:2], span[2:]))
            found[number] = _maxima(np.pad(burnt, 1), bound) > 1
    return found


def _maxima(mask: NDArray[np.bool_], bound: float) -> int:
    """Counts the maxima of the distance to the outside that stand out."""
    distance = ndimage.distance_transform_edt(mask)
    largest = distance.max()
    if largest <= 1 + _LOBE:  # a second one would be at the rim
        return 1
    standing = distance - reconstruction(distance - _LOBE, distance)
    labels, number = ndimage.label(standing > 1e-6, np.ones((3, 3)))
    numbers = np.arange(1, number + 1)
    depths = ndimage.maximum(standing, labels, numbers)
    heights = ndimage.maximum(distance, labels, numbers)
    tops = (depths >= _LOBE * (1 - 1e-6)) & (heights >= bound * largest)
    return int(np.count_nonzero(tops))


def measure(geometries: Geometries, grid: Grid) -> dict[str, FloatArray]:
    """Measures polygons on the ground.

    Args:
        geometries: Polygons in the system of the grid.
        grid: The grid of the scene they lie in.

    Returns:
        As of `shape_attributes`, areas on the ellipsoid; and `centroid_x` and
        `centroid_y` in the system of the grid.

    Raises:
        DataError: If the grid has no place on the ellipsoid of its system.

    >>> import numpy as np
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.objects import measure
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 6, 6)
    >>> box = np.array([shapely.box(500_010, 4_599_960, 500_050, 4_599_980)], object)
    >>> measure(box, grid)["area_m2"].round(1).tolist()
    [800.6]
    """
    centroids = shapely.centroid(geometries)
    return shape_attributes(in_metres(geometries, grid)) | {
        "centroid_x": shapely.get_x(centroids),
        "centroid_y": shapely.get_y(centroids),
    }

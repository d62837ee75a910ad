"""What is measured of landslide objects: shape, probability, terrain, amalgamation."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import reconstruction

from landslide_tf.array_types import FloatArray
from landslide_tf.choices import Distances
from landslide_tf.errors import DataError
from landslide_tf.objects.cells import Cells, held_cells, spans
from landslide_tf.objects.outlines import in_metres
from landslide_tf.objects.zones import Read, Zones, zones_of
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.raster.antimeridian import Geometries
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import Window
from landslide_tf.terrain import Grid

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

_LOBE = 1.0  # cells by which a maximum stands out of the saddles around it


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
        for zones in zones_of(geometries, grid, readers):
            found: list[FloatArray] = []
            if probability is not None:
                found += [zones.means()[:, 0], zones.largest()[:, 0]]
            if dem is not None:
                found += _terrain(zones)
            for name, values in zip(names, found, strict=True):
                table[name][zones.numbers] = values
    return table


def _chances(path: Path, grid: Grid, stack: contextlib.ExitStack) -> Read:
    raster = AlignedRaster(path, "probabilities", grid)
    stack.callback(raster.close)

    def read(window: Window) -> FloatArray:
        (stored,), known = raster.read(window)
        return np.where(known, raster.physical(stored), np.nan)[..., None]

    return read


def _terrain(zones: Zones) -> list[FloatArray]:
    """Returns the terrain attributes; the last channels are those of elevations."""
    known = np.isfinite(zones.values[:, -3:]).all(axis=1, keepdims=True)
    terrain = np.where(known, zones.values[:, -3:], np.nan)
    towards = np.radians(np.where(terrain[:, 2] >= 0, terrain[:, 2], np.nan))
    unit = np.stack([np.sin(towards), np.cos(towards)], axis=1)
    east, north = replace(zones, values=unit).means().T
    zones = replace(zones, values=terrain)
    low, high, mean = zones.smallest()[:, 0], zones.largest()[:, 0], zones.means()
    steep = replace(zones, values=terrain[:, 1:2]).percentiles(90)
    direction = np.degrees(np.arctan2(east, north)) % 360
    return [low, high, mean[:, 0], high - low, mean[:, 1], steep, direction]


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
    reach = spans(geometries, grid)
    size = reach[:, 2:] - reach[:, :2]
    order = np.argsort(size[:, 1], kind="stable")  # of about one width together
    order = order[size[order].min(axis=1) >= 3]
    for cells in held_cells(geometries[order], grid, reach[order]):
        owners, several = _with_lobes(cells, reach[order], bound)
        found[order[owners]] = several
    return found


def _with_lobes(
    cells: Cells, windows: NDArray[np.int64], bound: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Says which objects have several maxima of the distance to the outside.

    All lie on one picture, one below the other, apart by a line of outside.
    """
    owners, starts, of = np.unique(cells.owner, return_index=True, return_inverse=True)
    if not owners.size:
        return owners, np.zeros(0, bool)
    top, left, bottom, right = windows[owners].T
    end = np.cumsum(bottom - top + 1)
    picture = np.zeros((end[-1] + 1, (right - left).max() + 2), bool)
    at = cells.row - bottom[of] + end[of], cells.column - left[of] + 1
    picture[at] = True
    distance = ndimage.distance_transform_edt(picture)
    largest = np.maximum.reduceat(distance[at], starts)
    standing = distance - reconstruction(distance - _LOBE, distance)
    labels, number = ndimage.label(standing > 1e-6, np.ones((3, 3)))
    owner = np.zeros(number + 1, np.int64)
    owner[labels[at]] = of
    numbers = np.arange(1, number + 1)
    depths = ndimage.maximum(standing, labels, numbers)
    heights = ndimage.maximum(distance, labels, numbers)
    tops = (depths >= _LOBE * (1 - 1e-6)) & (heights >= bound * largest[owner[1:]])
    counts = np.bincount(owner[1:][tops], minlength=len(owners))
    return owners, (counts > 1) & (largest > 1 + _LOBE)  # else one is at the rim


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

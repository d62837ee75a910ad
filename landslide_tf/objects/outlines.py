"""Landslide objects as polygons: the outlines of a raster's objects, in metres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
import rasterio.features
import shapely
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.raster.antimeridian import Geometries
from landslide_tf.raster.systems import Move, mover, system_of
from landslide_tf.terrain import Grid


def outlines(mask: Path, grid: Grid) -> tuple[Geometries, NDArray[np.int64]]:
    """Outlines the 8-connected objects of a mask along the edges of its pixels.

    Args:
        mask: Raster of 0 and 1, read in strips.
        grid: Its grid, north up; or another one of as many cells to place it on.

    Returns:
        One geometry an object, in the system of the grid, and its number of pixels.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.objects import outlines
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 4, 4)
    >>> values = np.zeros((1, 4, 4), np.uint8)
    >>> values[0, 1:3, 1:4] = 1
    >>> mask = Path("/vsimem/objects.tif")  # a file in memory
    >>> write_plain(mask, grid, Layer("uint8", 255, ["landslide"]), [(0, values)])
    >>> found, pixels = outlines(mask, grid)
    >>> found[0].bounds, pixels.tolist()
    ((500010.0, 4599970.0, 500040.0, 4599990.0), [6])
    """
    with rasterio.open(mask) as dataset:
        band = rasterio.band(dataset, 1)
        shapes = rasterio.features.shapes(band, mask=band, connectivity=8)
        placed = [shapely.geometry.shape(shape) for shape, _ in shapes]
        cells = _along_edges(placed, ~dataset.transform)
    pixels = np.rint(shapely.area(cells)).astype(np.int64)
    found = shapely.transform(cells, lambda xy: apply(grid.transform, xy))
    # Objects that join at corners touch themselves.
    return shapely.make_valid(found), pixels


def reading_order(geometries: Geometries, grid: Grid) -> NDArray[np.intp]:
    """Orders outlines as row by row reading meets the first pixel of each.

    That is the order of labels, as `label_objects` gives them.

    Args:
        geometries: Outlines along the edges of pixels, in the system of the grid.
        grid: Its grid, north up.

    Returns:
        Indices that sort them (N,).

    >>> import numpy as np
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.objects.outlines import reading_order
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 2, 4)
    >>> west, south = np.array([[500_000, 500_020], [4_599_980, 4_599_990]])
    >>> reading_order(shapely.box(west, south, west + 10, south + 10), grid)
    array([1, 0])
    """
    points, of = shapely.get_coordinates(geometries, return_index=True)
    column, row = np.rint(apply(~grid.transform, points)).T
    _, first = np.unique(of, return_index=True)
    places = row * (grid.width + 1) + column
    return np.argsort(np.minimum.reduceat(places, first) if first.size else first)


def _along_edges(placed: list[shapely.Geometry], inverse: Any) -> Geometries:  # noqa: ANN401 - Affine
    """Returns outlines in columns and rows, where they are whole numbers."""
    shapes = np.array(placed, object)
    return shapely.transform(shapes, lambda xy: np.rint(apply(inverse, xy)))


def apply(transform: Any, xy: FloatArray) -> FloatArray:  # noqa: ANN401 - Affine
    """Returns points (N, 2) moved by an affine transform.

    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.objects.outlines import apply
    >>> apply(Affine.translation(1, 2), np.zeros((1, 2))).tolist()
    [[1.0, 2.0]]
    """
    return np.stack(transform @ (xy[:, 0], xy[:, 1]), axis=1)


def multi_polygon(geometries: Any) -> Any:  # noqa: ANN401 - shapely geometries
    """Returns the polygons of one geometry or several as one multi-polygon.

    >>> import shapely
    >>> from landslide_tf.objects import multi_polygon
    >>> multi_polygon(shapely.box(0, 0, 1, 1)).geom_type
    'MultiPolygon'
    """
    parts = shapely.get_parts(geometries)
    return shapely.MultiPolygon([p for p in parts if p.geom_type == "Polygon"])


def equal_area_system(source: pyproj.CRS, x: float, y: float) -> pyproj.CRS:
    """Returns an equal-area projection in metres around a point, on its ellipsoid.

    Lambert's azimuthal projection: areas are those on the ellipsoid, lengths near the
    point too.

    Args:
        source: A coordinate system.
        x: East or longitude of the point in it.
        y: North or latitude.

    Returns:
        The projection.

    Raises:
        DataError: If the system has no ellipsoid, or the point no place on it.

    >>> import pyproj
    >>> from landslide_tf.objects import equal_area_system
    >>> found = equal_area_system(pyproj.CRS.from_epsg(32633), 500_000, 4_600_000)
    >>> found.coordinate_operation.method_name
    'Lambert Azimuthal Equal Area'
    """
    geodetic = source.geodetic_crs
    if geodetic is None or geodetic.ellipsoid is None:
        raise DataError(
            f"Expected a system with an ellipsoid, to measure areas on it, received "
            f"`{source.name}`: warp the image (`gdalwarp`)."
        )
    longitude, latitude = mover(source, geodetic)(np.array([[x, y]], float))[0]
    if not np.isfinite((longitude, latitude)).all():
        raise DataError(
            f"Expected a place on the ellipsoid, to measure areas there, received "
            f"{x:.10g}, {y:.10g}, which is out of reach of `{source.name}`: check the "
            "system and the transform of the image."
        )
    ellipsoid = geodetic.ellipsoid
    return pyproj.CRS.from_proj4(
        f"+proj=laea +lat_0={latitude:.6f} +lon_0={longitude:.6f} "
        f"+a={ellipsoid.semi_major_metre} +b={ellipsoid.semi_minor_metre} +units=m"
    )


def to_metres(grid: Grid) -> Move:
    """Returns what brings coordinates of a grid's system into metres.

    Those of a geographic or projected system go into an equal-area projection around
    the grid, those of a local system are multiplied by its unit.

    Args:
        grid: The grid; one without a system is taken to be in metres.

    Returns:
        A function of coordinates (N, 2).

    Raises:
        DataError: If the grid has no place on the ellipsoid of its system.

    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.objects.outlines import to_metres
    >>> from landslide_tf.terrain import Grid
    >>> site = 'LOCAL_CS["Site",UNIT["foot",0.3048]]'
    >>> move = to_metres(Grid(site, Affine(1, 0, 0, 0, -1, 0), 4, 4))
    >>> move(np.array([[10.0, 20.0]])).round(3).tolist()
    [[3.048, 6.096]]
    """
    if grid.crs is None:
        return np.copy
    source = system_of(grid)
    if source.is_engineering:
        unit = float(source.axis_info[0].unit_conversion_factor)
        return lambda xy: xy * unit
    x, y = grid.transform @ (grid.width / 2, grid.height / 2)
    return mover(source, equal_area_system(source, x, y))


def in_metres(geometries: Geometries, grid: Grid) -> Geometries:
    """Returns geometries of a grid's system in metres, as `to_metres` moves them.

    Args:
        geometries: Shapely geometries.
        grid: The grid; one without a system is taken to be in metres.

    Returns:
        Geometries in metres.

    Raises:
        DataError: If the grid has no place on the ellipsoid of its system.

    >>> import numpy as np
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.objects import in_metres
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:4326", Affine(0.01, 0, 15, 0, -0.01, 0.5), 100, 100)
    >>> cell = np.array([shapely.box(15, 0, 15.01, 0.01)], object)
    >>> round(float(shapely.area(in_metres(cell, grid))[0]) / 1e6, 3)
    1.231
    """
    return shapely.transform(geometries, to_metres(grid))

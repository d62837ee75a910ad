"""The ground of a mapped scene: what was mapped, and in which region."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from landslide_tf.ecoregions import region_name
from landslide_tf.errors import DataError
from landslide_tf.objects import multi_polygon, outlines
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.antimeridian import Geometries, cut_at_antimeridian
from landslide_tf.raster.cog import Layer, write_plain
from landslide_tf.raster.grid import grid_of, rows_of
from landslide_tf.raster.names import FilePath
from landslide_tf.raster.reprojection import reprojected
from landslide_tf.raster.systems import bounds_in
from landslide_tf.raster.vector import read_shapes
from landslide_tf.terrain import Grid

_DEGREE = 111_319.5  # metres of the equator


def region_of(path: FilePath, name_field: str, ground: Geometries, grid: Grid) -> str:
    """Returns the region that contains most of an area.

    Args:
        path: Polygons of regions.
        name_field: Field that names them.
        ground: Outlines in the system of the grid.
        grid: The grid of the scene.

    Returns:
        Its name, as `ecoregions.region_name` writes it.

    Raises:
        DataError: If the file cannot be read or no region has the ground.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.inventory import region_of
    >>> from landslide_tf.raster.polygons import write_polygons
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 8, 8)
    >>> boxes = shapely.box([14, 15.0003], 41, [15.0003, 16], 42)
    >>> table = {"region": ["west", "east"]}
    >>> ground = np.array([shapely.box(500_000, 4_599_920, 500_080, 4_600_000)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "regions.gpkg")
    ...     write_polygons(path, "GPKG", boxes, table, "EPSG:4326", layer="regions")
    ...     region_of(path, "region", ground, grid)
    'EAST'
    """
    shapes = read_shapes(
        path, grid, field=name_field, options=("--layer", "--regions FILE:")
    )
    whole = shapely.union_all(ground)
    shared = shapely.area(
        shapely.intersection(shapely.make_valid(shapes.geometries), whole)
    )
    totals: dict[str, float] = {}
    for name, area in zip(shapes.classes, shared, strict=True):
        totals[name] = totals.get(name, 0.0) + float(area)
    best = max(totals, key=lambda name: totals[name])
    if not totals[best] > 0:
        raise DataError(
            f"regions `{path}` must hold the mapped ground, received none that does."
        )
    return region_name(best)


def region_of_raster(path: FilePath, name_field: str, image: FilePath) -> str:
    """Returns the region that contains most of an image, with or without data.

    Args:
        path: Polygons of regions.
        name_field: Field that names them.
        image: A raster.

    Returns:
        Its name.

    Raises:
        DataError: If a file cannot be read or no region has ground of the image.

    >>> from landslide_tf.inventory import region_of_raster
    >>> region_of_raster("regions.gpkg", "region", "missing.tif")
    Traceback (most recent call last):
    landslide_tf.errors.DataError: image `missing.tif` must be a raster that can be ...
    """
    grid = grid_of(image, "image")
    box = shapely.box(*bounds_in(grid, grid.crs))
    return region_of(path, name_field, np.array([box], object), grid)


def mapped_ground(path: Path, grid: Grid) -> Geometries:
    """Returns the outlines of the pixels that have a class."""
    with (
        tempfile.TemporaryDirectory(prefix="landslide-tf-") as folder,
        contextlib.closing(AlignedRaster(path, "map", grid)) as raster,
    ):
        known = Path(folder, "known.tif")

        def rows() -> Iterator[tuple[int, NDArray[np.uint8]]]:
            for window in rows_of(grid.shape):
                _, valid = raster.read(window)
                yield window.row, valid[None].astype(np.uint8)

        write_plain(known, grid, Layer("uint8", 255, ["known"]), rows())
        found, _ = outlines(known, grid)
    return found


def in_degrees(
    ground: Geometries, system: pyproj.CRS, lonlat: pyproj.CRS, cell: float
) -> shapely.MultiPolygon:
    """Returns an outline in longitude and latitude, bent as its edges are."""
    longest = 1000 * cell * per_metre(system)
    dense = shapely.segmentize(ground, longest)
    moved = reprojected(dense, system, lonlat)
    moved = cut_at_antimeridian(moved)
    found: shapely.MultiPolygon = multi_polygon(shapely.make_valid(moved))
    return found


def per_metre(system: pyproj.CRS) -> float:
    """Returns units of a system a metre, roughly."""
    if system.is_geographic:
        return 1 / _DEGREE
    return 1 / float(system.axis_info[0].unit_conversion_factor)

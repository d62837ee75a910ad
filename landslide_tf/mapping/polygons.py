"""Polygons of mapped landslides with their attributes, and files of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from landslide_tf.choices import Distances
from landslide_tf.errors import DataError
from landslide_tf.objects import measure, multi_polygon, outlines, pixel_attributes
from landslide_tf.objects.outlines import to_metres
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.polygons import driver_of, write_polygons
from landslide_tf.raster.systems import LONLAT, check_converts
from landslide_tf.terrain import Grid

LAYER = "landslides"


@dataclass(frozen=True)
class Landslides:
    """Polygons and one value of each attribute.

    Attributes:
        geometries: Multi-polygons in the system of the grid.
        table: Attributes (N,) by name; `id` first.
        grid: The grid they were found on.
    """

    geometries: NDArray[Any]
    table: dict[str, NDArray[Any]]
    grid: Grid

    def __len__(self) -> int:
        return len(self.geometries)


def find_landslides(
    mask: Path,
    grid: Grid,
    *,
    probability: Path | None = None,
    dem: DemFiles | None = None,
    distances: Distances = "grid",
    min_area: float | None = None,
    simplify: float = 0.0,
) -> Landslides:
    """Finds the 8-connected objects of a mask and measures them.

    Areas, perimeters and lengths are those in an equal-area projection around the
    scene, in metres; areas are of the pixels, before any simplification.

    Args:
        mask: Raster of 0 and 1 on `grid`.
        grid: A north-up grid, or one without a system.
        probability: Raster of the landslide probability on `grid`, scale applied.
        dem: Elevation model, for slopes, aspects and elevations.
        distances: Of the slopes, as in `terrain.factors_on_grid`.
        min_area: Smallest object, m²; None = 16 pixels.
        simplify: Tolerance of the outlines, metres; 0 keeps the pixels' edges.

    Returns:
        The landslides, largest first.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.mapping.polygons import find_landslides
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 8, 8)
    >>> values = np.zeros((1, 8, 8), np.uint8)
    >>> values[0, 2:6, 1:6] = 1
    >>> mask = Path("/vsimem/mask.tif")  # a file in memory
    >>> write_plain(mask, grid, Layer("uint8", 255, ["landslide"]), [(0, values)])
    >>> found = find_landslides(mask, grid)
    >>> found.table["area_px"].tolist(), found.table["area_m2"].round().tolist()
    ([20], [2002.0])
    """
    found, pixels = outlines(mask, grid)
    shapes = measure(found, grid)
    areas = shapes["area_m2"]
    kept = pixels >= 16 if min_area is None else areas >= min_area * (1 - 1e-9)
    order = np.flatnonzero(kept)
    order = order[np.lexsort((order, -areas[order]))]
    found = found[order]
    table: dict[str, NDArray[Any]] = {"id": np.arange(1, len(found) + 1)}
    table |= {"area_m2": areas[order], "area_px": pixels[order]}
    table |= {name: values[order] for name, values in shapes.items()}
    table |= pixel_attributes(
        found, grid, probability=probability, dem=dem, distances=distances
    )
    if simplify > 0 and len(found):
        metres_per_unit = math.sqrt(areas[order].sum() / shapely.area(found).sum())
        found = shapely.simplify(
            found, simplify / metres_per_unit, preserve_topology=True
        )
    found = np.array([multi_polygon(geometry) for geometry in found], object)
    return Landslides(found, table, grid)


def check_polygons(paths: Sequence[Path], grid: Grid) -> None:
    """Refuses polygons that could not be measured or written, before they are found.

    Args:
        paths: The vector files to write.
        grid: The grid of the scene.

    Raises:
        DataError: If the grid has no place on the ellipsoid of its system, or GeoJSON
            is wanted and its system has no longitudes and latitudes on Earth.

    >>> from pathlib import Path
    >>> from rasterio import Affine
    >>> from landslide_tf.mapping.polygons import check_polygons
    >>> from landslide_tf.terrain import Grid
    >>> site = Grid('LOCAL_CS["Site",UNIT["metre",1]]', Affine(1, 0, 0, 0, -1, 0), 4, 4)
    >>> check_polygons([Path("map.gpkg")], site)
    >>> check_polygons([Path("map.geojson")], site)
    Traceback (most recent call last):
    landslide_tf.errors.DataError: `map.geojson`: GeoJSON is in longitude and ...
    """
    if paths:
        to_metres(grid)
    for path in paths:
        if driver_of(path) != "GeoJSON":
            continue
        try:
            check_converts(grid, LONLAT)
        except DataError as error:
            raise DataError(
                f"`{path}`: GeoJSON is in longitude and latitude on Earth; write a "
                f"`.gpkg`. {error}"
            ) from error


def write_landslides(landslides: Landslides, path: Path, driver: str) -> None:
    """Writes polygons: GeoPackage in the image's system, GeoJSON as RFC 7946 wants it.

    Args:
        landslides: The polygons.
        path: The file.
        driver: `"GPKG"` or `"GeoJSON"`.

    Raises:
        DataError: If the file cannot be written, or as `check_polygons`.
    """
    crs = landslides.grid.crs
    write_polygons(
        path,
        driver,
        landslides.geometries,
        landslides.table,
        crs.to_wkt() if crs else None,
        layer=LAYER,
    )

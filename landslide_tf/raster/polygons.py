"""Files of polygons with attributes: what the package writes and reads again.

Apart from `vector`, which reads what users draw and burns it.
"""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError
from pyproj.exceptions import CRSError

from landslide_tf.errors import DataError, first_line
from landslide_tf.raster.antimeridian import Geometries, cut_at_antimeridian
from landslide_tf.raster.cog import NotWritten
from landslide_tf.raster.reprojection import reprojected
from landslide_tf.raster.systems import LONLAT
from landslide_tf.raster.vector_layer import plain_name, read_layer, vector_path

DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".json": "GeoJSON"}


def driver_of(path: Path) -> str:
    """Returns the driver that a vector file's name asks for.

    Raises:
        DataError: If it is neither a GeoPackage nor GeoJSON.

    >>> from pathlib import Path
    >>> from landslide_tf.raster.polygons import driver_of
    >>> driver_of(Path("map.gpkg"))
    'GPKG'
    """
    if path.suffix.lower() not in DRIVERS:
        raise DataError(
            f"`{path}` must end in {', '.join(DRIVERS)}: other vector formats are not "
            "written; convert a GeoPackage with `ogr2ogr`."
        )
    return DRIVERS[path.suffix.lower()]


def read_polygons(
    path: str | Path, system: pyproj.CRS, *, layer: str | None = None
) -> tuple[Geometries, dict[str, NDArray[Any]]]:
    """Reads polygons and their attributes.

    Args:
        path: A vector file; it may hold no polygon at all.
        system: The system that the polygons are wanted in.
        layer: Its layer; None = the only one.

    Returns:
        The polygons, and the attributes by name (N,).

    Raises:
        DataError: If the file cannot be read, has several layers and none is named, no
            system, or other geometries.

    >>> import numpy as np
    >>> import pyproj
    >>> import shapely
    >>> from pathlib import Path
    >>> from landslide_tf.raster.polygons import read_polygons, write_polygons
    >>> path, box = Path("/vsimem/boxes.gpkg"), np.array([shapely.box(15, 0, 16, 1)])
    >>> write_polygons(path, "GPKG", box, {"rule": ["slope"]}, "EPSG:4326", layer="a")
    >>> found, table = read_polygons(path, pyproj.CRS.from_epsg(4326))
    >>> found[0].bounds, table["rule"].tolist()
    ((15.0, 0.0, 16.0, 1.0), ['slope'])
    """
    what = f"polygons `{path}`"
    read = read_layer(what, path, layer)
    others = {g.geom_type for g in read.geometries} - {"Polygon", "MultiPolygon"}
    if others:
        raise DataError(f"{what} must hold polygons, received `{min(others)}`.")
    try:
        own = pyproj.CRS.from_user_input(read.crs)
        moved = reprojected(read.geometries, own, system)
    except (CRSError, DataError) as error:
        raise DataError(f"{what}: {error}") from error
    return moved, read.columns


def write_polygons(
    path: Path,
    driver: str,
    geometries: Geometries,
    table: Mapping[str, Any],
    system: str | None,
    *,
    layer: str,
    before: int = 0,
) -> None:
    """Writes polygons: GeoPackage in their system, GeoJSON as RFC 7946 wants it.

    Args:
        path: The file; of a GeoPackage that is there the layer alone is replaced.
        driver: `"GPKG"` or `"GeoJSON"`.
        geometries: The polygons.
        table: Attributes (N,) by name; masked arrays have empty values.
        system: Their coordinate reference system as pyproj reads it; None = none.
        layer: Name of the layer.
        before: How many polygons the layer holds, which these are added to.

    Raises:
        DataError: If the file cannot be written whole, or the polygons have no system
            and GeoJSON is wanted.

    >>> import numpy as np
    >>> import shapely
    >>> from pathlib import Path
    >>> from landslide_tf.raster.polygons import write_polygons
    >>> box = np.array([shapely.box(0, 0, 1, 1)])
    >>> write_polygons(Path("/vsimem/a.geojson"), "GeoJSON", box, {}, None, layer="a")
    Traceback (most recent call last):
    landslide_tf.errors.DataError: `a.geojson`: GeoJSON is in longitude and latitude...
    """
    options: dict[str, Any] = {}
    if driver == "GeoJSON":
        if system is None:
            raise DataError(
                f"`{path.name}`: GeoJSON is in longitude and latitude, and the image "
                "has no coordinate reference system; write a `.gpkg`."
            )
        moved = reprojected(geometries, pyproj.CRS(system), LONLAT)
        geometries = cut_at_antimeridian(moved)
        system = "EPSG:4326"
        options = {"COORDINATE_PRECISION": "8"}
    columns = [np.ma.asarray(values) for values in table.values()]
    masks = [np.ma.getmaskarray(values) for values in columns]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        try:
            with plain_name(path) as plain:
                pyogrio.raw.write(
                    plain,
                    geometry=shapely.to_wkb(geometries),
                    field_data=[values.data for values in columns],
                    field_mask=[mask if mask.any() else None for mask in masks],
                    fields=np.array(list(table), object),
                    geometry_type="MultiPolygon",
                    crs=system,
                    driver=driver,
                    layer=layer,
                    append=before > 0,
                    **options,
                )
            written = pyogrio.read_info(
                vector_path(path), layer=layer, force_feature_count=True
            )
        except (OSError, DataSourceError, DataLayerError, FeatureError) as error:
            reason = first_line(error)
            raise NotWritten(f"`{path}` cannot be written: {reason}.") from error
    # On a full disk GDAL leaves out the spatial index and says nothing.
    lacks_index = (
        driver == "GPKG"
        and not written["capabilities"]["fast_spatial_filter"]
        and _geopackages_get_indices()
    )
    if written["features"] != before + len(geometries) or lacks_index:
        raise NotWritten(
            f"`{path}` cannot be written whole: free space or name another place."
        )


@functools.cache
def _geopackages_get_indices() -> bool:
    """Returns whether GDAL gives GeoPackages a spatial index in this process.

    It does not where TensorFlow, which brings an SQLite of its own, was loaded first.
    """
    stream = io.BytesIO()
    pyogrio.raw.write(
        stream,
        geometry=np.array([shapely.to_wkb(shapely.Point(0, 0))], object),
        field_data=[],
        fields=np.array([], object),
        geometry_type="Point",
        crs="EPSG:4326",
        driver="GPKG",
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*non conformant file ext", RuntimeWarning)
        info = pyogrio.read_info(stream.getvalue())
    return bool(info["capabilities"]["fast_spatial_filter"])

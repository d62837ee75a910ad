"""The study areas of CAS: outlines and names, from the shapefile of its record.

Apart from the builder: it needs GDAL, which is too slow for `import landslide_tf`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio import Affine

from landslide_tf.datasets.cas_landslide.subsets import SUBSETS, plain_name
from landslide_tf.errors import DataError, first_line
from landslide_tf.raster.vector import read_shapes
from landslide_tf.raster.vector_layer import vector_path
from landslide_tf.terrain import Grid

# Outlines are brought into degrees: the grid has the whole globe on it.
_GLOBE = Grid("EPSG:4326", Affine(1, 0, -180, 0, -1, 90), 180, 360)
_DIGITS = 6  # of degrees: a tenth of a metre
_NAMES = ("name", "area", "studyarea", "region", "site", "location", "place")
# What areas and files of a region are called besides the region.
_ALSO = {
    "tiburon": ("haiti",),
    "hokkaido": ("iburi",),
    "luding": ("moxi", "moxitaidi"),
    "jiuzhai": ("jiuzzhai",),
}


@dataclasses.dataclass(frozen=True)
class Area:
    """A study area.

    Attributes:
        name: As the shapefile calls it; several names where a sub set has several.
        outline: Polygon or multi polygon as WKT, degrees of longitude and latitude.
    """

    name: str
    outline: str


def read_areas(folder: Path) -> dict[str, shapely.Geometry]:
    """Reads the outlines of the shapefiles in a folder.

    An outline is called what the first field of names says, such as `Name`, or else
    the only field of text, or else the file; outlines of one name are joined.

    Args:
        folder: A folder with `.shp` files, in sub folders or not.

    Returns:
        Outlines in degrees by name.

    Raises:
        DataError: If there is no shapefile, or one cannot be read or has no system.
    """
    files = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() == ".shp"]
    if not files:
        raise DataError(f"`{folder}` must hold a shapefile of outlines, received none.")
    found: dict[str, list[shapely.Geometry]] = {}
    for file in files:
        field = _name_field(file)
        shapes = read_shapes(file, _GLOBE, field=field)
        names = shapes.classes if field else [""] * len(shapes)
        for name, outline in zip(names, shapes.geometries, strict=True):
            found.setdefault(name.strip() or file.stem, []).append(outline)
    return {name: shapely.union_all(parts) for name, parts in found.items()}


def _name_field(file: Path) -> str | None:
    """Returns the field that names the outlines of a shapefile, None without one."""
    try:
        info = pyogrio.read_info(vector_path(file))
    except (DataSourceError, DataLayerError) as error:
        raise DataError(
            f"outlines `{file}` must be a shapefile that can be read, received: "
            f"{first_line(error)}; check that all of its files are there."
        ) from error
    kinds = zip(info["fields"], info["dtypes"], strict=True)
    text = [str(field) for field, dtype in kinds if dtype == "object"]
    plain = {plain_name(field): field for field in reversed(text)}
    chosen = next((plain[name] for name in _NAMES if name in plain), None)
    return chosen or (text[0] if len(text) == 1 else None)


def areas_of(
    slugs: Sequence[str], outlines: Mapping[str, shapely.Geometry]
) -> dict[str, Area]:
    """Finds the study area of each sub set by the names.

    A sub set lies in the areas that are called most like its archive, from the first
    letter on; where there is none, in those that are called as its region.

    Args:
        slugs: Sub sets.
        outlines: From `read_areas`.

    Returns:
        Areas by slug, of those that have any.
    """
    found = {}
    for slug in slugs:
        subset = SUBSETS[slug]
        place = plain_name(subset.title.partition("(")[0])
        region = (subset.region, *_ALSO.get(subset.region, ()))
        alike = {name: _common(plain_name(name), place) for name in outlines}
        best = max(alike.values(), default=0)
        own = [name for name, common in alike.items() if common == best > 0] or [
            name for name in outlines if any(r in plain_name(name) for r in region)
        ]
        if own:
            whole = shapely.union_all([outlines[name] for name in own])
            text = shapely.to_wkt(whole, rounding_precision=_DIGITS)
            found[slug] = Area(", ".join(sorted(own)), text)
    return found


def _common(name: str, place: str) -> int:
    """Returns how many letters a name shares, where one begins with the other."""
    alike = name.startswith(place) or (name and place.startswith(name))
    return min(len(name), len(place)) if alike else 0

"""Polygons of a map: the reading of vector files, apart from the page's layout."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError

from landslide_tf.errors import DataError
from landslide_tf.raster.reprojection import onto_grid
from landslide_tf.raster.vector_layer import vector_path
from landslide_tf.terrain import Grid

MOST = 2000
_TOLERANCE = 0.2  # overview pixels by which an outline may be simplified

_MEASURED = ("area_m2", "probability", "max_prob")

# Shown first and under these names, where a file has them: (label, digits).
_COLUMNS = {
    "id": ("object", 0),
    "step": ("new at map", 0),
    "area_m2": ("area, m²", 0),
    "probability": ("mean probability", 2),
    "max_prob": ("largest probability", 2),
    "slope_mean_deg": ("mean slope, °", 1),
    "aspect_mean_deg": ("mean aspect, °", 0),
    "elev_min_m": ("lowest, m", 0),
    "elev_max_m": ("highest, m", 0),
    "length_m": ("length, m", 0),
    "width_m": ("width, m", 0),
}
_LEFT_OUT = {
    "area_px", "centroid_x", "centroid_y", "perimeter_m", "lwr", "compactness",
    "solidity", "rectangularity", "eq_diameter_m", "orientation_deg", "elev_mean_m",
    "relief_m", "slope_p90_deg",
}  # fmt: skip


@dataclass(frozen=True)
class MapObject:
    """A polygon of a page.

    Attributes:
        id: Number or name.
        outline: Path of an SVG, in overview pixels.
        box: Left, top, right and bottom in overview pixels.
        values: One value a column.
        area: Area, m²; None where not known.
        mean: Mean probability; None where not known.
        most: Largest probability; None where not known.
    """

    id: str
    outline: str
    box: tuple[float, float, float, float]
    values: tuple[str | float, ...]
    area: float | None = None
    mean: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class MapObjects:
    """The polygons of a page.

    Attributes:
        columns: (label, digits) of each column.
        objects: The largest first.
        total: How many the file holds.
    """

    columns: tuple[tuple[str, int], ...]
    objects: tuple[MapObject, ...]
    total: int


def read_objects(path: str | Path, grid: Grid) -> MapObjects:
    """Reads polygons and their attributes.

    Args:
        path: A vector file, as `mapping.map_scene` and `mapping.map_changes` write.
        grid: Grid of the overview.

    Returns:
        The `MOST` largest polygons.

    Raises:
        DataError: If the file cannot be read or holds no polygons.
    """
    try:
        meta, _, blobs, columns = pyogrio.raw.read(vector_path(path))
    except (DataSourceError, DataLayerError) as error:
        raise DataError(
            f"polygons `{path}` must be a vector file that can be read, received: "
            f"{error}."
        ) from error
    if blobs is None:
        raise DataError(f"polygons `{path}` must hold polygons, received a table.")
    shapes = shapely.from_wkb(blobs)
    order = np.argsort(-shapely.area(shapes), kind="stable")[:MOST]
    table = dict(zip(map(str, meta["fields"]), columns, strict=True))
    names = [n for n in _COLUMNS if n in table and n != "id"]
    names += [n for n in table if n not in _COLUMNS and n not in _LEFT_OUT]
    ids = table.get("id", np.arange(1, len(shapes) + 1))
    pixels = _in_pixels(shapes[order], meta["crs"], grid)
    here = ~shapely.is_empty(pixels)
    order, pixels = order[here], pixels[here]
    boxes = shapely.bounds(pixels).round(1).tolist()
    found = tuple(
        MapObject(
            str(ids[index]),
            " ".join(_rings(shape)),
            (box[0], box[1], box[2], box[3]),
            tuple(_value(table[name][index]) for name in names),
            *(_known(table, name, index) for name in _MEASURED),
        )
        for index, shape, box in zip(order, pixels, boxes, strict=True)
    )
    header = tuple(_COLUMNS.get(n, (n.replace("_", " "), 2)) for n in ("id", *names))
    return MapObjects(header, found, len(shapes))


def _in_pixels(shapes: NDArray[Any], crs: str | None, grid: Grid) -> NDArray[Any]:
    """Returns shapes in columns and rows of a grid, simplified where it is not seen."""
    if crs is not None and grid.crs is not None:
        shapes = onto_grid(shapes, pyproj.CRS(crs), grid).geometries
    inverse = ~grid.transform

    def place(xy: NDArray[Any]) -> NDArray[Any]:
        return np.stack(inverse @ (xy[:, 0], xy[:, 1]), axis=1)

    return shapely.simplify(shapely.transform(shapes, place), _TOLERANCE)


def _rings(shape: Any) -> Iterator[str]:  # noqa: ANN401 - shapely geometries
    for part in shapely.get_parts(shape):
        if part.geom_type == "Polygon":
            for ring in (part.exterior, *part.interiors):
                points = shapely.get_coordinates(ring)
                yield "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points[:-1]) + "Z"


def _known(table: dict[str, Any], name: str, index: int) -> float | None:
    """Returns a number of a table, None where there is none."""
    value = _value(table[name][index]) if name in table else ""
    return value if isinstance(value, float) and math.isfinite(value) else None


def _value(value: Any) -> str | float:  # noqa: ANN401 - NumPy scalars and text
    if isinstance(value, int | float | np.integer | np.floating):
        return float(value)
    return "" if value is None else str(value)

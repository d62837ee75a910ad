"""A mapped scene as an inventory takes it: from a map and its polygons to rows."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from landslide_tf.ecoregions import check_one_region, region_name
from landslide_tf.errors import DataError, check_choice
from landslide_tf.inventory.ground import (
    in_degrees,
    mapped_ground,
    per_metre,
    region_of,
)
from landslide_tf.inventory.schema import (
    FIELDS,
    PARTS,
    SYSTEM,
    TRIGGERS,
    TYPES,
    UNKNOWN,
    Columns,
    Landslides,
    Scene,
    Settings,
    Value,
)
from landslide_tf.objects import (
    TERRAIN,
    amalgamated,
    in_metres,
    measure,
    multi_polygon,
    pixel_attributes,
)
from landslide_tf.raster.antimeridian import Geometries, cut_at_antimeridian
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import grid_of, mean_cell
from landslide_tf.raster.ground import check_dem, check_overlap
from landslide_tf.raster.legend import read_legend
from landslide_tf.raster.names import FilePath
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.polygons import read_polygons
from landslide_tf.raster.reprojection import reprojected
from landslide_tf.raster.systems import system_of
from landslide_tf.raster.vector import read_shapes
from landslide_tf.terrain import Grid

_SMALLEST = 16  # pixels of the polygons of `map` where nothing else is said
_STEP = 0.1  # metres of the grid on which a polygon is recognised
# Pixel edges lie at halves of the step as often as not: a shift keeps rounding apart
# from the last digits that files lose.
_SHIFT = 0.137
_WORDS = {"part": PARTS, "type": TYPES, "trigger": TRIGGERS}


@dataclass(frozen=True, kw_only=True)
class MappedScene:
    """Files of a mapped scene and facts that the files do not contain.

    Attributes:
        map: Class map, as `mapping.map_scene` writes it.
        polygons: Its landslides.
        date: Date of the image that was mapped.
        before: Date of an image before, on which the landslides were not there yet.
        region: Name of the region; None = whose decoder the map was made with; or
        regions: polygons of regions, of which that with the most mapped ground counts.
        region_field: Field that names them.
        layer: Layer of the polygons of landslides.
        area: Polygons of the ground that was mapped, within the map; None = where the
            map has a class.
        probabilities: Raster of the calibrated probability; None = the polygons'
            attribute `probability`.
        dem: Elevations; None = the polygons' attributes.
        name: Name of the scene; None = the images that the map names.
        model: Name of the model; None = as the map says.
        sensor: What took the image.
        trigger: Of all landslides that name none: one of `TRIGGERS`.
        type: Likewise, one of `TYPES`.
        old_removed: Whether landslides of before were removed.
        min_area: Smallest polygon that was mapped, m²; None = as the map says.
        volume_law: Name, α and γ of the volumes α A^γ, m³; None = no volumes.

    >>> import datetime
    >>> from pathlib import Path
    >>> from landslide_tf.inventory import MappedScene
    >>> files = {"map": Path("map.tif"), "polygons": Path("landslides.gpkg")}
    >>> MappedScene(**files, date=datetime.date(2024, 5, 1), region="ALPS").trigger
    'unknown'
    """

    map: Path
    polygons: Path
    date: datetime.date
    before: datetime.date | None = None
    region: str | None = None
    regions: FilePath | None = None
    region_field: str = "region"
    layer: str | None = None
    area: Path | None = None
    probabilities: Path | None = None
    dem: DemFiles | None = None
    name: str | None = None
    model: str | None = None
    sensor: str = ""
    trigger: str = UNKNOWN
    type: str = UNKNOWN
    old_removed: bool = False
    min_area: float | None = None
    volume_law: tuple[str, float, float] | None = field(default=None)

    def __post_init__(self) -> None:
        """Refuses words and dates that mean nothing."""
        check_choice("trigger", self.trigger, TRIGGERS)
        check_choice("type", self.type, TYPES)
        if self.before is not None and self.before >= self.date:
            raise DataError(
                f"The image before must be of an earlier date than {self.date}, "
                f"received {self.before}."
            )
        check_one_region(self.region, self.regions)


def read_entry(mapped: MappedScene, settings: Settings) -> tuple[Scene, Landslides]:
    """Reads what an inventory keeps of a mapped scene.

    Shapes are measured anew on the ground. A polygon's own attributes give its
    probability and terrain where no raster is named, and its `part`, `type`, `trigger`
    and `rule` where it has them.

    Args:
        mapped: The files and facts.
        settings: Of the inventory.

    Returns:
        The scene and its landslides; those beyond the mapped ground are left out.

    Raises:
        DataError: If a file cannot be read, the map has no class anywhere, the polygons
            lie elsewhere, or one of them is there twice.
    """
    read_legend(mapped.map)  # refuses what is no class map
    grid = grid_of(mapped.map, "map")
    system = system_of(grid)
    if mapped.dem is not None:
        check_dem(mapped.dem, grid, {})
    if mapped.probabilities is not None:
        check_overlap(mapped.probabilities, "probabilities", grid, "map")
    with open_raster(mapped.map, "map") as dataset:
        tags = dataset.tags()
    name = mapped.name or _image(tags, mapped.map)
    ground, geometries, table = _on_ground(mapped, grid, system)
    model = mapped.model or tags.get("MODEL", "")
    version = tags.get("MODEL_VERSION", "")
    scene = _digest(
        name, str(mapped.date), system.to_wkt(), *grid.transform, *grid.shape
    )
    cell = mean_cell(grid)
    shared: dict[str, Value] = {
        "date_min": None if mapped.before is None else str(mapped.before),
        "date_max": str(mapped.date),
        "region": _region(mapped, tags, ground, grid),
        "method": _method(tags),
        "model": model,
        "model_version": version,
        "data_licence": tags.get("DATA_LICENCE", ""),
        "gsd_m": cell,
    }
    ids = _ids(geometries, system, scene, f"{model} {version}")
    if len(set(ids)) < len(ids):
        raise DataError(
            f"polygons `{mapped.polygons}` must hold each polygon once, received one "
            "twice: remove its copy."
        )
    columns: Columns = {"id": list(ids), "scene": [scene] * len(ids)}
    columns |= _measured(mapped, geometries, grid, table, settings)
    fixed = shared | {"image_ids": name}
    columns |= {name: [value] * len(ids) for name, value in fixed.items()}
    columns = {name: columns[name] for name in FIELDS}
    lonlat = pyproj.CRS(SYSTEM)
    smallest = tags.get("MIN_AREA_M2") or _SMALLEST * cell * cell
    facts: dict[str, Value] = {
        "id": scene,
        "name": name,
        **shared,
        "sensor": mapped.sensor,
        "min_area_m2": mapped.min_area
        if mapped.min_area is not None
        else float(smallest),
        "mapped_m2": float(shapely.area(in_metres(ground, grid)).sum()),
        "old_removed": mapped.old_removed,
        "kind": "polygons",
        "landslides": len(ids),
    }
    outline = in_degrees(ground, system, lonlat, cell)
    facts["content"] = _digest(facts, columns, outline.wkb_hex)
    moved = cut_at_antimeridian(reprojected(geometries, system, lonlat))
    shapes = np.array([multi_polygon(shape) for shape in moved], object)
    return Scene(facts, outline), Landslides(shapes, columns)


def _region(
    mapped: MappedScene, tags: Mapping[str, str], ground: Geometries, grid: Grid
) -> str:
    """Returns the region by a file of regions, by its name, or as the map says."""
    if mapped.regions is not None:
        return region_of(mapped.regions, mapped.region_field, ground, grid)
    if mapped.region is not None:
        return region_name(mapped.region)
    return tags.get("REGION", "")


def _image(tags: Mapping[str, str], path: Path) -> str:
    if not tags.get("IMAGE"):
        raise DataError(
            f"map `{path}` does not say which image it is of: name the scene with "
            "`--scene`."
        )
    return ", ".join(map(str, json.loads(tags["IMAGE"])))


def _method(tags: Mapping[str, str]) -> str:
    version, threshold = tags.get("LANDSLIDE_TF_VERSION"), tags.get("THRESHOLD")
    if version is None:
        return ""
    decided = "" if threshold in (None, "None") else f", threshold {threshold}"
    return f"landslide-tf map {version}{decided}"


def _on_ground(
    mapped: MappedScene, grid: Grid, system: pyproj.CRS
) -> tuple[Geometries, Geometries, dict[str, NDArray[Any]]]:
    """Returns the mapped ground, and the polygons on it with their attributes."""
    ground = mapped_ground(mapped.map, grid)
    if not len(ground):
        raise DataError(
            f"map `{mapped.map}` must have a class somewhere, received no pixel with "
            "one: nothing was mapped."
        )
    if mapped.area is not None:
        area = read_shapes(mapped.area, grid, options=("--area", "--area"))
        wanted = shapely.union_all(shapely.make_valid(area.geometries))
        ground = shapely.intersection(shapely.union_all(ground), wanted)
        ground = np.array([multi_polygon(ground)], object)
        if shapely.is_empty(ground).all():
            raise DataError(
                f"`{mapped.area}` must hold ground that the map has classes of, "
                "received none."
            )
    found, table = read_polygons(mapped.polygons, system, layer=mapped.layer)
    found = np.array([multi_polygon(g) for g in shapely.make_valid(found)], object)
    if not len(found):
        return ground, found, table
    inside = np.zeros(len(found), bool)
    tree = shapely.STRtree(found)
    for part in shapely.get_parts(ground):
        inside[tree.query(part, predicate="intersects")] = True
    if not inside.any():
        raise DataError(
            f"polygons `{mapped.polygons}` must lie on the mapped ground, received "
            "none that does: give the polygons of this map."
        )
    return ground, found[inside], {name: v[inside] for name, v in table.items()}


def _measured(
    mapped: MappedScene,
    geometries: Geometries,
    grid: Grid,
    table: Mapping[str, NDArray[Any]],
    settings: Settings,
) -> Columns:
    """Returns what is measured of polygons, and what they say of themselves."""
    shapes = measure(geometries, grid)
    pixels = pixel_attributes(
        geometries,
        grid,
        probability=mapped.probabilities,
        dem=mapped.dem,
    )
    found: Columns = {}
    for name in ("area_m2", "perimeter_m", "length_m", "width_m"):
        found[name] = _values(shapes[name])
    nothing = np.full(len(geometries), np.nan)
    for name in ("probability", *TERRAIN):
        if name in FIELDS:
            found[name] = _values(pixels.get(name, table.get(name, nothing)))
    found["confidence"] = settings.confidence_of(found["probability"])
    bound = settings.amalgamated
    found["amalgamated"] = [bool(v) for v in amalgamated(geometries, grid, bound=bound)]
    given = {"part": PARTS[0], "type": mapped.type, "trigger": mapped.trigger}
    for name, default in given.items():
        found[name] = _words(name, table.get(name), default, len(geometries))
    rules = table.get("rule", table.get("reasons"))
    found["rule"] = _words("rule", rules, "", len(geometries))
    law = mapped.volume_law
    found["volume_law"] = [None if law is None else law[0]] * len(geometries)
    volumes = nothing if law is None else law[1] * shapes["area_m2"] ** law[2]
    found["volume_m3"] = _values(volumes)
    return found


def _values(numbers: NDArray[Any]) -> list[Value]:
    """Returns numbers as Python's, None for NaN."""
    return [None if v != v else v for v in np.asarray(numbers, float).tolist()]


def _words(
    name: str, column: NDArray[Any] | None, default: str, number: int
) -> list[Value]:
    """Returns a column of words, the default where it is empty."""
    if column is None:
        return [default] * number
    texts = ["" if v is None or v != v else str(v).strip() for v in column]
    words = [text or default for text in texts]
    for word in set(words) & set(texts) if name in _WORDS else ():
        check_choice(name, word, _WORDS[name])
    return list(words)


def _ids(
    geometries: Geometries, system: pyproj.CRS, scene: str, model: str
) -> list[str]:
    """Returns keys that the same polygon, scene and model always have."""
    step = _STEP * per_metre(system)
    snapped = shapely.transform(
        geometries, lambda xy: np.floor(xy / step + 0.5 + _SHIFT)
    )
    return [
        _digest(scene, model, shape.wkb_hex) for shape in shapely.normalize(snapped)
    ]


def _digest(*values: object) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]

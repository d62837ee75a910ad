"""Inventories in the forms that others read: GeoPackage, GeoJSON, COOLR's table."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from landslide_tf.errors import DataError
from landslide_tf.files import atomic_path
from landslide_tf.inventory.schema import (
    FIELDS,
    SCENE_FIELDS,
    SYSTEM,
    UNKNOWN,
    Landslides,
    Scene,
    Value,
)
from landslide_tf.objects import multi_polygon
from landslide_tf.outputs import check_own
from landslide_tf.raster.outputs import check_outputs
from landslide_tf.raster.polygons import DRIVERS, write_polygons
from landslide_tf.raster.vector_layer import vector_path

_LAYER = "landslides"
_TYPES: dict[str, tuple[str, Value]] = {  # NumPy's, and what stands under a mask
    "TEXT": ("O", ""),
    "DATE": ("datetime64[D]", "1970-01-01"),
    "INTEGER": ("int32", 0),
    "REAL": ("float64", 0.0),
    "BOOLEAN": ("bool", False),
}

COOLR_COLUMNS = (
    "event_id",
    "event_date",
    "event_time",
    "event_title",
    "event_description",
    "location_description",
    "location_accuracy",
    "landslide_category",
    "landslide_trigger",
    "landslide_size",
    "landslide_setting",
    "fatality_count",
    "injury_count",
    "storm_name",
    "photo_link",
    "notes",
    "event_import_source",
    "event_import_id",
    "country_name",
    "country_code",
    "admin_division_name",
    "gazeteer_closest_point",
    "gazeteer_distance",
    "submitted_date",
    "created_date",
    "last_edited_date",
    "longitude",
    "latitude",
    "source_name",
    "source_link",
    "comments",
)
"""Columns of NASA's Cooperative Open Online Landslide Repository, its spelling too."""

# Its words. Its sizes are of volumes, its settings of places: both stay empty.
_COOLR_TRIGGERS = {
    "earthquake": "earthquake",
    "rainfall": "rain",
    "snowmelt": "snowfall_snowmelt",
    "human": "other",
    UNKNOWN: "unknown",
}
_COOLR_CATEGORIES = {  # the first word that a type of Hungr's holds
    "mud flow": "mudslide",
    "debris flow": "debris_flow",
    "earthflow": "earth_flow",
    "topple": "topple",
    "fall": "rock_fall",
    "creep": "creep",
    "planar": "translational_slide",
    "rotational": "rotational_slide",
    UNKNOWN: "unknown",
    "": "landslide",
}


def check_export(out: Path, database: str | Path, *, overwrite: bool = False) -> None:
    """Checks the name of an export before anything is read.

    Args:
        out: The file to write.
        database: The inventory.
        overwrite: Whether any file there is replaced.

    Raises:
        DataError: If it has another suffix, is the inventory, or is there and is no
            such export.

    >>> from pathlib import Path
    >>> from landslide_tf.inventory import check_export
    >>> check_export(Path("alps.csv"), "alps.gpkg")
    """
    known = (*DRIVERS, ".csv")
    if out.suffix.lower() not in known:
        raise DataError(
            f"`{out}` must end in {', '.join(known)}: a GeoPackage, GeoJSON, or the "
            "table of COOLR."
        )
    check_outputs([out], [database])
    own = _is_coolr if out.suffix.lower() == ".csv" else _is_export
    check_own(out, "export", own, overwrite=overwrite)


def _is_coolr(path: Path) -> bool:
    with path.open(encoding="utf-8", newline="") as stream:
        return tuple(next(csv.reader(stream), ())) == COOLR_COLUMNS


def _is_export(path: Path) -> bool:
    info = pyogrio.read_info(vector_path(path), layer=_LAYER)
    return set(info["fields"]) == set(FIELDS)


def export_inventory(landslides: Landslides, scenes: list[Scene], out: Path) -> None:
    """Writes landslides as GeoPackage, GeoJSON or the CSV table of COOLR.

    `.gpkg` has the layer `landslides` with the fields of the inventory and `scenes`
    with the mapped ground, `.geojson` the landslides alone, `.csv` the 31 columns of
    COOLR with a point inside each landslide; what is not known is empty.

    Args:
        landslides: What to write.
        scenes: The mapped ground.
        out: The file, by whose suffix the form is chosen.

    Raises:
        DataError: If the file cannot be written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from landslide_tf.inventory import FIELDS, Landslides, export_inventory
    >>> none = Landslides(np.array([], object), {name: [] for name in FIELDS})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_inventory(none, [], Path(folder, "none.csv"))
    ...     Path(folder, "none.csv").read_text().count(",")
    30
    """
    with atomic_path(out) as temporary:
        if out.suffix.lower() == ".csv":
            temporary.write_text(_coolr(landslides), encoding="utf-8", newline="")
            return
        driver = DRIVERS[out.suffix.lower()]
        kinds = FIELDS.items()
        table = {n: _column(landslides.columns[n], kind) for n, kind in kinds}
        write_polygons(
            temporary, driver, landslides.geometries, table, SYSTEM, layer=_LAYER
        )
        if driver == "GPKG":
            facts = {
                n: _column([scene.facts[n] for scene in scenes], kind)
                for n, kind in SCENE_FIELDS.items()
            }
            grounds = np.array([multi_polygon(s.outline) for s in scenes], object)
            write_polygons(temporary, driver, grounds, facts, SYSTEM, layer="scenes")


def _column(values: list[Value], kind: str) -> NDArray[np.generic]:
    """Returns a column as GDAL takes it, empty values masked."""
    mask = [value is None for value in values]
    dtype, empty = _TYPES[kind]
    plain = [empty if value is None else value for value in values]
    return np.ma.MaskedArray(np.array(plain, dtype), mask)


def _coolr(landslides: Landslides) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COOLR_COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    points = shapely.point_on_surface(landslides.geometries)
    columns = landslides.columns
    for k, point in enumerate(points):
        own = {name: values[k] for name, values in columns.items()}
        writer.writerow(
            {
                "event_id": own["id"],
                "event_date": own["date_max"],
                "event_title": f"Landslide {own['id']}",
                "event_description": _description(own),
                "location_description": own["region"] or "",
                "location_accuracy": "exact",
                "landslide_category": _category(str(own["type"])),
                "landslide_trigger": _COOLR_TRIGGERS[str(own["trigger"])],
                "notes": _notes(own),
                "event_import_source": own["method"] or "",
                "event_import_id": own["id"],
                "longitude": f"{point.x:.6f}",
                "latitude": f"{point.y:.6f}",
                "source_name": own["image_ids"] or "",
                "comments": own["data_licence"] or "",
            }
        )
    return text.getvalue()


def _description(own: dict[str, Value]) -> str:
    """Says when a landslide happened, as well as it is known."""
    before, after = own["date_min"], own["date_max"]
    when = f"before {after}" if before is None else f"between {before} and {after}"
    return f"Happened {when}; {float(own['area_m2'] or 0):.0f} m²."


def _notes(own: dict[str, Value]) -> str:
    parts = [f"model {own['model']} {own['model_version']}".strip()]
    if own["confidence"] is not None:
        parts.append(f"USGS confidence {own['confidence']}")
    if own["probability"] is not None:
        parts.append(f"probability {float(own['probability']):.3f}")
    if own["rule"]:
        parts.append(f"rejected by {own['rule']}")
    return "; ".join(parts)


def _category(kind: str) -> str:
    """Returns COOLR's word for a type of Hungr's."""
    return next(word for part, word in _COOLR_CATEGORIES.items() if part in kind)

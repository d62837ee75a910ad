"""The results of a scene of a region, with their entry in a catalogue.

The item comes last: a scene that has one, of the same files, models and options, is
finished.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely

from landslide_tf.errors import DataError
from landslide_tf.files import write_text
from landslide_tf.inventory.ground import in_degrees, mapped_ground
from landslide_tf.mapping import MapSummary, Outputs
from landslide_tf.metadata import ModelMetadata
from landslide_tf.raster.grid import grid_of, mean_cell
from landslide_tf.raster.systems import LONLAT, mover, system_of
from landslide_tf.region.job import RegionJob
from landslide_tf.region.scenes import RegionScene
from landslide_tf.terrain import Grid

SCENES = "scenes"
COLLECTION = "collection.json"
LANDSLIDES, MOSAIC = "landslides.gpkg", "mosaic.vrt"
STAC = "1.1.0"
EXTENSIONS = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
)
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
GPKG = "application/geopackage+sqlite3"
_KEY, _SUMMARY, _DATE = "landslide_tf:key", "landslide_tf:map", "landslide_tf:date"
_CORNERS = 2000  # of an outline in the catalogue


@dataclass(frozen=True)
class Item:
    """What is known of a scene that was mapped.

    Attributes:
        id: Its name.
        key: Of what, and how, it was mapped.
        date: When its image was taken, as 2024-05-31; empty = not known.
        summary: `pixels`, `valid`, `landslide` (pixels), `area_m2`, `polygons`.
        content: All of the item.
    """

    id: str
    key: str
    date: str
    summary: dict[str, Any]
    content: dict[str, Any]


def scene_folder(out: Path, scene: str) -> Path:
    """Returns the folder of a scene's results.

    >>> from pathlib import Path
    >>> from landslide_tf.region.results import scene_folder
    >>> scene_folder(Path("region"), "a").parts
    ('region', 'scenes', 'a')
    """
    return out / SCENES / scene


def map_of(out: Path, scene: str) -> Path:
    """Returns the class map of a scene."""
    return scene_folder(out, scene) / f"{scene}.tif"


def polygons_of_scene(out: Path, scene: str) -> Path:
    """Returns the landslides of a scene."""
    return scene_folder(out, scene) / f"{scene}.gpkg"


def scene_outputs(job: RegionJob, scene: str) -> Outputs:
    """Returns what is written of a scene, as `landslide-tf map` writes it."""
    folder = scene_folder(job.out, scene)
    return Outputs(
        map_of(job.out, scene),
        folder / f"{scene}_probabilities.tif" if job.probabilities else None,
        None,
        (polygons_of_scene(job.out, scene),),
        overwrite=job.overwrite,
    )


def write_item(
    job: RegionJob,
    scene: RegionScene,
    key: str,
    metadata: ModelMetadata,
    made: MapSummary,
) -> None:
    """Writes the STAC item of a scene that was mapped.

    Args:
        job: The region.
        scene: The scene.
        key: Of what, and how, it was mapped.
        metadata: The (first) model.
        made: What was mapped.

    Raises:
        DataError: If it cannot be written, or the scene has no place on a globe.
    """
    path = scene_folder(job.out, scene.id) / f"{scene.id}.json"
    grid = grid_of(map_of(job.out, scene.id), "map")
    outline = _outline(map_of(job.out, scene.id), grid)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    epsg = None if grid.crs is None else grid.crs.to_epsg()
    place = {"proj:code": f"EPSG:{epsg}"} if epsg else {"proj:code": None}
    content: dict[str, Any] = {
        "type": "Feature",
        "stac_version": STAC,
        "stac_extensions": EXTENSIONS,
        "id": scene.id,
        "geometry": None if outline is None else shapely.geometry.mapping(outline),
    }
    if outline is not None:
        content["bbox"] = [round(side, 9) for side in outline.bounds]
    content["properties"] = {
        # An item must have a time: that of its making where the image's is not known.
        "datetime": f"{scene.date}T00:00:00Z" if scene.date else now,
        "created": now,
        **place,
        "proj:wkt2": system_of(grid).to_wkt(),
        "proj:shape": list(grid.shape),
        "proj:transform": list(grid.transform)[:6],
        _DATE: scene.date,
        _KEY: key,
        _SUMMARY: {
            "model": metadata.name,
            "pixels": made.pixels,
            "valid": made.valid,
            "landslide": made.landslide,
            "area_m2": None if np.isnan(made.area) else made.area,
            "polygons": made.objects or 0,
        },
    }
    root = f"../../{COLLECTION}"
    content["links"] = [
        {"rel": rel, "href": root, "type": "application/json"}
        for rel in ("root", "parent", "collection")
    ]
    content["collection"] = collection_id(job.out)
    content["assets"] = _assets(job, scene.id)
    write_json(path, content)


def read_item(job: RegionJob, scene: str) -> Item | None:
    """Reads the item of a scene, None where it has none that can be read."""
    path = scene_folder(job.out, scene) / f"{scene}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = content["properties"]
        return Item(scene, known[_KEY], known[_DATE], known[_SUMMARY], content)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def is_whole(job: RegionJob, item: Item) -> bool:
    """Returns whether the files of an item are there with the sizes that it says."""
    folder = scene_folder(job.out, item.id)
    try:
        return all(
            os.path.getsize(folder / asset["href"]) == asset["file:size"]
            for asset in item.content["assets"].values()
        )
    except (OSError, LookupError):
        return False


def write_collection(job: RegionJob, items: Sequence[Item]) -> None:
    """Writes the STAC collection of the results.

    Args:
        job: The region.
        items: The scenes that were mapped.
    """
    boxes = [item.content["bbox"] for item in items if "bbox" in item.content]
    world = [-180.0, -90.0, 180.0, 90.0]
    whole = [
        min(b[0] for b in boxes), min(b[1] for b in boxes),
        max(b[2] for b in boxes), max(b[3] for b in boxes),
    ] if boxes else world  # fmt: skip
    times = sorted(item.content["properties"]["datetime"] for item in items)
    links = [
        {
            "rel": "item",
            "href": f"./{SCENES}/{item.id}/{item.id}.json",
            "type": "application/geo+json",
            "title": item.id,
        }
        for item in items
    ]
    root = {"rel": "root", "href": f"./{COLLECTION}", "type": "application/json"}
    content = {
        "type": "Collection",
        "stac_version": STAC,
        "id": collection_id(job.out),
        "description": "Landslides mapped by `landslide-tf map-region`.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [whole, *boxes]},
            "temporal": {
                "interval": [[times[0], times[-1]] if times else [None, None]]
            },
        },
        "links": [root, *links],
        "assets": {
            "landslides": {
                "href": f"./{LANDSLIDES}",
                "type": GPKG,
                "title": "Landslides of all scenes",
                "roles": ["data"],
            },
            "mosaic": {
                "href": f"./{MOSAIC}",
                "type": "application/xml",
                "title": "Classes of all scenes",
                "roles": ["data"],
            },
        }
        if items
        else {},
    }
    write_json(job.out / COLLECTION, content)


def collection_id(out: Path) -> str:
    """Returns the name of a region, which is that of its folder."""
    return out.resolve().name or "region"


def write_json(path: Path, content: object) -> None:
    """Writes a file of JSON, complete or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _outline(path: Path, grid: Grid) -> Any:  # noqa: ANN401 - a shapely geometry
    """Returns the mapped ground in longitude and latitude, None where there is none.

    On another planet these are its own.
    """
    ground = mapped_ground(path, grid)
    if not len(ground):
        return None
    system = system_of(grid)
    lonlat = LONLAT
    try:
        mover(system, LONLAT)
    except DataError:
        own = system.geodetic_crs
        if own is None:
            raise
        lonlat = pyproj.CRS(own)
    if shapely.get_num_coordinates(ground).sum() > _CORNERS:
        ground = np.array([shapely.union_all(shapely.envelope(ground))], object)
        ground = shapely.convex_hull(ground)
    return in_degrees(ground, system, lonlat, mean_cell(grid))


def _assets(job: RegionJob, scene: str) -> dict[str, Any]:
    outputs = scene_outputs(job, scene)
    found: dict[str, Any] = {
        "classes": (outputs.out, COG, "Classes"),
        "landslides": (outputs.vector[0], GPKG, "Landslides"),
    }
    if outputs.probabilities is not None:
        found["probabilities"] = (outputs.probabilities, COG, "Chance of landslide")
    return {
        name: {
            "href": f"./{path.name}",
            "type": kind,
            "title": title,
            "roles": ["data"],
            "file:size": path.stat().st_size,
        }
        for name, (path, kind, title) in found.items()
    }

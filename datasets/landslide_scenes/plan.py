"""Which tiles of which scenes make which split, and the scenes of a folder."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.datasets.common.option_words import without_options
from landslide_tf.datasets.landslide_scenes.tiles import (
    Survey,
    Tile,
    grid_tiles,
    grid_windows,
    survey,
)
from landslide_tf.datasets.landslide_scenes.zones import Zones, assign, zones_of
from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.raster.bands import BandSource
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.labels import BACKGROUND, BINARY, LabelOptions
from landslide_tf.raster.scaling import unit_of
from landslide_tf.raster.scene import NDVI, Scene, make_scene

_LABELS = (
    "polygons.geojson",
    "polygons.gpkg",
    "polygons.shp",
    "labels.tif",
    "labels.tiff",
    "labels.png",
    "labels.json",
)
_SCENE_KEYS = {
    "positive_classes",
    "all_touched",
    "outside",
    "layer",
    "class_field",
    "dem_unit",
    "dem_nodata",
    "nodata",
    "sensor",
    "date",
}


_KEYS = {"--positive": "positive_classes"} | {
    "--" + key.replace("_", "-"): key for key in _SCENE_KEYS
}


def _scene_key(option: str, value: str) -> str:
    """Returns what stands in `scene.json` for an option of the commands."""
    if option not in _KEYS:
        return f"`{option} {value}`".replace(" `", "`") + " of `landslide-tf prepare`"
    return f"`{_KEYS[option]}{': ' * bool(value)}{value}` in `scene.json`"


@dataclass(frozen=True)
class Plan:
    """Everything that determines the examples of a build.

    Attributes:
        scenes: The scenes by id.
        tiles: Tiles by split, those of a scene one after the other.
        report: What was found, left out and why; JSON values.
        ranges: Smallest and largest value of each band of `image`, (C, 2).
        landslide_name: What the labels call `landslide`, if otherwise.
    """

    scenes: Mapping[str, Scene]
    tiles: Mapping[str, Sequence[Tile]]
    report: Mapping[str, Any]
    ranges: NDArray[np.float64]
    landslide_name: str | None = None

    @property
    def unit(self) -> str:
        """Unit of `image`; empty where no scene's files tag a scale or an offset."""
        units = (unit_of(s.bands) for s in self.scenes.values() if s.calibrated)
        return next(units, "")

    @property
    def labelled(self) -> bool:
        """Whether every scene has labels."""
        return all(scene.labels is not None for scene in self.scenes.values())


def ranges_of(surveys: Iterable[Survey]) -> NDArray[np.float64]:
    """Returns the smallest and largest value of each band, (C, 2)."""
    ends = np.array([(one.low, one.high) for one in surveys])
    return np.stack([ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)], axis=-1)


@dataclass(frozen=True)
class Parts:
    """Tiles of scenes given to splits.

    Attributes:
        zones: The ground of each split, by scene.
        tiles: Tiles by split.
        report: How many tiles have no label, and how many lie in gaps.
    """

    zones: Zones
    tiles: dict[str, list[Tile]]
    report: dict[str, int]


def split_tiles(
    scenes: Mapping[str, Scene],
    tiles: Sequence[Tile],
    landslide: int,
    *,
    gap: int,
    seed: int = 0,
) -> Parts:
    """Gives tiles to splits that share no ground (`zones_of`).

    Tiles without a label in scenes that have labels are left out.

    Args:
        scenes: The scenes by id.
        tiles: Tiles of all scenes, with their counts.
        landslide: Number of the landslide class.
        gap: Rows or columns between the splits of a scene.
        seed: Seed of the split by scene.

    Returns:
        Zones and tiles of each split.

    Raises:
        DataError: If no tile has a label, or a split would have no tile.
    """
    kept = [t for t in tiles if sum(t.counts) or scenes[t.scene].labels is None]
    if not kept:
        raise DataError(
            "Expected labels where the images have pixels, received none; check that "
            "labels and images show the same ground."
        )
    zones = zones_of(scenes, kept, landslide, gap=gap, seed=seed)
    parts, in_gaps = assign(scenes, zones, kept)
    report = {"tiles_without_label": len(tiles) - len(kept), "tiles_in_gaps": in_gaps}
    return Parts(zones, parts, report)


@without_options(_scene_key)
def plan_of_folder(
    root: str | os.PathLike[str],
    *,
    bands: Sequence[str],
    factors: Sequence[str],
    size: int,
    stride: int,
    workers: int | None = None,
) -> Plan:
    """Plans the examples of a folder of scenes.

    Args:
        root: The folder that holds one folder a scene.
        bands: Bands of `image`, in order.
        factors: Names of the factors.
        size: Rows and columns of a tile; also of the gap between splits of a scene.
        stride: Rows and columns from tile to tile.
        workers: Threads that read windows.

    Returns:
        The plan.

    Raises:
        DataError: If a file cannot be read or does not fit, or a split has no tile.
    """
    scenes, ignored = find_scenes(Path(root), bands=bands, factors=factors)
    classes = len(BINARY)
    surveys = [
        survey(scene, grid_windows(scene, size, size), classes, workers=workers)
        for scene in scenes.values()
    ]
    tiles = [tile for one in surveys for tile in one.tiles]
    if stride != size:
        tiles = [
            tile
            for scene in scenes.values()
            for tile in grid_tiles(scene, size, stride, classes, workers=workers)
        ]
    parts = split_tiles(scenes, tiles, BINARY.index("landslide"), gap=size)
    report = {
        "scenes": sorted(scenes),
        "without_labels": sorted(n for n, s in scenes.items() if s.labels is None),
        "ignored": ignored,
        **parts.report,
    }
    return Plan(scenes, parts.tiles, report, ranges_of(surveys))


def find_scenes(
    root: Path, *, bands: Sequence[str], factors: Sequence[str]
) -> tuple[dict[str, Scene], list[str]]:
    """Finds the scenes of a folder.

    Args:
        root: The folder that holds one folder a scene.
        bands: Bands of `image`, in order.
        factors: Names of the factors.

    Returns:
        The scenes by id, and the names of folders and files that are none.

    Raises:
        DataError: If a scene's files cannot be read or do not fit each other.
    """
    scenes, ignored = {}, []
    for folder in sorted(root.iterdir()):
        images = [folder / n for n in ("image.tif", "image.tiff", "bands.csv")]
        image = next((path for path in images if path.is_file()), None)
        if image is None:
            ignored.append(folder.name)
            continue
        stated = _scene_json(folder / "scene.json")
        wanted = [*bands, *(["nir"] if NDVI in factors else [])]
        source: Path | tuple[BandSource, ...] = image
        if image.suffix == ".csv":
            source = _bands_csv(image, list(dict.fromkeys(wanted)))
        index = _first(folder, ("ndvi.tif", "ndvi.tiff"))
        scenes[folder.name] = make_scene(
            folder.name,
            source,
            bands=bands,
            factors=factors,
            dem=_dem(folder, stated),
            rasters={NDVI: index} if index else {},
            labels=_first(folder, _LABELS),
            options=_label_options(stated),
            nodata=_number(folder, stated, "nodata"),
            about={k: str(stated[k]) for k in ("sensor", "date") if k in stated},
        )
    return scenes, ignored


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / n for n in names if (folder / n).is_file()), None)


def _dem(folder: Path, stated: Mapping[str, Any]) -> DemFiles | None:
    """Returns the elevations of a scene: a file, or the tiles of a folder."""
    one = _first(folder, ("dem.tif", "dem.tiff"))
    tiles = [one] if one else sorted((folder / "dem").glob("*.tif*"))
    if not tiles:
        return None
    nodata = _number(folder, stated, "dem_nodata")
    return DemFiles(*tiles, unit=stated.get("dem_unit"), nodata=nodata)


def _number(folder: Path, stated: Mapping[str, Any], key: str) -> float | None:
    """Returns what `scene.json` states as a number, None where it does not."""
    value = stated.get(key)
    if not isinstance(value, int | float | None):
        raise DataError(
            f"`{folder / 'scene.json'}` must hold a number as `{key}`, received "
            f"`{value}`."
        )
    return value


def _scene_json(path: Path) -> dict[str, Any]:
    """Reads `scene.json`, which may be absent."""
    if not path.is_file():
        return {}
    try:
        content = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"`{path}` must be a JSON object, received: {error}."
        ) from error
    if unknown := sorted(content.keys() - _SCENE_KEYS):
        raise DataError(
            f"`{path}` has an unknown key `{unknown[0]}`."
            f"{did_you_mean(unknown[0], _SCENE_KEYS)}"
        )
    return content


def _label_options(content: Mapping[str, Any]) -> LabelOptions:
    return LabelOptions(
        positive=tuple(map(str, content.get("positive_classes", ()))),
        outside=content.get("outside", BACKGROUND),
        all_touched=bool(content.get("all_touched", False)),
        field=content.get("class_field"),
        layer=content.get("layer"),
    )


def _bands_csv(path: Path, names: Sequence[str]) -> tuple[BandSource, ...]:
    """Finds the wanted bands in a table of one-band files: `name` and `path`."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"name", "path"} <= set(rows[0]):
        raise DataError(f"`{path}` must have the columns `name` and `path` and rows.")
    known = {row["name"]: str(path.parent / row["path"]) for row in rows}
    for name in names:
        if name not in known:
            raise DataError(
                f"`{path}` must name the band `{name}`, received {', '.join(known)}."
            )
    return tuple(BandSource(name, known[name], 1) for name in names)

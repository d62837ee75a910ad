"""The folder of recognised landslides."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.files import atomic_path, write_text
from landslide_tf.inventory import Statistics, write_density
from landslide_tf.mapping.polygons import Landslides
from landslide_tf.mapping.styles import write_legend, write_polygon_style
from landslide_tf.objects import write_rules
from landslide_tf.objects.strips import Mask
from landslide_tf.outputs import check_own_folder
from landslide_tf.raster import cog
from landslide_tf.raster.grid import Window, mean_cell, rows_of
from landslide_tf.raster.legend import Legend, class_layer, named_colours
from landslide_tf.raster.names import FilePath
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.outputs import check_outputs
from landslide_tf.raster.polygons import write_polygons
from landslide_tf.recognition.options import Maps, SchemeOptions
from landslide_tf.recognition.stages import Stage
from landslide_tf.terrain import Grid
from landslide_tf.version import __version__

SUMMARY = "summary.json"
# First parts of the names of files that are written; maps have styles beside them.
_OWN = {"mask", "landslides", "rejected", "density", "rules", "summary", "report",
        "adapted"}  # fmt: skip
_OF_MAPS = {"map.tif", "probabilities.tif", "before.tif"}
_CLASSES = ("other", "landslide")
_REJECTED = (90, 90, 90)  # grey, to look at beside red
_INHERITED = (
    "MODEL", "MODEL_VERSION", "DATA_LICENCE", "THRESHOLD", "IMAGE", "REGION",
)  # fmt: skip
_AREAS = ("area_m2", "area_px")


@dataclass(frozen=True)
class Recognition:
    """Result of the recognition scheme.

    Attributes:
        folder: Where everything is written.
        stages: What was left after each stage.
        rejected: Rejected objects.
        not_evaluated: Objects that a rule could not be tried on, by rule.
        statistics: Numbers, sizes and densities of the landslides.
        ratios: Frequency ratios by factor and class; empty without elevations.
        ious: IoU of the validation part, before the search of bounds and after each of
            its rounds; empty without one.

    >>> from landslide_tf.recognition import Recognition
    >>> "stages" in Recognition.__dataclass_fields__
    True
    """

    folder: Path
    stages: tuple[Stage, ...]
    rejected: int
    not_evaluated: dict[str, int]
    statistics: Statistics
    ratios: dict[str, dict[str, float | None]] = field(default_factory=dict)
    ious: tuple[float, ...] = ()


def check_recognition(
    maps: Maps,
    out: str | Path,
    *,
    read: Sequence[FilePath | None] = (),
    with_maps: bool = False,
) -> None:
    """Checks that an output folder holds no input and no unrelated file.

    Args:
        maps: What is looked at.
        out: The folder to write.
        read: What else is read.
        with_maps: Whether the maps are made, and kept in the folder, as well.

    Raises:
        DataError: If there is such a file.

    >>> from pathlib import Path
    >>> from landslide_tf.recognition import Maps, check_recognition
    >>> check_recognition(Maps(Path("map.tif")), "recognised")
    """
    kept = {name.partition(".")[0] for name in _OF_MAPS} if with_maps else set()
    made = {Path(out, name) for name in _OF_MAPS} if with_maps else set()
    others = [path for path in maps.read if path not in made]
    check_outputs([out], [*others, *read])
    check_own_folder(
        out,
        "recognised landslides",
        lambda entry: entry.name.partition(".")[0] in _OWN | kept,
    )


def write_recognition(
    result: Recognition,
    found: Landslides,
    kept: NDArray[np.bool_],
    left: Callable[[Window], tuple[Mask, Mask]],
    options: SchemeOptions,
    source: Path,
) -> None:
    """Writes what was recognised, `summary.json` last.

    Args:
        result: What was recognised.
        found: All objects with their attributes.
        kept: Which of them are landslides (N,).
        left: Gives their pixels, and where the map says anything, in a window (h, w).
        options: How it was recognised.
        source: The map; what made it is said of the result, too.

    Raises:
        NotWritten: If the disk is full or a file cannot be written.
    """
    folder, grid = result.folder, found.grid
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUMMARY).unlink(missing_ok=True)  # it says that the rest is whole
    tags = _tags(source, grid, options)
    layer = class_layer(_CLASSES, ignored=IGNORE_VALUE, tags=tags)

    def rows() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for window in rows_of(grid.shape):
            landslide, known = left(window)
            values = np.where(known, landslide, IGNORE_VALUE)
            yield window.row, values[None].astype(np.uint8)

    with (
        tempfile.TemporaryDirectory(prefix="landslide-tf-") as scratch,
        cog.writable(folder),
        atomic_path(folder / "mask.tif") as path,
    ):
        plain = Path(scratch, "plain.tif")
        cog.write_cog(path, grid, layer, rows(), scratch=plain)
    write_legend(folder / "mask.tif", _CLASSES)
    system = None if grid.crs is None else grid.crs.to_wkt()
    for name, driver, which in (
        ("landslides.gpkg", "GPKG", kept),
        ("landslides.geojson", "GeoJSON", kept),
        ("rejected.gpkg", "GPKG", ~kept),
    ):
        chosen = choose(found, which)
        with atomic_path(folder / name) as path:
            write_polygons(
                path, driver, chosen.geometries, chosen.table, system,
                layer=Path(name).stem,
            )  # fmt: skip
    write_polygon_style(folder / "landslides.gpkg", named_colours(_CLASSES)[1][1])
    write_polygon_style(folder / "rejected.gpkg", _REJECTED)
    write_density(result.statistics, folder / "density.tif")
    write_rules(options.rules, folder / "rules.yaml")
    content: dict[str, Any] = {
        "version": __version__,
        "change": options.change,
        "buffer_px": options.buffer,
        "pre_existing": options.pre_existing,
        "min_hole_px": options.min_hole,
        "veg_loss": options.veg_loss,
        "target_iou": options.target_iou,
        "validation_iou": list(result.ious),
        "stages": [stage.as_dict() for stage in result.stages],
        "rejected": result.rejected,
        "not_evaluated": result.not_evaluated,
        "statistics": result.statistics.as_dict(),
        "frequency_ratio": result.ratios,
    }
    write_text(folder / SUMMARY, json.dumps(content, indent=2) + "\n")


def _tags(source: Path, grid: Grid, options: SchemeOptions) -> dict[str, str]:
    """Returns what the class map of the result says of itself."""
    with open_raster(source, "map") as dataset:
        said = dataset.tags()
    smallest = [float(said.get("MIN_AREA_M2") or 0)]
    for rule in options.rules:
        if rule.side == "min" and not rule.where and rule.attribute in _AREAS:
            pixel = mean_cell(grid) ** 2 if rule.attribute == "area_px" else 1.0
            smallest.append(rule.bound * pixel)
    tags = {name: said[name] for name in _INHERITED if name in said}
    tags |= {"MIN_AREA_M2": f"{max(smallest):.10g}"} if max(smallest) > 0 else {}
    return tags | Legend(_CLASSES, 1).tags() | {"LANDSLIDE_TF_VERSION": __version__}


def choose(found: Landslides, which: NDArray[np.bool_]) -> Landslides:
    """Returns some of the objects with their attributes."""
    table = {name: values[which] for name, values in found.table.items()}
    return Landslides(found.geometries[which], table, found.grid)

"""Maps of several dates in, what changed between them out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError
from landslide_tf.files import atomic_folder
from landslide_tf.mapping import polygons
from landslide_tf.mapping.aligned_maps import AlignedMaps
from landslide_tf.mapping.class_changes import Transitions, from_class, new_landslides
from landslide_tf.mapping.existing import CHANGES, check_changes
from landslide_tf.mapping.series_strips import (
    FirstSteps,
    NewObject,
    NewObjects,
    SeriesRule,
)
from landslide_tf.mapping.styles import write_legend, write_polygon_style
from landslide_tf.objects import measure, multi_polygon, outlines
from landslide_tf.objects.outlines import reading_order
from landslide_tf.raster import cog
from landslide_tf.raster.antimeridian import Geometries
from landslide_tf.raster.grid import grid_of, row_areas, stored_grid_of
from landslide_tf.raster.legend import class_layer, named_colours, read_legend
from landslide_tf.raster.masks import MaskFiles, Masks, read_masks
from landslide_tf.raster.names import short_name
from landslide_tf.terrain import Grid

_SMALLEST = 16  # pixels of a new landslide
_POLYGONS = "new_landslides.gpkg"

ClassMap = NDArray[np.uint8]


@dataclass(frozen=True)
class Changes:
    """Changes between maps of several dates.

    Attributes:
        folder: Where everything is written.
        classes: Class names.
        transitions: One table a pair of dates, and of the first and last: `from`,
            `to`, `pixels` and `area_m2` (classes, classes), rows = before.
        shifts: Rows and columns by which each map lies off the first; None where the
            maps do not tell.
        objects: New landslides, by date and in reading order.
        mapped: What the landslide class is called.
        masked: What ground was left out of all maps, as `MaskFiles.tags`.
        taken: Which polygons were the area of interest; empty without one.

    >>> from pathlib import Path
    >>> from landslide_tf.mapping import Changes
    >>> found = Changes(Path("out"), ("other", "landslide"), (), ((0.0, 0.0),), ())
    >>> found.classes[1]
    'landslide'
    """

    folder: Path
    classes: tuple[str, ...]
    transitions: tuple[dict[str, Any], ...]
    shifts: tuple[tuple[float, float] | None, ...]
    objects: tuple[NewObject, ...]
    mapped: str = "landslide"
    masked: Mapping[str, str] = field(default_factory=dict)
    taken: str = ""


def map_changes(
    maps: Sequence[str | Path],
    out: str | Path,
    *,
    landslide_class: int | None = None,
    align: bool = False,
    persist: int = 1,
    min_area: float | None = None,
    masks: MaskFiles | None = None,
    overwrite: bool = False,
) -> Changes:
    """Compares class maps of several dates (Xia et al. 2021, section 4.2).

    Maps of another grid or system are brought to the first one's, north up, by nearest
    neighbours. For each date after the first are written `new_T.tif` (1 = new
    landslide) and `from_T.tif` (the class before); for all `first_step.tif` (date of
    the first appearance, from 0), `new_landslides.gpkg`, measured as the polygons of
    `map_scene`, and `changes.json`. Maps are read strip by strip, several times:
    memory grows with the new landslides, not with the pixels.

    Args:
        maps: Class maps, oldest first, as `mapping.map_scene` writes them.
        out: Folder to write: missing, empty, or with the changes between the same maps,
            which are replaced; it appears complete or not at all.
        landslide_class: The maps' landslide value; None = as they say.
        align: Moves each map by the shift that is found against the first.
        persist: Maps in a row that must show a new landslide.
        min_area: Smallest new landslide, m²; None = 16 pixels.
        masks: Which pixels count, on every date; None = all.
        overwrite: Also replaces changes between other maps.

    Returns:
        What changed.

    Raises:
        DataError: If a map or a mask cannot be read or shares no ground with the first
            map, a map says other classes, or masks leave nothing.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.mapping import map_changes
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.legend import Legend
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 8, 8)
    >>> tags = Legend(("other", "landslide"), 1).tags()
    >>> values = np.zeros((1, 8, 8), np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     maps = [Path(folder, name) for name in ("2020.tif", "2021.tif")]
    ...     for path in maps:
    ...         layer = Layer("uint8", 255, ["class"], tags=tags)
    ...         write_plain(path, grid, layer, [(0, values)])
    ...         values[0, 2:6, 1:6] = 1
    ...     found = map_changes(maps, Path(folder, "changes"))
    >>> found.objects[0].area, found.transitions[0]["pixels"]
    (2000.0, [[44, 20], [0, 0]])
    """
    if len(maps) < 2:
        raise DataError(
            f"Expected at least two maps, received {len(maps)}; give them oldest first."
        )
    masks = masks or MaskFiles()
    check_changes(maps, out, read=masks.read, overwrite=overwrite)
    grid = grid_of(maps[0], "map")
    polygons.check_polygons([Path(out, _POLYGONS)], grid)
    classes, landslide = _meaning(maps, landslide_class)
    if min_area is None:
        min_area = _SMALLEST * float(row_areas(grid).mean()) * (1 - 1e-6)
    rule = SeriesRule(len(maps), landslide, persist=persist, min_area=min_area)
    counting = _masks(masks, maps[0], grid)
    with AlignedMaps(maps, grid, counting, align=align) as dates:
        names = classes or _numbered(dates)
        result = Changes(
            Path(out),
            names,
            _transitions(dates, len(maps), len(names)),
            tuple(dates.shifts),
            (),
            names[landslide] if classes and landslide < len(names) else "landslide",
            masks.tags(),
            "" if counting is None else counting.taken,
        )
        steps = FirstSteps(dates.strips, rule)
        objects, shapes = _new(dates, rule, grid)
        result = replace(result, objects=tuple(objects))
        with atomic_folder(out, replace=True) as folder:
            with cog.writable(folder):
                _write_rasters(result, folder, grid, dates, rule, steps, maps)
            _write_table(folder, result, maps)
            found = _polygons(result, shapes, grid)
            vector = folder / _POLYGONS
            polygons.write_landslides(found, vector, "GPKG")
            write_polygon_style(vector, named_colours(_new_names(result.mapped))[1][1])
    return result


def _numbered(dates: AlignedMaps) -> tuple[str, ...]:
    """Returns names of the classes of maps that do not say them."""
    highest = 0
    for _, maps, _ in dates.strips():
        for values in maps:
            known = values != IGNORE_VALUE
            highest = max(highest, int(values.max(initial=0, where=known)))
    return tuple(f"class {k}" for k in range(highest + 1))


def _transitions(
    dates: AlignedMaps, number: int, classes: int
) -> tuple[dict[str, Any], ...]:
    """Returns the tables of all dates and the next, and of the first and the last."""
    pairs = [(t, t + 1) for t in range(number - 1)]
    if number > 2:
        pairs.append((0, number - 1))
    found = {pair: Transitions(classes) for pair in pairs}
    for _, maps, areas in dates.strips():
        for (a, b), counts in found.items():
            counts.add(maps[a], maps[b], areas)
    return tuple(
        {
            "from": a,
            "to": b,
            "pixels": counts.pixels.tolist(),
            "area_m2": counts.areas.tolist(),
        }
        for (a, b), counts in found.items()
    )


def _new(
    dates: AlignedMaps, rule: SeriesRule, grid: Grid
) -> tuple[list[NewObject], Geometries]:
    """Returns the new landslides and their outlines, by date."""
    new = NewObjects(dates.strips, rule)
    objects: list[NewObject] = []
    found: list[Geometries] = [np.array([], object)]
    layer = cog.Layer("uint8", IGNORE_VALUE, ["new"])
    with tempfile.TemporaryDirectory(prefix="landslide-tf-") as scratch:
        path = Path(scratch, "new.tif")
        for step in rule.begins:
            objects += new.table(step, len(objects) + 1)
            masks = (
                (strip.row, new.labels(number, strip.maps, step)[None] > 0)
                for number, strip in enumerate(dates.strips())
            )
            rows = ((row, mask.astype(np.uint8)) for row, mask in masks)
            cog.write_plain(path, grid, layer, rows)
            shapes, _ = outlines(path, grid)
            found.append(shapes[reading_order(shapes, grid)])
    return objects, np.concatenate(found)


def _masks(files: MaskFiles, path: str | Path, grid: Grid) -> Masks | None:
    """Checks masks against the first map."""
    return read_masks(files, grid, stored_grid_of(path, "map"))


def _meaning(
    maps: Sequence[str | Path], landslide_class: int | None
) -> tuple[tuple[str, ...], int]:
    """Returns the class names, if the maps say them, and the landslide value."""
    legends = [read_legend(path) for path in maps]
    first = legends[0]
    for path, legend in zip(maps, legends, strict=True):
        asked = landslide_class is None and legend.landslide != first.landslide
        if asked or legend.classes != first.classes:
            raise DataError(
                f"map `{path}` must have the classes of `{maps[0]}`, "
                f"{list(first.classes)}, received {list(legend.classes)}; map both "
                "with one model."
            )
    return first.classes, first.landslide_value(maps[0], landslide_class)


def _write_rasters(
    result: Changes,
    folder: Path,
    grid: Grid,
    dates: AlignedMaps,
    rule: SeriesRule,
    steps: FirstSteps,
    maps: Sequence[str | Path],
) -> None:
    names = {"new": _new_names(result.mapped), "from": result.classes}
    made = {"new": _new_pixels, "from": _class_before}
    for step in range(1, len(maps)):
        tags = {"BEFORE": str(maps[step - 1]), "AFTER": str(maps[step])}
        tags |= result.masked
        for name, values in made.items():
            layer = class_layer(names[name], band=name, tags=tags)
            rows = (
                (strip.row, values(strip.maps, rule.landslide)[None])
                for strip in dates.strips((step - 1, step))
            )
            _write(folder / f"{name}_{step}.tif", grid, layer, rows, names[name])
    masked = dict(result.masked)
    layer = cog.Layer("int16", -1, ["first step"], overviews="mode", tags=masked)
    first = (
        (strip.row, steps.read(number, strip.maps)[None])
        for number, strip in enumerate(dates.strips())
    )
    named = [short_name(path) for path in maps]
    _write(folder / "first_step.tif", grid, layer, first, named)


def _new_pixels(maps: Sequence[ClassMap], landslide: int) -> ClassMap:
    """Returns 1 where a landslide is new, 255 where a date says nothing."""
    before, after = maps
    new = new_landslides(before, after, landslide_class=landslide)
    unknown = (before == IGNORE_VALUE) | (after == IGNORE_VALUE)
    return np.where(unknown, IGNORE_VALUE, new).astype(np.uint8)


def _class_before(maps: Sequence[ClassMap], landslide: int) -> ClassMap:
    """Returns what new landslides were before, 255 elsewhere."""
    before, after = maps
    return from_class(before, after, landslide_class=landslide)


def _new_names(mapped: str) -> tuple[str, str]:
    return f"no new {mapped}", f"new {mapped}"


def _write(
    path: Path,
    grid: Grid,
    layer: cog.Layer,
    rows: cog.Blocks,
    names: Sequence[str],
) -> None:
    """Writes a raster with the names of its values, and a style."""
    scratch = path.with_suffix(".plain.tif")
    cog.write_cog(path, grid, layer, rows, scratch=scratch)
    write_legend(path, names)


def _write_table(folder: Path, result: Changes, maps: Sequence[str | Path]) -> None:
    content: Mapping[str, Any] = {
        "maps": [str(path) for path in maps],
        "classes": list(result.classes),
        "transitions": list(result.transitions),
        "shifts": [None if s is None else list(s) for s in result.shifts],
        "new_landslides": len(result.objects),
        **({"masked": dict(result.masked)} if result.masked else {}),
    }
    text = json.dumps(content, indent=2)
    (folder / CHANGES).write_text(text + "\n", encoding="utf-8")


def _polygons(result: Changes, found: Geometries, grid: Grid) -> polygons.Landslides:
    """Returns the new landslides, measured, with date and what was there before."""
    items = result.objects
    table: dict[str, NDArray[Any]] = {
        "id": np.array([item.id for item in items], np.int64),
        "step": np.array([item.step for item in items], np.int64),
        **measure(found, grid),
        "area_px": np.array([item.pixels for item in items], np.int64),
    }
    for index, name in enumerate(result.classes):
        shares = [item.previous.get(index, 0.0) for item in items]
        table[f"was_{name}"] = np.array(shares, float)
    shapes = [multi_polygon(outline) for outline in found]
    return polygons.Landslides(np.array(shapes, object), table, grid)

"""Maps of several dates in, what changed between them out."""

from __future__ import annotations

import contextlib
import itertools
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.files import atomic_folder
from landslide_tf.mapping import polygons
from landslide_tf.mapping.class_changes import (
    from_class,
    new_landslides,
    transition_matrix,
)
from landslide_tf.mapping.existing import CHANGES, check_changes
from landslide_tf.mapping.series import NewObject, first_step, new_objects
from landslide_tf.mapping.shift import estimate_shift
from landslide_tf.mapping.styles import write_legend, write_polygon_style
from landslide_tf.metadata import IGNORE_VALUE
from landslide_tf.objects import measure, multi_polygon
from landslide_tf.objects.outlines import label_outlines
from landslide_tf.raster import cog
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.grid import (
    Window,
    grid_of,
    open_raster,
    row_areas,
    stored_grid,
)
from landslide_tf.raster.ground import check_overlap
from landslide_tf.raster.legend import (
    class_layer,
    named_colours,
    read_legend,
)
from landslide_tf.raster.masks import MaskFiles, MaskReader, Masks, read_masks
from landslide_tf.terrain import Grid

_WORTH_A_WARNING = 1.0  # pixels
_SMALLEST = 16  # pixels of a new landslide
_POLYGONS = "new_landslides.gpkg"


@dataclass(frozen=True)
class Changes:
    """What changed from map to map.

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
    `map_scene`, and `changes.json`. Whole maps
    are held in memory, one byte a pixel and date.

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
    counting = _masks(masks, maps[0], grid)
    arrays, shifts = _on_one_grid(maps, grid, align)
    with MaskReader(counting, grid) as reader:
        hidden = ~reader.read(Window(0, 0, *grid.shape)).counts
    for array in arrays:
        array[hidden] = IGNORE_VALUE
    number = len(classes) or 1 + max(
        int(a[a != IGNORE_VALUE].max(initial=0)) for a in arrays
    )
    names = classes or tuple(f"class {k}" for k in range(number))
    areas = row_areas(grid)
    if min_area is None:
        min_area = _SMALLEST * float(areas.mean()) * (1 - 1e-6)
    objects = new_objects(
        arrays, landslide_class=landslide, persist=persist, min_area=min_area,
        cell_area=areas,
    )  # fmt: skip
    pairs = [(t, t + 1) for t in range(len(arrays) - 1)]
    if len(arrays) > 2:
        pairs.append((0, len(arrays) - 1))
    tables = tuple(
        {
            "from": a,
            "to": b,
            "pixels": transition_matrix(arrays[a], arrays[b], number).tolist(),
            "area_m2": transition_matrix(
                arrays[a], arrays[b], number, cell_area=areas
            ).tolist(),
        }
        for a, b in pairs
    )
    mapped = names[landslide] if classes and landslide < len(names) else "landslide"
    result = Changes(
        Path(out), names, tables, tuple(shifts), tuple(objects), mapped, masks.tags(),
        "" if counting is None else counting.taken,
    )  # fmt: skip
    steps = first_step(
        arrays, landslide_class=landslide, persist=persist, min_area=min_area,
        cell_area=areas,
    )  # fmt: skip
    with atomic_folder(out, replace=True) as folder:
        with cog.writable(folder):
            _write_rasters(result, folder, grid, arrays, landslide, steps, maps)
        _write_table(folder, result, maps)
        found = _polygons(result, grid)
        vector = folder / _POLYGONS
        polygons.write_landslides(found, vector, "GPKG")
        write_polygon_style(vector, named_colours(_new_names(mapped))[1][1])
    return result


def _masks(files: MaskFiles, path: str | Path, grid: Grid) -> Masks | None:
    """Checks masks against the first map."""
    with open_raster(path, "map") as dataset:
        stored = stored_grid(dataset)
    return read_masks(files, grid, stored)


def _on_one_grid(
    maps: Sequence[str | Path], grid: Grid, align: bool
) -> tuple[list[NDArray[np.uint8]], list[tuple[float, float] | None]]:
    """Reads all maps on a grid and estimates how far each lies off the first."""
    arrays = [_read(maps[0], grid)]
    shifts: list[tuple[float, float] | None] = [(0.0, 0.0)]
    for path in maps[1:]:
        check_overlap(path, "map", grid, "first map")
        array = _read(path, grid)
        shift = estimate_shift(arrays[0], array)
        if shift is not None and align and shift != (0.0, 0.0):
            array = _read(path, grid, shift)
        elif shift is not None and np.hypot(*shift) > _WORTH_A_WARNING:
            warnings.warn(
                f"map `{path}` lies {shift[0]:+.1f} rows and {shift[1]:+.1f} columns "
                f"off `{maps[0]}`: borders of the shift look like change; move it back "
                "with `--align`.",
                stacklevel=2,
            )
        arrays.append(array)
        shifts.append(shift)
    return arrays, shifts


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


def _read(
    path: str | Path, grid: Grid, shift: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """Returns a map on a grid, moved back by a shift, 255 where it says nothing."""
    placed = None
    if shift is not None:
        with open_raster(path, "map") as dataset:
            placed = stored_grid(dataset)
        x, y = grid.transform.a * -shift[1], grid.transform.e * -shift[0]
        if placed.crs != grid.crs:
            raise DataError(
                f"map `{path}` must have the system of the first map to be moved: warp "
                "it first (`gdalwarp -r near`)."
            )
        placed = replace(placed, transform=Affine.translation(x, y) @ placed.transform)
    raster = AlignedRaster(path, "map", grid, kernel="nearest", placed=placed)
    with contextlib.closing(raster):
        values, known = raster.read(Window(0, 0, *grid.shape))
    return np.where(known, values[0], IGNORE_VALUE).astype(np.uint8)


def _write_rasters(
    result: Changes,
    folder: Path,
    grid: Grid,
    arrays: Sequence[NDArray[np.uint8]],
    landslide: int,
    steps: NDArray[np.int16],
    maps: Sequence[str | Path],
) -> None:
    names = {"new": _new_names(result.mapped), "from": result.classes}
    for step in range(1, len(arrays)):
        before, after = arrays[step - 1], arrays[step]
        new = new_landslides(before, after, landslide_class=landslide).astype(np.uint8)
        new[(before == IGNORE_VALUE) | (after == IGNORE_VALUE)] = IGNORE_VALUE
        tags = {"BEFORE": str(maps[step - 1]), "AFTER": str(maps[step])}
        tags |= result.masked
        previous = from_class(before, after, landslide_class=landslide)
        for name, values in (("new", new), ("from", previous)):
            layer = class_layer(names[name], band=name, tags=tags)
            _write(folder / f"{name}_{step}.tif", grid, layer, values, names[name])
    masked = dict(result.masked)
    layer = cog.Layer("int16", -1, ["first step"], overviews="mode", tags=masked)
    dates = [Path(path).name for path in maps]
    _write(folder / "first_step.tif", grid, layer, steps, dates)


def _new_names(mapped: str) -> tuple[str, str]:
    return f"no new {mapped}", f"new {mapped}"


def _write(
    path: Path,
    grid: Grid,
    layer: cog.Layer,
    values: NDArray[Any],
    names: Sequence[str],
) -> None:
    """Writes a raster with the names of its values, and a style."""
    scratch = path.with_suffix(".plain.tif")
    cog.write_cog(path, grid, layer, [(0, values[None])], scratch=scratch)
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


def _polygons(result: Changes, grid: Grid) -> polygons.Landslides:
    """Returns the new landslides, measured, with date and what was there before."""
    items = result.objects
    found: list[NDArray[Any]] = []
    for _, same in itertools.groupby(items, lambda item: item.step):
        labels = np.zeros(grid.shape, np.int32)
        for label, item in enumerate(same, 1):
            labels[item.window][item.mask] = label
        found.append(label_outlines(labels, grid))
    outlines = np.concatenate([np.array([], object), *found])
    table: dict[str, NDArray[Any]] = {
        "id": np.array([item.id for item in items], np.int64),
        "step": np.array([item.step for item in items], np.int64),
        **measure(outlines, grid),
        "area_px": np.array([item.mask.sum() for item in items], np.int64),
    }
    for index, name in enumerate(result.classes):
        shares = [item.previous.get(index, 0.0) for item in items]
        table[f"was_{name}"] = np.array(shares, float)
    shapes = [multi_polygon(outline) for outline in outlines]
    return polygons.Landslides(np.array(shapes, object), table, grid)

"""The scheme: a map's objects, filtered by geology and compared with an earlier date.

DFPENet's flow chart names the steps; bounds and limits are this project's
(`objects.DEFAULT_RULES`, `recognition.comparison`).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio.features
from numpy.typing import NDArray

from landslide_tf.errors import DataError
from landslide_tf.mapping.polygons import Landslides, find_landslides
from landslide_tf.metadata import IGNORE_VALUE
from landslide_tf.objects import (
    Rule,
    apply_rules,
    label_objects,
    zonal_means,
)
from landslide_tf.raster import cog
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.grid import Window, grid_of
from landslide_tf.raster.ground import check_dem, check_overlap
from landslide_tf.raster.legend import read_legend
from landslide_tf.recognition.analysis import factor_ratios, statistics_of
from landslide_tf.recognition.comparison import (
    LOSS,
    VEGETATED,
    VegetationIndex,
    change_classes,
    new_pixels,
    spread,
)
from landslide_tf.recognition.files import (
    Recognition,
    check_recognition,
    choose,
    write_recognition,
)
from landslide_tf.recognition.options import Maps, SchemeOptions
from landslide_tf.recognition.stages import Reference, Stage
from landslide_tf.terrain import Grid


def recognise(
    maps: Maps,
    out: str | Path,
    options: SchemeOptions | None = None,
    *,
    reference: Callable[[Grid], Reference] | None = None,
) -> Recognition:
    """Recognises landslides among the objects of a map.

    Holes are filled, objects measured, the rules tried, the objects compared with the
    date before, and those that nothing rejects summarised. In `out` are written
    `landslides.gpkg` and `.geojson`, `rejected.gpkg` (column `rule`: what rejected an
    object), `mask.tif`, `density.tif`, `rules.yaml`, and last `summary.json`. The map
    is held in memory, some bytes a pixel.

    Args:
        maps: What is looked at.
        out: The folder.
        options: How; None = the defaults.
        reference: Reads what is there on the map's grid, for scores of each stage.

    Returns:
        What was recognised.

    Raises:
        DataError: If a file cannot be read or written, the map holds no landslide, or
            files share no ground.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.legend import Legend
    >>> from landslide_tf.recognition import Maps, recognise
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 90, 90)
    >>> values = np.zeros((1, 90, 90), np.uint8)
    >>> values[0, 5:15, 5:25] = np.tri(10, 20, 8)  # a landslide
    >>> values[0, 40:42, :] = 1  # a road
    >>> tags = Legend(("other", "landslide"), 1).tags()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "map.tif")
    ...     layer = Layer("uint8", 255, ["class"], tags=tags)
    ...     write_plain(path, grid, layer, [(0, values)])
    ...     found = recognise(Maps(path), Path(folder, "recognised"))
    >>> [(stage.name, stage.objects) for stage in found.stages]
    [('map', 2), ('rules', 1)]
    """
    options = options or SchemeOptions()
    check_recognition(maps, out, with_maps=maps.after.parent == Path(out))
    grid = grid_of(maps.after, "map")
    if maps.dem is not None:
        check_dem(maps.dem, grid, {})
    if maps.probabilities is not None:
        check_overlap(maps.probabilities, "probabilities", grid, "map")
    known_truth = None if reference is None else reference(grid)
    landslide, known = _read(maps.after, grid)
    if not landslide.any():
        raise DataError(
            f"map `{maps.after}` must hold landslides to recognise, received none."
        )
    before = None
    if maps.before is not None:
        check_overlap(maps.before, "map before", grid, "map")
        before = _read(maps.before, grid)
    cleaned = _cleaned(landslide, known, before, options)
    with tempfile.TemporaryDirectory(prefix="landslide-tf-") as scratch:
        mask = Path(scratch, "mask.tif")
        layer = cog.Layer("uint8", IGNORE_VALUE, ["landslide"])
        cog.write_plain(mask, grid, layer, [(0, cleaned[None].astype(np.uint8))])
        found = find_landslides(
            mask, grid, probability=maps.probabilities, dem=maps.dem, min_area=0.0
        )
    index = _compared(found, maps, before, options)
    filtered = apply_rules(found.table, options.rules, len(found))
    reasons = [list(names) for names in filtered.rejected_by]
    steps = [("rules", filtered.kept)]
    unknown = dict(filtered.not_evaluated)
    if "change_class" in found.table and not options.keep_pre_existing:
        steps.append(("change", _reject_known(found, reasons)))
    if index is not None:
        lost = apply_rules(found.table, [_loss(index, options)], len(found))
        unknown |= lost.not_evaluated
        for names, more in zip(reasons, lost.rejected_by, strict=True):
            names += more
        steps.append(("vegetation", np.array([not names for names in reasons], bool)))
    found.table["rule"] = np.array([",".join(names) for names in reasons], object)
    labels = _burnt(found, grid)
    stages = list(_stages(landslide, labels, steps, known_truth))
    kept = steps[-1][1]
    left = _pixels(labels, kept)
    result = Recognition(
        Path(out),
        tuple(stages),
        int((~kept).sum()),
        unknown,
        statistics_of(choose(found, kept), maps.after),
        factor_ratios(left, known, maps.dem, grid),
    )
    write_recognition(result, found, kept, left, known, options, maps.after)
    return result


def _read(path: Path, grid: Grid) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns where a map says landslide, and where it says anything, on a grid."""
    value = read_legend(path).landslide_value(path)
    with contextlib.closing(
        AlignedRaster(path, "map", grid, kernel="nearest")
    ) as raster:
        (classes,), known = raster.read(Window(0, 0, *grid.shape))
    return (classes == value) & known, known


def _cleaned(
    landslide: NDArray[np.bool_],
    known: NDArray[np.bool_],
    before: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None,
    options: SchemeOptions,
) -> NDArray[np.bool_]:
    """Takes out what was landslide before, where asked, and fills holes."""
    if before is not None and options.change == "pixel":
        landslide = new_pixels(landslide, before[0], buffer=options.buffer)
    rest = ~landslide & known
    large, _ = label_objects(rest, connectivity=4, min_area=options.min_hole)
    filled: NDArray[np.bool_] = landslide | (rest & (large == 0))
    return filled


def _compared(
    found: Landslides,
    maps: Maps,
    before: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None,
    options: SchemeOptions,
) -> Literal["ndvi", "excess green"] | None:
    """Adds to objects what was there before; returns the vegetation index, if any."""
    if before is not None and options.change == "object":
        share = np.where(before[1], spread(before[0], options.buffer), np.nan)

        def part(window: Window) -> NDArray[np.float64]:
            rows = slice(window.row, window.row + window.height)
            columns = slice(window.column, window.column + window.width)
            return share[rows, columns, None]

        overlap = zonal_means(found.geometries, found.grid, part, 1)[:, 0]
        found.table["pre_overlap"] = overlap
        found.table["change_class"] = np.array(change_classes(overlap), object)
    if maps.image_before is None or maps.image_after is None:
        return None
    vegetation = VegetationIndex(maps.image_before, maps.image_after, found.grid)
    with contextlib.closing(vegetation):
        means = zonal_means(found.geometries, found.grid, vegetation.read, 2)
    if vegetation.index == "ndvi":
        found.table["ndvi_pre"], found.table["ndvi_post"] = means.T
    found.table["veg_loss"] = means[:, 0] - means[:, 1]
    return vegetation.index


def _loss(index: Literal["ndvi", "excess green"], options: SchemeOptions) -> Rule:
    least = LOSS[index] if options.veg_loss is None else options.veg_loss
    where = {"ndvi_pre": VEGETATED} if index == "ndvi" else {}
    return Rule("min", "veg_loss", least, where)


def _reject_known(found: Landslides, reasons: list[list[str]]) -> NDArray[np.bool_]:
    for names, change in zip(reasons, found.table["change_class"], strict=True):
        if change == "pre_existing":
            names.append(change)
    return np.array([not names for names in reasons], bool)


def _burnt(found: Landslides, grid: Grid) -> NDArray[np.int32]:
    """Returns the number from 1 of the object that each pixel belongs to, 0 = none."""
    shapes = [(shape, k + 1) for k, shape in enumerate(found.geometries)]
    if not shapes:
        return np.zeros(grid.shape, np.int32)
    burnt: NDArray[np.int32] = rasterio.features.rasterize(
        shapes, out_shape=grid.shape, transform=grid.transform, dtype=np.int32
    )
    return burnt


def _pixels(labels: NDArray[np.int32], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the pixels (H, W) of the objects that are kept (N,)."""
    return np.append(False, kept)[labels]


def _stages(
    landslide: NDArray[np.bool_],
    labels: NDArray[np.int32],
    steps: Sequence[tuple[str, NDArray[np.bool_]]],
    reference: Reference | None,
) -> list[Stage]:
    _, number = label_objects(landslide, min_area=1)
    masks = [("map", landslide, number)]
    masks += [(name, _pixels(labels, kept), int(kept.sum())) for name, kept in steps]
    if reference is None:
        return [Stage(name, count, None, None) for name, _, count in masks]
    return [reference.stage(name, mask, count) for name, mask, count in masks]

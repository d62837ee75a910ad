"""The scheme: a map's objects, filtered by geology and compared with an earlier date.

DFPENet's flow chart names the steps; bounds and limits are this project's
(`objects.DEFAULT_RULES`, `recognition.comparison`).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError
from landslide_tf.mapping import Reference
from landslide_tf.mapping.polygons import Landslides, find_landslides
from landslide_tf.objects import zonal_means
from landslide_tf.objects.cells import NumberedCells
from landslide_tf.objects.strips import Mask, StripLabels
from landslide_tf.raster import cog
from landslide_tf.raster.grid import Window, grid_of, rows_of
from landslide_tf.raster.ground import check_dem, check_overlap
from landslide_tf.recognition.analysis import factor_ratios, statistics_of
from landslide_tf.recognition.comparison import Index, VegetationIndex
from landslide_tf.recognition.files import (
    Recognition,
    check_recognition,
    choose,
    write_recognition,
)
from landslide_tf.recognition.judgement import judge
from landslide_tf.recognition.masks import MapMasks, cleaned, share_before
from landslide_tf.recognition.options import Maps, SchemeOptions
from landslide_tf.recognition.search import gains_of, search_bounds
from landslide_tf.recognition.stages import check_landslides, scored
from landslide_tf.terrain import Grid


def recognise(
    maps: Maps,
    out: str | Path,
    options: SchemeOptions | None = None,
    *,
    reference: Callable[[Grid], Reference] | None = None,
    validation: Callable[[Grid], Reference] | None = None,
) -> Recognition:
    """Recognises landslides among the objects of a map.

    Holes are filled, objects measured, the rules tried, the objects compared with the
    date before, and those that nothing rejects summarised. In `out` are written
    `landslides.gpkg` and `.geojson`, `rejected.gpkg` (column `rule`: what rejected an
    object), `mask.tif`, `density.tif`, `rules.yaml`, and last `summary.json`. Maps are
    read strip by strip: memory grows with the objects, not with the pixels.

    Args:
        maps: What is looked at.
        out: The folder.
        options: How; None = the defaults.
        reference: Reads what is there on the map's grid, for scores of each stage.
        validation: Reads a part of it on which bounds are searched where the IoU of
            its pixels is below `target_iou`; scores are of the ground beyond it.

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
    if options.target_iou is not None and validation is None:
        raise DataError("`target_iou` needs a part with labels to search bounds on.")
    grid = grid_of(maps.after, "map")
    if maps.dem is not None:
        check_dem(maps.dem, grid, {})
    for path, what in (
        (maps.probabilities, "probabilities"),
        (maps.before, "map before"),
    ):
        if path is not None:
            check_overlap(path, what, grid, "map")
    with contextlib.ExitStack() as stack:
        there, part = (
            None if read is None else stack.enter_context(read(grid))
            for read in (reference, validation)
        )
        if there is not None:
            check_landslides(there, grid)
        after = stack.enter_context(contextlib.closing(MapMasks(maps.after, grid)))
        before = None
        if maps.before is not None:
            before = MapMasks(maps.before, grid)
            stack.callback(before.close)
        mapped, found = _objects(maps, after, before, grid, options)
        index = _compared(found, maps, before, options)
        cells = NumberedCells(found.geometries, grid)
        ious: list[float] = []
        if part is not None:
            gains = gains_of(cells, len(found), part, grid)
            options, ious = search_bounds(found.table, gains, options, index)
        judged = judge(found.table, options, index)
        if judged.change is not None:
            found.table["change_class"] = judged.change
        reasons = [",".join(names) for names in judged.reasons]
        found.table["rule"] = np.array(reasons, object)

        def masks(window: Window) -> list[Mask]:
            numbers = cells.read(window)
            kept = [np.append(False, left)[numbers] for _, left in judged.steps]
            return [after.read(window)[0], *kept]

        def left(window: Window) -> tuple[Mask, Mask]:
            kept = np.append(False, judged.kept)[cells.read(window)]
            return kept, after.read(window)[1]

        names = [(name, int(left.sum())) for name, left in judged.steps]
        result = Recognition(
            Path(out),
            tuple(scored([("map", mapped), *names], masks, there, part, grid)),
            int((~judged.kept).sum()),
            dict(judged.not_evaluated),
            statistics_of(choose(found, judged.kept), maps.after),
            factor_ratios(left, maps.dem, grid),
            tuple(ious),
        )
        write_recognition(result, found, judged.kept, left, options, maps.after)
    return result


def _objects(
    maps: Maps,
    after: MapMasks,
    before: MapMasks | None,
    grid: Grid,
    options: SchemeOptions,
) -> tuple[int, Landslides]:
    """Returns how many objects the map has, and those that are looked at, measured."""
    mapped = StripLabels()

    def rows() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for window in rows_of(grid.shape):
            landslide, filled = cleaned(after, before, window, grid, options)
            mapped.add(landslide)
            yield window.row, filled[None].astype(np.uint8)

    with tempfile.TemporaryDirectory(prefix="landslide-tf-") as scratch:
        mask = Path(scratch, "mask.tif")
        layer = cog.Layer("uint8", IGNORE_VALUE, ["landslide"])
        cog.write_plain(mask, grid, layer, rows())
        if not mapped.found:
            raise DataError(
                f"map `{maps.after}` must hold landslides to recognise, received none."
            )
        found = find_landslides(
            mask, grid, probability=maps.probabilities, dem=maps.dem, min_area=0.0
        )
    return mapped.found, found


def _compared(
    found: Landslides, maps: Maps, before: MapMasks | None, options: SchemeOptions
) -> Index | None:
    """Adds to objects what was there before; returns the vegetation index, if any."""
    if before is not None and options.change == "object":

        def share(window: Window) -> FloatArray:
            return share_before(before, window, found.grid, options.buffer)

        overlap = zonal_means(found.geometries, found.grid, share, 1)
        found.table["pre_overlap"] = overlap[:, 0]
    if maps.image_before is None or maps.image_after is None:
        return None
    vegetation = VegetationIndex(maps.image_before, maps.image_after, found.grid)
    with contextlib.closing(vegetation):
        means = zonal_means(found.geometries, found.grid, vegetation.read, 2)
    if vegetation.index == "ndvi":
        found.table["ndvi_pre"], found.table["ndvi_post"] = means.T
    found.table["veg_loss"] = means[:, 0] - means[:, 1]
    return vegetation.index

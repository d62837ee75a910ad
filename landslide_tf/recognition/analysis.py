"""The spatial analysis of recognised landslides: sizes, densities, factor classes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj

from landslide_tf.inventory import FIELDS, Scene, Statistics, inventory_statistics
from landslide_tf.inventory import Landslides as Stored
from landslide_tf.inventory.ground import in_degrees, mapped_ground
from landslide_tf.inventory.schema import SYSTEM, Columns, Value
from landslide_tf.mapping.polygons import Landslides
from landslide_tf.objects import frequency_ratio
from landslide_tf.objects.strips import Mask
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.raster.antimeridian import cut_at_antimeridian
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import Window, mean_cell, rows_of
from landslide_tf.raster.reprojection import reprojected
from landslide_tf.raster.systems import system_of
from landslide_tf.terrain import Grid

_STEP, _STEEPEST = 5, 90  # degrees of a class of slopes
_DIRECTIONS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW", "flat")


def statistics_of(landslides: Landslides, path: Path) -> Statistics:
    """Computes numbers, sizes and densities of a map's landslides.

    Args:
        landslides: The landslides.
        path: The map, whose pixels with a class are the mapped ground.

    Returns:
        As of an inventory of this scene alone.

    Raises:
        DataError: If the map has no class anywhere.
    """
    grid, number = landslides.grid, len(landslides)
    system, lonlat = system_of(grid), pyproj.CRS(SYSTEM)
    outline = in_degrees(mapped_ground(path, grid), system, lonlat, mean_cell(grid))
    moved = cut_at_antimeridian(reprojected(landslides.geometries, system, lonlat))
    columns: Columns = {n: [None] * number for n in FIELDS}
    columns |= {name: [""] * number for name in ("rule", "region", "date_max")}
    columns["area_m2"] = landslides.table["area_m2"].tolist()
    facts: dict[str, Value] = {"id": path.stem, "region": "", "date_max": ""}
    return inventory_statistics(Stored(moved, columns), [Scene(facts, outline)])


def factor_ratios(
    read: Callable[[Window], tuple[Mask, Mask]],
    dem: DemFiles | None,
    grid: Grid,
) -> dict[str, dict[str, float | None]]:
    """Returns the frequency ratio of each class of slope and aspect.

    Args:
        read: Gives landslides and what was mapped in a window (h, w).
        dem: Elevations; without, nothing is known.
        grid: The grid.

    Returns:
        Ratio by factor and class; None where a class has no ground.
    """
    if dem is None:
        return {}
    slopes = [f"{low}-{low + _STEP}" for low in range(0, _STEEPEST, _STEP)]
    counts = {"slope_deg": np.zeros((2, len(slopes))), "aspect": np.zeros((2, 9))}
    with contextlib.closing(AlignedDem(dem, grid, ("slope", "aspect"))) as terrain:
        for window in rows_of(grid.shape):
            landslide, known = read(window)
            slope, aspect = np.moveaxis(terrain.read(window)[0], -1, 0)
            here = known & np.isfinite(slope) & np.isfinite(aspect)
            steep = np.minimum(slope[here] // _STEP, len(slopes) - 1).astype(int)
            towards = np.where(aspect[here] < 0, 8, np.rint(aspect[here] / 45) % 8)
            inside = landslide[here]
            for classes, total in zip(
                (steep, towards.astype(int)), counts.values(), strict=True
            ):
                size = total.shape[1]
                total[0] += np.bincount(classes[inside], minlength=size)
                total[1] += np.bincount(classes, minlength=size)
    names = {"slope_deg": slopes, "aspect": _DIRECTIONS}
    return {
        factor: {
            name: None if np.isnan(ratio) else float(ratio)
            for name, ratio in zip(names[factor], frequency_ratio(*total), strict=True)
        }
        for factor, total in counts.items()
    }

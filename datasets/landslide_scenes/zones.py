"""Splits that share no ground: by scene, or by zones of a scene with gaps between.

Apart from `plan`, its only caller: geometry of the ground, which needs no files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from landslide_tf.datasets.common.splits import (
    SPLITS,
    ground_units,
    split_by_hash,
)
from landslide_tf.datasets.landslide_scenes.tiles import Tile, TileSizeError
from landslide_tf.raster.scene import Scene
from landslide_tf.raster.systems import bounds_together, ground_system, wkt_of
from landslide_tf.terrain import Grid

TEST, VALIDATION = 0.2, 0.1

# With fewer independent scenes one of the splits would have none.
_LEAST_SCENES = 5
# Landslide tiles that are enough to place the cuts by.
_LEAST_TILES = 3


@dataclass(frozen=True)
class Zone:
    """The part of the ground that a split has.

    Attributes:
        grid: In whose rows or columns the limits are.
        axis: 0 = limits are rows, 1 = columns.
        low: First row or column.
        high: End.
    """

    grid: Grid
    axis: int
    low: float = -math.inf
    high: float = math.inf

    def holds(self, scene: Scene, tile: Tile) -> bool:
        """Whether all of a tile lies in the zone."""
        low, high = _span(scene.grid, tile, self.grid)[self.axis]
        return self.low <= low and high <= self.high


Zones = dict[str, dict[str, Zone]]  # by scene, by split


def zones_of(
    scenes: Mapping[str, Scene],
    tiles: Sequence[Tile],
    landslide: int,
    *,
    gap: int,
    seed: int = 0,
) -> Zones:
    """Gives every split its ground.

    With five scenes or more that share no ground whole scenes go to one split
    (`split_by_hash`). With fewer, each is cut across into a zone for test, one for
    validation and one for training, with a gap between where no tile is taken; cuts
    are placed so that test has a fifth and validation a tenth of the tiles with
    landslide, in the direction that leaves both these shares and those of all tiles
    nearest to that.

    Args:
        scenes: The scenes by id.
        tiles: Tiles of all scenes, with their counts.
        landslide: Number of the landslide class.
        gap: Rows or columns between zones.
        seed: Seed of the split by scene.

    Returns:
        The zones; a scene has only those splits that it is part of.

    Raises:
        DataError: If a split would have no tile.
    """
    groups = _groups(scenes)
    if len(groups) >= _LEAST_SCENES:
        shared = [group for group in groups if len(group) > 1]
        parts = split_by_hash(
            scenes, seed, test=TEST, validation=VALIDATION, groups=shared
        )
        zones: Zones = {
            name: {split: Zone(scenes[name].grid, 0)}
            for split, names in parts.items()
            for name in names
        }
        if all(parts.values()):
            return zones
    zones = {}
    for group in groups:
        own = [tile for tile in tiles if tile.scene in group]
        cut = _cut(scenes[group[0]].grid, scenes, own, landslide, gap)
        zones.update(dict.fromkeys(group, cut))
    return zones


def assign(
    scenes: Mapping[str, Scene], zones: Zones, tiles: Sequence[Tile]
) -> tuple[dict[str, list[Tile]], int]:
    """Gives tiles to the splits in whose zones they lie.

    Args:
        scenes: The scenes by id.
        zones: As from `zones_of`.
        tiles: The tiles.

    Returns:
        Tiles by split, and how many lie in a gap.

    Raises:
        TileSizeError: If a split has no tile.
    """
    parts: dict[str, list[Tile]] = {split: [] for split in SPLITS}
    for tile in tiles:
        for split, zone in zones[tile.scene].items():
            if zone.holds(scenes[tile.scene], tile):
                parts[split].append(tile)
    for split, members in parts.items():
        if not members:
            raise TileSizeError(
                f"Expected tiles for train, validation and test, received {len(tiles)} "
                f"of which none is left for {split}: zones with gaps of one tile "
                "between need a larger scene; choose smaller tiles or give more scenes."
            )
    return parts, len(tiles) - sum(map(len, parts.values()))


def _groups(scenes: Mapping[str, Scene]) -> list[tuple[str, ...]]:
    """Returns the scenes, those that share ground together."""
    systems = {wkt_of(scene.grid) for scene in scenes.values()}
    grids = [scene.grid for scene in scenes.values()]
    crs = grids[0].crs
    if crs is None or len(systems) > 1:
        crs = CRS.from_wkt(ground_system(grids).to_wkt())
    bounds = dict(zip(scenes, bounds_together(grids, crs), strict=True))
    return ground_units(bounds)


def _span(grid: Grid, tile: Tile, reference: Grid) -> NDArray[np.float64]:
    """Returns first and end row, first and end column of a tile in another grid."""
    if grid == reference:
        starts = np.array([tile.row, tile.column], np.float64)
        return np.stack([starts, starts + tile.size], axis=-1)
    part = grid.window(tile.row, tile.column, tile.size, tile.size)
    left, bottom, right, top = bounds_together([reference, part], reference.crs)[1]
    columns, rows = ~reference.transform @ (
        np.array([left, right]),
        np.array([top, bottom]),
    )
    return np.array([rows, columns], np.float64)


def _cut(
    reference: Grid,
    scenes: Mapping[str, Scene],
    tiles: Sequence[Tile],
    landslide: int,
    gap: int,
) -> dict[str, Zone]:
    """Cuts the ground of a group of scenes in the direction that suits best."""
    spans = np.array([_span(scenes[t.scene].grid, t, reference) for t in tiles])
    labelled = np.array([sum(t.counts) > 0 for t in tiles])
    positive = np.array([t.counts[landslide] > 0 for t in tiles])
    useful = next(
        (k for k in (positive, labelled) if k.sum() >= _LEAST_TILES),
        np.ones(len(tiles), bool),
    )
    best, chosen = (-1.0, -math.inf), {}
    for axis in (0, 1):
        for sign in (1, -1):
            spanned = np.sort(sign * spans[:, axis], axis=1)
            limits = _limits(spanned, useful, gap)
            inside = {
                split: (spanned[:, 0] >= low) & (spanned[:, 1] <= high)
                for split, (low, high) in limits.items()
            }
            seen = sum(bool((useful & part).any()) for part in inside.values())
            off = sum(
                abs(inside[split][tiled].mean() - share)
                for split, share in (("test", TEST), ("validation", VALIDATION))
                for tiled in (useful, slice(None))
            )
            if (seen, -off) > best:
                best = (seen, -off)
                chosen = {
                    split: Zone(reference, axis, *sorted((sign * low, sign * high)))
                    for split, (low, high) in limits.items()
                }
    return chosen


def _limits(
    spanned: NDArray[np.float64], useful: NDArray[np.bool_], gap: int
) -> dict[str, tuple[float, float]]:
    """Returns where the zones of test, validation and train begin and end."""
    total = int(useful.sum())
    limits, start = {}, -math.inf
    for split, share in (("test", TEST), ("validation", VALIDATION)):
        ends = np.sort(spanned[useful & (spanned[:, 0] >= start), 1])
        wanted = max(1, math.floor(share * total + 0.5))
        # Whole rows of tiles, rather too few than too many: gaps cost enough.
        fit = [end for end in np.unique(ends) if (ends <= end).sum() <= wanted]
        end = float((fit or [ends[0] if len(ends) else start])[-1])
        limits[split] = (start, end)
        start = end + gap
    limits["train"] = (start, math.inf)
    return limits

"""Which tiles of which scenes make which split."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.datasets.landslide_scenes.zones import assign, zones_of
from landslide_tf.raster.scene import Scene
from landslide_tf.raster.sources import BINARY, find_scenes
from landslide_tf.raster.tiles import (
    Survey,
    Tile,
    grid_tiles,
    survey,
)


@dataclass(frozen=True)
class Plan:
    """Everything that determines the examples of a build.

    Attributes:
        scenes: The scenes by id.
        tiles: Tiles by split, those of a scene one after the other.
        report: What was found, left out and why; JSON values.
        ranges: Smallest and largest value of each band of `image`, (C, 2).
    """

    scenes: Mapping[str, Scene]
    tiles: Mapping[str, Sequence[Tile]]
    report: Mapping[str, Any]
    ranges: NDArray[np.float64]

    @property
    def labelled(self) -> bool:
        """Whether every scene has labels."""
        return all(scene.labels is not None for scene in self.scenes.values())


def ranges_of(surveys: Iterable[Survey]) -> NDArray[np.float64]:
    """Returns the smallest and largest value of each band, (C, 2)."""
    ends = np.array([(one.low, one.high) for one in surveys])
    return np.stack([ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)], axis=-1)


def drop_unlabelled(
    scenes: Mapping[str, Scene], tiles: Sequence[Tile]
) -> tuple[list[Tile], int]:
    """Leaves out tiles without a label in scenes that have labels.

    Returns:
        The tiles that stay, and how many went.
    """
    kept = [t for t in tiles if sum(t.counts) or scenes[t.scene].labels is None]
    return kept, len(tiles) - len(kept)


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
    surveys = [survey(s, size, classes, workers=workers) for s in scenes.values()]
    tiles = [tile for one in surveys for tile in one.tiles]
    if stride != size:
        tiles = [
            tile
            for scene in scenes.values()
            for tile in grid_tiles(scene, size, stride, classes, workers=workers)
        ]
    kept, unlabelled = drop_unlabelled(scenes, tiles)
    zones = zones_of(scenes, kept, BINARY.index("landslide"), gap=size)
    parts, in_gaps = assign(scenes, zones, kept)
    report = {
        "scenes": sorted(scenes),
        "without_labels": sorted(n for n, s in scenes.items() if s.labels is None),
        "ignored": ignored,
        "tiles_without_label": unlabelled,
        "tiles_in_gaps": in_gaps,
    }
    return Plan(scenes, parts, report, ranges_of(surveys))

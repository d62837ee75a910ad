"""Where training patches may be cut: by grid, around superpixels, around points.

Apart from `plan`, its only caller, for memory does not grow with scenes here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import shapely

from landslide_tf.datasets.common.patches import Patch, superpixel_patches
from landslide_tf.datasets.common.sampling import SamplingMethod, multistage_sample
from landslide_tf.datasets.landslide_scenes.tiles import (
    Tile,
    check_size,
    survey,
)
from landslide_tf.raster.bands import COLOURS
from landslide_tf.raster.grid import Window
from landslide_tf.raster.scene import Scene
from landslide_tf.raster.scene_reader import Pixels
from landslide_tf.raster.vector import Shapes
from landslide_tf.raster.windows import map_windows

BLOCK = 2048  # side of the blocks that superpixels are found in, pixels

Patches = Literal["grid", "superpixels"]


def blocks(scene: Scene, size: int) -> Iterator[Window]:
    """Yields the blocks of a scene, none narrower than a patch."""
    rows, columns = (_edges(length, size) for length in scene.grid.shape)
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            yield Window(top, left, bottom - top, right - left)


def _edges(length: int, size: int) -> list[int]:
    edges = list(range(0, length, BLOCK))
    if len(edges) > 1 and length - edges[-1] < size:
        edges.pop()
    return [*edges, length]


def superpixel_pool(
    scene: Scene, size: int, classes: int, *, workers: int | None = None
) -> list[Patch]:
    """Lists the patches around the superpixels of a scene, block by block.

    As `superpixel_patches`; no patch crosses the edge of a block, so that
    memory does not grow with the scene.

    Args:
        scene: The scene, with red, green and blue.
        size: Rows and columns of a patch.
        classes: Number of classes.
        workers: Threads.

    Returns:
        The patches.

    Raises:
        DataError: If the scene is smaller than a patch or a file is corrupt.
    """
    check_size(scene, size)
    colours = [scene.image.index(name) for name in COLOURS]

    def cut(window: Window, pixels: Pixels) -> list[Patch]:
        if (pixels.mask == 255).all():
            return []
        image = pixels.image[..., colours]
        found = superpixel_patches(scene.id, image, pixels.mask, classes, size=size)
        return [
            Patch(
                scene.id,
                patch.row + window.row,
                patch.column + window.column,
                size,
                patch.label,
                patch.fractions,
            )
            for patch in found
        ]

    found = map_windows(scene, cut, blocks(scene, size), factors=False, workers=workers)
    return [patch for block in found for patch in block]


def point_pool(
    scene: Scene, points: Shapes, size: int, classes: int, *, workers: int | None = None
) -> list[Tile]:
    """Lists the tiles around points, moved inside the scene.

    Args:
        scene: The scene.
        points: Where landslides are known to be; those outside do not count.
        size: Rows and columns of a tile.
        classes: Number of classes.
        workers: Threads.

    Returns:
        The tiles, each place once.

    Raises:
        DataError: If the scene is smaller than a tile or a file is corrupt.
    """
    check_size(scene, size)
    height, width = scene.grid.shape
    x, y = shapely.get_coordinates(points.geometries).T
    columns, rows = ~scene.grid.transform @ (x, y)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    tops = np.clip(np.floor(rows[inside] - size / 2), 0, height - size).astype(int)
    lefts = np.clip(np.floor(columns[inside] - size / 2), 0, width - size).astype(int)
    places = sorted(set(zip(tops.tolist(), lefts.tolist(), strict=True)))
    windows = [Window(row, column, size, size) for row, column in places]
    return survey(scene, windows, classes, workers=workers).tiles


def patches_of(tiles: Sequence[Tile]) -> list[Patch]:
    """Makes patches of tiles.

    The class of a patch is the one it shows most of in comparison with all tiles:
    the class with most pixels would be the commonest one nearly everywhere.

    Args:
        tiles: Tiles with counts, some of them labelled.

    Returns:
        One patch for each tile that has labels.

    >>> from landslide_tf.datasets.landslide_scenes.tiles import Tile
    >>> from landslide_tf.prepare.pool import patches_of
    >>> both = ((100, 0), (90, 10))
    >>> tiles = [Tile("s", 0, 10 * k, 10, counts=own) for k, own in enumerate(both)]
    >>> [patch.label for patch in patches_of(tiles)]
    [0, 1]
    """
    counts = np.array([tile.counts for tile in tiles], np.float64)
    total = counts.sum(axis=0)
    common = np.where(total > 0, total / max(1.0, total.sum()), np.inf)
    return [
        Patch(
            tile.scene,
            tile.row,
            tile.column,
            tile.size,
            int((own / common).argmax()),
            tuple((own / tile.size**2).tolist()),
        )
        for tile, own in zip(tiles, counts, strict=True)
        if own.any()
    ]


def sampled(patches: Sequence[Patch], method: SamplingMethod, seed: int) -> list[Tile]:
    """Draws training tiles; those of a place follow each other.

    Args:
        patches: The pool.
        method: As in `multistage_sample`.
        seed: Seed of the draw.

    Returns:
        The tiles, turned or mirrored where a patch comes again.

    >>> from landslide_tf.prepare import Patch
    >>> from landslide_tf.prepare.pool import sampled
    >>> sampled([Patch("s", 0, 8, 8, 1, (0.5, 0.5))], "original", seed=0)[0].counts
    (32, 32)
    """
    draws = multistage_sample(patches, method, seed=seed)
    tiles = []
    for patch, transform in draws:
        counts = np.rint(np.array(patch.fractions) * patch.size**2).astype(int)
        tiles.append(
            Tile(
                patch.id,
                patch.row,
                patch.column,
                patch.size,
                transform,
                tuple(counts.tolist()),
            )
        )
    return sorted(tiles)

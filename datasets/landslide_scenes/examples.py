"""From tiles to examples."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.raster.aligned import Window, mean_cell
from landslide_tf.raster.scene import Pixels, Scene, SceneReader
from landslide_tf.raster.tiles import IDENTITY, Tile, map_windows
from landslide_tf.terrain import dihedral, dihedral_factors

# The reader of a worker of Apache Beam, which makes one example after the other.
_OPEN = threading.local()

Example = dict[str, Any]  # as TFDS encodes it


def examples_of(
    scenes: Mapping[str, Scene],
    tiles: Sequence[Tile],
    dtype: str,
    workers: int | None = None,
) -> Iterator[tuple[str, Example]]:
    """Reads tiles as examples.

    Args:
        scenes: The scenes by id.
        tiles: The tiles, those of a scene one after the other.
        dtype: Type of `image`.
        workers: As in `map_windows`.

    Yields:
        Name and example of each tile.

    Raises:
        DataError: If pixels do not fit `dtype`, or a file is truncated or corrupt.
    """
    for name, group in groupby(tiles, key=lambda tile: tile.scene):
        scene, own = scenes[name], list(group)
        # Draws of one place differ in how they are turned and are read once.
        by_place = [list(same) for _, same in groupby(own, key=lambda t: t.window)]
        gsd = mean_cell(scene.grid)
        windows = (same[0].window for same in by_place)
        pixels = map_windows(scene, _keep, windows, workers=workers)
        for same, found in zip(by_place, pixels, strict=True):
            for tile in same:
                yield tile.id, _example(scene, tile, found, dtype, gsd)


def make_example(
    scenes: Mapping[str, Scene], dtype: str, tile: Tile
) -> tuple[str, Example]:
    """Reads one tile as an example; files stay open from tile to tile of a scene.

    Args:
        scenes: The scenes by id.
        dtype: Type of `image`.
        tile: The tile.

    Returns:
        Name and example.

    Raises:
        DataError: As `examples_of`.
    """
    scene = scenes[tile.scene]
    if getattr(_OPEN, "scene", None) is not scene:
        if hasattr(_OPEN, "reader"):
            _OPEN.reader.close()
        _OPEN.reader, _OPEN.scene = SceneReader(scene), scene
    pixels = _OPEN.reader.read(tile.window)
    return tile.id, _example(scene, tile, pixels, dtype, mean_cell(scene.grid))


def _keep(_window: Window, pixels: Pixels) -> Pixels:
    return pixels


def _example(
    scene: Scene, tile: Tile, pixels: Pixels, dtype: str, gsd: float
) -> Example:
    image = pixels.image
    if not np.can_cast(image.dtype, dtype, "same_kind") or (
        np.dtype(dtype).kind == "u" and image.dtype != dtype
    ):
        raise DataError(
            f"image `{scene.bands[0].path}` must hold {dtype} values, received "
            f"{image.dtype}; use the configuration for floats, or `landslide-tf "
            "prepare`."
        )
    turn = tile.transform
    example = {
        "image": dihedral(image, turn).astype(dtype),
        "mask": dihedral(pixels.mask, turn)[..., None],
        "valid": dihedral(pixels.valid, turn)[..., None],
        "id": tile.id,
        "scene": scene.id,
        "x0": tile.column,
        "y0": tile.row,
        "transform": np.array(_georeference(scene, tile)[:6], np.float64),
        "crs": scene.grid.crs.to_wkt(),
        "gsd": gsd,
    }
    if scene.factors:
        example["factors"] = dihedral_factors(pixels.factors, scene.factors, turn)
    return {
        name: np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value
        for name, value in example.items()
    }


def _georeference(scene: Scene, tile: Tile) -> Affine:
    """Returns where the pixels of an example lie, as it is turned."""
    transform = scene.grid.window(*tile.window).transform
    if tile.transform == IDENTITY:
        return transform
    # Where the first pixel, and those right of and below it, come from.
    rows, columns = (dihedral(x, tile.transform) for x in np.indices((tile.size,) * 2))
    step = min(1, tile.size - 1)
    x, y = float(columns[0, 0]), float(rows[0, 0])
    right = float(columns[0, step]) - x, float(rows[0, step]) - y
    down = float(columns[step, 0]) - x, float(rows[step, 0]) - y
    corner = (
        x + 0.5 - (right[0] + down[0]) / 2,
        y + 0.5 - (right[1] + down[1]) / 2,
    )
    turned = Affine(right[0], down[0], corner[0], right[1], down[1], corner[1])
    return transform @ turned

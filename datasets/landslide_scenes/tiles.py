"""Tiles of scenes: where they lie, which classes they show, examples made of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landslide_tf.datasets.common.tile_grid import starts
from landslide_tf.errors import DataError
from landslide_tf.raster.grid import Window, mean_cell
from landslide_tf.raster.scene import Scene
from landslide_tf.raster.scene_reader import Pixels, SceneReader
from landslide_tf.raster.systems import wkt_of
from landslide_tf.raster.windows import map_windows
from landslide_tf.terrain import dihedral, dihedral_factors, dihedral_transform

IDENTITY = "identity"
# The reader of a worker of Apache Beam, which makes one example after the other.
_OPEN = threading.local()

Example = dict[str, Any]  # as TFDS encodes it


class TileSizeError(DataError):
    """Tiles are too large for the scenes, or for where these have labels."""


class Tile(NamedTuple):
    """A square window of a scene that becomes an example.

    Attributes:
        scene: Id of the scene.
        row: First row.
        column: First column.
        size: Rows and columns.
        transform: How to turn or mirror it, one of `terrain.DIHEDRAL`.
        counts: Pixels of each class.
    """

    scene: str
    row: int
    column: int
    size: int
    transform: str = IDENTITY
    counts: tuple[int, ...] = ()

    @property
    def window(self) -> Window:
        """The window to read."""
        return Window(self.row, self.column, self.size, self.size)

    @property
    def id(self) -> str:
        """Name of the example."""
        name = f"{self.scene}_{self.row:05d}_{self.column:05d}"
        return name if self.transform == IDENTITY else f"{name}_{self.transform}"


class Survey(NamedTuple):
    """What windows of a scene hold.

    Attributes:
        tiles: The windows as tiles with their counts.
        low: Smallest value of each band, 0 where there is no valid pixel.
        high: Largest value of each band.
    """

    tiles: list[Tile]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def survey(
    scene: Scene,
    windows: Sequence[Window],
    classes: int,
    *,
    workers: int | None = None,
) -> Survey:
    """Reads windows of a scene once: their classes, and the range of the bands.

    Args:
        scene: The scene.
        windows: Square windows.
        classes: Number of classes.
        workers: As in `map_windows`.

    Returns:
        Tiles and ranges.

    Raises:
        DataError: As `SceneReader`.
    """

    def look(window: Window, pixels: Pixels) -> tuple[Tile, NDArray[np.float64]]:
        image = pixels.image.reshape(-1, pixels.image.shape[-1])
        ends = np.stack([image.min(axis=0), image.max(axis=0)])
        counts = np.bincount(pixels.mask.ravel(), minlength=256)[:classes].tolist()
        tile = Tile(scene.id, *window[:3], counts=tuple(counts))
        return tile, ends.astype(np.float64)

    found = list(map_windows(scene, look, windows, factors=False, workers=workers))
    ends = np.array([ends for _, ends in found]).reshape(-1, 2, len(scene.bands))
    tiles = [tile for tile, _ in found]
    return Survey(
        tiles,
        ends[:, 0].min(axis=0, initial=np.inf),
        ends[:, 1].max(axis=0, initial=-np.inf),
    )


def grid_windows(scene: Scene, size: int, stride: int) -> list[Window]:
    """Lists the windows of a regular grid over a scene.

    Args:
        scene: The scene.
        size: Rows and columns of a window, pixels.
        stride: Rows and columns from window to window.

    Returns:
        The windows, row by row.

    Raises:
        DataError: If the scene is smaller than a window, or the stride larger.
    """
    check_size(scene, size)
    if not 1 <= stride <= size:
        raise DataError(
            f"Expected `stride` from 1 to the tile's {size} pixels, received {stride}."
        )
    return [
        Window(row, column, size, size)
        for row in starts(scene.grid.height, size, stride)
        for column in starts(scene.grid.width, size, stride)
    ]


def grid_tiles(
    scene: Scene, size: int, stride: int, classes: int, *, workers: int | None = None
) -> list[Tile]:
    """Lists the tiles of a regular grid over a scene, row by row, with their counts.

    Arguments and errors are those of `grid_windows` and `survey`.
    """
    windows = grid_windows(scene, size, stride)
    return survey(scene, windows, classes, workers=workers).tiles


def check_size(scene: Scene, size: int) -> None:
    """Refuses tiles that are larger than the scene."""
    if not 1 <= size <= min(scene.grid.shape):
        raise TileSizeError(
            f"Expected tiles of at most {min(scene.grid.shape)} pixels, the smaller "
            f"side of scene `{scene.id}`, received {size}; choose smaller tiles or a "
            "finer `gsd`."
        )


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
        tags = " by the scale and offset of its tags" if scene.calibrated else ""
        raise DataError(
            f"image `{scene.bands[0].path}` must hold {dtype} values, received "
            f"{image.dtype}{tags}; use the configuration for floats, or `landslide-tf "
            "prepare`."
        )
    turn = tile.transform
    whole = scene.grid.window(*tile.window)
    placed = dihedral_transform(whole.transform, whole.shape, turn)
    example = {
        "image": dihedral(image, turn).astype(dtype),
        "mask": dihedral(pixels.mask, turn)[..., None],
        "valid": dihedral(pixels.valid, turn)[..., None],
        "id": tile.id,
        "scene": scene.id,
        "x0": tile.column,
        "y0": tile.row,
        "transform": np.array(placed[:6], np.float64),
        "crs": wkt_of(scene.grid),
        "gsd": gsd,
    }
    if scene.factors:
        example["factors"] = dihedral_factors(pixels.factors, scene.factors, turn)
    return {
        name: np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value
        for name, value in example.items()
    }

"""Reads windows of a scene: its image, factors and labels, and where they are valid."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.raster.bands import BandSource
from landslide_tf.raster.grid import Window
from landslide_tf.raster.image import AlignedBands
from landslide_tf.raster.labels import LabelReader
from landslide_tf.raster.masks import MaskReader
from landslide_tf.raster.scene import NDVI, Scene
from landslide_tf.terrain import FACTORS, ndvi


class _Closes(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=_Closes)

_SLOPE = "slope"
Terrain = tuple[FloatArray, NDArray[np.bool_]]  # factors, and where they are known


class Pixels(NamedTuple):
    """A window of a scene.

    Attributes:
        image: (h, w, C), 0 where it has no data or is masked.
        factors: float32 (h, w, F), NaN = no value.
        mask: uint8 (h, w), 255 = no label, or no valid pixel to see it by.
        valid: bool (h, w): `image` has data (`validity.known_cells`), the pixel counts
            by all masks and its slope and, where there is a DEM, the elevations of the
            3 × 3 cells around are known.

    >>> import numpy as np
    >>> from landslide_tf.raster.scene_reader import Pixels
    >>> valid = np.array([[True, False]])
    >>> mask = np.array([[1, 255]], np.uint8)
    >>> image, factors = np.zeros((1, 2, 3), np.uint8), np.zeros((1, 2, 0), np.float32)
    >>> pixels = Pixels(image, factors, mask, valid)
    >>> pixels.mask[pixels.valid].tolist()
    [1]
    """

    image: NDArray[Any]
    factors: FloatArray
    mask: NDArray[np.uint8]
    valid: NDArray[np.bool_]


class SceneReader:
    """Reads windows of a scene; an instance belongs to one thread.

    Args:
        scene: The scene.
        factors: Whether `read` makes the factors, which cost most of its time.
        skip_empty: Leaves the factors of windows without a valid pixel NaN.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.raster.scene import make_scene
    >>> from landslide_tf.raster.scene_reader import SceneReader
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 2, 2)
    >>> names = ("red", "green", "nir")
    >>> stored = np.arange(1, 13, dtype=np.uint8).reshape(3, 2, 2)
    >>> path = Path("/vsimem/scene.tif")  # a file in memory
    >>> write_plain(path, grid, Layer("uint8", 0, names), [(0, stored)])
    >>> scene = make_scene("valley", path, bands=names[:2], factors=["ndvi"])
    >>> with SceneReader(scene) as reader:
    ...     pixels = reader.read(Window(0, 0, 2, 2))
    >>> pixels.image.shape, pixels.factors[..., 0].round(3).astype(str).tolist()
    ((2, 2, 2), [['0.8', '0.667'], ['0.571', '0.5']])
    """

    def __init__(
        self, scene: Scene, *, factors: bool = True, skip_empty: bool = False
    ) -> None:
        self.scene, self._skip_empty = scene, skip_empty
        self._open = contextlib.ExitStack()
        self._factors = scene.factors if factors else ()
        self._bands = self._kept(self._aligned(scene.bands))
        self._labels = self._kept(LabelReader(scene.labels, scene.grid))
        self._masks = self._kept(MaskReader(scene.masks, scene.grid))
        self._rasters = {
            name: self._kept(AlignedRaster(path, name, scene.grid))
            for name, path in scene.rasters.items()
            if name in self._factors
        }
        rest = [name for name in self._factors if name not in self._rasters]
        self._terrain = [name for name in rest if name in FACTORS]
        self._dem: AlignedDem | None = None
        made = dict.fromkeys(self._terrain)  # in order
        if scene.min_slope is not None:
            made[_SLOPE] = None
        if made and scene.dem is not None:
            self._dem = self._kept(
                AlignedDem(scene.dem, scene.grid, list(made), scene.terrain)
            )
        # Bands of the image are not read a second time for the index.
        self._index: AlignedBands | list[int] | None = None
        if NDVI in rest and set(scene.ndvi_bands) <= set(scene.bands):
            self._index = [scene.bands.index(band) for band in scene.ndvi_bands]
        elif NDVI in rest:
            self._index = self._kept(self._aligned(scene.ndvi_bands))

    def _aligned(self, sources: Sequence[BandSource]) -> AlignedBands:
        scene = self.scene
        return AlignedBands(sources, scene.grid, scene.stored, nodata=scene.nodata)

    def _kept(self, opened: Opened) -> Opened:
        self._open.callback(opened.close)
        return opened

    @property
    def dtype(self) -> np.dtype[Any]:
        """What holds the values of all bands of `image`."""
        return np.dtype(np.float32) if self.scene.calibrated else self._bands.dtype

    def read(self, window: Window, *, whole: bool = False) -> Pixels:
        """Reads a window.

        Args:
            window: Part of the grid, inside it.
            whole: Reads image and factors where nothing counts, too.

        Returns:
            The pixels, all on the scene's grid.

        Raises:
            DataError: If a file is truncated or corrupt, or a label is no class.
        """
        kept = self._masks.read(window, whole=whole)
        if not (whole or kept.counts.any()):
            return self._empty(window)
        terrain: Terrain | None = None
        if self._dem is not None and self.scene.min_slope is not None:
            terrain = self._dem.read(window)
            slope = terrain[0][..., self._dem.factors.index(_SLOPE)]
            kept = replace(kept, inside=kept.inside & (slope >= self.scene.min_slope))
            if not (whole or kept.counts.any()):
                return self._empty(window)
        layers, valid = self._bands.read(window)
        valid &= kept.clear
        shown = layers
        if self.scene.calibrated:
            shown = [self._bands.physical(k, values) for k, values in enumerate(layers)]
        image = np.stack(shown, axis=-1)
        if not valid.all():
            image[~valid] = 0
        factors = np.full((*valid.shape, len(self._factors)), np.nan, np.float32)
        if whole or valid.any() or not self._skip_empty:
            valid &= self._read_factors(window, layers, valid, factors, terrain)
        # Ground around the area is seen and not judged: a map of the area is the part
        # of the whole map that lies in it.
        valid = valid & kept.inside
        mask = self._labels.read(window)
        mask[~valid] = IGNORE_VALUE
        return Pixels(image, factors, mask, valid)

    def _empty(self, window: Window) -> Pixels:
        """Returns a window of which nothing counts."""
        shape = (window.height, window.width)
        image = np.zeros((*shape, len(self.scene.bands)), self.dtype)
        factors = np.full((*shape, len(self._factors)), np.nan, np.float32)
        mask = np.full(shape, IGNORE_VALUE, np.uint8)
        return Pixels(image, factors, mask, np.zeros(shape, bool))

    def _read_factors(
        self,
        window: Window,
        layers: Sequence[NDArray[Any]],
        valid: NDArray[np.bool_],
        out: NDArray[np.float32],
        terrain: Terrain | None,
    ) -> NDArray[np.bool_]:
        """Fills in the factors; returns where the elevations around are known."""
        known = np.ones_like(valid)
        at = self._factors.index
        if self._dem is not None:
            values, known = terrain or self._dem.read(window)
            places = [at(name) for name in self._terrain]
            out[..., places] = values[..., : len(places)]
        for name, raster in self._rasters.items():
            (stored,), has = raster.read(window)
            layer = raster.physical(stored)
            if name == NDVI:
                layer = np.clip(layer, -1, 1)  # cubic convolution overshoots
            out[..., at(name)] = np.where(has, layer, np.nan)
        if self._index is not None:
            if isinstance(self._index, list):
                bands = [self._bands.physical(k, layers[k]) for k in self._index]
                has = valid
            else:
                bands, has = self._index.read(window, calibrated=True)
            index = ndvi(*bands, fill=np.nan)
            index[~(has & valid)] = np.nan
            out[..., at(NDVI)] = index
        return known

    def close(self) -> None:
        """Closes all files."""
        self._open.close()

    def __enter__(self) -> SceneReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

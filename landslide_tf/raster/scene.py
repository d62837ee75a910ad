"""A scene: image, elevations, further factors and labels on one grid."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.metadata import IGNORE_VALUE
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.raster.bands import BandSource, find_bands
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import (
    FilePath,
    Window,
    grid_of,
    north_up,
    open_raster,
    stored_grid,
    with_cell,
)
from landslide_tf.raster.ground import (
    check_dem,
    check_images,
    check_overlap,
    check_sentinels,
)
from landslide_tf.raster.image import AlignedBands
from landslide_tf.raster.labels import LabelOptions, LabelReader, Labels, read_labels
from landslide_tf.raster.masks import MaskFiles, MaskReader, Masks, read_masks
from landslide_tf.raster.scaling import are_tagged
from landslide_tf.terrain import FACTORS, Grid, ndvi


class _Closes(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=_Closes)

NDVI = "ndvi"
_SLOPE = "slope"
Terrain = tuple[FloatArray, NDArray[np.bool_]]  # factors, and where they are known


@dataclass(frozen=True)
class Scene:
    """Files of a scene and the grid they are read on.

    Attributes:
        id: Name of the scene.
        stored: Grid of the image's first file, as it is stored.
        grid: The common grid; north up where the image has a place and is not rotated.
        bands: Where the bands of `image` are.
        factors: Names of the factors.
        ndvi_bands: Where near infrared and red are, if the vegetation index is made of
            them.
        dem: Elevation model; factors of the terrain are NaN without one.
        rasters: Rasters of factors by name, such as the vegetation index.
        labels: What is where; None = nothing is known.
        masks: Which pixels count; None = all.
        min_slope: Smallest slope of pixels that count, degrees; None = any.
        terrain: How factors are made of elevations, see `AlignedDem`.
        calibrated: Whether `image` holds values in their unit, by the files' scale and
            offset, or as stored.
        nodata: Number that stands for no data in the image; None = as its files tag.
        about: Facts of the scene, such as sensor and date.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.bands import BandSource
    >>> from landslide_tf.raster.scene import Scene
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 2, 2)
    >>> names = ("red", "green", "blue")
    >>> bands = tuple(BandSource(name, "rgb.tif", k) for k, name in enumerate(names, 1))
    >>> Scene("valley", grid, grid, bands).image
    ('red', 'green', 'blue')
    """

    id: str
    stored: Grid
    grid: Grid
    bands: tuple[BandSource, ...]
    factors: tuple[str, ...] = ()
    ndvi_bands: tuple[BandSource, ...] = ()
    dem: DemFiles | None = None
    rasters: Mapping[str, FilePath] = field(default_factory=dict)
    labels: Labels | None = None
    masks: Masks | None = None
    min_slope: float | None = None
    terrain: Mapping[str, Any] = field(default_factory=dict)
    calibrated: bool = False
    nodata: float | None = None
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def image(self) -> tuple[str, ...]:
        """Names of the bands of `image`."""
        return tuple(band.name for band in self.bands)


def make_scene(
    name: str,
    image: FilePath | Sequence[FilePath] | Sequence[BandSource],
    *,
    bands: Sequence[str],
    factors: Sequence[str],
    choice: Mapping[str, int | str] | None = None,
    gsd: float | None = None,
    dem: DemFiles | None = None,
    rasters: Mapping[str, FilePath] | None = None,
    labels: Path | None = None,
    options: LabelOptions | None = None,
    masks: MaskFiles | None = None,
    min_slope: float | None = None,
    terrain: Mapping[str, Any] | None = None,
    calibrated: bool | None = None,
    nodata: float | None = None,
    anywhere: bool = False,
    about: Mapping[str, str] | None = None,
) -> Scene:
    """Checks a user's files and makes a scene of them; reads no pixels yet.

    Args:
        name: Id of the scene.
        image: The image, one file or several, or where its bands are.
        bands: Bands of `image`, in order.
        factors: Names of the factors; `ndvi` needs a raster of it or the bands `nir`
            and `red`.
        choice: Number from 1, or name, of each band in the image; None = found by name.
        gsd: Cell size to bring everything to, metres; None = that of the image.
        dem: Elevation model of any grid and system.
        rasters: Rasters of factors by name, any grid and system.
        labels: Polygons, a raster, or a labelme file; None = no labels.
        options: How labels are read.
        masks: Which pixels count; None = all.
        min_slope: As in `Scene`; needs a DEM.
        terrain: How factors are made of elevations, see `AlignedDem`.
        calibrated: As in `Scene`; None = where files tag a scale or an offset.
        nodata: As in `Scene`.
        anywhere: Takes an image without a place or a rotated one.
        about: Facts of the scene.

    Returns:
        The scene.

    Raises:
        DataError: If a file cannot be read or does not fit the image.

    >>> from pathlib import Path
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.scene import make_scene
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 4, 6)
    >>> path = Path("/vsimem/made.tif")  # a file in memory
    >>> layer = Layer("uint8", 0, ("nir", "red"))
    >>> write_plain(path, grid, layer, [])
    >>> scene = make_scene("valley", path, bands=["red"], factors=["ndvi"], gsd=20)
    >>> scene.bands[0].number, scene.grid.shape
    (2, (2, 3))
    """
    rasters = dict(rasters or {})
    index = ("nir", "red") if NDVI in factors and NDVI not in rasters else ()
    given = [image] if isinstance(image, str | os.PathLike) else list(image)
    files = [path for path in given if not isinstance(path, BandSource)]
    known = {band.name: band for band in given if isinstance(band, BandSource)}
    sources, index_sources = (
        find_bands(files, part, choice) if files else tuple(known[n] for n in part)
        for part in (bands, index)
    )
    first = files[0] if files else sources[0].path
    with open_raster(first, "image") as dataset:
        stored = stored_grid(dataset)
    own = north_up(stored)[0] if anywhere else grid_of(first, "image")
    grid = with_cell(own, gsd)
    scene = Scene(
        id=name,
        stored=stored,
        grid=grid,
        bands=sources,
        factors=tuple(factors),
        ndvi_bands=index_sources,
        dem=dem,
        rasters=rasters,
        min_slope=min_slope,
        terrain=dict(terrain or {}),
        calibrated=are_tagged(sources) if calibrated is None else calibrated,
        nodata=nodata,
        about=dict(about or {}),
    )
    _check_files(scene)
    if labels is not None:
        read = read_labels(labels, grid, own, options or LabelOptions())
        scene = replace(scene, labels=read)
    return replace(scene, masks=read_masks(masks or MaskFiles(), grid, stored))


def _check_files(scene: Scene) -> None:
    """Refuses files that do not show the ground of a scene, or hide missing values."""
    grid = scene.grid
    upright = grid.crs is not None and not grid.is_rotated
    if scene.dem is not None and not upright:
        raise DataError(
            f"image `{scene.bands[0].path}` must have a coordinate reference system and"
            f" must not be rotated for factors made of elevations, received {grid}: "
            "assign it (`rio edit-info`), or warp it to a north-up grid first "
            "(`gdalwarp`)."
        )
    if scene.dem is not None:
        check_dem(scene.dem, grid, scene.terrain)
    bands = (*scene.bands, *scene.ndvi_bands)
    check_images(bands, scene.stored, grid, nodata=scene.nodata)
    for kind, path in scene.rasters.items():
        what = kind.upper() if kind == NDVI else kind
        if upright:
            check_overlap(path, what, grid)
        check_sentinels(path, what)


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
    >>> from landslide_tf.raster.scene import Pixels
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
    >>> from landslide_tf.raster.scene import SceneReader, make_scene
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

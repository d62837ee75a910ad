"""A scene: image, elevations, further factors and labels on one grid."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from landslide_tf.errors import DataError
from landslide_tf.raster.bands import BandSource, find_bands
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import grid_of, north_up, stored_grid_of, with_cell
from landslide_tf.raster.ground import (
    check_dem,
    check_images,
    check_overlap,
    check_sentinels,
)
from landslide_tf.raster.labels import LabelOptions, Labels, read_labels
from landslide_tf.raster.masks import MaskFiles, Masks, read_masks
from landslide_tf.raster.names import FilePath
from landslide_tf.raster.scaling import are_tagged
from landslide_tf.terrain import Grid

NDVI = "ndvi"


@dataclass(frozen=True)
class Scene:
    """Files of a scene and the grid on which they are read.

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
    labels: FilePath | None = None,
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
    stored = stored_grid_of(first, "image")
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

"""One generated tile, byte-equal from its seed."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from scipy.ndimage import gaussian_filter, zoom

from landslide_tf.array_types import FloatArray
from landslide_tf.datasets.common.splits import SPLITS
from landslide_tf.datasets.synthetic_landslides.ground import (
    BARE,
    BUILDING,
    FOREST,
    LANDSLIDE,
    ROAD,
    WATER,
    add_buildings,
    add_lake,
    add_roads,
    add_soil,
    hillside,
    nodata_holes,
    sun,
)
from landslide_tf.errors import DataError
from landslide_tf.terrain import aspect, slope

VISIBLE_SHADING = 0.35
_SUNS = (315.0, 135.0, 225.0, 45.0)  # azimuth by region, degrees
_SMALLEST = 32  # below this no soil patch fits
REGIONS = ("arid plateau", "humid valley", "loess", "volcanic")

# Mean red, green, blue of soil, building, forest, water, road, by region. Soil is
# the colour of landslides and of bare land alike: only the terrain tells them apart.
_PALETTES = np.array(
    [
        [168, 142, 112, 186, 178, 170, 86, 98, 62, 70, 104, 112, 158, 140, 118],
        [150, 138, 126, 176, 110, 92, 44, 82, 44, 36, 88, 96, 146, 138, 130],
        [196, 168, 118, 150, 146, 150, 110, 124, 66, 120, 116, 86, 188, 164, 124],
        [104, 86, 76, 208, 206, 200, 66, 104, 58, 34, 56, 84, 100, 90, 84],
    ],
    np.float64,
).reshape(4, 5, 3)
_BARE_SHIFT = np.array([-45.0, -35.0, -20.0])  # where colour alone must tell
_SEASONS = np.array([(0, 0, 0), (25, 10, -5), (45, 25, 10), (-15, -20, -10)], float)
_TEXTURE = {LANDSLIDE: 0.06, BUILDING: 0.04, FOREST: 0.10, WATER: 0.02, ROAD: 0.04}
_NDVI = {LANDSLIDE: 0.08, BUILDING: 0.05, FOREST: 0.62, WATER: -0.25, ROAD: 0.06}
_COARSE = 4  # cells of the tile in a cell of the vegetation index


class Tile(TypedDict):
    """Arrays of a tile, rows from north to south.

    `image` uint8 (H, W, 3) red, green, blue; `dem` float32 (H, W) metres, NaN = no
    value; `slope` and `aspect` float32 (H, W) degrees, aspect clockwise from north,
    -1 = flat, NaN = no value; `ndvi` float32 (H, W); `mask` uint8 (H, W).
    """

    image: np.ndarray
    dem: FloatArray
    slope: FloatArray
    aspect: FloatArray
    ndvi: FloatArray
    mask: np.ndarray
    region: int
    index: int


def generate_tile(
    seed: int,
    region: int,
    split: str,
    index: int,
    *,
    size: int = 128,
    cell: float = 2.0,
    nodata_fraction: float = 0.0,
    shading: float | None = None,
    visible: bool = False,
) -> Tile:
    """Generates one tile of `synthetic_landslides`.

    Everything visible is drawn without regard to the terrain; a soil patch on steep
    ground is a landslide, one on flat ground is bare land. Equal arguments give
    byte-equal arrays.

    Args:
        seed: Seed of the data set, 0 or more.
        region: 0 arid plateau, 1 humid valley, 2 loess, 3 volcanic.
        split: `train`, `validation` or `test`.
        index: Number of the tile in its region and split, 0 or more.
        size: Rows and columns, a multiple of 4, at least 32.
        cell: Ground size of a cell, metres.
        nodata_fraction: Share of cells whose elevation is taken away, 0 to below 1;
            image and mask stay as they are.
        shading: How far the sun darkens the image by relief, 0 to 1. It leaks the
            terrain into the colours. None = 0, or 0.35 where `visible`.
        visible: Whether bare land differs from landslides in colour, with a sun and
            a season for each region; the mask is then 0 background, 1 landslide.

    Returns:
        The tile.

    Raises:
        DataError: If an argument is out of its range.
    """
    _check(seed, region, split, index, size, cell, nodata_fraction, shading)
    entropy = [seed, region, SPLITS.index(split), index]
    rng = Generator(PCG64(SeedSequence(entropy)))
    dem, lake = add_lake(rng, hillside(rng, size, cell))
    labels = np.full((size, size), FOREST, np.uint8)
    labels[lake] = WATER
    add_soil(rng, labels, slope(dem, cell, edges="compute"))
    add_roads(rng, labels)
    add_buildings(rng, labels)
    if shading is None:
        shading = VISIBLE_SHADING if visible else 0.0
    azimuth = _SUNS[region] if visible else _SUNS[0]
    light = sun(dem, cell, azimuth, shading) if shading else 1.0
    image = paint(rng, labels, palette(region, visible), light)
    ndvi = vegetation(rng, labels)
    if nodata_fraction:
        dem = np.where(nodata_holes(rng, size, nodata_fraction), np.nan, dem)
    # The factors come from the stored elevations, so that a user finds them again.
    dem = dem.astype(np.float32)
    return Tile(
        image=image,
        dem=dem,
        slope=slope(dem, cell, edges="compute"),
        aspect=aspect(dem, cell, edges="compute"),
        ndvi=ndvi,
        mask=(labels == LANDSLIDE).astype(np.uint8) if visible else labels,
        region=region,
        index=index,
    )


def _check(
    seed: int,
    region: int,
    split: str,
    index: int,
    size: int,
    cell: float,
    nodata_fraction: float,
    shading: float | None,
) -> None:
    """Raises a DataError for an argument out of its range."""
    last = len(REGIONS) - 1
    for fits, wanted, received in (
        (split in SPLITS, f"`split` must be one of {SPLITS}", repr(split)),
        (region in range(len(REGIONS)), f"`region` must be 0 to {last}", region),
        (min(seed, index) >= 0, "`seed` and `index` must be 0 or more", (seed, index)),
        (
            size >= _SMALLEST and size % 4 == 0,
            f"`size` must be a multiple of 4 and at least {_SMALLEST}",
            size,
        ),
        (
            np.isfinite(cell) and cell > 0,
            "`cell` must be a positive number of metres",
            cell,
        ),
        (
            0 <= nodata_fraction < 1,
            "`nodata_fraction` must lie in [0, 1)",
            nodata_fraction,
        ),
        (
            shading is None or 0 <= shading <= 1,
            "`shading` must lie in [0, 1]",
            shading,
        ),
    ):
        if not fits:
            raise DataError(f"{wanted}, received {received}.")


def palette(region: int, visible: bool) -> FloatArray:
    """Returns the mean colour of each class.

    Args:
        region: Index into `REGIONS`.
        visible: Whether bare land has a colour of its own and forest a season.

    Returns:
        Red, green, blue of the six classes (6, 3), float64, 0 to 255.
    """
    colours = _PALETTES[region][[0, 1, 2, 3, 4, 0]]
    if visible:
        colours[BARE] += _BARE_SHIFT
        colours[FOREST] += _SEASONS[region]
    return colours


def paint(
    rng: Generator, labels: np.ndarray, colours: FloatArray, light: FloatArray | float
) -> np.ndarray:
    """Draws the picture of a tile.

    Args:
        rng: The tile's random stream.
        labels: Classes (size, size), uint8.
        colours: Mean colour of each class (6, 3), 0 to 255.
        light: Brightness of each cell (size, size), or 1.0 for even light.

    Returns:
        Red, green, blue (size, size, 3), uint8.
    """
    texture = gaussian_filter(rng.standard_normal(labels.shape), 2)
    texture = (texture - texture.mean()) / texture.std()
    contrast = _by_class(_TEXTURE)[labels]
    image = colours[labels] * (1 + contrast * texture)[..., None]
    image += 4 * rng.standard_normal(3)
    image += 5 * rng.standard_normal((*labels.shape, 3))
    image *= np.broadcast_to(light, labels.shape)[..., None]
    image = gaussian_filter(image, (0.6, 0.6, 0))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def vegetation(rng: Generator, labels: np.ndarray) -> FloatArray:
    """Draws a vegetation index at a quarter of the tile's resolution.

    Args:
        rng: The tile's random stream.
        labels: Classes (size, size), uint8; size a multiple of 4.

    Returns:
        NDVI (size, size), float32, in [-1, 1].
    """
    size = labels.shape[0]
    index = _by_class(_NDVI)[labels]
    index = index + 0.35 * gaussian_filter(rng.standard_normal(labels.shape), 2)
    index += 0.03 * rng.standard_normal(labels.shape)
    blocks = size // _COARSE
    index = index.reshape(blocks, _COARSE, blocks, _COARSE).mean(axis=(1, 3))
    return np.clip(zoom(index, _COARSE, order=3), -1, 1).astype(np.float32)


def _by_class(values: dict[int, float]) -> FloatArray:
    """Makes a lookup table by class; bare land takes the value of landslides."""
    return np.array([values[k] for k in sorted(values)] + [values[LANDSLIDE]])

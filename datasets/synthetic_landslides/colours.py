"""Colours and vegetation index of a generated tile, drawn blind to the terrain."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter, zoom

from landslide_tf.array_types import FloatArray
from landslide_tf.datasets.synthetic_landslides.objects import (
    BARE,
    BUILDING,
    FOREST,
    LANDSLIDE,
    ROAD,
    WATER,
)

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

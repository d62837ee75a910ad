"""Relief of a generated tile: a tilted, terraced, rough hillside with a lake."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.ndimage import distance_transform_edt, gaussian_filter

from landslide_tf.array_types import FloatArray
from landslide_tf.datasets.synthetic_landslides.objects import blob
from landslide_tf.terrain import hillshade

TERRACE_DEPTH = 0.9  # the local gradient swings between 1 - a and 1 + a times s
BASE_ELEVATION = 3200.0  # metres
LAKE_SHORE = 6.0  # cells over which a lake's level is blended into the ground


def hillside(rng: Generator, size: int, cell: float) -> FloatArray:
    """Draws the elevation of a terraced hillside.

    Treads are about 2 degrees steep and risers about 33 degrees.

    Args:
        rng: The tile's random stream.
        size: Rows and columns.
        cell: Ground size of a cell, metres.

    Returns:
        Elevation (size, size), float64, metres.
    """
    azimuth = 2 * np.pi * rng.random()
    gradient = 0.32 + 0.06 * rng.random()
    wavelength = 64 + 32 * rng.random()
    rough = gaussian_filter(_fractal(rng, size, 4.0), 4)
    y, x = np.mgrid[:size, :size] * cell
    plane = gradient * (np.cos(azimuth) * x + np.sin(azimuth) * y) + 3.0 * rough
    # The phase lies in [0, 1) radians, not in a full turn.
    phase = rng.random()
    period = wavelength * cell * gradient
    wave = np.sin(2 * np.pi * plane / period + phase)
    terraced = plane - TERRACE_DEPTH * period / (2 * np.pi) * wave
    detail = 0.08 * gaussian_filter(_fractal(rng, size, 2.6), 1)
    return BASE_ELEVATION + terraced + detail


def add_lake(rng: Generator, dem: FloatArray) -> tuple[FloatArray, np.ndarray]:
    """Levels a lake into the ground of every second tile.

    Args:
        rng: The tile's random stream.
        dem: Elevation (size, size), metres.

    Returns:
        The elevation with the lake, and the lake's cells, bool (size, size).
    """
    size = dem.shape[0]
    if rng.random() >= 0.5:
        return dem, np.zeros_like(dem, bool)
    centre = rng.random(2) * size
    lake = blob(rng, size, centre, 8 + 8 * rng.random())
    if not lake.any():
        return dem, lake
    weight = np.clip(1 - distance_transform_edt(~lake) / LAKE_SHORE, 0, 1)
    weight = 3 * weight**2 - 2 * weight**3
    return weight * np.median(dem[lake]) + (1 - weight) * dem, lake


def sun(dem: FloatArray, cell: float, azimuth: float, strength: float) -> FloatArray:
    """Computes how bright the sun makes each cell.

    Args:
        dem: Elevation (size, size), metres.
        cell: Ground size of a cell, metres.
        azimuth: Direction of the sun, degrees clockwise from north.
        strength: 0 = the relief is invisible, 1 = a plain hillshade.

    Returns:
        Factors (size, size) in [1 - strength, 1].
    """
    shade = hillshade(dem, cell, azimuth=azimuth, edges="compute")
    return 1 - strength + strength * shade.astype(np.float64) / 255


def nodata_holes(rng: Generator, size: int, fraction: float) -> np.ndarray:
    """Draws connected holes that cover a given share of the tile.

    Args:
        rng: The tile's random stream.
        size: Rows and columns.
        fraction: Share of cells without elevation, 0 to 1.

    Returns:
        The holes, bool (size, size).
    """
    holes = np.zeros(size * size, bool)
    field = gaussian_filter(rng.standard_normal((size, size)), 3).ravel()
    holes[np.argsort(field, kind="stable")[: round(fraction * holes.size)]] = True
    return holes.reshape(size, size)


def _fractal(rng: Generator, size: int, beta: float) -> FloatArray:
    """Draws a standardised field whose power falls as frequency to the -beta."""
    spectrum = np.fft.fft2(rng.standard_normal((size, size)))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    frequency[0, 0] = 1.0
    amplitude = frequency ** (-beta / 2)
    amplitude[0, 0] = 0.0
    field = np.fft.ifft2(spectrum * amplitude).real
    return (field - field.mean()) / field.std()

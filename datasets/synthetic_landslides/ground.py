"""The ground of a generated tile: relief, lake, soil, roads, buildings, holes.

Apart from `generate`, which draws the picture: together they would be too long.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter

from landslide_tf.array_types import FloatArray
from landslide_tf.terrain import hillshade

# Class numbers of land cover.
LANDSLIDE, BUILDING, FOREST, WATER, ROAD, BARE = range(6)

STEEP = 25.0  # degrees: a soil patch whose median is steeper is a landslide
FLAT = 12.0  # degrees: one whose median is flatter is bare ground
_PATCHES, _TRIES, _CLEARANCE = 4, 12, 4
_ELONGATION = np.sqrt(1.6)
TERRACE_DEPTH = 0.9  # the local gradient swings between 1 - a and 1 + a times s
BASE_ELEVATION = 3200.0  # metres
LAKE_SHORE = 6.0  # cells over which a lake's level is blended into the ground


def blob(rng: Generator, size: int, centre: FloatArray, radius: float) -> np.ndarray:
    """Draws an elongated patch with a wavy outline.

    Args:
        rng: The tile's random stream.
        size: Rows and columns of the tile.
        centre: Row and column of the centre, cells.
        radius: Mean radius, cells.

    Returns:
        The patch, bool (size, size).
    """
    orientation = np.pi * rng.random()
    waves = np.arange(2, 6)
    amplitudes = 0.12 * rng.standard_normal(4) / np.sqrt(waves - 1)
    phases = 2 * np.pi * rng.random(4)
    y, x = np.mgrid[:size, :size] - np.reshape(centre, (2, 1, 1))
    cos, sin = np.cos(orientation), np.sin(orientation)
    along = (x * cos + y * sin) / _ELONGATION
    across = (y * cos - x * sin) * _ELONGATION
    distance = np.hypot(along, across)
    # No wave reaches farther, and most cells are out of its reach.
    patch = distance < radius * (1 + np.abs(amplitudes).sum())
    angle = np.arctan2(across[patch], along[patch])
    outline = np.ones_like(angle)
    for k, amplitude, phase in zip(waves, amplitudes, phases, strict=True):
        outline += amplitude * np.cos(k * angle + phase)
    patch[patch] = distance[patch] < radius * outline
    return patch


def add_soil(rng: Generator, labels: np.ndarray, slope: FloatArray) -> None:
    """Lays soil patches: landslides on steep ground, bare land on flat ground.

    The patches of both classes come from one distribution of shapes; nothing is
    drawn on ground of medium steepness.

    Args:
        rng: The tile's random stream.
        labels: Classes (size, size), uint8, written in place.
        slope: Slope (size, size), degrees.
    """
    size = labels.shape[0]
    for _ in range(_PATCHES):
        landslide = rng.random() < 0.5
        for _ in range(_TRIES):
            centre = 8 + rng.random(2) * (size - 16)
            patch = blob(rng, size, centre, 6 + 5 * rng.random())
            if not patch.any():
                continue
            around = binary_dilation(patch, iterations=_CLEARANCE)
            if (labels[around] != FOREST).any():
                continue
            steepness = np.median(slope[patch])
            if steepness >= STEEP if landslide else steepness <= FLAT:
                labels[patch] = LANDSLIDE if landslide else BARE
                break


def add_roads(rng: Generator, labels: np.ndarray) -> None:
    """Lays one or two winding roads over forest, whatever the slope.

    Args:
        rng: The tile's random stream.
        labels: Classes (size, size), uint8, written in place.
    """
    size = labels.shape[0]
    for _ in range(2 if rng.random() < 0.4 else 1):
        direction = np.pi * rng.random()
        centre = (0.2 + 0.6 * rng.random(2)) * size
        amplitude = 24 * (rng.random() - 0.5)
        frequency = 0.5 + rng.random()
        phase = 6.28 * rng.random()
        t = np.linspace(-0.2, 1.2, 400)
        along = (t - 0.5) * 1.5 * size
        across = amplitude * np.sin(2 * np.pi * frequency * t + phase)
        cos, sin = np.cos(direction), np.sin(direction)
        rows = np.rint(centre[0] + along * sin + across * cos).astype(int)
        columns = np.rint(centre[1] + along * cos - across * sin).astype(int)
        inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
        road = np.zeros_like(labels, bool)
        road[rows[inside], columns[inside]] = True
        road = binary_dilation(road, np.ones((3, 3), bool))
        labels[road & (labels == FOREST)] = ROAD


def add_buildings(rng: Generator, labels: np.ndarray) -> None:
    """Sets up to six rotated rectangles on forest, whatever the slope.

    Args:
        rng: The tile's random stream.
        labels: Classes (size, size), uint8, written in place.
    """
    size = labels.shape[0]
    for _ in range(rng.integers(0, 7)):
        centre = rng.random(2) * size
        half = 2 + 3 * rng.random(2)
        orientation = np.pi * rng.random()
        y, x = np.mgrid[:size, :size] - np.reshape(centre, (2, 1, 1))
        cos, sin = np.cos(orientation), np.sin(orientation)
        house = (np.abs(x * cos + y * sin) <= half[0]) & (
            np.abs(y * cos - x * sin) <= half[1]
        )
        labels[house & (labels == FOREST)] = BUILDING


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

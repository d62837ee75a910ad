"""What lies on the ground of a generated tile: blobs, soil, roads, buildings."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.ndimage import binary_dilation

from landslide_tf.array_types import FloatArray

CLASSES = ("landslide", "building", "forest", "water", "road", "bare")
LANDSLIDE, BUILDING, FOREST, WATER, ROAD, BARE = range(6)

STEEP = 25.0  # degrees: a soil patch whose median is steeper is a landslide
FLAT = 12.0  # degrees: one whose median is flatter is bare ground
_PATCHES, _TRIES, _CLEARANCE = 4, 12, 4
_ELONGATION = np.sqrt(1.6)


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
    angle = np.arctan2(across, along)
    outline = np.ones_like(angle)
    for k, amplitude, phase in zip(waves, amplitudes, phases, strict=True):
        outline += amplitude * np.cos(k * angle + phase)
    return np.hypot(along, across) < radius * outline


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

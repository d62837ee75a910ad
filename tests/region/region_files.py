"""Regions of small made-up scenes, mapped by a model that returns its image."""

import os

import numpy as np
from rasterio import Affine

from tests.mapping import map_files as files

NAMES = ("stable", "slide")
CELL = 10
EAST, NORTH = 500_000, 4_600_000


def place(column=0, row=0, cell=CELL, origin=(EAST, NORTH)):
    """The transform of a scene whose corner is that many cells off the first."""
    east, north = origin
    return Affine(cell, 0, east + column * cell, 0, -cell, north - row * cell)


def write_scene(path, slides, *, shape=(40, 40), at=(0, 0), crs=files.CRS, **options):
    """A scene of 0.04 with boxes (top, left, bottom, right, chance) of landslide."""
    chance = np.full(shape, 0.04, np.float32)
    for top, left, bottom, right, value in slides:
        chance[top:bottom, left:right] = value
    transform = options.pop("transform", place(*at))
    values = np.stack([1 - chance, chance])
    return files.write(
        path, values, names=NAMES, transform=transform, crs=crs, **options
    )


def load():
    """Loads the model."""
    return [files.identity()]


def load_apart():
    """The same in a process of its own, where TensorFlow need not start."""
    os.environ["KERAS_BACKEND"] = "jax"
    return load()

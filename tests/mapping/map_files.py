"""Small scenes, and models that are plain functions of their inputs."""

import numpy as np
import rasterio
from rasterio import Affine

from landslide_tf.mapping import Member
from landslide_tf.metadata import Band, Factor, ModelMetadata

NORTH_UP = Affine(10, 0, 500_000, 0, -10, 4_600_000)
CRS = "EPSG:32633"


def write(path, values, *, transform=NORTH_UP, crs=CRS, names=(), **options):
    """Writes (bands, h, W) as a GeoTIFF and returns its path as text."""
    values = np.asarray(values)
    with rasterio.open(
        path, "w", driver="GTiff", count=len(values), height=values.shape[1],
        width=values.shape[2], dtype=values.dtype, crs=crs, transform=transform,
        **options,
    ) as dataset:  # fmt: skip
        dataset.write(values)
        for number, name in enumerate(names, 1):
            dataset.set_band_description(number, name)
    return str(path)


def chances(height, width, seed=0):
    """Two bands (2, h, W) that are probabilities in steps of 1/250."""
    landslide = np.random.default_rng(seed).integers(0, 251, (height, width)) / 250
    return np.stack([1 - landslide, landslide]).astype(np.float32)


def metadata(**changes):
    known = {
        "name": "identity",
        "builder": "unet",
        "arguments": {},
        "inputs": [Band(name="stable"), Band(name="slide")],
        "classes": ["background", "landslide"],
        "landslide_class": 1,
    }
    return ModelMetadata(**(known | changes))


def identity(**changes):
    """A model that returns its image."""
    return Member(lambda inputs: inputs["image"], metadata(**changes))


SLOPE = Factor(name="slope", unit="degree")
ASPECT = Factor(name="aspect", unit="degree")


def of_factors(function, factors=(SLOPE,), **changes):
    """A model whose landslide probability is a function of its factors."""

    def predict(inputs):
        landslide = function(np.nan_to_num(inputs["factors"]))
        return np.stack([1 - landslide, landslide], -1).astype(np.float32)

    return Member(predict, metadata(factors=list(factors), **changes))

"""Small mapped scenes: a class map and the polygons that `map` would write of it."""

import datetime
import json

import numpy as np
from rasterio import Affine
from scipy import ndimage

from landslide_tf.inventory import MappedScene
from landslide_tf.mapping.polygons import find_landslides, write_landslides
from landslide_tf.raster.cog import Layer, fractions, write_plain
from landslide_tf.raster.legend import Legend
from landslide_tf.terrain import Grid

SIDE = 60
DATE = datetime.date(2024, 5, 31)


def grid(crs="EPSG:32633", east=500_000, north=4_600_000, cell=10.0):
    return Grid(crs, Affine(cell, 0, east, 0, -cell, north), SIDE, SIDE)


def blobs(seed=0, share=0.15):
    """Classes (H, W) with some landslides of irregular shape."""
    noise = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    field = ndimage.gaussian_filter(noise, 2)
    return (field > np.quantile(field, 1 - share)).astype(np.uint8)


def tags(image="image.tif", **others):
    found = {"MODEL": "bright", "MODEL_VERSION": "a1", "DATA_LICENCE": "CC-BY-4.0"}
    return found | Legend(("other", "landslide"), 1).tags() | {
        "IMAGE": json.dumps([image]), "LANDSLIDE_TF_VERSION": "0.1.0"
    } | others  # fmt: skip


def mapped(folder, classes, place=None, *, image="image.tif", version="a1", **facts):
    """Writes a map, its probabilities and its polygons, and describes them."""
    place = place or grid()
    stem = f"{image.removesuffix('.tif')}_{version}"
    paths = {kind: folder / f"{stem}_{kind}.tif" for kind in ("map", "chances", "01")}
    said = tags(image, MODEL_VERSION=version)
    layer = Layer("uint8", 255, ["class"], tags=said)
    write_plain(paths["map"], place, layer, [(0, classes[None])])
    row = np.arange(SIDE)[:, None] / SIDE
    chances = np.where(classes == 1, 0.5 + row / 2, row / 4)
    stored = np.rint(chances * 250).astype(np.uint8)[None]
    write_plain(paths["chances"], place, fractions(["landslide"], {}, float32=False),
                [(0, stored)])  # fmt: skip
    landslide = (classes == 1).astype(np.uint8)[None]
    write_plain(
        paths["01"], place, Layer("uint8", 255, ["landslide"]), [(0, landslide)]
    )
    found = find_landslides(paths["01"], place, probability=paths["chances"])
    polygons = folder / f"{stem}.gpkg"
    write_landslides(found, polygons, "GPKG")
    given = {"date": DATE, "region": "Alps"} | facts
    return MappedScene(map=paths["map"], polygons=polygons, **given)

"""A small map with all that a page of it shows, for tests of pages."""

import json

import numpy as np
import pyogrio
import rasterio
import shapely
from rasterio import Affine

from landslide_tf.raster.dem import DemFiles
from landslide_tf.report import MapDate, write_map_page

HOSTILE = "</script><script>window.hit=1</script><img src=x onerror='window.hit=1'>\"'&"
CELL, LEFT, TOP = 10.0, 500_000.0, 4_600_000.0
NORTH_UP = Affine(CELL, 0, LEFT, 0, -CELL, TOP)


def raster(path, values, *, transform=NORTH_UP, crs="EPSG:32633", tags=(), **options):
    values = np.atleast_3d(values.T).T if values.ndim == 2 else values
    with rasterio.open(
        path, "w", driver="GTiff", count=len(values), height=values.shape[1],
        width=values.shape[2], dtype=values.dtype, crs=crs, transform=transform,
        **options,
    ) as dataset:  # fmt: skip
        dataset.write(values)
        dataset.update_tags(**dict(tags))
    return path


def scene(folder, height=60, width=90, names=("background", "landslide")):
    """A map, an image, a DEM of another grid, probabilities and three polygons."""
    rng = np.random.default_rng(0)
    classes = np.zeros((height, width), np.uint8)
    classes[10:20, 10:30] = classes[40:50, 60:64] = classes[30:32, 5:10] = 1
    classes[:, -5:] = 255
    tags = {"CLASSES": json.dumps(names), "LANDSLIDE_CLASS": "1", "THRESHOLD": "0.5"}
    raster(folder / "map.tif", classes, nodata=255, tags=tags)
    image = rng.integers(100, 3000, (4, height, width)).astype(np.uint16)
    raster(folder / "image.tif", image, nodata=0)
    chances = np.where(classes == 255, 255, classes * 200 + 20).astype(np.uint8)
    with rasterio.open(raster(folder / "p.tif", chances, nodata=255), "r+") as dataset:
        dataset.scales = [1 / 250]
    heights = np.add.outer(np.arange(50.0), np.zeros(60)).astype(np.float32) * 8
    moved = Affine(20, 0, LEFT - 50, 0, -20, TOP + 50)
    raster(folder / "dem.tif", heights, transform=moved)
    boxes = [(10, 10, 30, 20), (60, 40, 64, 50), (5, 30, 10, 32)]
    shapes = [
        shapely.box(LEFT + a * CELL, TOP - b * CELL, LEFT + c * CELL, TOP - d * CELL)
        for a, b, c, d in boxes
    ]
    table = {
        "id": np.array([1, 2, 3]),
        "area_m2": shapely.area(shapes),
        "area_px": np.array([200, 40, 10]),
        "probability": np.array([0.61, 0.98, np.nan]),
        "max_prob": np.array([0.9, 1.0, np.nan]),
        "note": np.array([HOSTILE, "b", "a"], object),
    }
    pyogrio.raw.write(
        folder / "found.gpkg", shapely.to_wkb(shapes), list(table.values()),
        np.array(list(table), object), geometry_type="Polygon", crs="EPSG:32633",
        driver="GPKG",
    )  # fmt: skip
    return folder


def date(folder, name="2024"):
    image = [(str(folder / "image.tif"), band) for band in (3, 2, 1)]
    return MapDate(
        name=name, map=folder / "map.tif", image=image, probabilities=folder / "p.tif"
    )


def whole_page(folder, path, **options):
    """The page of a scene with everything on it."""
    facts = {"scene": HOSTILE, "pixels": 5400}
    return write_map_page(
        path, HOSTILE, [date(folder)], facts=facts, dem=DemFiles(folder / "dem.tif"),
        polygons=folder / "found.gpkg", **options,
    )  # fmt: skip

"""Writes small georeferenced scenes with every oddity that users' files have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image
from rasterio import Affine

CRS = "EPSG:32633"
CELL = 10.0


def picture(height, width, bands=3, seed=0, dtype=np.uint8, top=255):
    """Smooth colours with noise, (bands, H, W); no 0."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    wave = np.sin(x / 9 + seed) + np.cos(y / 7)
    layers = [(wave * (k + 1) + rng.random((height, width))) for k in range(bands)]
    out = np.stack(layers)
    out = (out - out.min()) / np.ptp(out)
    return (1 + out * (top - 2)).astype(dtype)


def hills(height, width):
    y, x = np.mgrid[:height, :width]
    return (800 + 3 * x + 60 * np.sin(y / 11)).astype(np.float32)


def write(path, array, transform=None, crs=CRS, **options):
    """Writes (bands, H, W) or (H, W) as GeoTIFF."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    array = array[None] if array.ndim == 2 else array
    if transform is None:
        transform = Affine(CELL, 0, 500000, 0, -CELL, 5000000)
    descriptions = options.pop("descriptions", None)
    if len(array) == 4:
        options |= {"photometric": "minisblack", "alpha": "unspecified"}
    with rasterio.open(
        path, "w", driver="GTiff", count=len(array),
        height=array.shape[1], width=array.shape[2], dtype=array.dtype, crs=crs,
        transform=transform, **options,
    ) as dataset:  # fmt: skip
        dataset.write(array)
        if descriptions:
            dataset.descriptions = descriptions
    return path


def write_png(path, mask):
    """A mask without any georeference."""
    Image.fromarray(mask).save(path)
    return path


def place(left=0, top=0, cell=CELL):
    """A transform `left` and `top` cells of 10 m from the corner of all scenes."""
    return Affine(cell, 0, 500000 + CELL * left, 0, -cell, 5000000 - CELL * top)


def square(left, top, right, bottom, **properties):
    """A polygon feature in cells of the scenes' grid."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    ring = [(500000 + CELL * x, 5000000 - CELL * y) for x, y in corners]
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def write_geojson(path, features, crs=CRS):
    content = {"type": "FeatureCollection", "features": features}
    if crs:
        name = f"urn:ogc:def:crs:{crs.replace(':', '::')}"
        content["crs"] = {"type": "name", "properties": {"name": name}}
    Path(path).write_text(json.dumps(content))
    return path


def write_labelme(path, size, shapes):
    """`shapes` are (label, kind, points in pixels)."""
    content = {
        "imageHeight": size[0],
        "imageWidth": size[1],
        "imagePath": "image.tif",
        "shapes": [
            {"label": label, "shape_type": kind, "points": points, "group_id": None}
            for label, kind, points in shapes
        ],
    }
    Path(path).write_text(json.dumps(content))
    return path


def write_scene(folder, number=0, size=(64, 64), bands=3):
    """A scene with a DEM on another grid and system, polygons and a nodata corner."""
    folder = Path(folder)
    height, width = size
    shift = 2 * number * max(size)  # scenes lie apart
    image = picture(height, width, bands, seed=number)
    image[:, :3, :5] = 0
    write(folder / "image.tif", image, place(shift), nodata=0)
    dem = hills(height // 2 + 8, width // 2 + 8)
    dem[8, 8] = -9999
    write(folder / "dem.tif", dem, place(shift - 8, -8, 20.0), nodata=-9999)
    step = 32
    write_geojson(
        folder / "polygons.geojson",
        [
            square(shift + x + 6, y + 6, shift + x + 20, y + 16, kind="scar")
            for y in range(0, height - 20, step)
            for x in range(0, width - 20, step)
        ],
    )
    return folder


def write_scenes(root, count=6, **options):
    for number in range(count):
        write_scene(Path(root) / f"s{number}", number, **options)

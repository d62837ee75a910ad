"""Writes generated scenes in the layouts of Mangkam and Jiuzhaigou.

    python -m tests.benchmarks.land_cover_scenes --out MANUAL_DIR [--size 384]
        [--mangkam 30] [--jiuzhaigou 18]

Scenes are those of `synthetic_landslides`, with as many landslides, roads and buildings
an area, but larger: landslides and bare ground look alike, and the slope tells them
apart. Mangkam is region 0, Jiuzhaigou region 1, with other colours. Written are

- `MANUAL_DIR/mangkam`: pairs of six classes, split by the builder;
- `MANUAL_DIR/jiuzhaigou`: a third of its scenes with polygons of landslides, all of
  which test, as published;
- `MANUAL_DIR/labelled/jiuzhaigou`: all of its scenes with rasters of six classes, the
  same third to test, for `finetune`.
"""

import argparse
from pathlib import Path

import numpy as np
import rasterio.features
import shapely
from numpy.random import PCG64, Generator, SeedSequence
from rasterio import Affine

from landslide_tf.datasets.synthetic_landslides.generate import (
    paint,
    palette,
    vegetation,
)
from landslide_tf.datasets.synthetic_landslides.ground import (
    FOREST,
    LANDSLIDE,
    WATER,
    add_buildings,
    add_lake,
    add_roads,
    add_soil,
    hillside,
)
from landslide_tf.raster.cog import Layer, write_plain
from landslide_tf.raster.polygons import write_polygons
from landslide_tf.terrain import Grid, slope

CELL, TILE = 2.0, 128  # metres; pixels of the tiles that densities are taken from
HEADER = "id,satellite,date,resolution_m"


def scene(region, number, size):
    """Image, elevations, vegetation index and classes, each (size, size)."""
    rng = Generator(PCG64(SeedSequence([region, number, size])))
    dem, lake = add_lake(rng, hillside(rng, size, CELL))
    labels = np.full((size, size), FOREST, np.uint8)
    labels[lake] = WATER
    steep = slope(dem, CELL, edges="compute")
    for _ in range((size // TILE) ** 2):
        add_soil(rng, labels, steep)
    for _ in range(size // TILE):
        add_roads(rng, labels)
    for _ in range((size // TILE) ** 2):
        add_buildings(rng, labels)
    image = paint(rng, labels, palette(region, visible=False), 1.0)
    return image, dem.astype(np.float32), vegetation(rng, labels), labels


def write_scene(folder, name, grid, found, *, rasters):
    """Writes the files of a pair, its classes only with `rasters`."""
    image, dem, index, labels = found
    layers = {
        "images": (np.moveaxis(image, -1, 0), Layer("uint8", None, list("rgb"))),
        "dem": (dem[None], Layer("float32", -9999, ["dem"], unit="metre")),
        "ndvi": (index[None], Layer("float32", -9999, ["ndvi"])),
    }
    if rasters:
        layers["labels"] = labels[None], Layer("uint8", 255, ["class"])
    for kind, (values, layer) in layers.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        write_plain(folder / kind / f"{name}.tif", grid, layer, [(0, values)])


def landslides(labels, grid):
    """Polygons of the landslides of a scene."""
    mask = (labels == LANDSLIDE).astype(np.uint8)
    shapes = rasterio.features.shapes(
        mask, mask=mask, connectivity=8, transform=grid.transform
    )
    return [shapely.geometry.shape(shape) for shape, _ in shapes]


def place(number, size, system):
    """Grids that lie apart."""
    west = 500_000 + 2 * number * size * CELL
    transform = Affine(CELL, 0, west, 0, -CELL, 3_300_000)
    return Grid(system, transform, size, size)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=3 * TILE)
    parser.add_argument("--mangkam", type=int, default=30)
    parser.add_argument("--jiuzhaigou", type=int, default=18)
    options = parser.parse_args()
    rows = [HEADER]
    for number in range(options.mangkam):
        grid = place(number, options.size, "EPSG:32647")
        found = scene(0, number, options.size)
        name = f"mangkam-{number}"
        write_scene(options.out / "mangkam", name, grid, found, rasters=True)
        rows.append(f"{name},generated,2018-01,{CELL:g}")
    (options.out / "mangkam" / "pairs.csv").write_text("\n".join(rows) + "\n")

    tests, labelled = options.out / "jiuzhaigou", options.out / "labelled/jiuzhaigou"
    tested, rows, polygons = [HEADER], [f"{HEADER},split"], []
    for number in range(options.jiuzhaigou):
        grid = place(number, options.size, "EPSG:32648")
        found = scene(1, number, options.size)
        name = f"jiuzhaigou-{number}"
        row = f"{name},generated,2017-08,{CELL:g}"
        split = ("test", "train", "train", "test", "train", "val")[number % 6]
        write_scene(labelled, name, grid, found, rasters=True)
        rows.append(f"{row},{split}")
        if split == "test":
            write_scene(tests, name, grid, found, rasters=False)
            tested.append(row)
            polygons += landslides(found[-1], grid)
    (labelled / "pairs.csv").write_text("\n".join(rows) + "\n")
    (tests / "pairs.csv").write_text("\n".join(tested) + "\n")
    (tests / "labels").mkdir(exist_ok=True)
    path = tests / "labels" / "landslides.gpkg"
    drawn = np.array(polygons, object)
    write_polygons(path, "GPKG", drawn, {}, "EPSG:32648", layer="landslides")


if __name__ == "__main__":
    main()

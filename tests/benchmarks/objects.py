"""Measures memory and time of what is done with many landslides.

    python -m tests.benchmarks.objects [--size 10000] [--number 100000] [--out FILE]

Writes a mask of `size` × `size` cells with about `number` objects, a map without any, a
probability and an elevation model row by row, then runs each step in a process of its
own. Prints one JSON record: seconds and the largest resident memory in GiB by step, and
the objects. Asserts nothing about time.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
from rasterio import Affine

from landslide_tf import objects
from landslide_tf.inventory import MappedScene, add_scene
from landslide_tf.mapping import Reference, evaluate_map, map_changes
from landslide_tf.mapping.polygons import find_landslides, write_landslides
from landslide_tf.raster.cog import Layer, write_plain
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.legend import Legend
from landslide_tf.recognition import Maps, recognise
from landslide_tf.terrain import Grid
from tests.benchmarks.processes import peak_mib, publish, record_of

STEPS = (
    "outlines", "attributes", "polygons", "amalgamated", "inventory", "evaluate",
    "recognise", "changes",
)  # fmt: skip


def grid_of(size):
    return Grid("EPSG:32633", Affine(5, 0, 500_000, 0, -5, 4_700_000), size, size)


def write_scene(folder, size, number):
    """Ellipses on a jittered lattice, so that they rarely touch."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(number)))
    step = size / side
    middle = (np.arange(side) + 0.5) * step
    y, x = np.meshgrid(middle, middle, indexing="ij")
    y, x = (v + rng.uniform(-0.1, 0.1, v.shape) * step for v in (y, x))
    a, b = rng.uniform(0.08, 0.35, (2, side, side)) * step
    mask = np.zeros((size, size), np.uint8)
    for row in range(side):
        for column in range(side):
            cy, cx, h, w = (
                y[row, column],
                x[row, column],
                a[row, column],
                b[row, column],
            )
            top, left = int(max(cy - h, 0)), int(max(cx - w, 0))
            rows = np.arange(top, int(min(cy + h + 2, size)))[:, None]
            columns = np.arange(left, int(min(cx + w + 2, size)))
            inside = ((rows - cy) / h) ** 2 + ((columns - cx) / w) ** 2 < 1
            mask[top : top + len(rows), left : left + len(columns)] |= inside
    grid, blocks = grid_of(size), range(0, size, 500)
    tags = {"IMAGE": '["image.tif"]', "MODEL": "ellipses"}
    tags |= Legend(("other", "landslide"), 1).tags()
    layer = Layer("uint8", 255, ["class"], tags=tags)
    write_plain(folder / "map.tif", grid, layer, [(0, mask[None])])
    none = ((k, np.zeros((1, min(500, size - k), size), np.uint8)) for k in blocks)
    write_plain(folder / "before.tif", grid, layer, none)
    chances = Layer("float32", float("nan"), ["landslide"])
    rows = ((k, mask[None, k : k + 500] * np.float32(0.5) + 0.25) for k in blocks)
    write_plain(folder / "chances.tif", grid, chances, rows)
    heights = Layer("float32", -9999, ["elevation"])
    rows = ((k, heights_of(k, min(k + 500, size), size)) for k in blocks)
    write_plain(folder / "dem.tif", grid, heights, rows)


def heights_of(first, last, size):
    """Waves of ground, (1, rows, columns)."""
    down, across = np.arange(first, last)[:, None] / 250, np.arange(size) / 300
    return (900 + 200 * np.sin(down) * np.cos(across)).astype(np.float32)[None]


def run(step, folder, size):
    """Returns how many objects a step found."""
    grid = grid_of(size)
    dem = DemFiles(folder / "dem.tif")
    if step == "polygons":
        found = find_landslides(
            folder / "map.tif", grid, probability=folder / "chances.tif", dem=dem
        )
        write_landslides(found, folder / "landslides.gpkg", "GPKG")
        return len(found)
    if step == "inventory":
        mapped = MappedScene(
            map=folder / "map.tif", polygons=folder / "landslides.gpkg",
            date=date(2024, 5, 31), region="Alps",
        )  # fmt: skip
        return add_scene(folder / "inventory.gpkg", mapped).landslides
    if step == "evaluate":  # with itself: every object has a pair
        return evaluate_map(folder / "map.tif", folder / "map.tif").objects["iou"].tp
    if step == "changes":  # every object is new
        maps = [folder / "before.tif", folder / "map.tif"]
        return len(map_changes(maps, folder / "changes").objects)
    if step == "recognise":
        maps = Maps(folder / "map.tif", probabilities=folder / "chances.tif", dem=dem)
        done = recognise(
            maps,
            folder / "recognised",
            reference=lambda own: Reference(folder / "map.tif", own),
        )
        return done.stages[0].objects
    found, _ = objects.outlines(folder / "map.tif", grid)
    if step == "attributes":
        objects.measure(found, grid)
        objects.pixel_attributes(
            found, grid, probability=folder / "chances.tif", dem=dem
        )
    if step == "amalgamated":
        objects.amalgamated(found, grid)
    return len(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--number", type=int, default=100_000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        started = time.perf_counter()
        number = run(options.step, options.folder, options.size)
        gib = round(peak_mib() / 1024, 2)
        seconds = round(time.perf_counter() - started, 1)
        print(json.dumps({"seconds": seconds, "gib": gib, "objects": number}))
        return
    record = {
        "size": options.size,
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "steps": {},
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scene(folder, options.size, options.number)
        for step in STEPS:
            size = ("--size", options.size)
            found = record_of("objects", *size, "--step", step, "--folder", name)
            record["steps"][step] = found
    publish(record, options.out)


if __name__ == "__main__":
    main()

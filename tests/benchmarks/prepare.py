"""Measures memory and time of `landslide-tf prepare` on one large generated scene.

    python -m tests.benchmarks.prepare [--size 10000] [--workers 2] [--out FILE.json]

Writes a scene of `size` × `size` cells (8-bit red, green, blue, near infrared; a DEM of
three times coarser cells; some thousand polygons) window by window, then prepares it in
a process of its own for each way of cutting. Prints one JSON record: seconds, the
largest resident memory of that process in GiB, examples, and bytes written. Asserts
nothing about time.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio import Affine
from rasterio.windows import Window

from tests.benchmarks.processes import peak_mib, publish, record_of

CELL, BLOCK = 1.0, 1000
CRS = "EPSG:32633"


def waves(rows, columns, seed):
    """Smooth ground, float32 (rows, columns), about -2 to 2."""
    rng = np.random.default_rng(seed)
    out = np.zeros((len(rows), len(columns)), np.float32)
    for length in (60.0, 220.0, 900.0, 3000.0):
        a, b = rng.uniform(0, 6, 2)
        out += np.sin(rows[:, None] / length + a) * np.cos(columns / length + b) / 2
    return out


def write_image(path, size):
    options = {"tiled": True, "blockxsize": 512, "blockysize": 512}
    with rasterio.open(
        path, "w", driver="GTiff", count=4, dtype="uint8", height=size, width=size,
        crs=CRS, transform=Affine(CELL, 0, 500000, 0, -CELL, 5000000),
        photometric="minisblack", alpha="unspecified", BIGTIFF="IF_SAFER", **options,
    ) as dataset:  # fmt: skip
        dataset.descriptions = ("red", "green", "blue", "nir")
        rng = np.random.default_rng(0)
        for top in range(0, size, BLOCK):
            for left in range(0, size, BLOCK):
                height, width = min(BLOCK, size - top), min(BLOCK, size - left)
                rows = np.arange(top, top + height)
                columns = np.arange(left, left + width)
                for band in range(1, 5):
                    ground = 128 + 45 * waves(rows, columns, band)
                    ground += rng.normal(0, 6, ground.shape)
                    values = ground.clip(1, 255).astype(np.uint8)
                    dataset.write(values, band, window=Window(left, top, width, height))


def write_dem(path, size):
    cells = size // 3 + 20
    place = np.arange(cells) * 3.0
    dem = (900 + 150 * waves(place, place, 9)).astype(np.float32)
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype="float32", height=cells, width=cells,
        crs=CRS, transform=Affine(3 * CELL, 0, 499980, 0, -3 * CELL, 5000020),
        tiled=True,
    ) as dataset:  # fmt: skip
        dataset.write(dem, 1)


def write_polygons(path, size):
    rng = np.random.default_rng(1)
    features = []
    for x, y in rng.uniform(0, size - 80, (max(20, size * size // 40000), 2)):
        w, h = rng.uniform(20, 80, 2)
        ring = [(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)]
        ring = [(500000 + CELL * a, 5000000 - CELL * b) for a, b in ring]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {}, "geometry": geometry})
    name = {"name": f"urn:ogc:def:crs:{CRS.replace(':', '::')}"}
    content = {"type": "FeatureCollection", "crs": {"type": "name", "properties": name}}
    path.write_text(json.dumps({**content, "features": features}))


def prepare(folder, cutting, workers):
    """Prepares the scene in this process and prints what it took."""
    from landslide_tf.prepare import Inputs, Options
    from landslide_tf.prepare import prepare as run
    from landslide_tf.raster.dem import DemFiles

    dem = DemFiles(folder / "dem.tif")
    started = time.perf_counter()
    made = run(
        [Inputs(folder / "scene.tif", folder / "polygons.geojson", dem)],
        folder / cutting,
        Options(patches=cutting, workers=workers),
    )
    seconds = time.perf_counter() - started
    written = sum(p.stat().st_size for p in made.dataset.iterdir())
    record = {
        "cutting": cutting,
        "seconds": round(seconds, 1),
        "peak_gib": round(peak_mib() / 1024, 2),
        "examples": dict(made.counts),
        "written_gib": round(written / 2**30, 2),
    }
    print(json.dumps(record))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=10000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--in-folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cutting", nargs="+", default=["grid", "superpixels"])
    chosen = parser.parse_args()
    if chosen.in_folder:
        prepare(chosen.in_folder, chosen.cutting[0], chosen.workers)
        return
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_image(folder / "scene.tif", chosen.size)
        write_dem(folder / "dem.tif", chosen.size)
        write_polygons(folder / "polygons.geojson", chosen.size)
        for cutting in chosen.cutting:
            case = ("--cutting", cutting, "--workers", chosen.workers)
            results.append(record_of("prepare", "--in-folder", name, *case))
            print(results[-1], file=sys.stderr)
    record = {
        "benchmark": "prepare",
        "size": chosen.size,
        "workers": chosen.workers,
        "cores": os.cpu_count(),
        "load": [round(value, 1) for value in os.getloadavg()],
        "python": platform.python_version(),
        "rasterio": rasterio.__version__,
        "results": results,
    }
    publish(record, chosen.out)


if __name__ == "__main__":
    main()

"""A region of 24 scenes of mixed sizes and systems, mapped by a process that is killed.

`python -m tests.region.many LIST OUT ADDRESS` maps it on a cluster.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from rasterio.warp import transform

from landslide_tf.mapping import MapOptions, SceneFiles
from landslide_tf.region import RegionJob, map_region, read_scenes
from tests.mapping import map_files as files
from tests.region import region_files as made

SYSTEMS = ("EPSG:32633", "EPSG:32632", "EPSG:3857", "EPSG:4326")
OPTIONS = MapOptions(window=256, overlap=32, batch=4, min_area=0)
LARGEST = 6000  # cells of a side
DEGREE = 1e-4  # a cell in degrees


def load():
    """A model that returns its image, and needs slopes for it."""
    return [files.identity(factors=[files.SLOPE])]


def load_slowly():
    """The same, slowly enough to be killed, in a process without TensorFlow."""
    os.environ["KERAS_BACKEND"] = "jax"
    (member,) = load()

    def predict(inputs):
        time.sleep(0.1)
        return inputs["image"]

    return [replace(member, predict=predict)]


def write(folder, *, number=24, largest=LARGEST):
    """Writes the scenes; returns their list.

    Of one the file is cut off, one has no elevations, and two show the same ground.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["image,dem,date,id"]
    for k in range(number):
        size = largest if k == 3 else int(rng.integers(60, 200))
        system = SYSTEMS[k % len(SYSTEMS)]
        cell = DEGREE if system == "EPSG:4326" else 10
        # The second lies half on the first, whose system it has.
        east, north = (500_000 + 500, 4_600_000) if k == 4 else (
            500_000 + 4_000 * (k % 6), 4_600_000 - 8_000 * (k // 6)
        )  # fmt: skip
        (x,), (y,) = transform("EPSG:32633", system, [east], [north])
        place = made.place(cell=cell, origin=(x, y))
        slides = [
            (row, column, row + 9, column + 14, 0.9)
            for row, column in rng.integers(0, size - 15, (size // 20, 2)).tolist()
        ]
        image, dem = folder / f"s{k:03}.tif", folder / f"heights{k:03}.tif"
        made.write_scene(image, slides, shape=(size, size), crs=system, transform=place)
        heights = np.add.outer(np.arange(size), np.arange(size))[None] * 0.3
        files.write(dem, heights.astype(np.float32), crs=system, transform=place)
        lines.append(
            f"{image.name},{'' if k == 7 else dem.name},2024-01-{1 + k % 28:02},s{k:03}"
        )
    broken = folder / "s005.tif"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    path = folder / "list.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def job(out, slow=False):
    loads = load_slowly if slow else load
    return RegionJob(loads, out, SceneFiles(()), OPTIONS, probabilities=True)


def rasters(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*.tif")}


if __name__ == "__main__":
    from landslide_tf.region.cluster import Cluster

    listed, out, address = sys.argv[1:]
    asked = job(Path(out), slow=True)
    engine = Cluster(asked, address, workers=2, unit=4_000_000)
    region = map_region(asked, read_scenes(listed), engine=engine)
    print(len(region.mapped), sorted(region.failed), region.kept)

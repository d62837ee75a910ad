"""Times slope, aspect and hillshade against the GDAL library inside rasterio.

    python -m tests.benchmarks.terrain [--size 4000] [--repeats 15] [--out FILE.json]

Two comparisons, both sides interleaved in one process: array to array, and file to
file (float32 DEM to a tiled GeoTIFF, as `gdaldem -co TILED=YES` does). Prints one JSON
record: megapixels a second from the median time, the ratio ours / GDAL's, the largest
difference inside the edge ring, and the memory our functions take beside input and
output. Asserts nothing about time.
"""

import argparse
import importlib.util
import os
import platform
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import rasterio

from landslide_tf.terrain import aspect, hillshade, slope
from tests.benchmarks.processes import publish

CELL = 10.0
MODES = {"slope": slope, "aspect": aspect, "hillshade": hillshade}


def load_reference():
    """Returns the module through which the tests call GDAL."""
    path = Path(__file__).parent.parent / "terrain" / "gdal_reference.py"
    spec = importlib.util.spec_from_file_location("gdal_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def relief(size):
    """Returns a rough float32 elevation model of (size, size) cells."""
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((size, size)).cumsum(0).cumsum(1)
    return (1500 + 400 * steps / np.abs(steps).max() + rng.random(steps.shape)).astype(
        np.float32
    )


def write(path, values):
    """Writes a tiled GeoTIFF."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=values.shape[0],
        width=values.shape[1],
        count=1,
        dtype=values.dtype,
        crs="EPSG:32633",
        transform=rasterio.Affine(CELL, 0, 5e5, 0, -CELL, 5e6),
        nodata=0 if values.dtype == np.uint8 else -9999,
        tiled=True,
    ) as dataset:
        dataset.write(values, 1)


def ours(source, target, function):
    """Does with a file what gdaldem does."""
    with rasterio.open(source) as dataset:
        dem, nodata = dataset.read(1), dataset.nodata
    options = {} if function is hillshade else {"gdal_compat": True}
    write(target, function(dem, CELL, edges="nodata", nodata=nodata, **options))


def extra_memory(function, dem):
    """Returns MiB that a call takes at its peak, beside input and output."""
    tracemalloc.start()
    out = function(dem, CELL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak - out.nbytes) / 2**20


def seconds(call):
    """Returns the wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(mode, dem, source, folder, reference, repeats):
    """Returns the record of one mode."""
    function = MODES[mode]
    theirs_path, ours_path = folder / "theirs.tif", folder / "ours.tif"
    calls = {
        "array": lambda: function(dem, CELL),
        "file": lambda: ours(source, ours_path, function),
        "gdal": lambda: reference.process(
            source, theirs_path, mode, "-co", "TILED=YES"
        ),
    }
    times = {name: [] for name in calls}
    for repeat in range(repeats + 2):  # two rounds of warming up
        for name, call in calls.items():
            taken = seconds(call)
            if repeat >= 2:
                times[name].append(taken)
    speed = {n: dem.size / 1e6 / statistics.median(t) for n, t in times.items()}
    with rasterio.open(theirs_path) as a, rasterio.open(ours_path) as b:
        theirs, mine = a.read(1).astype(float), b.read(1).astype(float)
    difference = np.abs(theirs - mine)
    if mode == "aspect":
        difference = np.minimum(difference, 360 - difference)
    return {
        "array_mpx_s": round(speed["array"], 1),
        "file_mpx_s": round(speed["file"], 1),
        "gdal_file_mpx_s": round(speed["gdal"], 1),
        "file_ratio": round(speed["file"] / speed["gdal"], 2),
        "largest_difference": float(difference.max()),
        "extra_mib": round(extra_memory(function, dem), 1),
    }


def main():
    """Runs the comparison and prints its record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    reference = load_reference()
    if reference.library() is None:
        parser.exit(1, "rasterio brings no GDAL library that can be called here\n")
    dem = relief(options.size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "dem.tif"
        write(source, dem)
        record = {
            "size": [options.size, options.size],
            "repeats": options.repeats,
            "gdal": rasterio.__gdal_version__,
            "numpy": np.__version__,
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "load_1min": round(os.getloadavg()[0], 2),
            "results": {
                mode: compare(mode, dem, source, folder, reference, options.repeats)
                for mode in MODES
            },
        }
    publish(record, options.out)


if __name__ == "__main__":
    main()

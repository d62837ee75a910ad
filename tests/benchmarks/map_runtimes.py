"""Maps by one trained network in each runtime: whole commands, and what they change.

    python -m tests.benchmarks.map_runtimes --manual-dir MMLSV2 [--side 8]
        [--repeats 5] [--cases saved_model openvino/bfloat16 ...] [--out FILE.json]

The tiles of MMLS v2 lie side by side as one scene of `--side` x `--side` tiles. The
shipped network `mmlsv2` is exported in each format and precision, and `landslide-tf
map` maps the scene with each, in turns. `seconds` is the median of the whole command,
`ratio` that over the SavedModel's, `changed` the share of pixels with another class
than in the SavedModel's map, and `iou` the landslide IoU with the labels, of which the
network has seen most in training: compare it between rows only.
Prints one JSON record. Asserts nothing about time.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio

from tests.benchmarks import runtimes
from tests.benchmarks.processes import publish

TILE, CELL = 128, 232.0
BANDS = "red=5,green=6,blue=7,thermal=1,gray=4"
FACTORS = {"slope": 2, "dem": 3}  # the numbers of the bands in a tile
CASES = (
    "saved_model",
    "openvino/float32",
    "openvino/bfloat16",
    "openvino/int8",
    "onnx/float32",
    "litert/float32",
)


def mosaic(folder: Path, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns bands and labels of the first tiles, side by side."""
    paths = sorted(folder.rglob("images/*.tif"))[: side * side]
    bands = np.zeros((7, TILE * side, TILE * side), np.float32)
    labels = np.zeros((TILE * side, TILE * side), bool)
    for number, path in enumerate(paths):
        row, column = (TILE * k for k in divmod(number, side))
        place = np.s_[row : row + TILE, column : column + TILE]
        with rasterio.open(path) as tile:
            bands[:, *place] = tile.read()
        with rasterio.open(path.parents[1] / "masks" / path.name) as tile:
            labels[place] = tile.read(1) > 0
    return bands, labels


def write(path: Path, bands: np.ndarray) -> None:
    """Writes a raster of Mars in the cells of the tiles."""
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[1], width=bands.shape[2],
        count=len(bands), dtype="float32", tiled=True, compress="lzw",
        crs="+proj=eqc +R=3396190 +units=m", nodata=-9999,
        transform=rasterio.Affine(CELL, 0, 0, 0, -CELL, 0),
    ) as file:  # fmt: skip
        file.write(bands)


def export(cases: list[str], folder: Path, bands: np.ndarray) -> None:
    """Writes the shipped network in every format."""
    from landslide_tf import models, saved_models
    from landslide_tf.metadata import ModelMetadata

    shipped = saved_models.path("mmlsv2") / "1"
    metadata = ModelMetadata.read(shipped)
    model = models.build_described(metadata, shipped / "model.weights.h5")
    tiles = [bands[:, k : k + TILE, k : k + TILE] for k in range(0, 8 * TILE, TILE)]
    sample = [
        {
            "image": tile[[4, 5, 6, 0, 3]].transpose(1, 2, 0)[None],
            "factors": tile[[1, 2]].transpose(1, 2, 0)[None],
        }
        for tile in tiles
    ]
    for case in cases:
        runtimes.write(model, metadata, folder / case, case, sample)


def mapped(model: Path, scene: Path) -> float:
    """Returns the seconds that the whole command takes."""
    start = time.perf_counter()
    factors = [f"{name}={scene / name}.tif" for name in FACTORS]
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from landslide_tf.cli.main import main; main()"),
            *("map", model, "--image", scene / "mosaic.tif", "--bands", BANDS),
            *("--factor", factors[0], "--factor", factors[1]),
            *("--out", scene / "map.tif", "--overwrite"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{model}: {done.stderr[-2000:]}")
    return time.perf_counter() - start


def compared(cases: tuple[str, ...], folder: Path, repeats: int) -> dict[str, dict]:
    """Maps with every export and returns what each took and changed."""
    with rasterio.open(folder / "labels.tif") as file:
        labels = file.read(1) > 0
    runs: dict[str, list[float]] = {case: [] for case in cases}
    maps = {}
    for _ in range(repeats):
        for case in cases:
            runs[case].append(mapped(folder / case, folder))
            with rasterio.open(folder / "map.tif") as file:
                maps[case] = file.read(1) == 1
    first = cases[0]
    median = {case: statistics.median(found) for case, found in runs.items()}
    return {
        case: {
            "seconds": round(median[case], 2),
            "ratio": round(median[case] / median[first], 3),
            "changed": round(float((maps[case] != maps[first]).mean()), 6),
            "iou": round(
                float((maps[case] & labels).sum() / (maps[case] | labels).sum()), 4
            ),
        }
        for case in cases
    }


def main() -> None:
    """Runs all and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manual-dir", type=Path, required=True)
    parser.add_argument("--side", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bands, labels = mosaic(given.manual_dir, given.side)
        write(folder / "mosaic.tif", bands)
        write(folder / "labels.tif", labels[None].astype(np.float32))
        for factor, number in FACTORS.items():
            write(folder / f"{factor}.tif", bands[number - 1][None])
        export(given.cases, folder, bands)
        load = round(os.getloadavg()[0], 1)
        cases = compared(tuple(given.cases), folder, given.repeats)
    record = {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "load_1min": load,
        "pixels": (TILE * given.side) ** 2,
        "repeats": given.repeats,
        "cases": cases,
    }
    publish(record, given.out)


if __name__ == "__main__":
    main()

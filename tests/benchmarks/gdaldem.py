"""Slope and aspect of one large elevation model against the `gdaldem` command.

    python -m tests.benchmarks.gdaldem [--size 10000] [--repeats 3]

File to file, float32 to a tiled GeoTIFF, each run a process of its own, in turns. Ours
twice: `strips` calls `terrain.slope` or `aspect` on strips of rows, as `gdaldem` works;
`windows` makes slope and aspect together through the windows that `landslide-tf map`
reads, into two files. `other grid` does the same from a model of 30 m in the
neighbouring UTM zone, against `gdalwarp -r cubic` and `gdaldem` twice; GDAL places
cells to an eighth of a cell by default, and exactly, as ours, with `-et 0`. Seconds are
those of the whole process, memory its largest resident size. Writes `gdaldem.json`.
"""

from __future__ import annotations

import argparse
import json
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
from rasterio.warp import transform_bounds
from rasterio.windows import Window

HERE = Path(__file__).parent
CELL, ROWS, NODATA = 10.0, 256, -9999
LEFT, TOP, ZONE = 5e5, 5e6, "EPSG:32633"
COARSE, NEIGHBOUR = 30.0, "EPSG:32632"


def created(
    path: Path, grid: tuple[float, float, float, str], height: int, width: int
) -> rasterio.io.DatasetWriter:
    """Opens a tiled GeoTIFF for writing; the grid is its cell, left, top and system."""
    cell, left, top, system = grid
    return rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=1,
        dtype="float32", crs=system, nodata=NODATA, tiled=True,
        transform=rasterio.Affine(cell, 0, left, 0, -cell, top),
    )  # fmt: skip


FINE = (CELL, LEFT, TOP, ZONE)


def fine_bounds(size: int) -> tuple[float, float, float, float]:
    """Returns left, bottom, right and top of the grid that factors are made on."""
    return LEFT, TOP - size * CELL, LEFT + size * CELL, TOP


def write_dem(
    path: Path, grid: tuple[float, float, float, str], height: int, width: int
) -> None:
    """Writes a rough float32 elevation model, strip by strip."""
    rng = np.random.default_rng(0)
    along = rng.standard_normal(width).cumsum()
    with created(path, grid, height, width) as dataset:
        for row in range(0, height, ROWS):
            rows = np.arange(row, min(row + ROWS, height))
            waves = np.sin(rows[:, None] / 97) * 40 + np.cos(rows[:, None] / 13) * 5
            heights = 1500 + 4 * along + waves + rng.random((len(rows), width))
            dataset.write(
                heights.astype(np.float32), 1, Window(0, row, *heights.T.shape)
            )


def write_neighbour(path: Path, size: int) -> None:
    """Writes a coarser model in the neighbouring zone that reaches around the grid."""
    left, bottom, right, top = transform_bounds(ZONE, NEIGHBOUR, *fine_bounds(size))
    rim = 10 * COARSE
    grid = (COARSE, left - rim, top + rim, NEIGHBOUR)
    height, width = (
        int((length + 2 * rim) / COARSE) for length in (top - bottom, right - left)
    )
    write_dem(path, grid, height, width)


def strips(source: Path, target: Path, mode: str) -> None:
    """One factor, strip by strip."""
    from landslide_tf import terrain

    with rasterio.open(source) as dem, created(target, FINE, *dem.shape) as out:
        height, width = dem.shape
        for row in range(0, height, ROWS):
            end = min(row + ROWS, height)
            top, bottom = max(row - 1, 0), min(end + 1, height)
            heights = dem.read(1, window=Window(0, top, width, bottom - top))
            found = getattr(terrain, mode)(
                heights, CELL, edges="nodata", nodata=NODATA, gdal_compat=True
            )
            if row > 0 and end < height:
                found = found[1:-1]
            elif row > 0:
                found = found[1:]
            elif end < height:
                found = found[:-1]
            found = np.where(np.isnan(found), NODATA, found).astype(np.float32)
            out.write(found, 1, window=Window(0, row, width, end - row))


def windows(source: Path, size: int, targets: list[Path]) -> None:
    """Slope and aspect together, as `landslide-tf map` makes them."""
    from landslide_tf.raster.aligned_dem import AlignedDem
    from landslide_tf.raster.dem import DemFiles
    from landslide_tf.raster.grid import Window as Part
    from landslide_tf.terrain import Grid

    transform = rasterio.Affine(CELL, 0, LEFT, 0, -CELL, TOP)
    grid = Grid(ZONE, transform, size, size)
    reader = AlignedDem(DemFiles(source), grid, ("slope", "aspect"))
    first, second = (created(path, FINE, *grid.shape) for path in targets)
    with first, second:
        for row in range(0, grid.height, ROWS):
            rows = min(ROWS, grid.height - row)
            values, _ = reader.read(Part(row, 0, rows, grid.width))
            box = Window(0, row, grid.width, rows)
            for out, layer in zip(
                (first, second), np.moveaxis(values, -1, 0), strict=True
            ):
                out.write(np.ascontiguousarray(layer), 1, window=box)


def warped(source: Path, folder: Path, size: int, error: float) -> list[str]:
    """Returns what makes slope and aspect of a model on another grid with GDAL.

    Args:
        source: The model.
        folder: Where the results go.
        size: Rows and columns of the grid.
        error: How far a cell may be misplaced, cells of the model.
    """
    fine = folder / "fine.tif"
    box = " ".join(map(str, fine_bounds(size)))
    steps = [
        f"gdalwarp -q -overwrite -r cubic -et {error} -t_srs {ZONE} -te {box} "
        f"-tr {CELL} {CELL} -co TILED=YES {source} {fine}",
        *(
            f"gdaldem {mode} {fine} {folder}/gdal_other_{mode}.tif -q -co TILED=YES"
            for mode in ("slope", "aspect")
        ),
    ]
    return ["sh", "-c", " && ".join(steps)]


def timed(command: list[str]) -> tuple[float, float]:
    """Returns seconds and the largest resident size, MiB, of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{command} ended with status {status}")
    return seconds, usage.ru_maxrss / 1024


def differences(ours: Path, theirs: Path, mode: str) -> dict[str, float]:
    """Compares what both files know strip by strip; degrees."""
    largest, far, count = 0.0, 0, 0
    with rasterio.open(ours) as a, rasterio.open(theirs) as b:
        for row in range(0, a.height, ROWS):
            box = Window(0, row, a.width, min(ROWS, a.height - row))
            x, y = (d.read(1, window=box).astype(float) for d in (a, b))
            known = (x != NODATA) & (y != NODATA)
            off = np.abs(x - y)[known]
            if mode.endswith("aspect"):
                off = np.minimum(off, 360 - off)
            largest = max(largest, float(off.max(initial=0)))
            far += int((off > 1e-3).sum())
            count += off.size
    return {"largest": largest, "share_over_0.001": far / count}


def main() -> None:
    """Runs all and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        kind, *paths = given.one
        if kind == "windows":
            windows(Path(paths[0]), given.size, [Path(p) for p in paths[1:]])
        else:
            strips(Path(paths[0]), Path(paths[1]), kind)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dem, other = folder / "dem.tif", folder / "other.tif"
        write_dem(dem, FINE, given.size, given.size)
        write_neighbour(other, given.size)
        own = [sys.executable, __file__, "--size", given.size, "--one"]
        commands = {}
        for mode in ("slope", "aspect"):
            there = folder / f"gdal_{mode}.tif"
            commands[f"gdaldem {mode}"] = [
                "gdaldem", mode, dem, there, "-q", "-co", "TILED=YES",
            ]  # fmt: skip
            commands[f"strips {mode}"] = [*own, mode, dem, folder / f"{mode}.tif"]
        both = [folder / f"both_{mode}.tif" for mode in ("slope", "aspect")]
        commands["windows slope and aspect"] = [*own, "windows", dem, *both]
        for error in (0.125, 0):  # what the last one writes is compared with
            what = f"other grid: gdalwarp -et {error}, gdaldem twice"
            commands[what] = warped(other, folder, given.size, error)
        there = [folder / f"other_{mode}.tif" for mode in ("slope", "aspect")]
        commands["other grid: windows"] = [*own, "windows", other, *there]
        runs = {what: [] for what in commands}
        for _ in range(given.repeats):
            for what, command in commands.items():
                runs[what].append(timed([str(part) for part in command]))
        record = {
            "machine": platform.platform(),
            "cores": os.cpu_count(),
            "load_1min": round(os.getloadavg()[0], 1),
            "gdal": subprocess.run(
                ["gdalinfo", "--version"], capture_output=True, text=True, check=True
            ).stdout.split(",")[0],
            "size": given.size,
            "runs": {
                what: {
                    "seconds": round(statistics.median(s for s, _ in found), 1),
                    "peak_mib": round(max(p for _, p in found)),
                }
                for what, found in runs.items()
            },
            "differences": {
                mode: differences(
                    folder / f"{mode}.tif", folder / f"gdal_{mode}.tif", mode
                )
                for mode in ("slope", "aspect", "other_slope", "other_aspect")
            },
        }
    text = json.dumps(record, indent=2)
    print(text)
    (HERE / "gdaldem.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

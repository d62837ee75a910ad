"""Maps of scenes: speed against the bare model, and memory against the height.

    python -m tests.benchmarks.scene [--heights 10000 30000] [--width 4096]

`memory`: an identity model on scenes of one width and different heights, each in a
process of its own; megapixels a second and the largest resident size. `share`: a
network on one scene with slope and aspect; time of the network alone on the same
windows divided by the time of the whole, in turns, medians, on the wall and of the
processors, for the shipped network, which is tiny, and for FSTF-Net at a fourth of the
paper's width and at all of it, with random weights. Writes `scene.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from rasterio import Affine
from rasterio.windows import Window

from landslide_tf.mapping import MapOptions, Member, Outputs, SceneFiles, map_scene
from landslide_tf.metadata import Band, ModelMetadata
from landslide_tf.raster.dem import DemFiles
from tests.benchmarks.processes import peak_mib, record_of

HERE = Path(__file__).resolve().parent
TRANSFORM = Affine(2, 0, 500_000, 0, -2, 4_600_000)


def write_scene(path: Path, height: int, width: int) -> None:
    """Writes random colours, red, green, blue and near infrared."""
    options = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "lzw"}
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=4, dtype="uint8",
        crs="EPSG:32633", transform=TRANSFORM, **options,
    ) as dataset:  # fmt: skip
        rng = np.random.default_rng(0)
        block = rng.integers(0, 256, (4, 512, width)).astype(np.uint8)
        for row in range(0, height, 512):
            rows = min(512, height - row)
            window = Window(0, row, width, rows)
            dataset.write(np.roll(block, row, axis=2)[:, :rows], window=window)
        for number, name in enumerate(("red", "green", "blue", "nir"), 1):
            dataset.set_band_description(number, name)


def write_dem(path: Path, size: int) -> None:
    """Writes elevations on the grid of a square scene."""
    heights = np.cumsum(np.random.default_rng(1).normal(0, 1, (1, size, size)), 1)
    with rasterio.open(
        path, "w", driver="GTiff", height=size, width=size, count=1,
        dtype="float32", crs="EPSG:32633", transform=TRANSFORM,
    ) as dataset:  # fmt: skip
        dataset.write(heights.astype(np.float32))


def identity() -> Member:
    """Returns a model that gives back two bands."""
    metadata = ModelMetadata(
        name="identity", builder="none", arguments={}, classes=["a", "landslide"],
        landslide_class=1, inputs=[Band(name="red"), Band(name="green")],
    )  # fmt: skip
    return Member(lambda inputs: inputs["image"] / np.float32(255), metadata)


def memory(height: int, width: int) -> dict[str, float]:
    """Maps one scene in this process; megapixels a second and MiB."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "s.tif")
        write_scene(image, height, width)
        outputs = Outputs(Path(folder, "map.tif"), Path(folder, "p.tif"))
        before = peak_mib()
        start = time.perf_counter()
        files = SceneFiles((str(image),))
        map_scene([identity()], files, outputs, MapOptions(window=256, overlap=64))
        seconds = time.perf_counter() - start
    return {
        "height": height,
        "width": width,
        "mpx_per_s": round(height * width / seconds / 1e6, 2),
        "rss_before_mib": round(before),
        "rss_peak_mib": round(peak_mib()),
    }


def share(size: int, width: float | None, repeats: int) -> dict[str, float | str]:
    """Compares the whole with the network alone on the same windows."""
    from landslide_tf import models, saved_models, serving
    from landslide_tf.models.prediction import prediction_function

    served = serving.load(saved_models.path("fstf_net_synthetic"))
    if width is None:
        name = "fstf_net_synthetic"

        def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
            return served(dict(inputs))["probabilities"]

    else:
        name = f"fstf_net, width {width:g}"
        run = prediction_function(models.fstf_net(num_classes=6, width=width))
    seen: list[dict[str, np.ndarray]] = []

    def watched(inputs: dict[str, np.ndarray]) -> np.ndarray:
        seen.append(dict(inputs))
        return run(inputs)

    found = []
    with tempfile.TemporaryDirectory() as folder:
        image, dem = Path(folder, "s.tif"), Path(folder, "d.tif")
        write_scene(image, size, size)
        write_dem(dem, size)
        files = SceneFiles((str(image),), dem=DemFiles(dem))

        def whole(predict: Callable[..., np.ndarray]) -> None:
            member = Member(predict, served.metadata)
            outputs = Outputs(Path(folder, "map.tif"))
            map_scene([member], files, outputs, MapOptions(window=512, overlap=128))

        whole(watched)  # also traces the network
        for _ in range(repeats):
            alone = clocked(lambda: [run(inputs) for inputs in seen])
            found.append((alone, clocked(lambda: whole(run))))
    wall, cpu = (
        statistics.median(alone[k] / whole[k] for alone, whole in found) for k in (0, 1)
    )
    return {
        "model": name,
        "size": size,
        "throughput_of_bare_model": round(wall, 3),
        "cpu_of_bare_model": round(cpu, 3),
        "load_1min": round(os.getloadavg()[0], 1),
    }


def clocked(call: Callable[[], object]) -> tuple[float, float]:
    """Returns seconds on the wall and of the processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Runs all and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heights", type=int, nargs="*", default=[10_000, 30_000])
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(memory(given.one, given.width)))
        return
    record = {"machine": platform.platform(), "cores": os.cpu_count(), "memory": []}
    if not given.heights:
        record["memory"] = json.loads((HERE / "scene.json").read_text())["memory"]
    for height in given.heights:
        # No network: Keras's NumPy backend spares TensorFlow's own memory.
        sizes = ("--one", height, "--width", given.width)
        record["memory"].append(record_of("scene", *sizes, KERAS_BACKEND="jax"))
        print(record["memory"][-1])
    record["share"] = [
        share(size, width, given.repeats)
        for size, width in (
            (given.size, None),
            (given.size, 0.25),
            (given.size // 2, 1.0),
        )
    ]
    print(record["share"])
    (HERE / "scene.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()

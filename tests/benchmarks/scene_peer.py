"""Maps of scenes against the tiled inference of geoai-py, with an identity model.

    python -m tests.benchmarks.scene_peer --peer-python PEER/bin/python

Both read 3 bands of 8 bits in windows of 256 with an overlap of 64 and write the first
two, divided by 255, as float32; geoai's file is compressed with LZW, ours is a cloud
optimised one with a class map beside it. Each run is a process of
its own, the sides take turns; only the call is timed. Memory is what the call adds to
the largest resident size. A pixel is wrong that lies off the scene by more than 0.001.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio

from tests.benchmarks.processes import peak_mib, record_of

HERE = Path(__file__).resolve().parent
TILE, OVERLAP = 256, 64
WRONG = 1e-3


def write_scene(path: Path, height: int, width: int) -> None:
    """Writes random colours in tiles."""
    rng = np.random.default_rng(0)
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=3, dtype="uint8",
        crs="EPSG:32633", transform=rasterio.Affine(2, 0, 5e5, 0, -2, 4.6e6),
        tiled=True, compress="lzw",
    ) as dataset:  # fmt: skip
        dataset.write(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
        for number, name in enumerate(("red", "green", "blue"), 1):
            dataset.set_band_description(number, name)


def ours(scene: Path, folder: Path) -> Path:
    """Maps with `landslide_tf.scene`."""
    from landslide_tf.mapping import MapOptions, Member, Outputs, SceneFiles, map_scene
    from landslide_tf.metadata import Band, ModelMetadata

    metadata = ModelMetadata(
        name="identity", builder="none", arguments={}, classes=["a", "landslide"],
        landslide_class=1, inputs=[Band(name=n) for n in ("red", "green", "blue")],
    )  # fmt: skip
    member = Member(lambda given: given["image"][..., :2] / np.float32(255), metadata)
    options = MapOptions(window=TILE, overlap=OVERLAP, all_classes=True, float32=True)
    outputs = Outputs(folder / "map.tif", folder / "out.tif")
    map_scene([member], SceneFiles((str(scene),)), outputs, options)
    return folder / "out.tif"


def peer(scene: Path, folder: Path) -> Path:
    """Maps with geoai."""
    import torch
    from geoai.inference import predict_geotiff

    class FirstTwo(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :2]

    out = folder / "out.tif"
    predict_geotiff(
        FirstTwo(), str(scene), str(out), tile_size=TILE, overlap=OVERLAP,
        num_classes=2, device="cpu", verbose=False,
    )  # fmt: skip
    return out


def one(side: str, scene: Path) -> dict[str, float]:
    """Runs one side in this process."""
    run = ours if side == "ours" else peer
    with tempfile.TemporaryDirectory() as name:
        small, first = Path(name, "small.tif"), Path(name, "first")
        write_scene(small, TILE, TILE)
        first.mkdir()
        run(small, first)  # imports what the side needs
        before = peak_mib()
        start = time.perf_counter()
        out = run(scene, Path(name))
        seconds = time.perf_counter() - start
        added = peak_mib() - before
        with rasterio.open(out) as a, rasterio.open(scene) as b:
            off = np.abs(a.read() - b.read((1, 2)) / np.float32(255)).max(axis=0)
    return {
        "mpx_per_s": off.size / seconds / 1e6,
        "added_mib": added,
        "wrong": int((~(off <= WRONG)).sum()),
        "largest": float(off.max()),
    }


def main() -> None:
    """Runs all and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--sizes", type=int, nargs="*", default=[2048, 4096, 6144])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], Path(given.one[1]))))
        return
    pythons = {"ours": sys.executable, "geoai": given.peer_python}
    record = {"machine": platform.platform(), "cores": os.cpu_count(), "scenes": []}
    for size in given.sizes:
        runs = {side: [] for side in pythons}
        with tempfile.TemporaryDirectory() as name:
            scene = Path(name, "s.tif")
            write_scene(scene, size, size)
            for _ in range(given.repeats):
                for side, python in pythons.items():
                    # No network: JAX spares TensorFlow's memory.
                    runs[side].append(
                        record_of(
                            "scene_peer",
                            "--one",
                            side,
                            scene,
                            python=python,
                            KERAS_BACKEND="jax",
                        )
                    )
        row = {"size": size, "load_1min": round(os.getloadavg()[0], 1)}
        for side, found in runs.items():
            row[side] = {
                key: round(statistics.median(run[key] for run in found), 6)
                for key in found[0]
            }
        ratios = [
            a["mpx_per_s"] / b["mpx_per_s"]
            for a, b in zip(runs["ours"], runs["geoai"], strict=True)
        ]
        row["speed_ratio"] = round(statistics.median(ratios), 2)
        record["scenes"].append(row)
        print(json.dumps(row))
    (HERE / "scene_peer.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Maps of a scene of which three fifths fall away, against the map of the whole scene.

    python -m tests.benchmarks.left_out [--size 2048] [--repeats 3]

The west of the scene is level and masked, the east is steep and lies in the polygon:
`--mask`, `--within` and `--min-slope` leave the same two fifths. FSTF-Net at a fourth
of the paper's width with random weights and slope and aspect; all maps in turns, in one
process, medians of the wall and of the processors. Writes `left_out.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio

from landslide_tf import models, saved_models, serving
from landslide_tf.mapping import (
    Mask,
    MaskFiles,
    Member,
    Outputs,
    SceneFiles,
    map_scene,
)
from landslide_tf.models.prediction import prediction_function
from landslide_tf.raster.dem import DemFiles
from tests.benchmarks.scene import TRANSFORM, clocked, write_scene

HERE = Path(__file__).parent
LEFT_OUT = 0.6


def write_band(path: Path, values: np.ndarray) -> str:
    """Writes one band on the grid of the scene."""
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1],
        count=1, dtype=values.dtype, crs="EPSG:32633", transform=TRANSFORM,
    ) as dataset:  # fmt: skip
        dataset.write(values, 1)
    return str(path)


def scenes(folder: Path, size: int) -> dict[str, SceneFiles]:
    """Writes the scene; returns what is mapped of it, by name."""
    border = round(size * LEFT_OUT)
    image = folder / "s.tif"
    write_scene(image, size, size)
    east = np.maximum(np.arange(size) - border, 0) * 2.0  # 45 degrees
    rough = np.cumsum(np.random.default_rng(1).normal(0, 0.1, (size, size)), 1)
    heights = np.where(east > 0, east + rough, 0).astype(np.float32)
    dem = DemFiles(write_band(folder / "d.tif", heights))
    level = np.zeros((size, size), np.uint8)
    level[:, :border] = 1
    mask = MaskFiles(masks=(Mask(write_band(folder / "m.tif", level)),))
    (left, top), (right, bottom) = TRANSFORM @ (border, 0), TRANSFORM @ (size, size)
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    area = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}},
        "features": [
            {
                "type": "Feature",
                "properties": {},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        ],
    }
    polygon = folder / "a.geojson"
    polygon.write_text(json.dumps(area))
    whole = SceneFiles((str(image),), dem=dem)
    return {
        "whole": whole,
        "--mask": replace(whole, masks=mask),
        "--within": replace(whole, masks=MaskFiles(polygon)),
        "--min-slope 5": replace(whole, min_slope=5.0),
    }


def main() -> None:
    """Runs all and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    metadata = serving.load(saved_models.path("fstf_net_synthetic")).metadata
    run = prediction_function(models.fstf_net(num_classes=6, width=0.25))
    windows = [0]

    def counted(inputs: dict[str, np.ndarray]) -> np.ndarray:
        windows[0] += len(inputs["image"])
        return run(inputs)

    member = Member(counted, metadata)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = scenes(folder, given.size)
        outputs = Outputs(folder / "map.tif", overwrite=True)
        map_scene([member], cases["whole"], outputs)  # traces the network
        found = {case: [] for case in cases}
        seen, valid = {}, {}
        for _ in range(given.repeats):
            for case, files in cases.items():
                windows[0] = 0
                found[case].append(
                    clocked(lambda files=files: map_scene([member], files, outputs))
                )
                seen[case] = windows[0]
                with rasterio.open(outputs.out) as dataset:
                    valid[case] = float((dataset.read(1) != 255).mean())
    record = {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 1),
        "size": given.size,
        "maps": {
            case: {
                "valid": round(valid[case], 3),
                "windows": seen[case],
                "wall_ratio": round(
                    statistics.median(
                        part[0] / whole[0]
                        for part, whole in zip(times, found["whole"], strict=True)
                    ),
                    3,
                ),
                "cpu_ratio": round(
                    statistics.median(
                        part[1] / whole[1]
                        for part, whole in zip(times, found["whole"], strict=True)
                    ),
                    3,
                ),
            }
            for case, times in found.items()
        },
    }
    print(json.dumps(record, indent=2))
    (HERE / "left_out.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()

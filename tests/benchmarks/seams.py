"""What windows do to the map of a network that pools over its whole image.

    python -m tests.benchmarks.seams

The shipped network, trained on tiles of 96 pixels, maps generated scenes whose truth is
known, with windows of several sizes. `moved`: the same ground cut so that the windows
fall elsewhere by half a step; the mean difference of the landslide probability and the
share of pixels of another class are the error that seams make. `iou` is that of the
landslide class against the truth. Writes `seams.json`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import rasterio

from landslide_tf import saved_models, serving
from landslide_tf.datasets.synthetic_landslides.generate import generate_tile
from landslide_tf.mapping import MapOptions, Member, Outputs, SceneFiles, map_scene
from landslide_tf.raster.dem import DemFiles

HERE = Path(__file__).parent
CELL, STRIDE = 2.0, 16


def write(path: Path, values: np.ndarray, row: int, column: int) -> str:
    """Writes the part of an array (bands, H, W) from a row and column on."""
    part = values[:, row:, column:]
    place = rasterio.Affine(CELL, 0, 4e5 + CELL * column, 0, -CELL, 3.4e6 - CELL * row)
    with rasterio.open(
        path, "w", driver="GTiff", count=len(part), height=part.shape[1],
        width=part.shape[2], dtype=part.dtype, crs="EPSG:32648", transform=place,
    ) as dataset:  # fmt: skip
        dataset.write(part)
    return str(path)


def mapped(
    member: Member, scene: dict[str, np.ndarray], tile: int, offset: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns classes and landslide probability from `offset` on, at full extent."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {
            what: write(folder / f"{what}.tif", scene[what], offset, offset)
            for what in ("image", "dem", "ndvi")
        }
        outputs = Outputs(folder / "map.tif", folder / "p.tif")
        files = SceneFiles(
            (paths["image"],),
            dem=DemFiles(paths["dem"]),
            factor={"ndvi": paths["ndvi"]},
        )
        map_scene([member], files, outputs, MapOptions(window=tile, float32=True))
        found = []
        for path in (outputs.out, outputs.probabilities):
            with rasterio.open(path) as dataset:
                found.append(dataset.read(1))
    return found[0], found[1]


def main() -> None:
    """Runs all and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1536)
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--tiles", type=int, nargs="*", default=[96, 192, 512])
    given = parser.parse_args()
    served = serving.load(saved_models.path("fstf_net_synthetic"))
    member = Member(lambda x: served(dict(x))["probabilities"], served.metadata)
    index = served.metadata.landslide_class
    # Two of the largest windows from the upper left rim, which each map sees otherwise.
    margin = 2 * max(given.tiles)
    rows = []
    for tile in given.tiles:
        step = (tile - tile // 4) // STRIDE * STRIDE
        offset = step // 2 // STRIDE * STRIDE
        apart, other, hits, either = [], [], 0, 0
        for number in range(given.scenes):
            made = generate_tile(17, 0, "test", number, size=given.size, cell=CELL)
            scene = {
                "image": np.moveaxis(made["image"], -1, 0),
                "dem": made["dem"][None],
                "ndvi": made["ndvi"][None],
            }
            (a, p), (b, q) = (mapped(member, scene, tile, k) for k in (0, offset))
            a, p = (x[margin:, margin:] for x in (a, p))
            b, q = (x[margin - offset :, margin - offset :] for x in (b, q))
            apart.append(np.abs(p - q).mean())
            other.append((a != b).mean())
            truth = made["mask"][margin:, margin:] == index
            hits += int((truth & (a == index)).sum())
            either += int((truth | (a == index)).sum())
        rows.append(
            {
                "tile": tile,
                "overlap": tile // 4,
                "moved_mean_difference": round(float(np.mean(apart)), 5),
                "moved_other_class": round(float(np.mean(other)), 5),
                "iou": round(hits / max(1, either), 4),
            }
        )
        print(rows[-1])
    record = {"size": given.size, "scenes": given.scenes, "windows": rows}
    (HERE / "seams.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()

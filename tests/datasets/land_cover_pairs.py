"""Writes small folders of mangkam and jiuzhaigou: images, land cover and terrain."""

import numpy as np

from landslide_tf.datasets.common.land_cover_files import COLOURS
from tests.datasets import scene_files as files
from tests.datasets.building import drawn

HEADER = "id,satellite,date,resolution_m"


def land_cover(height, width):
    """Stripes of all classes and a stripe without label."""
    stripes = np.array([*range(6), 255], np.uint8)
    return np.broadcast_to(stripes[np.arange(width) // 6 % 7], (height, width)).copy()


def write_pairs(root, count=6, *, split=False, labels="tif", polygons=False):
    """Pairs of different sizes that lie apart, with every kind of factor file."""
    rows = [HEADER + (",split" if split else "")]
    for k in range(count):
        name, shift = f"wv3-{k}", 200 * k
        size = (40 + 4 * k, 48)
        place = files.place(shift)
        files.write(
            root / "images" / f"{name}.tif", files.picture(*size, seed=k), place
        )
        mask = land_cover(*size)
        colours = np.moveaxis(drawn(mask, COLOURS), -1, 0)
        if polygons:
            pass
        elif labels == "png":
            folder = root / "labels"
            folder.mkdir(exist_ok=True)
            files.write_png(folder / f"{name}.png", mask)
        else:
            label = colours if k % 2 else mask
            files.write(root / "labels" / f"{name}.tif", label, place)
        dem = files.hills(40, 40)
        files.write(root / "dem" / f"{name}.tif", dem, files.place(shift - 4, -4, 20.0))
        index = np.linspace(-1, 1, 30 * 30).reshape(30, 30).astype(np.float32)
        files.write(root / "ndvi" / f"{name}.tif", index, files.place(shift, 0, 30.0))
        rows.append(f"{name},WorldView-3,2018-01,0.3")
        if split:
            rows[-1] += "," + ("test", "val", "train")[min(k, 2)]
    if polygons:
        (root / "labels").mkdir()
        squares = [files.square(200 * k + 5, 5, 200 * k + 25, 15) for k in range(count)]
        files.write_geojson(root / "labels" / "landslides.geojson", squares)
    (root / "pairs.csv").write_text("\n".join(rows) + "\n")

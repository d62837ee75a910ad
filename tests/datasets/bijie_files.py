"""Writes small Bijie folders in the layouts and with the oddities of the real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

# Stems as they are; zb#dzj002 has a sign that is not plain in an address.
LANDSLIDE = ["df002", "hz001", "js003", "js010", "qx007", "qx010", "qxg001", "wn012"]
NON_LANDSLIDE = ["ddfgf10157", "dnygf3", *(f"fyb{n}" for n in (1, 9, 10, 200, 3000))]
NON_LANDSLIDE += ["zb#dzj002"]


def ground(seed, shape=(90, 120)):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (*shape, 3), dtype=np.uint8)


def picture(name):
    """Images of all sizes; qx007 and qx010 are cut from one picture."""
    if name in ("qx007", "qx010"):
        whole = ground(7)
        return whole[:80, :90] if name == "qx007" else whole[10:, 20:]
    seed = sum(name.encode())
    return ground(seed, (40 + seed % 13, 36 + seed % 29))


def mask(name):
    labels = np.zeros(picture(name).shape[:2], np.uint8)
    labels[5:15, 8:20] = 255
    return labels


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_bijie(root, dem=True):
    """Writes the original layout: `<root>/Bijie-landslide-dataset/...`."""
    root = Path(root) / "Bijie-landslide-dataset"
    for name in LANDSLIDE:
        save(root / "landslide" / "image" / f"{name}.png", picture(name))
        save(root / "landslide" / "mask" / f"{name}.png", mask(name))
        notes = root / "landslide" / "polygon_coordinate" / f"{name}.txt"
        notes.parent.mkdir(exist_ok=True)
        notes.write_text("8 5\n20 5\n20 15\n8 15\n")
    for name in NON_LANDSLIDE:
        save(root / "non-landslide" / "image" / f"{name}.png", picture(name))
    (root / "landslide" / "image" / "Thumbs.db").write_bytes(b"\0")
    if dem:
        folder = root / "landslide" / "dem"
        height, width = picture("hz001").shape[:2]
        grey = np.arange(height * width, dtype=np.uint16).reshape(height, width)
        save(folder / "hz001.png", grey)
        tifffile.imwrite(folder / "js003.tif", np.full((9, 11), 200, np.uint8))
    return root


def write_flat(root, landslide=(0, 40, 140, 769), non_landslide=(0, 1300, 1602, 2002)):
    """Writes the layout that keeps places in place of names."""
    for number in landslide:
        name = f"ls_{number:04}"
        save(Path(root) / "images" / f"{name}.png", picture(name))
        save(Path(root) / "masks" / f"{name}.png", mask(name))
    for number in non_landslide:
        name = f"nls_{number:04}"
        image = picture(name)
        save(Path(root) / "images" / f"{name}.png", image)
        empty = np.zeros(image.shape[:2], np.uint8)
        save(Path(root) / "masks" / f"{name}.png", empty)


def write_classes(root):
    """Writes the layout of image classification: a folder a class."""
    for name in LANDSLIDE:
        save(Path(root) / "landslide" / f"{name}.png", picture(name))
    for name in NON_LANDSLIDE:
        save(Path(root) / "non-landslide" / f"{name}.png", picture(name))

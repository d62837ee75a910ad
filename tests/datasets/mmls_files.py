"""Writes small MMLS folders in the layout and with the faults of the real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

# Places that the real parts have; 14_24 and 15_24 are in train and in test.
TRAIN = [(10, 1), (13, 5), (13, 6), (14, 24), (15, 24)]
VALIDATION = [(28, 51), (28, 52)]
TEST = [(9, 29), (14, 24), (15, 24)]


def image(seed):
    """A tile whose slope band follows its DEM, float32 (128, 128, 7) in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:128, :128] / 128
    waves = rng.uniform(1, 4, (4, 2))
    dem = sum(np.sin(2 * np.pi * (a * y + b * x)) for a, b in waves)
    dem = (dem - dem.min()) / np.ptp(dem)
    steep = np.hypot(*np.gradient(dem))
    tile = np.empty((128, 128, 7), np.float32)
    grey = rng.integers(18, 200, (128, 128, 4)).astype(np.float32) / np.float32(255)
    tile[..., [0, 1, 2, 6]] = grey
    tile[..., 3] = dem
    tile[..., 4] = 0.89 + 0.01 * rng.random((128, 128))
    tile[..., 5] = steep / steep.max() * 0.9
    return tile


def write_tiff(path, array):
    """As the data set does: the first axis of an image becomes pages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array)


def write_tile(root, part, position, tile, mask):
    infix = "T" * (part == "test")
    row, col = position
    folder = Path(root) / f"{part}_partition"
    write_tiff(folder / "images" / f"Image{infix}_patch_{row}_{col}.tif", tile)
    mask = np.asarray(mask, np.float32)
    write_tiff(folder / "masks" / f"Mask{infix}_patch_{row}_{col}.tif", mask)


def write_mmls(root, train=TRAIN, validation=VALIDATION, test=TEST):
    """Writes `<root>/{train,validation,test}_partition`, with the usual oddities."""
    parts = {"train": train, "validation": validation, "test": test}
    for number, (part, positions) in enumerate(parts.items()):
        for position in positions:
            row, col = position
            tile = image(1000 * row + col)  # the same ground has the same pixels
            mask = np.zeros((128, 128))
            mask[20 + 40 * number : 50 + 40 * number, col : col + 30] = 1
            if position == (10, 1):
                tile[:12, :, 4] = 0  # no thermal value
            if position == (13, 6):
                mask[:] = 1
            write_tile(root, part, position, tile, mask)
    for kind in ("images", "masks"):
        (Path(root) / "train_partition" / kind / "test").write_bytes(b"\n")

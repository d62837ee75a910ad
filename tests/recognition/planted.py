"""A made-up scene: landslides on slopes, and what a map takes for landslides."""

import numpy as np
from rasterio import Affine
from scipy import ndimage

from landslide_tf.mapping import SceneFiles
from landslide_tf.raster.cog import Layer, write_plain
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.legend import Legend
from landslide_tf.recognition import Maps
from landslide_tf.terrain import Grid

SIDE, CELL = 360, 5.0
GRID = Grid("EPSG:32633", Affine(CELL, 0, 500_000, 0, -CELL, 4_600_000), SIDE, SIDE)
_PLACES = 6  # squares a side; each holds one thing


def _write(path, values, names, dtype, nodata, **said):
    bands = np.asarray(values, dtype).reshape(-1, SIDE, SIDE)
    write_plain(path, GRID, Layer(dtype, nodata, names, **said), [(0, bands)])


def class_map(path, landslide):
    tags = Legend(("other", "landslide"), 1).tags()
    _write(path, landslide, ["class"], "uint8", 255, tags=tags)


def _blob(random, mask, row, column, size):
    """An irregular object of about 20 by 30 pixels."""
    noise = ndimage.gaussian_filter(random.normal(size=(size, size)), 2)
    y, x = np.mgrid[:size, :size] / size - 0.5
    inside = y**2 / 0.1 + x**2 / 0.05 + noise < 1
    labels, _ = ndimage.label(inside)
    inside = labels == labels[size // 2, size // 2]
    mask[row : row + size, column : column + size] |= inside


def plant(folder, seed):
    """Writes maps, images, elevations and the truth of a scene.

    Returns:
        What the scheme looks at, the raster of what is there, and masks by kind.
    """
    random = np.random.default_rng(seed)
    side = SIDE // _PLACES
    kinds = ["landslide"] * 14 + ["old"] * 6 + ["field"] * 6 + ["quarry"] * 6
    kinds += ["none"] * (_PLACES**2 - len(kinds))
    masks = {kind: np.zeros((SIDE, SIDE), bool) for kind in {*kinds, "road"}}
    flat = np.zeros((_PLACES, _PLACES), bool)
    for place, kind in zip(random.permutation(_PLACES**2), kinds, strict=True):
        i, j = divmod(int(place), _PLACES)
        row, column = i * side + 8, j * side + 8
        if kind == "quarry":  # a pit on level ground
            flat[i, j] = True
            masks[kind][row + 8 : row + 32, column + 4 : column + 40] = True
        elif kind != "none":
            _blob(random, masks[kind], row, column, 44)
    for k in range(2, _PLACES, 2):  # roads between the squares
        masks["road"][k * side - 2 : k * side + 1, 10:-10] = True
    slope = np.where(np.kron(flat, np.ones((side, side))) > 0, 0.02, 0.5)
    slope = ndimage.gaussian_filter(slope, 2)
    elevation = 500 + CELL * np.cumsum(slope, axis=0)
    _write(folder / "dem.tif", elevation, ["elevation"], "float32", -9999)
    mapped = np.any([masks[k] for k in masks if k != "none"], axis=0)
    class_map(folder / "after.tif", mapped)
    class_map(folder / "before.tif", np.roll(masks["old"], (1, -1), (0, 1)))
    class_map(folder / "truth.tif", masks["landslide"])
    chances = np.where(mapped, 0.9, 0.1)
    _write(folder / "chances.tif", chances, ["landslide"], "float32", -1)
    bare = masks["old"] | masks["quarry"] | masks["road"]
    for name, without in (("0", bare), ("1", bare | masks["landslide"])):
        red, nir = np.where(without, 90, 40), np.where(without, 100, 160)
        bands = np.stack([red, np.full_like(red, 60), np.full_like(red, 50), nir])
        path = folder / f"image_{name}.tif"
        _write(path, bands, ["red", "green", "blue", "nir"], "uint8", 0)
    images = [SceneFiles((str(folder / f"image_{name}.tif"),)) for name in "01"]
    maps = Maps(
        folder / "after.tif",
        probabilities=folder / "chances.tif",
        before=folder / "before.tif",
        image_before=images[0],
        image_after=images[1],
        dem=DemFiles(folder / "dem.tif"),
    )
    return maps, folder / "truth.tif", masks

"""What was there before: landslides of an earlier map, and vegetation that is gone.

The published scheme compares recognitions before and after the event; the limits are
this project's.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.mapping import SceneFiles
from landslide_tf.raster.bands import COLOURS, find_bands, known_bands
from landslide_tf.raster.grid import Window, stored_grid_of
from landslide_tf.raster.image import AlignedBands
from landslide_tf.recognition.options import PRE_EXISTING
from landslide_tf.terrain import Grid, ndvi

ChangeClass = Literal["new", "expanded", "pre_existing", ""]
EXPANDED = 0.1
"""Share of an object that was landslide before, from which it has but grown."""

Index = Literal["ndvi", "excess green"]
LOSS: dict[Index, float] = {"ndvi": 0.15, "excess green": 0.05}
"""Smallest loss of vegetation under a new landslide, by index."""
VEGETATED = 0.3
"""NDVI from which ground counts as vegetated; elsewhere a loss says nothing."""


def spread(landslide: ArrayLike, pixels: int) -> NDArray[np.bool_]:
    """Widens landslides, so that maps with a small shift still overlap.

    Args:
        landslide: Boolean mask (H, W).
        pixels: By how many pixels, in all eight directions.

    Returns:
        The wider mask.

    >>> import numpy as np
    >>> from landslide_tf.recognition import spread
    >>> int(spread(np.eye(1, 5, 2, dtype=bool), 1).sum())
    3
    """
    mask = np.asarray(landslide, bool)
    if pixels < 1:
        return mask
    square = np.ones((3, 3), bool)
    return ndimage.binary_dilation(mask, square, iterations=pixels)


def new_pixels(
    after: ArrayLike, before: ArrayLike, *, buffer: int = 0
) -> NDArray[np.bool_]:
    """Returns the pixels that are landslide after the event and were not before.

    Args:
        after: Boolean mask (H, W).
        before: Boolean mask (H, W).
        buffer: Pixels by which the mask before is widened.

    Returns:
        Boolean mask (H, W).

    >>> from landslide_tf.recognition import new_pixels
    >>> new_pixels([[True, True, False]], [[True, False, True]]).tolist()
    [[False, True, False]]
    """
    return np.asarray(after, bool) & ~spread(before, buffer)


def change_classes(
    overlap: FloatArray, pre_existing: float = PRE_EXISTING
) -> list[ChangeClass]:
    """Classifies objects by the share that was landslide before.

    Args:
        overlap: Shares (N,) in [0, 1]; NaN where the map before says nothing.
        pre_existing: Share from which an object is nothing new.

    Returns:
        `"pre_existing"` from that share on, else `"new"` below a tenth and `"expanded"`
        from there; `""` where nothing is known.

    >>> import numpy as np
    >>> from landslide_tf.recognition import change_classes
    >>> change_classes(np.array([0.0, 0.1, 0.5, np.nan]))
    ['new', 'expanded', 'pre_existing', '']
    """
    names: list[ChangeClass] = []
    for share in overlap:
        if np.isnan(share):
            names.append("")
        elif share >= pre_existing:
            names.append("pre_existing")
        else:
            names.append("expanded" if share >= EXPANDED else "new")
    return names


class VegetationIndex:
    """Vegetation index of two images on one grid.

    NDVI where both images have a near-infrared band; else the excess green 2g − r − b
    of the shares of the three colours. An instance belongs to one thread.

    Args:
        before: Image before the event.
        after: Image after it.
        grid: The grid to read on.

    Attributes:
        index: Which one it is.

    Raises:
        DataError: If a file cannot be read or its bands are not found.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.mapping import SceneFiles
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.recognition import VegetationIndex
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 1, 1)
    >>> paths = Path("/vsimem/green.tif"), Path("/vsimem/bare.tif")  # files in memory
    >>> for path, nir in zip(paths, (90, 10), strict=True):
    ...     values = np.uint8([[[10]], [[nir]]])
    ...     write_plain(path, grid, Layer("uint8", 0, ["red", "nir"]), [(0, values)])
    >>> files = [SceneFiles((str(path),)) for path in paths]
    >>> vegetation = VegetationIndex(*files, grid)
    >>> [round(float(v), 2) for v in vegetation.read(Window(0, 0, 1, 1))[0, 0]]
    [0.8, 0.0]
    >>> vegetation.close()
    """

    def __init__(self, before: SceneFiles, after: SceneFiles, grid: Grid) -> None:
        both = (before, after)
        infrared = all(_has_infrared(files) for files in both)
        self.index: Index = "ndvi" if infrared else "excess green"
        names = ("red", "nir") if infrared else COLOURS
        self._images = [_bands(files, names, grid) for files in both]

    def read(self, window: Window) -> FloatArray:
        """Returns the index before and after, (h, w, 2), NaN = not known."""
        layers = []
        for image in self._images:
            values, valid = image.read(window, calibrated=True)
            if self.index == "ndvi":
                red, nir = values
                found = ndvi(nir, red)
            else:
                found = _excess_green(np.stack(values).astype(np.float64))
            layers.append(np.where(valid, found, np.nan))
        return np.stack(layers, axis=-1)

    def close(self) -> None:
        """Closes all files."""
        for image in self._images:
            image.close()


def _has_infrared(files: SceneFiles) -> bool:
    if files.bands:
        return "nir" in files.bands and "red" in files.bands
    known = {name for path in files.image for name in known_bands(path)}
    return {"red", "nir"} <= known


def _bands(files: SceneFiles, names: tuple[str, ...], grid: Grid) -> AlignedBands:
    if not files.image:
        raise DataError("Expected an image of both dates for the loss of vegetation.")
    stored = stored_grid_of(files.image[0], "image")
    sources = find_bands(files.image, names, files.bands)
    return AlignedBands(sources, grid, stored, nodata=files.nodata)


def _excess_green(bands: FloatArray) -> FloatArray:
    red, green, blue = bands
    total = red + green + blue
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (2 * green - red - blue) / total, np.nan)

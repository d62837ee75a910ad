"""Where a raster file holds values: nodata, masks and transparency.

How they are understood, of images as of elevation models, is said here and nowhere
else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader, MemoryFile
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterWindow

from landslide_tf.raster.opening import open_dataset


def alpha_bands(dataset: DatasetReader | WarpedVRT) -> list[int]:
    """Returns the bands, from 1, that say where an image is transparent.

    GDAL takes the fourth band of a byte image for it where nothing else is said; a band
    with a name is data.

    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from rasterio.io import MemoryFile
    >>> from landslide_tf.raster.validity import alpha_bands
    >>> with MemoryFile() as memory:
    ...     with memory.open(
    ...         driver="GTiff", count=4, height=2, width=2, dtype="uint8",
    ...         transform=Affine(10, 0, 0, 0, -10, 0),
    ...     ) as dataset:
    ...         unnamed = alpha_bands(dataset)
    ...         dataset.set_band_description(4, "nir")
    ...         unnamed, alpha_bands(dataset)
    ([4], [])
    """
    return [
        number
        for number, (meaning, name) in enumerate(
            zip(dataset.colorinterp, dataset.descriptions, strict=True), 1
        )
        if meaning == ColorInterp.alpha and not name
    ]


def is_measurable(nodata: float | None, dtype: str | np.dtype[Any]) -> bool:
    """Says whether the number for no data is one that a pixel with data has, too.

    Dark pixels are 0, and in 8 bits every number is measured; −9999 or NaN never are.

    Args:
        nodata: The number that stands for no data.
        dtype: Type of the stored values.

    >>> from landslide_tf.raster.validity import is_measurable
    >>> is_measurable(0, "float32"), is_measurable(255, "uint8")
    (True, True)
    >>> is_measurable(-9999, "int16")
    False
    """
    return nodata == 0 or (nodata is not None and np.dtype(dtype).itemsize == 1)


def known_cells(
    dataset: DatasetReader | WarpedVRT,
    indexes: Sequence[int],
    alpha: Sequence[int],
    *,
    nodata: float | None = None,
    box: RasterWindow | None = None,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.bool_]:
    """Says where some bands hold a value and nothing is transparent.

    Where the number for no data is one that pixels with data have, too
    (`is_measurable`), a pixel has none only where all bands of the file hold that
    number, as in the mask of a data set of GDAL (RFC 15, rasterio's `dataset_mask`). A
    band with another such number has no value there, and the pixel none. Where a file
    has both a nodata value and an alpha band, both count.

    Args:
        dataset: The open file.
        indexes: Bands, from 1.
        alpha: Bands that say where the image is transparent, from 1.
        nodata: Number for no data; None = as the file tags.
        box: Part of the file; None = all of it.
        shape: Rows and columns to read it in; None = its own.

    Returns:
        bool (h, w).

    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from rasterio.io import MemoryFile
    >>> from landslide_tf.raster.validity import alpha_bands, known_cells
    >>> stored = np.array([[[0, 9, 0, 9]]] * 2 + [[[0, 9, 9, 9]], [[255, 0, 255, 255]]])
    >>> with MemoryFile() as memory:
    ...     with memory.open(
    ...         driver="GTiff", count=4, height=1, width=4, dtype="uint8", nodata=0,
    ...         transform=Affine(10, 0, 0, 0, -10, 0),
    ...     ) as dataset:
    ...         dataset.write(stored.astype(np.uint8))
    ...         known_cells(dataset, [1, 2, 3], alpha_bands(dataset)).tolist()
    [[False, False, True, True]]
    """
    flags = dataset.mask_flag_enums
    data = [k for k in range(1, dataset.count + 1) if k not in alpha]
    numbers = {
        k: dataset.nodatavals[k - 1] if nodata is None else nodata
        for k in data
        if nodata is not None or MaskFlags.nodata in flags[k - 1]
    }

    def holds(k: int) -> NDArray[np.bool_]:
        values, number = dataset.read(k, window=box, out_shape=shape), numbers[k]
        return ~np.isnan(values) if np.isnan(number) else values != number

    size = shape or dataset.shape
    if shape is None and box is not None:
        size = int(box.height), int(box.width)
    known = np.ones(size, bool)
    # GDAL's masks forget the alpha band where nodata is tagged, too.
    told = {MaskFlags.nodata, MaskFlags.all_valid}
    for k in (k for k in indexes if told.isdisjoint(flags[k - 1])):
        known &= dataset.read_masks(k, window=box, out_shape=shape) > 0
    for k in alpha:
        known &= dataset.read(k, window=box, out_shape=shape) > 0
    shared = [k for k in numbers if is_measurable(numbers[k], dataset.dtypes[k - 1])]
    for k in set(indexes) & (numbers.keys() - shared):
        known &= holds(k)
    if shared == data:
        blank = known.copy()
        # Bands that are not asked for are read only where the others hold nothing.
        for k in sorted(data, key=lambda k: k not in indexes):
            if blank.any():
                blank &= ~holds(k)
        known &= ~blank
    return known


def opaque(dataset: DatasetReader) -> DatasetReader:
    """Closes a file and returns a view of it in which all bands are data.

    GDAL masks pixels by an alpha band, and weights them by it where it resamples.

    >>> from pathlib import Path
    >>> import rasterio
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.validity import opaque
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", rasterio.Affine(10, 0, 0, 0, -10, 0), 2, 2)
    >>> path = Path("/vsimem/opaque.tif")  # a file in memory
    >>> layer = Layer("uint8", 0, ["red", "green", "blue", "nir"])
    >>> write_plain(path, grid, layer, [])
    >>> with rasterio.open(path) as dataset:
    ...     dataset.colorinterp[3].name
    'alpha'
    >>> with opaque(rasterio.open(path)) as dataset:
    ...     dataset.colorinterp[3].name
    'undefined'
    """
    with dataset, MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(dataset, memory.name, driver="VRT")
        view = memory.read().decode()
    return open_dataset(view.replace("<ColorInterp>Alpha</ColorInterp>", ""), "")

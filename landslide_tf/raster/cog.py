"""Rasters written row by row, and as cloud optimised GeoTIFFs."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray

# The only home of the errors that `rasterio.shutil.copy` lets through.
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter
from rasterio.windows import Window

from landslide_tf.errors import DataError
from landslide_tf.terrain import Grid

BLOCK = 512
_CACHE_MB = 64
_THREADS = str(min(4, os.cpu_count() or 1))  # each holds some blocks


@dataclass(frozen=True)
class Layer:
    """What a raster file says of itself.

    Attributes:
        dtype: Type of its values.
        nodata: Value of pixels without one.
        names: Names of its bands.
        scale: What a stored value is multiplied by.
        colours: RGBA by value, for class maps.
        tags: Further facts.
    """

    dtype: str
    nodata: float
    names: Sequence[str]
    scale: float = 1.0
    colours: Mapping[int, tuple[int, int, int, int]] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


class NotWritten(DataError):
    """The disk is full or a file cannot be written; what is finished stays."""


@contextlib.contextmanager
def gdal_settings() -> Iterator[None]:
    """Bounds GDAL's cache, so that memory does not grow with the scene."""
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):
        yield


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turns a full disk and the like into one line that names the file."""
    try:
        yield
    except (RasterioError, CPLE_BaseError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise NotWritten(
            f"`{path}` cannot be written ({reason}): free space or name another place, "
            "and run the same command again; finished strips are kept."
        ) from error


def write_plain(
    path: Path,
    grid: Grid,
    layer: Layer,
    blocks: Iterable[tuple[int, NDArray[Any]]],
) -> None:
    """Writes a tiled GeoTIFF, block of rows by block of rows.

    Args:
        path: The file.
        grid: Its grid.
        layer: What it says of itself.
        blocks: First row and values (bands, h, W) of each block.
    """
    with writable(path), _created(path, grid, layer) as dataset:
        for row, values in blocks:
            window = Window(0, row, grid.width, values.shape[1])
            dataset.write(values, window=window)


def _created(path: Path, grid: Grid, layer: Layer) -> DatasetWriter:
    dataset = rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=grid.height,
        width=grid.width,
        count=len(layer.names),
        dtype=layer.dtype,
        crs=grid.crs,
        transform=grid.transform,
        nodata=layer.nodata,
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        # GDAL 3.10 compresses before it writes: half the disk for little time.
        compress="deflate",
        zlevel=1,
        bigtiff="IF_SAFER",
    )
    for number, name in enumerate(layer.names, 1):
        dataset.set_band_description(number, name)
    if layer.scale != 1.0:
        dataset.scales = [layer.scale] * len(layer.names)
    if layer.colours:
        dataset.write_colormap(1, dict(layer.colours))
    dataset.update_tags(**layer.tags)
    return dataset


def write_cog(path: Path, plain: Path, *, classes: bool) -> None:
    """Copies a GeoTIFF as a cloud optimised one, with overviews.

    Args:
        path: The new file.
        plain: What `write_plain` wrote.
        classes: Overviews take the most frequent value, not the mean.
    """
    # Differences of neighbours are smaller than the default level makes fractions, and
    # twice as fast; runs of one class are not.
    how = {} if classes else {"LEVEL": 1, "PREDICTOR": "YES"}
    with writable(path):
        rasterio.shutil.copy(
            plain,
            path,
            driver="COG",
            BLOCKSIZE=BLOCK,
            COMPRESS="DEFLATE",
            OVERVIEW_RESAMPLING="MODE" if classes else "AVERAGE",
            BIGTIFF="IF_SAFER",
            NUM_THREADS=_THREADS,
            **how,
        )


def check_written(path: Path, blocks: Iterable[tuple[int, NDArray[Any]]]) -> None:
    """Reads a raster back: on a full disk GDAL may say nothing, and blocks are missing.

    Args:
        path: The file.
        blocks: What was written, as in `write_plain`.

    Raises:
        NotWritten: If something else is in the file.
    """
    with writable(path), rasterio.open(path) as dataset:
        for row, values in blocks:
            window = Window(0, row, dataset.width, values.shape[1])
            same = np.array_equal(
                dataset.read(window=window), values, equal_nan=values.dtype.kind == "f"
            )
            if not same:
                raise OSError(errno.EIO, "what was written cannot be read back")


def quantised(
    values: NDArray[np.float32], valid: NDArray[np.bool_], dtype: str
) -> NDArray[Any]:
    """Stores fractions as `dtype`, nodata where not valid.

    Args:
        values: float32 (h, W, bands) in [0, 1].
        valid: bool (h, W).
        dtype: `"uint8"` or `"float32"`.

    Returns:
        (bands, h, W); with `uint8` 250 is 1, and 255 nodata.
    """
    layers = np.moveaxis(values, -1, 0)
    if dtype == "uint8":
        stored = np.rint(np.clip(layers, 0, 1) * UNITS).astype(np.uint8)
        stored[:, ~valid] = NODATA
        return stored
    stored = np.ascontiguousarray(layers, np.float32)
    stored[:, ~valid] = np.nan
    return stored


UNITS, NODATA = 250, 255


def fractions(dtype: str, names: Sequence[str], tags: Mapping[str, str]) -> Layer:
    """Describes a raster of what `quantised` returns."""
    if dtype == "uint8":
        return Layer("uint8", NODATA, names, 1 / UNITS, tags=tags)
    return Layer("float32", float("nan"), names, tags=tags)

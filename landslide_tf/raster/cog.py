"""Rasters written row by row as cloud optimised GeoTIFFs."""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray

# The only home of the errors that `rasterio.shutil.copy` lets through.
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter

from landslide_tf.errors import DataError, first_line
from landslide_tf.raster.grid import Window
from landslide_tf.terrain import Grid

Blocks = Iterable[tuple[int, NDArray[Any]]]
"""First row and values (bands, h, W) of each block of rows."""

BLOCK = 512
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
        overviews: What cells of overviews take of those they cover: the mean, the most
            frequent class, or, of angles, the nearest.
        unit: Unit of the values.

    >>> from landslide_tf.raster.cog import Layer
    >>> Layer("float32", -9999, ["slope", "aspect"]).names
    ['slope', 'aspect']
    """

    dtype: str
    nodata: float
    names: Sequence[str]
    scale: float = 1.0
    colours: Mapping[int, tuple[int, int, int, int]] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    overviews: Literal["average", "mode", "nearest"] = "average"
    unit: str = ""


class NotWritten(DataError):
    """The disk is full or a file cannot be written; what is finished stays.

    >>> from landslide_tf.errors import DataError
    >>> from landslide_tf.raster.cog import NotWritten
    >>> issubclass(NotWritten, DataError)
    True
    """


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turns a full disk and the like into one line that names the file.

    >>> from pathlib import Path
    >>> from landslide_tf.raster.cog import writable
    >>> path = Path("missing", "map.txt")
    >>> with writable(path):
    ...     path.write_text("map")
    Traceback (most recent call last):
    landslide_tf.raster.cog.NotWritten: `missing/map.txt` cannot be written (No such ...
    """
    try:
        yield
    except (RasterioError, CPLE_BaseError, OSError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise NotWritten(
            f"`{path}` cannot be written ({reason}): free space or name another place, "
            "and run the same command again; finished strips are kept."
        ) from error


def write_plain(path: Path, grid: Grid, layer: Layer, blocks: Blocks) -> None:
    """Writes a tiled GeoTIFF, block of rows by block of rows.

    Args:
        path: The file.
        grid: Its grid.
        layer: What it says of itself.
        blocks: First row and values (bands, h, W) of each block.

    Raises:
        NotWritten: If the disk is full or the file cannot be written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import rasterio
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.grid import open_raster
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", rasterio.Affine(10, 0, 0, 0, -10, 0), 4, 3)
    >>> rows = [(row, np.full((1, 2, 3), row, np.uint8)) for row in (0, 2)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "rows.tif")
    ...     write_plain(path, grid, Layer("uint8", 255, ["row"]), rows)
    ...     with open_raster(path, "rows") as dataset:
    ...         dataset.read(1)[:, 0].tolist()
    [0, 0, 2, 2]
    """
    with writable(path), _created(path, grid, layer) as dataset:
        for row, values in blocks:
            window = Window(row, 0, values.shape[1], grid.width)
            dataset.write(values, window=window.box)


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
    if layer.unit:
        dataset.units = [layer.unit] * len(layer.names)
    if layer.colours:
        dataset.write_colormap(1, dict(layer.colours))
    dataset.update_tags(**layer.tags)
    return dataset


def write_cog(
    path: Path, grid: Grid, layer: Layer, blocks: Blocks, *, scratch: Path
) -> None:
    """Writes a cloud optimised GeoTIFF with overviews, and reads it back.

    On a full disk GDAL may say nothing, and blocks are missing.

    Args:
        path: The new file.
        grid: Its grid.
        layer: What it says of itself.
        blocks: First row and values (bands, h, W) of each block; taken once.
        scratch: A file to write in between; removed.

    Raises:
        NotWritten: If the disk is full, the file cannot be written, or something else
            is in it.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import rasterio
    >>> from landslide_tf.raster.cog import Layer, write_cog
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", rasterio.Affine(10, 0, 0, 0, -10, 0), 4, 3)
    >>> rows = [(row, np.full((1, 2, 3), row, np.uint8)) for row in (0, 2)]
    >>> layer = Layer("uint8", 255, ["class"], overviews="mode")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, scratch = Path(folder, "map.tif"), Path(folder, "scratch.tif")
    ...     write_cog(path, grid, layer, rows, scratch=scratch)
    ...     with rasterio.open(path) as dataset:
    ...         layout = dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"]
    ...         layout, dataset.read(1)[:, 0].tolist(), scratch.exists()
    ('COG', [0, 0, 2, 2], False)
    """
    sums: list[tuple[Window, int]] = []

    def summed() -> Iterator[tuple[int, NDArray[Any]]]:
        for row, values in blocks:
            window = Window(row, 0, values.shape[1], grid.width)
            sums.append((window, _checksum(values)))
            yield row, values

    write_plain(scratch, grid, layer, summed())
    # Differences of neighbours are smaller than the default level makes fractions, and
    # twice as fast; runs of one class are not.
    how = {} if layer.overviews == "mode" else {"LEVEL": 1, "PREDICTOR": "YES"}
    with writable(path):
        rasterio.shutil.copy(
            scratch,
            path,
            driver="COG",
            BLOCKSIZE=BLOCK,
            COMPRESS="DEFLATE",
            OVERVIEW_RESAMPLING=layer.overviews.upper(),
            BIGTIFF="IF_SAFER",
            NUM_THREADS=_THREADS,
            **how,
        )
    with writable(path), rasterio.open(path) as dataset:
        for window, expected in sums:
            if _checksum(dataset.read(window=window.box)) != expected:
                raise OSError(errno.EIO, "what was written cannot be read back")
    scratch.unlink()


def _checksum(values: NDArray[Any]) -> int:
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.asarray(np.nan, values.dtype), values)
    return zlib.crc32(np.ascontiguousarray(values).data)


UNITS, NODATA = 250, 255


def quantised(
    values: NDArray[np.float32], valid: NDArray[np.bool_], *, float32: bool
) -> NDArray[Any]:
    """Stores fractions as bytes or as they are, nodata where not valid.

    Args:
        values: float32 (h, W, bands) in [0, 1].
        valid: bool (h, W).
        float32: Whether they stay float32.

    Returns:
        (bands, h, W): uint8, where 250 is 1 and 255 nodata, or float32, where NaN is.

    >>> import numpy as np
    >>> from landslide_tf.raster.cog import quantised
    >>> chances = np.array([[[0.0], [0.5], [1.0]]], np.float32)
    >>> quantised(chances, np.array([[True, True, False]]), float32=False).tolist()
    [[[0, 125, 255]]]
    """
    layers = np.moveaxis(values, -1, 0)
    if float32:
        stored: NDArray[Any] = np.array(layers, np.float32, order="C")
    else:
        stored = np.rint(np.clip(layers, 0, 1) * UNITS).astype(np.uint8)
    stored[:, ~valid] = np.nan if float32 else NODATA
    return stored


def fractions(names: Sequence[str], tags: Mapping[str, str], *, float32: bool) -> Layer:
    """Describes a raster of what `quantised` returns.

    >>> from landslide_tf.raster.cog import fractions
    >>> fractions(["landslide"], {}, float32=False).scale
    0.004
    """
    if float32:
        return Layer("float32", float("nan"), names, tags=tags)
    return Layer("uint8", NODATA, names, 1 / UNITS, tags=tags)

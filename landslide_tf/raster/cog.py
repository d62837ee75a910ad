"""Rasters written row by row as cloud optimised GeoTIFFs."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import struct
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray

# The only home of the errors that `rasterio.shutil.copy` lets through.
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from landslide_tf.errors import DataError, first_line
from landslide_tf.raster.flat import FlatRaster
from landslide_tf.raster.grid import Window
from landslide_tf.raster.layer import BLOCK, Layer, created
from landslide_tf.terrain import Grid

Blocks = Iterable[tuple[int, NDArray[Any]]]
"""First row and values (bands, h, W) of each block of rows."""

_THREADS = str(min(4, os.cpu_count() or 1))  # each holds some blocks
_SIZE, _TRAILER = struct.Struct("<I"), 4  # of a block, before it; its last bytes


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
    # rasterio raises a SystemError where GDAL says that it failed and not how.
    except (RasterioError, CPLE_BaseError, OSError, SystemError) as error:
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
    >>> from landslide_tf.raster.opening import open_raster
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
    with writable(path), created(path, grid, layer) as dataset:
        for row, values in blocks:
            window = Window(row, 0, values.shape[1], grid.width)
            dataset.write(values, window=window.box)


def write_cog(
    path: Path, grid: Grid, layer: Layer, blocks: Blocks, *, scratch: Path
) -> None:
    """Writes a cloud optimised GeoTIFF with overviews.

    Args:
        path: The new file.
        grid: Its grid.
        layer: What it says of itself.
        blocks: First row and values (bands, h, W) of each block; taken once, and
            together all rows.
        scratch: A folder to work in; made, and removed.

    Raises:
        NotWritten: If the disk is full, or a file cannot be written.

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
    ...     path, scratch = Path(folder, "map.tif"), Path(folder, "scratch")
    ...     write_cog(path, grid, layer, rows, scratch=scratch)
    ...     with rasterio.open(path) as dataset:
    ...         layout = dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"]
    ...         layout, dataset.read(1)[:, 0].tolist(), scratch.exists()
    ('COG', [0, 0, 2, 2], False)
    """
    try:
        with writable(path):
            scratch.mkdir(parents=True)
            with FlatRaster(scratch / "pixels.raw", grid.shape, layer) as flat:
                for row, values in blocks:
                    flat.write(row, values)
                source = flat.view(scratch / "pixels.vrt", grid)
        copy_as_cog(source, path, layer, scratch=scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def copy_as_cog(source: Path, path: Path, layer: Layer, *, scratch: Path) -> None:
    """Copies a raster as a cloud optimised GeoTIFF with overviews.

    On a full disk GDAL may say nothing, and blocks are missing: all are looked for.

    Args:
        source: The raster.
        path: The new file.
        layer: What it is of.
        scratch: A folder for the overviews in between.

    Raises:
        NotWritten: If the disk is full, or the file cannot be written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import rasterio
    >>> from landslide_tf.raster.cog import Layer, copy_as_cog, write_plain
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", rasterio.Affine(10, 0, 0, 0, -10, 0), 600, 600)
    >>> layer = Layer("uint8", 255, ["class"], overviews="mode")
    >>> rows = [(0, np.zeros((1, 600, 600), np.uint8))]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plain, path = Path(folder, "plain.tif"), Path(folder, "cog.tif")
    ...     write_plain(plain, grid, layer, rows)
    ...     copy_as_cog(plain, path, layer, scratch=Path(folder))
    ...     with rasterio.open(path) as dataset:
    ...         dataset.overviews(1)
    [2]
    """
    # Differences of neighbours are smaller than the default level makes fractions, and
    # twice as fast; runs of one class are not.
    how = {} if layer.overviews == "mode" else {"LEVEL": 1, "PREDICTOR": "YES"}
    # Else GDAL compresses overviews twice; the first time takes longer than all else.
    between = {"CPL_TMPDIR": os.fspath(scratch), "COG_TMP_COMPRESSION": "NONE"}
    with writable(path), rasterio.Env(**between):
        rasterio.shutil.copy(
            source,
            path,
            driver="COG",
            BLOCKSIZE=BLOCK,
            COMPRESS="DEFLATE",
            OVERVIEW_RESAMPLING=layer.overviews.upper(),
            BIGTIFF="IF_SAFER",
            NUM_THREADS=_THREADS,
            **how,
        )
        _check_blocks(path)


def _check_blocks(path: Path) -> None:
    """Looks for all blocks of a cloud optimised GeoTIFF, without reading them.

    GDAL writes the size of a block before it and its last four bytes once more behind
    it (https://gdal.org/drivers/raster/cog.html, structural metadata).

    Raises:
        OSError: If one is not whole.
    """
    with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
        dataset = rasterio.open(path)
    with dataset, path.open("rb") as stream:
        for level in range(1 + len(dataset.overviews(1))):
            down, across = (
                -(-max(size >> level, 1) // BLOCK) for size in dataset.shape
            )
            for row, column in np.ndindex(down, across):
                offset, size = (
                    dataset.get_tag_item(
                        f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1,
                        ovr=level - 1 if level else None,
                    )
                    for what in ("OFFSET", "SIZE")
                )  # fmt: skip
                if not (offset and size and _is_whole(stream, int(offset), int(size))):
                    raise OSError(errno.EIO, "a block of it is not whole")


def _is_whole(stream: BinaryIO, offset: int, size: int) -> bool:
    """Whether a block has its size before it and its end once more behind it."""
    stream.seek(offset - _SIZE.size)
    before = stream.read(_SIZE.size)
    stream.seek(offset + size - _TRAILER)
    end = stream.read(2 * _TRAILER)
    return before == _SIZE.pack(size) and end[:_TRAILER] == end[_TRAILER:] != b""


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

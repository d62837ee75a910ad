"""The one door to raster files: opening them, and saying what is wrong with them."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader

from landslide_tf.errors import DataError, UnreachableError, first_line
from landslide_tf.raster.composed import composed, container_name
from landslide_tf.raster.names import FilePath, is_remote, set_up_gdal


def open_dataset(path: FilePath, what: str) -> DatasetReader:
    """Opens a file, to be closed by the caller; otherwise as `open_raster`.

    >>> from landslide_tf.raster.opening import open_dataset
    >>> open_dataset("missing.tif", "image")
    Traceback (most recent call last):
    landslide_tf.errors.DataError: image `missing.tif` must be a raster that can be ...
    """
    try:
        dataset = _opened(path, what)
    except RasterioError as error:
        if is_remote(path):
            raise _unreachable(path, what, error) from error
        others = " and what it refers to" if str(path).lower().endswith(".vrt") else ""
        raise DataError(
            f"{what} `{path}` must be a raster that can be read, received: "
            f"{first_line(error)}; check that the file{others} is there and "
            "whole."
        ) from error
    # A VRT opens without its sources and fails where the first is read.
    for source in dataset.files if dataset.driver == "VRT" else ():
        if not (":" in source or source.startswith("/vsi") or os.path.exists(source)):
            dataset.close()
            raise DataError(
                f"{what} `{path}` refers to `{source}`, which is not there: restore "
                "it, or make the VRT again (`gdalbuildvrt`)."
            )
        if source.lower().endswith(".vrt") and source != os.fspath(path):
            open_dataset(source, what).close()  # which names what is missing there
    return dataset


def _opened(path: FilePath, what: str) -> DatasetReader:
    """Opens a file, or the image that the rasters in it make together."""
    set_up_gdal()
    name = container_name(path)
    # Otherwise GDAL lists what lies beside a file of a server, to look for sidecars.
    alone = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if is_remote(name) else {}
    with (
        # Our own errors say more than rasterio's warning.
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.Env(**alone) if alone else contextlib.nullcontext(),
    ):
        dataset = rasterio.open(name)
        if dataset.count:
            return dataset
        with dataset:
            view = composed(dataset, f"{what} `{path}`")
        return rasterio.open(view)


@contextlib.contextmanager
def open_raster(path: FilePath, what: str) -> Iterator[DatasetReader]:
    """Opens a raster file.

    Args:
        path: The file, or another name that GDAL opens: an address, a product of
            Sentinel-2 (folder or archive), a container of arrays.
        what: What it is, for messages (`"image"`).

    Yields:
        The open dataset.

    Raises:
        DataError: If it cannot be opened or read.

    >>> import rasterio
    >>> from rasterio.io import MemoryFile
    >>> from landslide_tf.raster.opening import open_raster
    >>> with MemoryFile() as memory:
    ...     memory.open(
    ...         driver="GTiff", count=1, height=3, width=2, dtype="uint8",
    ...         crs="EPSG:32633", transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
    ...     ).close()
    ...     with open_raster(memory.name, "image") as dataset:
    ...         dataset.shape
    (3, 2)
    """
    with open_dataset(path, what) as dataset, readable(path, what):
        yield dataset


@contextlib.contextmanager
def readable(path: FilePath, what: str) -> Iterator[None]:
    """Turns a failure to read a file's pixels into one line that names the file.

    >>> from rasterio.errors import RasterioIOError
    >>> from landslide_tf.raster.opening import readable
    >>> with readable("image.tif", "image"):
    ...     raise RasterioIOError("Read failed")
    Traceback (most recent call last):
    landslide_tf.errors.DataError: image `image.tif` must be a whole raster, ...
    """
    try:
        yield
    except RasterioIOError as error:
        if is_remote(path):
            raise _unreachable(path, what, error) from error
        raise DataError(
            f"{what} `{path}` must be a whole raster, received: {_reason(error)}; the "
            "file is truncated or corrupt."
        ) from error


def _reason(error: RasterioError) -> str:
    return first_line(error.__cause__ or error)  # rasterio's says less


def _unreachable(path: FilePath, what: str, error: RasterioError) -> UnreachableError:
    """Returns the error of a file on another machine."""
    reason = _reason(error).rstrip(".")
    return UnreachableError(
        f"{what} `{path}` cannot be read from there: {reason}; check the address and "
        "your rights, or run the same command again where the connection was cut."
    )

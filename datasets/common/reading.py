"""Reading pictures and arrays that users bring, with errors that name the file."""

from __future__ import annotations

import csv
import dataclasses
import logging
import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from etils import epath
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError
from landslide_tf.words import counted

if TYPE_CHECKING:
    import rasterio

Colour = tuple[int, int, int]
MOST_VALUES = 2**30  # of an array; a crafted header can claim any size


@dataclasses.dataclass(frozen=True)
class Raster:
    """A picture as it is stored.

    Attributes:
        values: (H, W, bands) in the file's own type; of a picture with a palette the
            indices and not the colours. Nothing is masked where a nodata value is
            tagged.
        transform: Six numbers of the affine transform from column and row to the
            coordinate system; NaN = no georeference.
        crs: Coordinate system as WKT; empty = none.
    """

    values: np.ndarray
    transform: np.ndarray
    crs: str


@contextmanager
def reading(path: epath.PathLike, kind: str) -> Iterator[None]:
    """Turns whatever a reader raises into an error that names the file.

    Args:
        path: The file.
        kind: What it should be, with its article.

    Raises:
        DataError: If the block fails.
    """
    try:
        yield
    except DataError:
        raise
    # A broken file makes readers fail in ways that they do not list.
    except Exception as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(
            f"`{path}` cannot be read as {kind}: {first.rstrip('.')}; restore the file."
        ) from error


@contextmanager
def silenced(name: str) -> Iterator[None]:
    """Keeps a library from logging what an exception will say.

    Args:
        name: The library's logger.
    """
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def open_raster(path: epath.PathLike) -> Iterator[rasterio.DatasetReader]:
    """Opens a PNG, JPEG, BMP or TIFF.

    Args:
        path: The file.

    Yields:
        The open data set; read it inside of the block.

    Raises:
        DataError: If the file is broken, or the block fails.
    """
    import rasterio  # too slow for `import landslide_tf`
    from rasterio.errors import NotGeoreferencedWarning

    # A truncated JPEG is grey from some row on unless warnings are errors.
    environment = rasterio.Env(
        GDAL_ERROR_ON_LIBJPEG_WARNING=True, GDAL_PAM_ENABLED=False
    )
    with reading(path, "a picture"), environment, silenced("rasterio"):
        with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
            source = rasterio.open(os.fspath(path))
        with source:
            if source.driver == "PNG" and not _ends_as_png(path):
                raise ValueError("it is truncated")
            yield source


def read_raster(path: epath.PathLike) -> Raster:
    """Reads a PNG, JPEG, BMP or TIFF as it is stored.

    Args:
        path: The file.

    Returns:
        The picture and its georeference.

    Raises:
        DataError: If the file is broken or has more than 2^30 values.
    """
    with open_raster(path) as source:
        claimed = source.width * source.height * source.count
        if claimed > MOST_VALUES:
            raise ValueError(f"it claims {claimed} values")
        known = not source.transform.is_identity
        transform = source.transform[:6] if known else [np.nan] * 6
        return Raster(
            values=np.moveaxis(source.read(), 0, -1),
            transform=np.asarray(transform, np.float64),
            crs=source.crs.to_wkt() if source.crs else "",
        )


def open_array(path: epath.PathLike) -> np.ndarray:
    """Opens a NumPy file without reading it into memory.

    Args:
        path: A `.npy` file on a local disk.

    Returns:
        The array, read where it is used.

    Raises:
        DataError: If the file is broken or holds objects.
    """
    with reading(path, "a NumPy array"):
        return np.lib.format.open_memmap(os.fspath(path), mode="r")


def read_table(
    path: epath.Path, columns: Collection[str], delimiter: str = ","
) -> list[dict[str, str]]:
    """Reads a table with a header.

    Args:
        path: CSV file in UTF-8.
        columns: Names of columns that it must have.
        delimiter: What stands between columns.

    Returns:
        A row by column name each; empty text = missing.

    Raises:
        DataError: If the file is broken, lacks a column or has no row.
    """
    with reading(path, f"a table with the columns {', '.join(columns)}"):
        # In bytes: `epath` reads text in one encoding only.
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
        reader = csv.DictReader(lines, delimiter=delimiter, restval="")
        rows, names = list(reader), list(reader.fieldnames or ())
    lacking = [name for name in columns if name not in names]
    if lacking or not rows:
        fault = f"it lacks the columns {', '.join(lacking)}" if lacking else "no row"
        raise DataError(
            f"`{path}` must have the columns {', '.join(columns)} and a row for every "
            f"entry, received {', '.join(names) or 'nothing'}: {fault}."
        )
    return rows


def read_rgb(path: epath.PathLike, size: int | None = None) -> NDArray[np.uint8]:
    """Reads a colour picture of 8 bits, without its alpha band where it has one.

    Args:
        path: The file.
        size: Rows and columns that it must have; None = any.

    Returns:
        Red, green, blue, uint8 (H, W, 3).

    Raises:
        DataError: If the file is broken, of another size, or is no such picture.
    """
    values = read_raster(path).values
    if values.dtype != np.uint8 or values.shape[-1] not in (3, 4):
        raise DataError(
            f"`{path}` must be a picture with red, green, blue of 8 bits, received "
            f"{counted(values.shape[-1], 'band')} of {values.dtype}."
        )
    if size is not None and values.shape[:2] != (size, size):
        raise DataError(
            f"`{path}` must have {size} x {size} pixels, received "
            f"{values.shape[0]} x {values.shape[1]}; restore the file."
        )
    return np.ascontiguousarray(values[..., :3])


def read_mask(
    path: epath.PathLike, size: tuple[int, int], landslide: Collection[int] = (1, 255)
) -> NDArray[np.uint8]:
    """Reads a mask of one band and one label value.

    Args:
        path: The file; with a palette its indices count and not its colours.
        size: Rows and columns of the image.
        landslide: Values of which one, but not two, may stand for landslide.

    Returns:
        uint8 (H, W), 1 = landslide.

    Raises:
        DataError: If the file is broken, of another size, or holds other values.
    """
    values = read_raster(path).values
    if values.shape != (*size, 1):
        raise DataError(
            f"`{path}` must be a mask of {size} pixels like its image in one band, "
            f"received {values.shape[:2]} and {counted(values.shape[2], 'band')}."
        )
    return binary(values[..., 0], path, landslide)


def binary(
    values: NDArray[Any],
    path: epath.PathLike,
    landslide: Collection[int] = (1, 255),
) -> NDArray[np.uint8]:
    """Makes a mask of a single label value into one of 0 and 1.

    Args:
        values: Labels of any shape and real dtype.
        path: The file they are from.
        landslide: Values of which one, but not two, may stand for landslide.

    Returns:
        uint8 of the same shape, 1 = landslide.

    Raises:
        DataError: If there are other values than 0 and one of these.
    """
    found = np.unique(values)
    labels = found[found != 0]
    if labels.size > 1 or not np.isin(labels, list(landslide)).all():
        unknown = labels[~np.isin(labels, list(landslide))]
        first = unknown[0] if unknown.size else labels[-1]
        listed = " or ".join(map(str, landslide))
        raise DataError(
            f"`{path}` must hold the values 0 and {listed} only, received {first:g} as "
            "well: a mask has 0 for background and one value for landslide."
        )
    return (np.asarray(values) != 0).astype(np.uint8)


def finite(values: NDArray[Any], path: epath.PathLike) -> FloatArray:
    """Makes pixels float32 and refuses those that are no numbers.

    Args:
        values: Pixels of any shape and real dtype.
        path: The file they are from.

    Returns:
        float32 of the same shape.

    Raises:
        DataError: If a value is not finite.
    """
    values = np.asarray(values, np.float32)
    if wrong := np.count_nonzero(~np.isfinite(values)):
        raise DataError(
            f"`{path}` must hold finite values, received {wrong} that are not; restore "
            "the file."
        )
    return values


def from_colours(
    image: NDArray[np.uint8],
    colours: Mapping[int, Colour],
    path: epath.PathLike,
    *,
    tolerated: float = 0.0,
) -> NDArray[np.uint8]:
    """Turns a picture of class colours into class numbers.

    Args:
        image: uint8 (H, W, 3), red, green, blue.
        colours: Colour by class number; 255 = no label.
        path: The file, for the message.
        tolerated: Share of pixels that may have other colours; they become the class
            of the nearest one.

    Returns:
        uint8 (H, W).

    Raises:
        DataError: If more pixels than tolerated have other colours.
    """
    packed = image.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    out = np.full(packed.shape, IGNORE_VALUE, np.uint8)
    known = np.zeros(packed.shape, bool)
    for number, (red, green, blue) in colours.items():
        here = packed == red * 65536 + green * 256 + blue
        out[here] = number
        known |= here
    stray = image[~known]
    if len(stray) > tolerated * packed.size:
        first = tuple(int(value) for value in stray[0])
        listed = ", ".join(map(str, colours.values()))
        raise DataError(
            f"`{path}` must hold the colours {listed} only, received "
            f"{counted(len(stray), 'pixel')} of others, the first {first}: it is not "
            "such a label, or was compressed with losses."
        )
    if len(stray):
        numbers = np.array(list(colours), np.uint8)
        centres = np.array(list(colours.values()), np.int32)
        apart = ((stray[:, None].astype(np.int32) - centres) ** 2).sum(axis=-1)
        out[~known] = numbers[apart.argmin(axis=1)]
    return out


def _ends_as_png(path: epath.PathLike) -> bool:
    """Whether a PNG has its last chunk; GDAL fills what is missing with zeros."""
    with epath.Path(path).open("rb") as file:
        file.seek(-min(4096, epath.Path(path).stat().length), os.SEEK_END)
        return b"IEND" in file.read()

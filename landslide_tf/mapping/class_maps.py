"""Checks of what comparisons of class maps are given."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.metadata import IGNORE_VALUE

# A class map is a byte a pixel, as it is in files.
VALUES = 256


def checked_pair(
    before: ArrayLike, after: ArrayLike
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Returns both maps as bytes of one shape."""
    old, new = _class_map(before, "before"), _class_map(after, "after")
    _check_shape(new, "after", old, "before")
    return old, new


def checked_maps(
    maps: Sequence[ArrayLike], least: int, landslide_class: int, ignore: int
) -> list[NDArray[np.uint8]]:
    """Returns a series of maps as bytes of one shape."""
    check_landslide_class(landslide_class, ignore)
    if len(maps) < least:
        raise DataError(
            f"Expected `maps` to hold at least {least}, received {len(maps)}; give one "
            "class map a date, oldest first."
        )
    checked = [_class_map(values, f"maps[{t}]") for t, values in enumerate(maps)]
    for t, values in enumerate(checked):
        _check_shape(values, f"maps[{t}]", checked[0], "maps[0]")
    return checked


def _class_map(values: ArrayLike, name: str) -> NDArray[np.uint8]:
    try:
        array: NDArray[Any] = np.asarray(values)
    except ValueError:  # rows of unequal length
        array = np.empty(0, object)
    if array.ndim != 2 or array.dtype.kind not in "iu":
        raise DataError(
            f"Expected `{name}` to be a class map, integers of shape (H, W), received "
            f"{array.dtype} of shape {array.shape}; give one class index a pixel."
        )
    if array.dtype != np.uint8 and array.size:
        low, high = array.min(), array.max()
        if low < 0 or high >= VALUES:
            raise DataError(
                f"Expected `{name}` to hold classes from 0 to {VALUES - 1}, received "
                f"{low if low < 0 else high}; write pixels without class as "
                f"{IGNORE_VALUE}."
            )
    return array.astype(np.uint8, copy=False)


def _check_shape(
    array: NDArray[np.uint8], name: str, other: NDArray[np.uint8], other_name: str
) -> None:
    if array.shape != other.shape:
        raise DataError(
            f"Expected `{name}` of the shape of `{other_name}`, {other.shape}, received"
            f" {array.shape}; bring all maps onto one grid first."
        )


def check_landslide_class(landslide_class: int, ignore: int) -> None:
    """Refuses class indices that are none, or equal."""
    checked_integer(ignore, "ignore", 0, VALUES - 1)
    checked_integer(landslide_class, "landslide_class", 0, VALUES - 1)
    if landslide_class == ignore:
        raise DataError(
            f"Expected `landslide_class` to differ from `ignore`, received {ignore} "
            "for both; give the index of the landslide class."
        )


def row_areas(cell_area: ArrayLike | None, shape: tuple[int, ...]) -> FloatArray | None:
    """Returns the area of a pixel of each row, (H,), or None."""
    if cell_area is None:
        return None
    try:
        areas = np.asarray(cell_area, np.float64)
    except (TypeError, ValueError):
        areas = np.full((0, 0), np.nan)
    if areas.shape not in ((), (shape[0],)) or not (
        np.isfinite(areas).all() and (areas > 0).all()
    ):
        raise DataError(
            f"Expected `cell_area` above 0 in m², one number or one for each of the "
            f"{shape[0]} rows, received {_short(cell_area)}; multiply width and height "
            "of a pixel on the ground."
        )
    return np.broadcast_to(areas, shape[:1])


def _short(value: object) -> str:
    shape = np.shape(value) if isinstance(value, np.ndarray) else ()
    return f"an array of shape {shape}" if shape else " ".join(repr(value).split())[:40]


def checked_integer(value: int, name: str, low: int, high: int) -> int:
    """Returns a whole number within limits, or says that it is none."""
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if not low <= number <= high:
        raise DataError(
            f"Expected `{name}` to be a whole number from {low} to {high}, received "
            f"{_short(value)}."
        )
    return number

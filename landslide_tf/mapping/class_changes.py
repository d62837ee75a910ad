"""Change between class maps of one place: post-classification comparison.

Xia et al. 2021, section 4.2: each date is mapped on its own, then the maps are
compared pixel by pixel. All maps lie on one grid; a pixel that is ignored on either
date has no change.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError

# A class map is a byte a pixel, as it is in files.
VALUES = 256


def transition_matrix(
    before: ArrayLike,
    after: ArrayLike,
    classes: int,
    *,
    ignore: int = IGNORE_VALUE,
    cell_area: ArrayLike | None = None,
) -> IntArray | FloatArray:
    """Counts pixels by their class before and after.

    Xia et al. 2021, section 4.2. Row sums are the areas of the classes before, column
    sums those after, both over the pixels that are valid on both dates.

    Args:
        before: Class map (H, W), integers in [0, classes) or `ignore`.
        after: Class map (H, W) of the later date.
        classes: Number of classes.
        ignore: Value of pixels without a class.
        cell_area: Area of a pixel in m²: one number, or one for each row (H,) where
            rows differ (geographic grids: the product of `terrain.cell_size`). None
            counts pixels.

    Returns:
        (classes, classes), element [i, j] from class i to class j: int64 pixels, or
        float64 m².

    Raises:
        DataError: If the maps are no class maps of one shape, hold an unknown class, or
            an argument is not valid.

    >>> from landslide_tf.mapping import transition_matrix
    >>> transition_matrix([[0, 1], [1, 255]], [[0, 0], [1, 1]], 2).tolist()
    [[1, 0], [1, 1]]
    """
    old, new = checked_pair(before, after)
    areas = row_areas(cell_area, old.shape)
    found = Transitions(classes, ignore=ignore)
    found.add(old, new, areas)
    return found.pixels if areas is None else found.areas


class Transitions:
    """Counts what became what in maps that come in strips of rows.

    Areas are added up row by row: they do not depend on how high the strips are.

    Args:
        classes: Number of classes.
        ignore: Value of pixels without a class.

    Attributes:
        pixels: int64 (classes, classes), as of `transition_matrix`.
        areas: float64 (classes, classes), m², of strips with areas of pixels.

    >>> import numpy as np
    >>> from landslide_tf.mapping.class_changes import Transitions
    >>> found = Transitions(2)
    >>> for old, new in (([[0, 1]], [[0, 0]]), ([[1, 255]], [[1, 1]])):
    ...     found.add(np.array(old, np.uint8), np.array(new, np.uint8), np.array([9.0]))
    >>> found.pixels.tolist(), found.areas[1].tolist()
    ([[1, 0], [1, 1]], [9.0, 9.0])
    """

    def __init__(self, classes: int, *, ignore: int = IGNORE_VALUE) -> None:
        self._classes = checked_integer(classes, "classes", 1, VALUES)
        self._ignore = checked_integer(ignore, "ignore", 0, VALUES - 1)
        self.pixels = np.zeros((self._classes, self._classes), np.int64)
        self.areas = np.zeros((self._classes, self._classes))

    def add(
        self,
        before: NDArray[np.uint8],
        after: NDArray[np.uint8],
        cell_areas: FloatArray | None = None,
    ) -> None:
        """Looks at the next strips (h, W); `cell_areas` of rows are in m² (h,).

        Raises:
            DataError: If they hold an unknown class.
        """
        for name, values in (("before", before), ("after", after)):
            unknown = values[(values >= self._classes) & (values != self._ignore)]
            if unknown.size:
                raise DataError(
                    f"Expected `{name}` to hold classes below {self._classes} or "
                    f"`ignore` {self._ignore}, received {unknown[0]}; give the number "
                    "of classes of the maps."
                )
        for row, (old, new) in enumerate(zip(before, after, strict=True)):
            valid = (old != self._ignore) & (new != self._ignore)
            keys = old[valid].astype(np.intp) * self._classes + new[valid]
            counts = np.bincount(keys, minlength=self._classes**2)
            counts = counts.reshape(self.pixels.shape)
            self.pixels += counts
            if cell_areas is not None:
                self.areas += counts * cell_areas[row]


def new_landslides(
    before: ArrayLike,
    after: ArrayLike,
    *,
    landslide_class: int,
    ignore: int = IGNORE_VALUE,
) -> NDArray[np.bool_]:
    """Finds the pixels that became landslide (Xia et al. 2021, section 4.2).

    Args:
        before: Class map (H, W), integers in [0, 255].
        after: Class map (H, W) of the later date.
        landslide_class: Index of the landslide class.
        ignore: Value of pixels without a class.

    Returns:
        True (H, W) for landslide after, another class before, both valid.

    Raises:
        DataError: If the maps are no class maps of one shape.

    >>> from landslide_tf.mapping import new_landslides
    >>> new_landslides([[0, 1], [1, 255]], [[0, 0], [1, 0]], landslide_class=0).tolist()
    [[False, True], [False, False]]
    """
    check_landslide_class(landslide_class, ignore)
    old, new = checked_pair(before, after)
    return (new == landslide_class) & (old != landslide_class) & (old != ignore)


def vanished(
    before: ArrayLike,
    after: ArrayLike,
    *,
    landslide_class: int,
    ignore: int = IGNORE_VALUE,
) -> NDArray[np.bool_]:
    """Finds the pixels that are no longer landslide (Xia et al. 2021, section 4.2).

    Args:
        before: Class map (H, W), integers in [0, 255].
        after: Class map (H, W) of the later date.
        landslide_class: Index of the landslide class.
        ignore: Value of pixels without a class.

    Returns:
        True (H, W) for landslide before, another class after, both valid.

    Raises:
        DataError: If the maps are no class maps of one shape.

    >>> from landslide_tf.mapping import vanished
    >>> vanished([[0, 1], [0, 255]], [[0, 0], [1, 0]], landslide_class=0).tolist()
    [[False, False], [True, False]]
    """
    return new_landslides(after, before, landslide_class=landslide_class, ignore=ignore)


def stable(
    before: ArrayLike,
    after: ArrayLike,
    *,
    landslide_class: int,
    ignore: int = IGNORE_VALUE,
) -> NDArray[np.bool_]:
    """Finds the pixels that were and are landslide (Xia et al. 2021, section 4.2).

    Args:
        before: Class map (H, W), integers in [0, 255].
        after: Class map (H, W) of the later date.
        landslide_class: Index of the landslide class.
        ignore: Value of pixels without a class.

    Returns:
        True (H, W) for landslide on both dates.

    Raises:
        DataError: If the maps are no class maps of one shape.

    >>> from landslide_tf.mapping import stable
    >>> stable([[0, 1], [0, 255]], [[0, 0], [1, 0]], landslide_class=0).tolist()
    [[True, False], [False, False]]
    """
    check_landslide_class(landslide_class, ignore)
    old, new = checked_pair(before, after)
    return (old == landslide_class) & (new == landslide_class)


def from_class(
    before: ArrayLike,
    after: ArrayLike,
    *,
    landslide_class: int,
    ignore: int = IGNORE_VALUE,
) -> NDArray[np.uint8]:
    """Returns the earlier classes of new landslides (Xia et al. 2021, section 4.2).

    Args:
        before: Class map (H, W), integers in [0, 255].
        after: Class map (H, W) of the later date.
        landslide_class: Index of the landslide class.
        ignore: Value of pixels without a class.

    Returns:
        uint8 (H, W): the class before where the pixel became landslide, else `ignore`.

    Raises:
        DataError: If the maps are no class maps of one shape.

    >>> from landslide_tf.mapping import from_class
    >>> from_class([[0, 2], [1, 255]], [[0, 0], [1, 0]], landslide_class=0).tolist()
    [[255, 2], [255, 255]]
    """
    new = new_landslides(before, after, landslide_class=landslide_class, ignore=ignore)
    return np.where(new, before, ignore).astype(np.uint8)


def checked_pair(
    before: ArrayLike, after: ArrayLike
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Returns both maps as bytes of one shape.

    >>> from landslide_tf.mapping.class_changes import checked_pair
    >>> [values.dtype.name for values in checked_pair([[0, 1]], [[1, 255]])]
    ['uint8', 'uint8']
    """
    old, new = _of_one_shape({"before": before, "after": after})
    return old, new


def checked_maps(
    maps: Sequence[ArrayLike], least: int, landslide_class: int, ignore: int
) -> list[NDArray[np.uint8]]:
    """Returns a series of maps as bytes of one shape.

    >>> from landslide_tf.mapping.class_changes import checked_maps
    >>> len(checked_maps([[[0, 1]], [[1, 1]]], 2, landslide_class=1, ignore=255))
    2
    """
    check_landslide_class(landslide_class, ignore)
    if len(maps) < least:
        raise DataError(
            f"Expected `maps` to hold at least {least}, received {len(maps)}; give one "
            "class map a date, oldest first."
        )
    return _of_one_shape({f"maps[{t}]": values for t, values in enumerate(maps)})


def _of_one_shape(maps: Mapping[str, ArrayLike]) -> list[NDArray[np.uint8]]:
    checked = {name: _class_map(values, name) for name, values in maps.items()}
    first = next(iter(checked))
    for name, array in checked.items():
        if array.shape != checked[first].shape:
            raise DataError(
                f"Expected `{name}` of the shape of `{first}`, {checked[first].shape}, "
                f"received {array.shape}; bring all maps onto one grid first."
            )
    return list(checked.values())


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
    """Returns the area of a pixel of each row, (H,), or None.

    >>> from landslide_tf.mapping.class_changes import row_areas
    >>> row_areas(100.0, (3, 2)).tolist()
    [100.0, 100.0, 100.0]
    """
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
    """Returns a whole number within limits, or says that it is none.

    >>> import numpy as np
    >>> from landslide_tf.mapping.class_changes import checked_integer
    >>> checked_integer(np.int64(3), "classes", 1, 255)
    3
    """
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

"""Landslides in a series of class maps: when each began, and which are new.

Xia et al. 2021, section 4.2. All maps lie on one grid, oldest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.errors import DataError
from landslide_tf.mapping.class_changes import (
    VALUES,
    checked_integer,
    checked_maps,
    row_areas,
)
from landslide_tf.metadata import IGNORE_VALUE
from landslide_tf.objects import label_objects
from landslide_tf.objects.label import large_objects


def first_step(
    maps: Sequence[ArrayLike],
    *,
    landslide_class: int,
    ignore: int = IGNORE_VALUE,
    persist: int = 1,
    min_area: float = 0,
    cell_area: ArrayLike | None = None,
) -> NDArray[np.int16]:
    """Finds the first date on which each pixel is landslide.

    After Xia et al. 2021, section 4.2. With `min_area` a pixel waits until the pixels
    around it that wait as well make a large enough object, so that a landslide
    which grows by little from date to date is not lost.

    Args:
        maps: Class maps (H, W), oldest first, integers in [0, 255].
        landslide_class: Index of the landslide class.
        ignore: Value of pixels without a class; they count as no landslide.
        persist: Number of maps in a row, from the first one on, that must show
            landslide; what the last maps cannot confirm is left out.
        min_area: Smallest new object (8-connected) of the second date and later, in
            pixels, or in m² with `cell_area`; landslides of the first date all stay.
        cell_area: Area of a pixel in m², one number or one for each row (H,).

    Returns:
        int16 (H, W): index of the map, −1 where none.

    Raises:
        DataError: If the maps are no class maps of one shape, or an argument is not
            valid.

    >>> from landslide_tf.mapping import first_step
    >>> maps = [[[1, 1, 0]], [[0, 1, 0]], [[0, 1, 255]]]
    >>> first_step(maps, landslide_class=0).tolist()
    [[1, -1, 0]]
    """
    checked = checked_maps(maps, 1, landslide_class, ignore)
    _check_min_area(min_area)
    areas = row_areas(cell_area, checked[0].shape)
    steps = np.full(checked[0].shape, -1, np.int16)
    for step, lasting in _lasting(checked, landslide_class, persist):
        waiting = lasting & (steps < 0)
        if step > 0 and min_area > 0:
            waiting = _large_objects(waiting, min_area, areas)[0] > 0
        steps[waiting] = step
    return steps


@dataclass(frozen=True)
class NewObject:
    """A landslide that is new on one date.

    Attributes:
        id: 1..n over all dates, by date and then in reading order.
        step: Index of the map it is new in, from 1.
        area: Pixels, or m² where the area of a pixel is known.
        centroid: Mean row and column; the centre of the first pixel is (0, 0).
        previous: Share of its area by the class on the date before, ascending classes.
        window: Rows and columns that it lies in.
        mask: Its pixels within `window`, boolean.

    >>> import numpy as np
    >>> from landslide_tf.mapping import NewObject
    >>> where = (slice(2, 4), slice(0, 2))
    >>> mask = np.ones((2, 2), bool)
    >>> slide = NewObject(1, 1, 400.0, (2.5, 0.5), {3: 1.0}, where, mask)
    >>> slide.previous[3]
    1.0
    """

    id: int
    step: int
    area: float
    centroid: tuple[float, float]
    previous: dict[int, float]
    window: tuple[slice, slice] = field(repr=False)
    mask: NDArray[np.bool_] = field(repr=False, compare=False)


def new_objects(
    maps: Sequence[ArrayLike],
    *,
    landslide_class: int,
    ignore: int = IGNORE_VALUE,
    persist: int = 1,
    min_area: float = 0,
    cell_area: ArrayLike | None = None,
) -> list[NewObject]:
    """Lists the landslides that are new between one date and the next.

    After Xia et al. 2021, section 4.2. Objects are the 8-connected components of
    `new_landslides` of each pair of dates. What lay under ignored pixels is not known
    to be new and is left out; what vanished and came back is new again.

    Args:
        maps: At least two class maps (H, W), oldest first, integers in [0, 255].
        landslide_class: Index of the landslide class.
        ignore: Value of pixels without a class.
        persist: Number of maps in a row, from the new one on, that must show
            landslide.
        min_area: Smallest object, in pixels, or in m² with `cell_area`.
        cell_area: Area of a pixel in m², one number or one for each row (H,).

    Returns:
        One row an object.

    Raises:
        DataError: If the maps are no class maps of one shape, or an argument is not
            valid.

    >>> import numpy as np
    >>> from landslide_tf.mapping import new_objects
    >>> maps = [np.full((3, 4), 1), np.full((3, 4), 1)]
    >>> maps[1][1:, 2:] = 0
    >>> (found,) = new_objects(maps, cell_area=100.0, landslide_class=0)
    >>> found.step, found.area, found.centroid, found.previous
    (1, 400.0, (1.5, 2.5), {1: 1.0})
    """
    checked = checked_maps(maps, 2, landslide_class, ignore)
    _check_min_area(min_area)
    areas = row_areas(cell_area, checked[0].shape)
    rows: list[NewObject] = []
    for step, lasting in _lasting(checked, landslide_class, persist):
        if step == 0:
            continue
        before = checked[step - 1]
        new = lasting & (before != landslide_class) & (before != ignore)
        if not new.any():
            continue
        labels, sizes = _large_objects(new, min_area, areas)
        rows += _table(labels, sizes, before, areas, step, len(rows) + 1)
    return rows


def _table(
    labels: IntArray,
    sizes: FloatArray,
    before: NDArray[np.uint8],
    areas: FloatArray | None,
    step: int,
    first_id: int,
) -> list[NewObject]:
    """Returns one row for each label 1..n; `sizes` are the areas of all labels."""
    inside = np.nonzero(labels)
    of = labels[inside]
    weights = np.ones(of.size) if areas is None else areas[inside[0]]
    pixels = np.bincount(of, minlength=sizes.size)
    row, column = (np.bincount(of, axis, minlength=sizes.size) for axis in inside)
    keys, position = np.unique(
        of.astype(np.int64) * VALUES + before[inside], return_inverse=True
    )
    shares: list[dict[int, float]] = [{} for _ in sizes]
    for key, area in zip(keys, np.bincount(position, weights), strict=True):
        label, previous = divmod(int(key), VALUES)
        shares[label][previous] = float(area / sizes[label])
    return [
        NewObject(
            id=first_id + label - 1,
            step=step,
            area=float(sizes[label]),
            centroid=(
                float(row[label] / pixels[label]),
                float(column[label] / pixels[label]),
            ),
            previous=shares[label],
            window=window,
            mask=labels[window] == label,
        )
        for label, window in enumerate(ndimage.find_objects(labels), start=1)
    ]


def _lasting(
    maps: Sequence[NDArray[np.uint8]], landslide_class: int, persist: int
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yields each step and where landslide holds for `persist` maps from it on."""
    checked_integer(persist, "persist", 1, len(maps))
    for step in range(len(maps) - persist + 1):
        lasting = maps[step] == landslide_class
        for later in maps[step + 1 : step + persist]:
            lasting &= later == landslide_class
        yield step, lasting


def _large_objects(
    mask: NDArray[np.bool_], min_area: float, areas: FloatArray | None
) -> tuple[IntArray, FloatArray]:
    """Labels the objects of at least `min_area`.

    Returns:
        Labels (H, W) 1..n, 0 = none; and the area of each label, 0 included.
    """
    labels, number = label_objects(mask, min_area=0)
    inside = np.nonzero(labels)
    weights = np.ones(inside[0].size) if areas is None else areas[inside[0]]
    sizes = np.bincount(labels[inside], weights, minlength=number + 1)
    return large_objects(labels, sizes, min_area)


def _check_min_area(min_area: float) -> None:
    if not min_area >= 0:
        raise DataError(
            f"Expected `min_area` of at least 0, received {min_area}; 0 keeps all."
        )

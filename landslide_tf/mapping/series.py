"""Landslides in a series of class maps: when each began, and which are new.

Xia et al. 2021, section 4.2. All maps lie on one grid, oldest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.mapping.class_changes import checked_maps, row_areas
from landslide_tf.mapping.series_strips import (
    FirstSteps,
    NewObject,
    NewObjects,
    SeriesRule,
    Strip,
)


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
    areas = row_areas(cell_area, checked[0].shape)
    rule = SeriesRule(len(checked), landslide_class, ignore, persist, min_area)
    # An array without a row is no strip.
    strips = [Strip(0, checked, areas)] if checked[0].size else []
    found = FirstSteps(lambda: strips, rule)
    if not strips:
        return np.full(checked[0].shape, -1, np.int16)
    return found.read(0, checked)


def new_objects(
    maps: Sequence[ArrayLike],
    *,
    landslide_class: int,
    ignore: int = IGNORE_VALUE,
    persist: int = 1,
    min_area: float = 0,
    cell_area: ArrayLike | None = None,
) -> list[NewObject]:
    """Lists the new landslides between consecutive dates.

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
    areas = row_areas(cell_area, checked[0].shape)
    rule = SeriesRule(len(checked), landslide_class, ignore, persist, min_area)
    strips = [Strip(0, checked, areas)] if checked[0].size else []
    found = NewObjects(lambda: strips, rule)
    rows: list[NewObject] = []
    for step in rule.begins if strips else ():
        labels = found.labels(0, checked, step)
        rows += (
            replace(row, mask=labels[row.window] == label)
            for label, row in enumerate(found.table(step, len(rows) + 1), 1)
        )
    return rows

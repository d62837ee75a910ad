"""Change between class maps of one place: post-classification comparison.

Xia et al. 2021, section 4.2: each date is mapped on its own, then the maps are
compared pixel by pixel. All maps lie on one grid; a pixel that is ignored on either
date has no change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.errors import DataError
from landslide_tf.mapping.class_maps import (
    VALUES,
    check_landslide_class,
    checked_integer,
    checked_pair,
    row_areas,
)
from landslide_tf.metadata import IGNORE_VALUE

# Pixels counted at once: counting takes over twenty bytes each.
_BLOCK = 2**22


def transition_matrix(
    before: ArrayLike,
    after: ArrayLike,
    classes: int,
    *,
    ignore: int = IGNORE_VALUE,
    cell_area: ArrayLike | None = None,
) -> IntArray | FloatArray:
    """Counts how many pixels of each class became which class.

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
    """
    old, new = checked_pair(before, after)
    count = checked_integer(classes, "classes", 1, VALUES)
    checked_integer(ignore, "ignore", 0, VALUES - 1)
    for name, values in (("before", old), ("after", new)):
        unknown = values[(values >= count) & (values != ignore)]
        if unknown.size:
            raise DataError(
                f"Expected `{name}` to hold classes below {count} or `ignore` {ignore},"
                f" received {unknown[0]}; give the number of classes of the maps."
            )
    areas = row_areas(cell_area, old.shape)
    matrix = np.zeros(count * count, np.int64 if areas is None else np.float64)
    rows = max(1, _BLOCK // max(1, old.shape[1]))
    for block in (np.s_[k : k + rows] for k in range(0, old.shape[0], rows)):
        valid = (old[block] != ignore) & (new[block] != ignore)
        keys = old[block][valid].astype(np.intp) * count + new[block][valid]
        weights = None if areas is None else areas[block][np.nonzero(valid)[0]]
        matrix += np.bincount(keys, weights, minlength=count * count)
    return matrix.reshape(count, count)


def new_landslides(
    before: ArrayLike,
    after: ArrayLike,
    *,
    landslide_class: int = 0,
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
    """
    check_landslide_class(landslide_class, ignore)
    old, new = checked_pair(before, after)
    return (new == landslide_class) & (old != landslide_class) & (old != ignore)


def vanished(
    before: ArrayLike,
    after: ArrayLike,
    *,
    landslide_class: int = 0,
    ignore: int = IGNORE_VALUE,
) -> NDArray[np.bool_]:
    """Finds the pixels that are landslide no more (Xia et al. 2021, section 4.2).

    Args:
        before: Class map (H, W), integers in [0, 255].
        after: Class map (H, W) of the later date.
        landslide_class: Index of the landslide class.
        ignore: Value of pixels without a class.

    Returns:
        True (H, W) for landslide before, another class after, both valid.

    Raises:
        DataError: If the maps are no class maps of one shape.
    """
    check_landslide_class(landslide_class, ignore)
    old, new = checked_pair(before, after)
    return (old == landslide_class) & (new != landslide_class) & (new != ignore)


def stable(
    before: ArrayLike,
    after: ArrayLike,
    *,
    landslide_class: int = 0,
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
    """
    check_landslide_class(landslide_class, ignore)
    old, new = checked_pair(before, after)
    return (old == landslide_class) & (new == landslide_class)


def from_class(
    before: ArrayLike,
    after: ArrayLike,
    *,
    landslide_class: int = 0,
    ignore: int = IGNORE_VALUE,
) -> NDArray[np.uint8]:
    """Says what new landslides were before (Xia et al. 2021, section 4.2).

    Args:
        before: Class map (H, W), integers in [0, 255].
        after: Class map (H, W) of the later date.
        landslide_class: Index of the landslide class.
        ignore: Value of pixels without a class.

    Returns:
        uint8 (H, W): the class before where the pixel became landslide, else `ignore`.

    Raises:
        DataError: If the maps are no class maps of one shape.
    """
    new = new_landslides(before, after, landslide_class=landslide_class, ignore=ignore)
    return np.where(new, before, ignore).astype(np.uint8)

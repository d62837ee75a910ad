"""Landslide objects: the connected components of a mask."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from landslide_tf.array_types import IntArray
from landslide_tf.errors import DataError

Connectivity = Literal[8, 4]
DEFAULT_MIN_AREA = 16


def checked_mask(mask: ArrayLike, name: str = "mask") -> NDArray[np.bool_]:
    """Returns a boolean mask, or says why the array is none.

    Args:
        mask: 2D array, boolean or integers 0 and 1.
        name: How the message calls it.

    Returns:
        The mask, boolean, shape (H, W).

    Raises:
        DataError: If the array is not 2D or holds other values.
    """
    array: NDArray[Any] = np.asarray(mask)
    if array.ndim != 2:
        raise DataError(
            f"Expected `{name}` of shape (H, W), received {array.shape}; give one "
            "scene at a time."
        )
    if array.dtype == bool:
        return array
    if array.dtype.kind not in "iu" or (array.size and not _is_binary(array)):
        raise DataError(
            f"Expected `{name}` to be boolean or 0 and 1, received dtype "
            f"{array.dtype}; compare the class map with the landslide class first."
        )
    return array.astype(bool)


def _is_binary(array: NDArray[Any]) -> bool:
    return array.min() >= 0 and array.max() <= 1


def label_objects(
    mask: ArrayLike,
    *,
    connectivity: Connectivity = 8,
    min_area: float = DEFAULT_MIN_AREA,
    cell_size: float | tuple[float, float] | None = None,
) -> tuple[IntArray, int]:
    """Labels the connected components of a landslide mask.

    Args:
        mask: Shape (H, W), boolean or 0 and 1.
        connectivity: 8 joins pixels at corners, 4 only at edges.
        min_area: Smallest object kept, in pixels, or in m² if `cell_size` is given.
        cell_size: Width (and height) of a pixel in metres.

    Returns:
        Labels (H, W) int32, 0 = no object, 1..n in the order in which row by row
        reading meets them; and n.

    Raises:
        DataError: If the mask or an argument is not valid.

    Example:
        >>> from landslide_tf import objects
        >>> mask = [[1, 1, 0, 0], [0, 0, 0, 1]]
        >>> labels, number = objects.label_objects(mask, min_area=1)
        >>> labels.tolist(), number
        ([[1, 1, 0, 0], [0, 0, 0, 2]], 2)
    """
    array = checked_mask(mask)
    if connectivity not in (8, 4):
        raise DataError(
            f"Expected `connectivity` 8 or 4, received {connectivity}; use the default."
        )
    smallest = min_area / _cell_area(cell_size)
    if not smallest >= 0:
        raise DataError(
            f"Expected `min_area` of at least 0, received {min_area}; 0 keeps all."
        )
    structure = np.ones((3, 3), bool) if connectivity == 8 else None
    labels, _ = ndimage.label(array, structure=structure, output=np.int32)
    found, sizes = large_objects(labels, np.bincount(labels.ravel()), smallest)
    return found, len(sizes) - 1


def large_objects(
    labels: IntArray, sizes: NDArray[Any], min_size: float
) -> tuple[IntArray, NDArray[Any]]:
    """Keeps the objects that are large enough, and numbers them anew.

    Args:
        labels: Labels (H, W), 0 = none.
        sizes: Size of each label, 0 included, as for instance pixels or m².
        min_size: Smallest size kept.

    Returns:
        Labels (H, W) int32 in the order of those before, and the sizes of label 0,
        which is 0, and of what is kept.

    Example:
        >>> import numpy as np
        >>> from landslide_tf.objects.label import large_objects
        >>> labels, sizes = np.array([[1, 0, 2, 2]]), np.array([1, 1, 2])
        >>> labels, sizes = large_objects(labels, sizes, 2)
        >>> labels.tolist(), sizes.tolist()
        ([[0, 0, 1, 1]], [0, 2])
    """
    kept = is_large(sizes, min_size)
    kept[:1] = False
    renumber = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    left = np.append(np.zeros(1, sizes.dtype), sizes[kept])
    return (renumber[labels] if renumber.size else labels), left


def is_large(sizes: NDArray[Any], min_size: float) -> NDArray[np.bool_]:
    """Says which objects are kept.

    Args:
        sizes: Their sizes (N,), as for instance pixels or m².
        min_size: Smallest size kept.

    Returns:
        bool (N,).

    Example:
        >>> import numpy as np
        >>> from landslide_tf.objects.label import is_large
        >>> is_large(np.array([1, 2]), 2).tolist()
        [False, True]
    """
    # A sum or product of decimal metres may miss a whole number by rounding.
    return np.asarray(sizes >= min_size * (1 - 1e-12))


def _cell_area(cell_size: float | tuple[float, float] | None) -> float:
    if cell_size is None:
        return 1.0
    width, height = np.broadcast_to(np.asarray(cell_size, float), 2)
    if not (width > 0 and height > 0 and np.isfinite(width * height)):
        raise DataError(
            f"Expected `cell_size` above 0 in metres, received {cell_size}; give the "
            "size of a pixel on the ground."
        )
    return float(width * height)


def boundaries(mask: ArrayLike) -> NDArray[np.bool_]:
    """Finds the outline of a mask, for drawing it over a picture.

    Args:
        mask: Shape (H, W), boolean or 0 and 1.

    Returns:
        True for the mask's pixels that have an edge in common with a pixel outside it;
        the rim of the array counts as outside, so every outline is closed.

    Raises:
        DataError: If the mask is not valid.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import objects
        >>> objects.boundaries(np.ones((3, 3), bool)).astype(int).tolist()
        [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
    """
    array = checked_mask(mask)
    return array & ~ndimage.binary_erosion(array, border_value=0)

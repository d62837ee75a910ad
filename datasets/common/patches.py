"""Tables of training patches: windows of scenes, never copies of their pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops_table
from skimage.segmentation import slic

from landslide_tf.array_types import IntArray
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError

PATCH_SIZE = 256

# Superpixels of a quarter of a patch, so that neighbouring patches overlap.
_SUPERPIXELS_PER_PATCH = 4
_COMPACTNESS = 10
_SIGMA = 1
_MIN_VALID = 0.5


@dataclass(frozen=True)
class Patch:
    """One window of a scene and its classes.

    Attributes:
        id: Id of the scene.
        row: First row.
        column: First column.
        size: Rows and columns; a scene smaller than this is the upper left part.
        label: Class that most of the superpixel in the middle belongs to.
        fractions: Share of the window's pixels by class; the rest has no class.

    >>> from landslide_tf.prepare import Patch
    >>> patch = Patch("scene", row=8, column=0, size=16, label=1, fractions=(0.25, 0.5))
    >>> patch.valid, patch.window
    (0.75, (slice(8, 24, None), slice(0, 16, None)))
    """

    id: str
    row: int
    column: int
    size: int
    label: int
    fractions: tuple[float, ...]

    @property
    def valid(self) -> float:
        """Share of the window's pixels that have a class."""
        return min(1.0, math.fsum(self.fractions))

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns, to index the scene's arrays with."""
        return (
            slice(self.row, self.row + self.size),
            slice(self.column, self.column + self.size),
        )


def superpixel_patches(
    name: str,
    image: NDArray[Any],  # bytes or floats
    mask: IntArray,
    classes: int,
    *,
    size: int = PATCH_SIZE,
) -> list[Patch]:
    """Finds the patches of a scene, one around each superpixel.

    Xia et al. 2021 cut patches "using superpixel segmentation" and print no
    parameters. Here: SLIC (Achanta et al. 2012), four superpixels a patch area,
    compactness 10, sigma 1. Each patch is centred on its superpixel and moved inside
    the scene; superpixels with a class on less than half of their pixels are
    dropped, and so are windows that come again.

    Args:
        name: Id of the scene.
        image: (H, W, 3) red, green and blue, uint8 or finite floats.
        mask: (H, W) or (H, W, 1), integers in [0, classes) or 255 = no class.
        classes: Number of classes.
        size: Rows and columns of a patch.

    Returns:
        The patches in the order of their superpixels.

    Raises:
        DataError: If image and mask are none of one scene, or an argument is not
            valid.

    >>> import numpy as np
    >>> from landslide_tf.prepare import superpixel_patches
    >>> image = np.zeros((32, 32, 3), np.uint8)
    >>> image[:, 16:] = 200
    >>> mask = (image[..., 0] > 0).astype(np.uint8)
    >>> patches = superpixel_patches("scene", image, mask, 2, size=16)
    >>> sorted({patch.label for patch in patches})
    [0, 1]
    """
    labels = _checked_scene(name, image, mask, classes)
    if size < 1:
        raise DataError(f"Expected `size` of at least 1 pixel, received {size}.")
    height, width = labels.shape
    number = round(height * width / size**2 * _SUPERPIXELS_PER_PATCH)
    segments = slic(
        image,
        n_segments=max(1, number),
        compactness=_COMPACTNESS,
        sigma=_SIGMA,
        start_label=1,
        channel_axis=-1,
    )
    patches: dict[tuple[int, int], Patch] = {}
    for row, column, majority in _superpixels(segments, labels, classes):
        top, left = _start(row, size, height), _start(column, size, width)
        window = labels[top : top + size, left : left + size]
        counts = np.bincount(window.ravel(), minlength=classes)[:classes]
        # A superpixel may bend around a window that holds none of its pixels.
        if (top, left) not in patches and counts.any():
            fractions = tuple((counts / size**2).tolist())
            patches[top, left] = Patch(name, top, left, size, majority, fractions)
    return list(patches.values())


def _checked_scene(
    name: str, image: NDArray[Any], mask: IntArray, classes: int
) -> NDArray[np.uint8]:
    """Returns the mask as bytes (H, W)."""
    if not 1 <= classes <= IGNORE_VALUE:
        raise DataError(
            f"Expected `classes` from 1 to {IGNORE_VALUE}, received {classes}."
        )
    labels = mask[..., 0] if mask.ndim == 3 and mask.shape[2] == 1 else mask
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise DataError(
            f"Expected the image of `{name}` of shape (H, W, 3), received "
            f"{image.shape}; select red, green and blue."
        )
    if labels.shape != image.shape[:2] or labels.dtype.kind not in "iu":
        raise DataError(
            f"Expected the mask of `{name}` as integers of shape {image.shape[:2]}, "
            f"received {mask.dtype} of shape {mask.shape}; bring it onto the image's "
            "grid."
        )
    wrong = labels[((labels < 0) | (labels >= classes)) & (labels != IGNORE_VALUE)]
    if wrong.size:
        raise DataError(
            f"Expected the mask of `{name}` to hold classes below {classes} or "
            f"{IGNORE_VALUE}, received {wrong[0]}; give the number of classes."
        )
    if not np.isfinite(image).all():
        raise DataError(
            f"Expected the image of `{name}` to be finite, received NaN or infinity; "
            "fill pixels without value."
        )
    return labels.astype(np.uint8, copy=False)


def _superpixels(
    segments: IntArray, labels: NDArray[np.uint8], classes: int
) -> list[tuple[float, float, int]]:
    """Returns mean row, mean column and majority class where enough is labelled."""
    table = regionprops_table(segments, properties=("label", "area", "centroid"))
    known = labels != IGNORE_VALUE
    keys = segments[known] * classes + labels[known]
    number = int(segments.max()) + 1
    counts = np.bincount(keys, minlength=number * classes).reshape(number, classes)
    return [
        (float(row), float(column), int(counts[label].argmax()))
        for label, pixels, row, column in zip(*table.values(), strict=True)
        if counts[label].sum() >= _MIN_VALID * pixels
    ]


def _start(centre: float, size: int, length: int) -> int:
    """Returns where a window starts; `centre` 0 is the middle of the first pixel."""
    start = math.floor(centre + 0.5 - size / 2 + 0.5)
    return max(0, min(start, length - size))

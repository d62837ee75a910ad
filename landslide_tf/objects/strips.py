"""Objects of masks that come in strips of rows, where whole masks are too large."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.objects.label import DEFAULT_MIN_AREA, is_large, label_objects
from landslide_tf.objects.scores import ObjectCounts, Overlaps, pixel_counts

Mask = NDArray[np.bool_]


class StripLabels:
    """Labels the 8-connected objects of a mask whose strips come from top to bottom.

    First every strip is added; then `labels` gives those that `label_objects` finds in
    the whole mask. Kept are a row of pixels and some numbers an object.

    Args:
        min_area: Smallest object kept, in pixels, or in m² where strips come with the
            areas of their pixels.

    >>> import numpy as np
    >>> from landslide_tf.objects.strips import StripLabels
    >>> mask = np.array([[1, 0, 1], [1, 1, 1], [0, 0, 0], [0, 0, 1]], bool)
    >>> found = StripLabels(min_area=1)
    >>> for row in range(4):
    ...     found.add(mask[row : row + 1])
    >>> found.number, found.labels(0, mask[:1]).tolist()
    (2, [[1, 0, 1]])
    """

    def __init__(self, min_area: float = DEFAULT_MIN_AREA) -> None:
        self._min_area = min_area
        self._starts = [0]  # labels of the strips before
        self._sizes: list[IntArray | FloatArray] = []
        self._joined: list[IntArray] = []
        self._last: IntArray | None = None

    def add(self, mask: Mask, cell_areas: FloatArray | None = None) -> None:
        """Looks at the next strip (h, W); `cell_areas` of its rows are in m² (h,)."""
        labels, number = label_objects(mask, min_area=0)
        inside = np.nonzero(labels)
        weights = None if cell_areas is None else cell_areas[inside[0]]
        sizes = np.bincount(labels[inside], weights, minlength=number + 1)
        start = self._starts[-1]
        first, last = (
            np.where(row > 0, row.astype(np.int64) + start, 0)
            for row in (labels[0], labels[-1])
        )
        if self._last is not None:
            for above, below in (
                (self._last, first),
                (self._last[1:], first[:-1]),
                (self._last[:-1], first[1:]),
            ):
                touch = (above > 0) & (below > 0)
                self._joined.append(np.stack([above[touch], below[touch]]))
        self._last = last
        self._sizes.append(sizes[1:])
        self._starts.append(start + number)

    @cached_property
    def _numbers(self) -> tuple[IntArray, int, int]:
        """Number of each label of the strips, objects that are kept, and all."""
        total = self._starts[-1]
        above, below = np.concatenate([np.zeros((2, 0), int), *self._joined], axis=1)
        touch = (np.ones(above.size, bool), (above - 1, below - 1))
        graph = sparse.coo_array(touch, shape=(total, total))
        _, of = sparse.csgraph.connected_components(graph, directed=False)
        sizes = np.bincount(of, np.concatenate([np.zeros(0, int), *self._sizes]))
        # In the order in which row by row reading meets them.
        _, first = np.unique(of, return_index=True)
        order = np.argsort(first)
        kept = is_large(sizes[order], self._min_area)
        numbers = np.zeros(len(order), np.int32)
        numbers[order] = np.where(kept, np.cumsum(kept), 0)
        return numbers[of], int(kept.sum()), len(order)

    @property
    def number(self) -> int:
        """Objects that are kept."""
        return self._numbers[1]

    @property
    def found(self) -> int:
        """All objects, small ones among them."""
        return self._numbers[2]

    def labels(self, strip: int, mask: Mask) -> IntArray:
        """Returns the labels of a strip that was added, int32 (h, W), 0 = none."""
        labels, _ = label_objects(mask, min_area=0)
        own = self._numbers[0][self._starts[strip] : self._starts[strip + 1]]
        return np.append(np.int32(0), own)[labels]


def compare_strips(
    strips: Callable[[], Iterable[tuple[Mask, Sequence[Mask]]]], predictions: int
) -> tuple[list[ObjectCounts], list[Overlaps], StripLabels]:
    """Compares predictions with a reference, strip by strip.

    Args:
        strips: Gives the strips from top to bottom, the same each time: the reference
            (h, W) and each prediction, without what is ignored.
        predictions: How many.

    Returns:
        Counts of pixels and overlaps of objects by prediction, and the labels of the
        reference.

    >>> import numpy as np
    >>> from landslide_tf.objects.strips import compare_strips
    >>> truth, found = np.zeros((2, 40, 20), bool)
    >>> truth[5:15, 5:15] = found[5:15, 6:15] = True
    >>> parts = [slice(0, 9), slice(9, 40)]
    >>> pixels, overlaps, _ = compare_strips(
    ...     lambda: ((truth[part], [found[part]]) for part in parts), 1
    ... )
    >>> pixels[0], overlaps[0].counts("iou").tp
    (ObjectCounts(tp=90, fp=0, fn=10, match='pixel'), 1)
    """
    truths, founds = StripLabels(), [StripLabels() for _ in range(predictions)]
    pixels = [ObjectCounts(0, 0, 0, "pixel")] * predictions
    for truth, masks in strips():
        truths.add(truth)
        for labels, mask in zip(founds, masks, strict=True):
            labels.add(mask)
        own = [pixel_counts(truth, mask) for mask in masks]
        pixels = [known + more for known, more in zip(pixels, own, strict=True)]
    overlaps = [Overlaps(truths.number, found.number) for found in founds]
    for strip, (truth, masks) in enumerate(strips()):
        labelled = truths.labels(strip, truth)
        for overlap, found, mask in zip(overlaps, founds, masks, strict=True):
            overlap.add(labelled, found.labels(strip, mask))
    return pixels, overlaps, truths

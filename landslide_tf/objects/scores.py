"""Counts of matched landslide objects and the scores made from them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.errors import DataError, check_choice
from landslide_tf.objects.label import (
    DEFAULT_MIN_AREA,
    Connectivity,
    checked_mask,
    label_objects,
)

Match = Literal["iou", "overlap", "pixel"]
# Among assignments of equal total IoU the one with more pairs wins: without it the
# count would depend on the order of the labels. Far above rounding, far below any
# difference between two sums of IoUs that matters.
_PER_PAIR = 1e-9


@dataclass(frozen=True)
class ObjectScores:
    """Detection scores of landslide objects as fractions, NaN where undefined.

    Xia et al. 2021, equations 15 (CE) and 16 (QP), with two corrections: the printed QP
    lost its FP, and the usual commission error divides by the predicted objects.

    Attributes:
        dp: Detection percentage TP/(TP+FN).
        qp: Quality percentage TP/(TP+FP+FN).
        oe: Omission error FN/(TP+FN) = 1 − DP.
        ce: Commission error FP/(TP+FP).
        ce_ref: Commission error as printed, FP/(TP+FN), without an upper bound.

    Example:
        >>> from landslide_tf import objects
        >>> scores = objects.ObjectCounts(tp=8, fp=2, fn=2).scores()
        >>> scores.dp, scores.ce, round(scores.qp, 3)
        (0.8, 0.2, 0.667)
    """

    dp: float
    qp: float
    oe: float
    ce: float
    ce_ref: float

    def as_dict(self) -> dict[str, float | None]:
        """Returns the scores as JSON values, NaN as None."""
        return {k: None if math.isnan(v) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class ObjectCounts:
    """Objects (or pixels) found, invented and missed; scenes add up.

    Attributes:
        tp: Detected reference objects.
        fp: Predicted objects without a reference object.
        fn: Missed reference objects.
        match: The rule they were counted by.

    Example:
        >>> from landslide_tf import objects
        >>> objects.ObjectCounts(3, 1, 0) + objects.ObjectCounts(5, 1, 2)
        ObjectCounts(tp=8, fp=2, fn=2, match='iou')
    """

    tp: int
    fp: int
    fn: int
    match: Match = "iou"

    def __add__(self, other: ObjectCounts) -> ObjectCounts:
        if not isinstance(other, ObjectCounts):
            return NotImplemented
        if self.match != other.match:
            raise DataError(
                f"Expected counts by `match='{self.match}'`, received "
                f"`match='{other.match}'`; add only counts of one rule."
            )
        return ObjectCounts(
            self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.match
        )

    def scores(self) -> ObjectScores:
        """Returns the scores of these counts."""
        tp, fp, fn = self.tp, self.fp, self.fn
        return ObjectScores(
            dp=_ratio(tp, tp + fn),
            qp=_ratio(tp, tp + fp + fn),
            oe=_ratio(fn, tp + fn),
            ce=_ratio(fp, tp + fp),
            ce_ref=_ratio(fp, tp + fn),
        )


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else math.nan


def object_counts(
    reference: ArrayLike,
    prediction: ArrayLike,
    *,
    match: Match = "iou",
    ignore: ArrayLike | None = None,
    connectivity: Connectivity = 8,
    min_area: float = DEFAULT_MIN_AREA,
    cell_size: float | tuple[float, float] | None = None,
    iou_threshold: float = 0.5,
    min_overlap: float | None = None,
) -> ObjectCounts:
    """Counts detected, invented and missed landslides of one whole scene.

    Objects are the connected components of either mask; small ones are removed from
    both before any matching. Count whole scenes, not tiles: an object that a tile's
    border cuts would count twice. The counts of scenes add up.

    - `"iou"`: one-to-one assignment that maximises the total IoU over the pairs with
      an IoU of at least `iou_threshold`.
    - `"overlap"`, the practice of inventories: a reference object is detected where
      predicted landslides cover at least `min_overlap` of it; a predicted object is
      false where it touches no reference object. Fragments do not add.
    - `"pixel"`: areas in pixels in place of counts, nothing removed.

    Args:
        reference: Landslide mask (H, W), boolean or 0 and 1.
        prediction: Landslide mask (H, W).
        match: The rule.
        ignore: Mask (H, W) of pixels that belong to neither; None is none.
        connectivity: 8 or 4.
        min_area: Smallest object, in pixels, or in m² if `cell_size` is given.
        cell_size: Width (and height) of a pixel in metres.
        iou_threshold: Smallest IoU of a pair, in (0, 1].
        min_overlap: Share of a reference object in (0, 1]; None is a single pixel.

    Returns:
        The counts.

    Raises:
        DataError: If a mask or an argument is not valid.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import objects
        >>> reference, prediction = np.zeros((2, 20, 20), bool)
        >>> reference[2:8, 2:8] = True
        >>> prediction[3:8, 2:8] = True
        >>> prediction[12:18, 12:18] = True  # nothing is there
        >>> objects.object_counts(reference, prediction)
        ObjectCounts(tp=1, fp=1, fn=0, match='iou')
    """
    truth = checked_mask(reference, "reference")
    predicted = checked_mask(prediction, "prediction")
    outside = None if ignore is None else checked_mask(ignore, "ignore")
    _check_arguments(match, iou_threshold, min_overlap)
    for name, mask in (("prediction", predicted), ("ignore", outside)):
        if mask is not None and mask.shape != truth.shape:
            raise DataError(
                f"Expected `{name}` of the reference's shape {truth.shape}, received "
                f"{mask.shape}; put both on one grid."
            )
    if outside is not None:
        truth, predicted = truth & ~outside, predicted & ~outside
    if match == "pixel":
        return pixel_counts(truth, predicted)
    truth_labels, truth_number = label_objects(
        truth, connectivity=connectivity, min_area=min_area, cell_size=cell_size
    )
    labels, number = label_objects(
        predicted, connectivity=connectivity, min_area=min_area, cell_size=cell_size
    )
    overlaps = Overlaps(truth_number, number)
    overlaps.add(truth_labels, labels)
    return overlaps.counts(match, iou_threshold=iou_threshold, min_overlap=min_overlap)


def pixel_counts(
    truth: NDArray[np.bool_], predicted: NDArray[np.bool_]
) -> ObjectCounts:
    """Counts the pixels of two masks as those of `object_counts(match="pixel")`."""
    both = int(np.count_nonzero(truth & predicted))
    false = int(np.count_nonzero(predicted)) - both
    return ObjectCounts(both, false, int(np.count_nonzero(truth)) - both, "pixel")


class Overlaps:
    """Which objects of a reference and of a prediction share how many pixels.

    Both may come in strips of rows, with labels of the whole.

    Args:
        truth: Number of objects of the reference.
        predicted: Number of predicted objects.
    """

    def __init__(self, truth: int, predicted: int) -> None:
        self._truth = np.zeros(truth + 1, np.int64)
        self._predicted = np.zeros(predicted + 1, np.int64)
        self._keys = [np.zeros(0, np.int64)]
        self._shared = [np.zeros(0, np.int64)]

    def add(self, truth: IntArray, labels: IntArray) -> None:
        """Counts the pixels of a strip.

        Args:
            truth: Labels (h, W) of the reference objects, 0 = none.
            labels: Labels (h, W) of the predicted objects, 0 = none.
        """
        for areas, found in ((self._truth, truth), (self._predicted, labels)):
            areas += np.bincount(found.ravel(), minlength=len(areas))
        both = (truth > 0) & (labels > 0)
        keys, shared = np.unique(
            truth[both].astype(np.int64) * len(self._predicted) + labels[both],
            return_counts=True,
        )
        self._keys.append(keys)
        self._shared.append(shared)

    def counts(
        self,
        match: Match,
        *,
        iou_threshold: float = 0.5,
        min_overlap: float | None = None,
    ) -> ObjectCounts:
        """Counts what was found, by a rule of `object_counts` other than `"pixel"`."""
        rows, columns, shared = self._pairs()
        truth, predicted = len(self._truth) - 1, len(self._predicted) - 1
        if match == "overlap":
            covered = np.bincount(rows, shared, minlength=truth + 1)[1:]
            detected = covered > 0
            if min_overlap is not None:
                detected = covered / self._truth[1:] >= min_overlap
            found = int(detected.sum())
            false = predicted - len(np.unique(columns))
            return ObjectCounts(found, false, truth - found, match)
        ious = shared / (self._truth[rows] + self._predicted[columns] - shared)
        kept = ious >= iou_threshold
        found = _count_pairs(rows[kept], columns[kept], ious[kept])
        return ObjectCounts(found, predicted - found, truth - found, match)

    def _pairs(self) -> tuple[IntArray, IntArray, IntArray]:
        """Returns the pairs that share pixels: reference, predicted, how many."""
        keys, place = np.unique(np.concatenate(self._keys), return_inverse=True)
        weights = np.concatenate(self._shared)
        shared = np.bincount(place, weights, minlength=len(keys)).astype(np.int64)
        rows, columns = np.divmod(keys, len(self._predicted))
        return rows, columns, shared


def _check_arguments(
    match: str, iou_threshold: float, min_overlap: float | None
) -> None:
    check_choice("match", match, get_args(Match))
    for name, value in (("iou_threshold", iou_threshold), ("min_overlap", min_overlap)):
        if value is not None and not 0 < value <= 1:
            raise DataError(
                f"Expected `{name}` above 0 and at most 1, received {value}; it is a "
                "fraction."
            )


def _count_pairs(rows: IntArray, columns: IntArray, ious: FloatArray) -> int:
    """Counts the pairs of the one-to-one assignment with the largest total IoU."""
    if rows.size == 0:
        return 0
    # Objects that compete for each other form small groups: one assignment a group
    # keeps thousands of objects cheap where one matrix of all would not fit.
    offset = int(rows.max()) + 1
    nodes = offset + int(columns.max()) + 1
    edges = sparse.coo_array(
        (np.ones(rows.size), (rows, columns + offset)), shape=(nodes, nodes)
    )
    _, group = sparse.csgraph.connected_components(edges, directed=False)
    order = np.argsort(group[rows], kind="stable")
    starts = np.flatnonzero(np.diff(group[rows[order]])) + 1
    return sum(
        1 if pairs.size == 1 else _assign(rows[pairs], columns[pairs], ious[pairs])
        for pairs in np.split(order, starts)
    )


def _assign(rows: IntArray, columns: IntArray, ious: FloatArray) -> int:
    row_ids, row = np.unique(rows, return_inverse=True)
    column_ids, column = np.unique(columns, return_inverse=True)
    weights = np.zeros((row_ids.size, column_ids.size))
    weights[row, column] = ious + _PER_PAIR
    chosen = linear_sum_assignment(weights, maximize=True)
    return int(np.count_nonzero(weights[chosen]))

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
        both = int(np.count_nonzero(truth & predicted))
        false = int(np.count_nonzero(predicted)) - both
        return ObjectCounts(both, false, int(np.count_nonzero(truth)) - both, match)
    truth_labels, truth_number = label_objects(
        truth, connectivity=connectivity, min_area=min_area, cell_size=cell_size
    )
    labels, number = label_objects(
        predicted, connectivity=connectivity, min_area=min_area, cell_size=cell_size
    )
    if match == "overlap":
        found, false = _overlapping(truth_labels, labels, min_overlap)
    else:
        found = count_pairs(truth_labels, labels, iou_threshold)
        false = number - found
    return ObjectCounts(found, false, truth_number - found, match)


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


def _overlapping(
    truth: IntArray, labels: IntArray, min_overlap: float | None
) -> tuple[int, int]:
    """Returns detected reference objects and predicted objects that touch none."""
    areas = np.bincount(truth.ravel())[1:]
    covered = np.bincount(truth[labels > 0], minlength=len(areas) + 1)[1:]
    detected = covered > 0
    if min_overlap is not None:
        detected = covered / areas >= min_overlap
    number = int(labels.max(initial=0))
    touched = np.bincount(labels[truth > 0], minlength=number + 1)[1:] > 0
    return int(detected.sum()), int((~touched).sum())


def count_pairs(truth: IntArray, labels: IntArray, iou_threshold: float) -> int:
    """Counts the pairs of the one-to-one assignment with the largest total IoU.

    Args:
        truth: Labels (H, W) of the reference objects, 0 = none.
        labels: Labels (H, W) of the predicted objects, 0 = none.
        iou_threshold: Smallest IoU of a pair, inclusive.

    Returns:
        The number of pairs.
    """
    rows, columns, ious = _candidates(truth, labels, iou_threshold)
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


def _candidates(
    truth: IntArray, labels: IntArray, iou_threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """Returns the pairs (reference, predicted, IoU) with enough IoU."""
    both = (truth > 0) & (labels > 0)
    width = int(labels.max(initial=0)) + 1
    keys, shared = np.unique(
        truth[both].astype(np.int64) * width + labels[both], return_counts=True
    )
    rows, columns = keys // width, keys % width
    truth_areas, areas = np.bincount(truth.ravel()), np.bincount(labels.ravel())
    ious = shared / (truth_areas[rows] + areas[columns] - shared)
    kept = ious >= iou_threshold
    return rows[kept], columns[kept], ious[kept]


def _assign(rows: IntArray, columns: IntArray, ious: FloatArray) -> int:
    row_ids, row = np.unique(rows, return_inverse=True)
    column_ids, column = np.unique(columns, return_inverse=True)
    weights = np.zeros((row_ids.size, column_ids.size))
    weights[row, column] = ious + _PER_PAIR
    chosen = linear_sum_assignment(weights, maximize=True)
    return int(np.count_nonzero(weights[chosen]))

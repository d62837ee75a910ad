"""Counts of matched landslide objects and the scores made from them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

from landslide_tf.errors import DataError

Match = Literal["iou", "overlap", "pixel"]


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

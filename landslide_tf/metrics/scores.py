"""Scores of a segmentation from its confusion matrix, on the host in NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.errors import DataError, check_choice, warn
from landslide_tf.metrics.pixels import Accumulator, check_integers, check_range

Empty = Literal["nan", "one", "zero"]
PER_CLASS = ("precision", "recall", "f1", "iou", "binary_accuracy")
# Of the CAS Landslide benchmark, in the order of its table.
CAS_COLUMNS = ("precision", "recall", "iou", "f1", "miou", "oa")
AVERAGES = ("oa", "miou", "mean_f1", "mean_precision", "mean_recall", "g_mean")


class OneClassWarning(UserWarning):
    """Warning that the reference contains only one class.

    Example:
        >>> import warnings
        >>> from landslide_tf.metrics import OneClassWarning
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("error", OneClassWarning)
        ...     # evaluate_run(...) now stops where scores say nothing
    """


def _json_number(value: float) -> float | None:
    """JSON has no NaN; an undefined score is null there."""
    return None if math.isnan(value) else float(value)


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores per class and their averages, all as fractions in [0, 1].

    With TP, FP, FN, TN of a class against the rest: precision TP/(TP+FP), recall
    TP/(TP+FN), F1 2TP/(2TP+FP+FN), IoU TP/(TP+FP+FN), binary accuracy (TP+TN)/all;
    overall accuracy (`oa`) is the trace over the sum, the G-mean the geometric mean of
    the recalls of the classes in the reference (Xia et al. 2021, equations 9 to 12;
    their 11 is the binary accuracy).

    Attributes:
        matrix: Counts of shape (classes, classes), rows = reference.
        class_names: One name a class.
        precision: Shape (classes,), as are `recall`, `f1`, `iou`, `binary_accuracy`.
        oa: Overall accuracy.
        miou: Mean IoU; `mean_f1`, `mean_precision`, `mean_recall` likewise.
        g_mean: Geometric mean of the recalls.

    Example:
        >>> from landslide_tf import metrics
        >>> scores = metrics.Scores.from_matrix([[90, 2], [3, 5]])
        >>> round(scores.miou, 3), scores.of_class(1)["iou"]
        (0.724, 0.5)
    """

    matrix: IntArray
    class_names: tuple[str, ...]
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    iou: FloatArray
    binary_accuracy: FloatArray
    oa: float
    miou: float
    mean_f1: float
    mean_precision: float
    mean_recall: float
    g_mean: float

    @classmethod
    def from_matrix(
        cls,
        matrix: ArrayLike,
        *,
        class_names: Sequence[str] | None = None,
        empty: Empty = "nan",
    ) -> Scores:
        """Computes all scores of a confusion matrix.

        Args:
            matrix: Non-negative integer counts, shape (classes, classes), rows =
                reference, columns = prediction.
            class_names: One name a class; None numbers them.
            empty: What 0/0 is. `"nan"`: NaN, and means run over the classes where the
                score is defined. `"zero"`: 0, as scikit-learn's `zero_division=0`.
                `"one"`: 1 for a class that neither reference nor prediction holds, 0
                where only one of precision and recall is undefined. The G-mean always
                runs over the classes of the reference.

        Returns:
            The scores.

        Raises:
            DataError: If the matrix, the names or `empty` are not valid.
        """
        counts = _checked_matrix(matrix)
        classes = len(counts)
        names = tuple(class_names or (str(k) for k in range(classes)))
        if len(names) != classes:
            raise DataError(
                f"Expected {classes} `class_names`, received {len(names)}; name every "
                "class of the confusion matrix."
            )
        check_choice("empty", empty, get_args(Empty))
        tp = np.diagonal(counts)
        fp = counts.sum(axis=0) - tp
        fn = counts.sum(axis=1) - tp
        total = counts.sum()
        if empty == "one":
            fill: FloatArray = np.where(tp + fp + fn == 0, 1.0, 0.0)
        else:
            fill = np.full(classes, math.nan if empty == "nan" else 0.0)
        precision = _ratio(tp, tp + fp, fill)
        recall = _ratio(tp, tp + fn, fill)
        f1 = _ratio(2 * tp, 2 * tp + fp + fn, fill)
        iou = _ratio(tp, tp + fp + fn, fill)
        none = np.array({"nan": math.nan, "one": 1.0, "zero": 0.0}[empty])
        return cls(
            matrix=counts,
            class_names=names,
            precision=precision,
            recall=recall,
            f1=f1,
            iou=iou,
            binary_accuracy=_ratio(total - fp - fn, np.full(classes, total), none),
            oa=float(_ratio(tp.sum(), total, none)),
            miou=_mean(iou),
            mean_f1=_mean(f1),
            mean_precision=_mean(precision),
            mean_recall=_mean(recall),
            g_mean=_g_mean(tp, tp + fn, float(none)),
        )

    def of_class(self, index: int) -> dict[str, float]:
        """Returns the scores of one class by name.

        Args:
            index: The class.

        Returns:
            `precision`, `recall`, `f1`, `iou` and `binary_accuracy`.
        """
        return {score: float(getattr(self, score)[index]) for score in PER_CLASS}

    def as_dict(self) -> dict[str, Any]:
        """Returns everything as JSON values, NaN as None.

        Returns:
            The averages by name, `classes` (scores by class name), `confusion_matrix`
            (rows = reference) and `pixels` (how many were counted).
        """
        tables = {
            name: {key: _json_number(v) for key, v in self.of_class(index).items()}
            for index, name in enumerate(self.class_names)
        }
        return {
            **{name: _json_number(getattr(self, name)) for name in AVERAGES},
            "classes": tables,
            "confusion_matrix": self.matrix.tolist(),
            "pixels": int(self.matrix.sum()),
        }


def warn_of_one_class(scores: Scores, reference: str) -> None:
    """Warns if scores are meaningless because the reference has at most one class.

    A prediction that calls every pixel the one class is then perfect, whatever a model
    has learnt.

    Args:
        scores: Scores of all pixels that count.
        reference: What they are compared with, for the message.

    Example:
        >>> import warnings
        >>> from landslide_tf import metrics
        >>> scores = metrics.Scores.from_matrix([[0, 0], [3, 5]])
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     metrics.warn_of_one_class(scores, "`map.tif`")
        >>> len(caught)
        1
    """
    present = np.flatnonzero(scores.matrix.sum(axis=1))
    if len(present) > 1:
        return
    if not len(present):
        told = "holds no pixel with a class: no score has a value (nan)"
    else:
        only = scores.class_names[present[0]]
        told = (
            f"holds one class only where it is scored, `{only}`: a model that sees it "
            "everywhere scores 1, so that scores say nothing; choose data that show "
            "landslides and other ground"
        )
    warn(f"{reference} {told}.", OneClassWarning)


def _checked_matrix(matrix: ArrayLike) -> IntArray:
    counts = np.asarray(matrix)
    square = counts.ndim == 2 and counts.shape[0] == counts.shape[1] > 0
    if not square or counts.dtype.kind not in "iu" or counts.min() < 0:
        raise DataError(
            "Expected a square confusion matrix of non-negative integers, received "
            f"shape {counts.shape}, dtype {counts.dtype}; count pixels with "
            "`ConfusionAccumulator`."
        )
    return counts.astype(np.int64)


def _ratio(
    numerator: ArrayLike, denominator: ArrayLike, fill: FloatArray
) -> FloatArray:
    denominator = np.asarray(denominator)
    safe = np.where(denominator == 0, 1, denominator)
    return np.where(denominator == 0, fill, np.asarray(numerator) / safe)


def _mean(values: FloatArray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else math.nan


def _g_mean(tp: IntArray, reference: IntArray, none: float) -> float:
    present = reference > 0
    if not present.any():
        return none
    recalls = tp[present] / reference[present]
    return float(np.prod(recalls) ** (1.0 / len(recalls)))


class ConfusionAccumulator(Accumulator):
    """Counts (reference, prediction) pairs in int64 on the host.

    Halves merge by addition: batches, tiles, scenes and processes may be counted apart.

    Args:
        num_classes: Number of classes C; labels are 0..C-1.
        ignore_value: Label of pixels that never count; None ignores nothing.

    Example:
        >>> from landslide_tf import metrics
        >>> west, east = (metrics.ConfusionAccumulator(2) for _ in range(2))
        >>> west.update([[0, 1], [1, 255]], [[0, 1], [0, 0]])
        >>> east.update([[0, 0]], [[0, 1]])
        >>> (west + east).matrix.tolist()
        [[2, 1], [1, 1]]
    """

    arguments = ("num_classes", "ignore_value")
    sums = ("matrix",)

    def __init__(self, num_classes: int, ignore_value: int | None = 255) -> None:
        if num_classes < 1:
            raise DataError(
                f"Expected `num_classes` of at least 1, received {num_classes}; give "
                "the number of classes of the data set."
            )
        self.num_classes = num_classes
        self.ignore_value = ignore_value
        self.matrix: IntArray = np.zeros((num_classes, num_classes), np.int64)

    def update(self, labels: ArrayLike, predictions: ArrayLike) -> None:
        """Adds the pixels of one batch, tile or scene.

        Args:
            labels: Integer classes of any shape, e.g. (B, H, W) or (B, H, W, 1).
            predictions: Integer classes of the same number and order of pixels.

        Raises:
            DataError: If the shapes differ, a value is not an integer, or a label or a
                prediction is outside 0..C-1; nothing is counted then.
        """
        truth, predicted = np.asarray(labels), np.asarray(predictions)
        check_integers(truth, "labels")
        check_integers(predicted, "predictions")
        if _without_channel(truth.shape) != _without_channel(predicted.shape):
            raise DataError(
                "Expected `labels` and `predictions` of one shape, received "
                f"{truth.shape} and {predicted.shape}; give one class per pixel."
            )
        truth, predicted = truth.ravel(), predicted.ravel()
        if self.ignore_value is not None:
            valid = truth != self.ignore_value
            truth, predicted = truth[valid], predicted[valid]
        for values, what in ((truth, "label"), (predicted, "prediction")):
            check_range(values, self.num_classes, self.ignore_value, what)
        pairs = truth.astype(np.int64) * self.num_classes + predicted.astype(np.int64)
        counts = np.bincount(pairs, minlength=self.num_classes**2)
        self.matrix = self.matrix + counts.reshape(self.matrix.shape)

    def scores(
        self, *, class_names: Sequence[str] | None = None, empty: Empty = "nan"
    ) -> Scores:
        """Returns the scores of everything counted so far.

        Args:
            class_names: One name a class; None numbers them.
            empty: What 0/0 is, see `Scores.from_matrix`.

        Returns:
            The scores.
        """
        return Scores.from_matrix(self.matrix, class_names=class_names, empty=empty)


def _without_channel(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:-1] if len(shape) > 2 and shape[-1] == 1 else shape


def cas_scores(scores: Scores, *, landslide: int) -> dict[str, float]:
    """Returns the scores of the CAS Landslide benchmark, in percent.

    In its table (Xu et al. 2024, Scientific Data 11, 12; the data set's repository)
    precision, recall and IoU are those of the landslide class, while "F1 score" is the
    mean over the classes. All are of one matrix over all pixels; undefined classes are
    left out of means.

    Args:
        scores: Scores of all evaluated pixels, with `empty="nan"`.
        landslide: The landslide class.

    Returns:
        `CAS_COLUMNS` in order: `precision`, `recall` and `iou` of the landslide class,
        `f1` and `miou` (means over the classes), `oa`; then `f1_landslide` and `fwiou`,
        the IoU weighted by the classes' shares of the reference.

    Raises:
        DataError: If there is no such class.

    Example:
        >>> from landslide_tf import metrics
        >>> scores = metrics.Scores.from_matrix([[90, 2], [3, 5]])
        >>> round(metrics.cas_scores(scores, landslide=1)["iou"], 1)
        50.0
    """
    classes = len(scores.class_names)
    if not 0 <= landslide < classes:
        raise DataError(
            f"Expected a `landslide` class from 0 to {classes - 1}, received "
            f"{landslide}; give the index of the landslide class."
        )
    own = scores.of_class(landslide)
    values = {
        "precision": own["precision"],
        "recall": own["recall"],
        "iou": own["iou"],
        "f1": scores.mean_f1,
        "miou": scores.miou,
        "oa": scores.oa,
        "f1_landslide": own["f1"],
        "fwiou": _frequency_weighted(scores),
    }
    return {name: 100.0 * value for name, value in values.items()}


def _frequency_weighted(scores: Scores) -> float:
    reference = scores.matrix.sum(axis=1)
    present = reference > 0
    if not present.any():
        return math.nan
    return float(np.average(scores.iou[present], weights=reference[present]))

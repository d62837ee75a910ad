"""A streaming confusion matrix for `compile` and `fit`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

import landslide_tf.keras_backend  # noqa: F401 - refuses other backends
from landslide_tf.array_types import IntArray, Tensor
from landslide_tf.errors import DataError, ModelError
from landslide_tf.metrics.decision import (
    SIGMOID_THRESHOLD,
    LandslideClass,
    landslide_index,
)
from landslide_tf.words import counted


@keras.saving.register_keras_serializable(package="landslide_tf")
class ConfusionMatrix(keras.metrics.Metric):
    """Confusion matrix over all pixels seen, reported as a dictionary of scores.

    `fit` logs every score under its own name (`miou`, `val_miou`, …), so callbacks can
    monitor them: `oa`, `miou`, `mean_f1`, `mean_precision`, `mean_recall`, `g_mean`,
    `landslide_iou`, `landslide_f1`, `landslide_precision`, `landslide_recall`, and
    `<class>_iou` for every name in `class_names` (Xia et al. 2021, equations 9 to 12).
    0/0 is NaN and left out of the means, as in `Scores`.

    Counts are int64, and int32 on JAX: there an epoch is exact up to 2³¹ pixels a cell;
    count larger sets with `ConfusionAccumulator`. They are integers under every
    precision policy, and add up over batches and replicas.

    A label that is neither a class nor the ignore value makes every score NaN: compiled
    code cannot raise, and scores that leave such pixels out would look plausible.

    Args:
        num_classes: Number of classes C (2 for `landslide_class="sigmoid"`).
        ignore_class: Label of pixels that never count; None ignores nothing.
        class_names: One name a class; adds `<class>_iou` to the result.
        landslide_class: Index of the landslide class, or `"sigmoid"` for models with
            one output channel, where label 1 is landslide.
        threshold: Smallest probability that is landslide, for `"sigmoid"` only.
        from_logits: Whether a `"sigmoid"` model gives logits; the argmax of several
            channels is the same for logits and probabilities.
        name: Name of the metric.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import metrics
        >>> metric = metrics.ConfusionMatrix(2, landslide_class=1)
        >>> landslide = np.array([[[0.1, 0.8, 0.3, 0.5]]])
        >>> probabilities = np.stack([1 - landslide, landslide], axis=-1)
        >>> metric.update_state(np.array([[[0, 1, 1, 255]]]), probabilities)
        >>> round(float(metric.result()["landslide_iou"]), 3), metric.matrix().tolist()
        (0.5, [[1, 0], [1, 1]])
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = 255,
        class_names: Sequence[str] | None = None,
        *,
        landslide_class: LandslideClass,
        threshold: float = SIGMOID_THRESHOLD,
        from_logits: bool = False,
        name: str = "confusion_matrix",
    ) -> None:
        super().__init__(name=name, dtype="float32")
        index = landslide_index(landslide_class)
        if landslide_class == "sigmoid" and num_classes != 2:
            raise ModelError(
                "Expected `num_classes=2` with `landslide_class='sigmoid'`, received "
                f"{num_classes}; name the landslide class by its index."
            )
        if not 0 <= index < num_classes:
            raise ModelError(
                f"Expected `landslide_class` from 0 to {num_classes - 1}, received "
                f"{landslide_class}; take it from the model's metadata."
            )
        if class_names is not None and len(class_names) != num_classes:
            raise ModelError(
                f"Expected {num_classes} `class_names`, received {len(class_names)}; "
                "name every class."
            )
        if not 0.0 < threshold < 1.0:
            raise ModelError(
                f"Expected `threshold` between 0 and 1, received {threshold}; 0.5 is "
                "the usual choice."
            )
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.class_names = None if class_names is None else tuple(class_names)
        self.landslide_class = landslide_class
        self.threshold = threshold
        self.from_logits = from_logits
        # The last row counts labels that are neither a class nor the ignore value.
        self.counts = self.add_variable(
            shape=(num_classes + 1, num_classes),
            initializer="zeros",
            dtype="int32" if keras.backend.backend() == "jax" else "int64",
            name="counts",
        )

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the pixels of a batch.

        Args:
            y_true: Integer labels, (B, H, W) or (B, H, W, 1).
            y_pred: Logits or probabilities, (B, H, W, C), or (B, H, W, 1) for
                `landslide_class="sigmoid"`.
            sample_weight: Must be None: pixels are counted, not weighed.

        Raises:
            ModelError: If weights are given or the number of channels does not fit.
        """
        if sample_weight is not None:
            raise ModelError(
                "Expected no `sample_weight` in `ConfusionMatrix`, received one; pass "
                "the metric as `metrics=`, not as `weighted_metrics=`."
            )
        ops = keras.ops
        classes = self.num_classes
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        predicted = ops.reshape(self._classify(ops.convert_to_tensor(y_pred)), (-1,))
        known = ops.logical_and(labels >= 0, labels < classes)
        pairs = ops.where(known, labels, classes) * classes + predicted
        cells = (classes + 1) * classes
        if self.ignore_class is not None:
            pairs = ops.where(ops.equal(labels, self.ignore_class), cells, pairs)
        counts = ops.segment_sum(ops.ones_like(pairs), pairs, num_segments=cells + 1)
        counts = ops.reshape(counts[:cells], (classes + 1, classes))
        self.counts.assign_add(ops.cast(counts, self.counts.dtype))

    def _classify(self, y_pred: Tensor) -> Tensor:
        channels = y_pred.shape[-1]
        expected = 1 if self.landslide_class == "sigmoid" else self.num_classes
        if channels != expected:
            raise ModelError(
                f"Expected {counted(expected, 'output channel')} in "
                f"`ConfusionMatrix`, received {channels}; make `num_classes` and "
                "`landslide_class` fit the model."
            )
        if self.landslide_class != "sigmoid":
            return keras.ops.cast(keras.ops.argmax(y_pred, axis=-1), "int32")
        limit = self.threshold
        if self.from_logits:
            limit = math.log(limit / (1.0 - limit))
        return keras.ops.cast(keras.ops.cast(y_pred, "float32") >= limit, "int32")

    def result(self) -> dict[str, Tensor]:
        """Returns the scores of all pixels since the last reset.

        Returns:
            float32 scalars by name.
        """
        ops = keras.ops
        counts = self.counts[: self.num_classes]
        tp = ops.diagonal(counts)
        predicted, reference = ops.sum(counts, axis=0), ops.sum(counts, axis=1)
        # A single NaN here reaches every score below.
        unknown = ops.sum(self.counts[self.num_classes]) > 0
        tp_float = ops.where(unknown, math.nan, ops.cast(tp, "float32"))
        precision = _ratio(tp_float, predicted)
        recall = _ratio(tp_float, reference)
        f1 = _ratio(2.0 * tp_float, predicted + reference)
        iou = _ratio(tp_float, predicted + reference - tp)
        present = reference > 0
        number = ops.sum(ops.cast(present, "float32"))
        product = ops.prod(ops.where(present, recall, 1.0))
        root = product ** (1.0 / ops.maximum(number, 1.0))
        landslide = landslide_index(self.landslide_class)
        result = {
            "oa": _ratio(ops.sum(tp_float), ops.sum(counts)),
            "miou": self._mean(iou, predicted + reference),
            "mean_f1": self._mean(f1, predicted + reference),
            "mean_precision": self._mean(precision, predicted),
            "mean_recall": self._mean(recall, reference),
            "g_mean": ops.where(number > 0, root, math.nan),
            "landslide_iou": iou[landslide],
            "landslide_f1": f1[landslide],
            "landslide_precision": precision[landslide],
            "landslide_recall": recall[landslide],
        }
        for index, name in enumerate(self.class_names or ()):
            result.setdefault(f"{name}_iou", iou[index])
        return result

    @staticmethod
    def _mean(values: Tensor, denominator: Tensor) -> Tensor:
        """Mean over the classes with a denominator above 0."""
        defined = denominator > 0
        total = keras.ops.sum(keras.ops.where(defined, values, 0.0))
        return _ratio(total, keras.ops.sum(keras.ops.cast(defined, "int32")))

    def matrix(self) -> IntArray:
        """Returns the counts as an int64 array (C, C), rows = reference.

        Raises:
            DataError: If labels were seen that are neither a class nor ignored.
        """
        # A slice is a tensor: NumPy 2 warns when a TensorFlow variable is converted.
        counts = keras.ops.convert_to_numpy(self.counts[:]).astype(np.int64)
        unknown = int(counts[self.num_classes].sum())
        if unknown:
            raise DataError(
                f"Expected labels from 0 to {self.num_classes - 1} or "
                f"{self.ignore_class}, received {counted(unknown, 'pixel')} with other "
                "labels; check the masks and the number of classes."
            )
        return counts[: self.num_classes]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        names = self.class_names
        return {
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "class_names": None if names is None else list(names),
            "landslide_class": self.landslide_class,
            "threshold": self.threshold,
            "from_logits": self.from_logits,
            "name": self.name,
        }


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """float32 quotient, NaN where the integer denominator is 0."""
    ops = keras.ops
    safe = ops.cast(ops.maximum(denominator, 1), "float32")
    return ops.where(denominator > 0, numerator / safe, math.nan)

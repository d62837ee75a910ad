"""Soft IoU, and hard scores image by image."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

import landslide_tf.keras_backend  # noqa: F401 - refuses other backends
from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError
from landslide_tf.metrics.scores import Scores

_EPSILON = 1e-7


@keras.saving.register_keras_serializable(package="landslide_tf")
class SoftIoU(keras.metrics.Metric):
    """Mean IoU over images, computed with probabilities instead of decisions.

    Of each image I = Σ p·y and U = Σ (p + y) − I, then (I + ε) / (U + ε) with ε = 10⁻⁷:
    1 where neither labels nor prediction hold any landslide. As in the code released
    with Nagendra et al. 2022 (which has no ε). A soft map against itself is below 1:
    for monitoring, not for reports.

    Args:
        ignore_class: Label of pixels that never count; None ignores nothing.
        name: Name of the metric.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import metrics
        >>> metric = metrics.SoftIoU()
        >>> metric.update_state(np.array([[[0, 1]]]), np.array([[[[0.2], [0.6]]]]))
        >>> round(float(metric.result()), 3)
        0.5
    """

    def __init__(self, ignore_class: int | None = 255, name: str = "soft_iou") -> None:
        super().__init__(name=name, dtype="float32")
        self.ignore_class = ignore_class
        self.total = self.add_variable((), initializer="zeros", name="total")
        self.images = self.add_variable((), initializer="zeros", name="images")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Adds a batch.

        Args:
            y_true: Labels 0, 1 or ignored, (B, H, W) or (B, H, W, 1).
            y_pred: Probabilities of landslide, (B, H, W, 1).
            sample_weight: Must be None.

        Raises:
            ModelError: If weights are given.
        """
        if sample_weight is not None:
            raise ModelError(
                "Expected no `sample_weight` in `SoftIoU`, received one; pass the "
                "metric as `metrics=`, not as `weighted_metrics=`."
            )
        ops = keras.ops
        predicted = ops.cast(y_pred, "float32")
        labels = ops.reshape(ops.cast(y_true, "int32"), ops.shape(predicted))
        truth = ops.cast(labels, "float32")
        if self.ignore_class is not None:
            valid = ops.cast(ops.not_equal(labels, self.ignore_class), "float32")
            truth, predicted = truth * valid, predicted * valid
        common = ops.sum(ops.sum(predicted * truth, axis=2), axis=(1, 2))
        either = ops.sum(ops.sum(predicted + truth, axis=2), axis=(1, 2)) - common
        ious = (common + _EPSILON) / (either + _EPSILON)
        self.total.assign_add(ops.sum(ious))
        self.images.assign_add(ops.cast(ops.shape(ious)[0], "float32"))

    def result(self) -> Tensor:
        """Returns the mean over the images since the last reset, float32."""
        return keras.ops.divide_no_nan(self.total, self.images)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        return {"ignore_class": self.ignore_class, "name": self.name}


def mean_image_scores(matrices: ArrayLike, *, landslide: int) -> dict[str, float]:
    """Averages scores of landslide over images.

    Args:
        matrices: Counts (images, classes, classes), rows = reference.
        landslide: Index of the landslide class.

    Returns:
        `mean_image_iou` and `mean_image_f1`; an image without landslide in reference
        and prediction counts 1.

    Example:
        >>> from landslide_tf import metrics
        >>> matrices = [[[90, 2], [3, 5]], [[100, 0], [0, 0]]]  # the second has none
        >>> scores = metrics.mean_image_scores(matrices, landslide=1)
        >>> scores["mean_image_iou"]
        0.75
    """
    scores = [Scores.from_matrix(m, empty="one") for m in np.asarray(matrices)]
    return {
        f"mean_image_{score}": float(
            np.mean([getattr(s, score)[landslide] for s in scores])
        )
        for score in ("iou", "f1")
    }

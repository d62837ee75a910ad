"""Streaming metrics, the scores made from them, and what follows from scores."""

import landslide_tf.keras_backend  # noqa: F401 - refuses other backends
from landslide_tf.metrics.bootstrap import (
    Interval,
    paired_bootstrap,
    score_of_matrices,
)
from landslide_tf.metrics.calibration import (
    LogitSample,
    ReliabilityAccumulator,
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
)
from landslide_tf.metrics.class_weights import class_weights, prior_bias
from landslide_tf.metrics.classification import (
    IMAGE_SCORES,
    image_confusion,
    image_scores,
)
from landslide_tf.metrics.confusion import ConfusionMatrix
from landslide_tf.metrics.decision import (
    ThresholdAccumulator,
    ThresholdScores,
    best_threshold,
    decide,
    landslide_index,
)
from landslide_tf.metrics.scores import (
    CAS_COLUMNS,
    ConfusionAccumulator,
    OneClassWarning,
    Scores,
    cas_scores,
    warn_of_one_class,
)
from landslide_tf.metrics.soft_iou import SoftIoU, mean_image_scores

__all__ = [
    "CAS_COLUMNS",
    "IMAGE_SCORES",
    "ConfusionAccumulator",
    "ConfusionMatrix",
    "Interval",
    "LogitSample",
    "OneClassWarning",
    "ReliabilityAccumulator",
    "Scores",
    "SoftIoU",
    "ThresholdAccumulator",
    "ThresholdScores",
    "apply_temperature",
    "best_threshold",
    "cas_scores",
    "class_weights",
    "decide",
    "expected_calibration_error",
    "fit_temperature",
    "image_confusion",
    "image_scores",
    "landslide_index",
    "mean_image_scores",
    "paired_bootstrap",
    "prior_bias",
    "score_of_matrices",
    "warn_of_one_class",
]

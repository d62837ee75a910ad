"""Streaming metrics, the scores made from them, and what follows from scores.

Names load when they are first used: most of them need no Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from landslide_tf.lazy import load_name, modules_of

if TYPE_CHECKING:
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
        standard_error_threshold,
    )
    from landslide_tf.metrics.imbalance import class_weights, prior_bias
    from landslide_tf.metrics.scores import (
        CAS_COLUMNS,
        ConfusionAccumulator,
        OneClassWarning,
        Scores,
        cas_scores,
        warn_of_one_class,
    )
    from landslide_tf.metrics.soft_iou import SoftIoU, mean_image_scores

_MODULES = modules_of(__file__)
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> object:
    return load_name(__name__, _MODULES, name)

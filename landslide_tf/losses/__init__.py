"""Keras losses."""

import landslide_tf.keras_backend  # noqa: F401 - refuses other backends
from landslide_tf.losses.cross_entropy import (
    BoundaryLoss,
    FocalLoss,
    SegmentationCrossEntropy,
)
from landslide_tf.losses.overlap import CrossEntropyDiceLoss, DiceLoss, TverskyLoss
from landslide_tf.losses.released import ReleasedLoss
from landslide_tf.losses.responses import ResponsePreservationLoss, SoftDiceLoss

__all__ = [
    "BoundaryLoss",
    "CrossEntropyDiceLoss",
    "DiceLoss",
    "FocalLoss",
    "ReleasedLoss",
    "ResponsePreservationLoss",
    "SegmentationCrossEntropy",
    "SoftDiceLoss",
    "TverskyLoss",
]

"""Keras losses."""

from landslide_tf.losses.boundary import BoundaryLoss
from landslide_tf.losses.cross_entropy import SegmentationCrossEntropy
from landslide_tf.losses.focal import FocalLoss
from landslide_tf.losses.overlap import CrossEntropyDiceLoss, DiceLoss, TverskyLoss
from landslide_tf.losses.released import ReleasedLoss

__all__ = [
    "BoundaryLoss",
    "CrossEntropyDiceLoss",
    "DiceLoss",
    "FocalLoss",
    "ReleasedLoss",
    "SegmentationCrossEntropy",
    "TverskyLoss",
]

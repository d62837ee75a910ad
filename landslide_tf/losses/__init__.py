"""Keras losses."""

from landslide_tf.losses.cross_entropy import SegmentationCrossEntropy
from landslide_tf.losses.focal import FocalLoss
from landslide_tf.losses.overlap import CrossEntropyDiceLoss, DiceLoss, TverskyLoss

__all__ = [
    "CrossEntropyDiceLoss",
    "DiceLoss",
    "FocalLoss",
    "SegmentationCrossEntropy",
    "TverskyLoss",
]

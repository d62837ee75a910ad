"""Keras losses."""

from landslide_tf.losses.cross_entropy import SegmentationCrossEntropy

__all__ = ["SegmentationCrossEntropy"]

"""Streaming metrics and the scores made from them."""

from landslide_tf.metrics.confusion import ConfusionMatrix
from landslide_tf.metrics.decision import decide, landslide_index
from landslide_tf.metrics.scores import ConfusionAccumulator, Scores

__all__ = [
    "ConfusionAccumulator",
    "ConfusionMatrix",
    "Scores",
    "decide",
    "landslide_index",
]

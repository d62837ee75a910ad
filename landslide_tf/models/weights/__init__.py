"""Weights that other code trained: files read as data, names, their way into layers."""

from landslide_tf.models.weights.arrays import WeightFile, read_weights
from landslide_tf.models.weights.loading import load_weights
from landslide_tf.models.weights.names import shipped_names

__all__ = ["WeightFile", "load_weights", "read_weights", "shipped_names"]

"""Georeferenced scenes: from a user's files to training data."""

from landslide_tf.scene.prepare import Inputs, Options, Prepared, prepare

__all__ = ["Inputs", "Options", "Prepared", "prepare"]

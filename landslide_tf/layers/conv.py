"""A 2D convolution that stays one operation when it is dilated."""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable(package="landslide_tf")
class Conv2D(keras.layers.Conv2D):
    """2D convolution with the weights and config of `keras.layers.Conv2D`."""

"""Batch normalisation that is one fused operation in training."""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable(package="landslide_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation with the weights of `keras.layers.BatchNormalization`."""

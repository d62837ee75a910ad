"""Refuses Keras's other backends, by an import before anything is computed.

What uses Keras imports this first: on PyTorch's backend some layers would give wrong
values, or write over memory of the process, before anybody could be told.
"""

import keras

from landslide_tf.errors import ModelError

SUPPORTED = ("tensorflow", "jax")

if keras.backend.backend() not in SUPPORTED:
    raise ModelError(
        "Expected Keras's backend `tensorflow` or `jax`, received "
        f"`{keras.backend.backend()}`, which `landslide_tf` does not support; set "
        "`KERAS_BACKEND=tensorflow` before Keras is imported."
    )

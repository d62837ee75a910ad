"""Keras on JAX in float64, which tells another computation from rounding."""

import contextlib
from unittest import mock

import jax
import keras


@contextlib.contextmanager
def in_float64():
    """Lets layers without a type of their own, losses and metrics be float64."""
    usual = keras.backend.result_type

    # Keras's batch normalisation asks it, and would compute float64 in float32.
    def result_type(*dtypes):
        return "float64" if "float64" in dtypes else usual(*dtypes)

    jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    try:
        with mock.patch("keras.src.backend.result_type", result_type):
            yield
    finally:
        jax.config.update("jax_enable_x64", False)
        keras.config.set_floatx("float32")

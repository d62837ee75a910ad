"""The floating-point width that a layer can really have."""

from __future__ import annotations

import keras

from landslide_tf.errors import ModelError

PRECISIONS = ("float64", "float32")


def working_dtype(precision: str) -> str:
    """Returns the dtype to compute in: JAX has none of 64 bits unless told so.

    Args:
        precision: `"float64"` or `"float32"`.

    Returns:
        `precision`, or `"float32"` where `jax_enable_x64` is off.

    Raises:
        ModelError: If the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise ModelError(
            f"`precision` must be one of {PRECISIONS}, received {precision!r}."
        )
    if keras.backend.backend() == "jax":
        import jax

        if not jax.config.jax_enable_x64:
            return "float32"
    return precision

"""Resizing of images to one fixed size."""

from __future__ import annotations

from typing import Any

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError


@keras.saving.register_keras_serializable(package="landslide_tf")
class FixedResize2D(keras.layers.Layer):
    """Resizes images of any size to a square, bilinear with antialiasing, in float32.

    In the place of `keras.layers.Resizing`, whose `training=True` reaches the layers
    called after it: batch normalisation then counts every prediction as training
    (Keras 3.15).

    Args:
        size: Side of the result in pixels, >= 1.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ModelError: If `size` is not a positive integer.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:  # keras.layers.Layer's
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ModelError(f"`size` must be an integer >= 1, received {size!r}.")
        self.size = size

    def call(self, x: Tensor) -> Tensor:
        """Resizes (batch, height, width, channels)."""
        return keras.ops.image.resize(
            x, (self.size, self.size), antialias=True, data_format="channels_last"
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input shape with the new size."""
        return (input_shape[0], self.size, self.size, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "size": self.size}

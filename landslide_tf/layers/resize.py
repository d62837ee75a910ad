"""Resizing: to the size of another tensor, to a fixed one, by learned upsampling."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from landslide_tf.array_types import FloatArray, Shape, Tensor
from landslide_tf.errors import ModelError, check_choice

INTERPOLATIONS = ("bilinear", "nearest")


@keras.saving.register_keras_serializable(package="landslide_tf")
class Resize2D(keras.layers.Layer):
    """Resizes a feature map to the height and width of another tensor.

    Samples lie at pixel centres (half-pixel convention, no antialiasing), or, with
    `align_corners`, such that the centres of the corner pixels coincide (the
    convention of the PyTorch releases of several networks).

    Args:
        interpolation: `"bilinear"` or `"nearest"`.
        align_corners: Whether corner pixel centres coincide; bilinear only.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ModelError: If the interpolation is unknown or cannot align corners.
    """

    def __init__(
        self,
        interpolation: str = "bilinear",
        align_corners: bool = False,
        **kwargs: Any,  # what keras.layers.Layer takes
    ) -> None:
        super().__init__(**kwargs)
        check_choice("interpolation", interpolation, INTERPOLATIONS, ModelError)
        if align_corners and interpolation != "bilinear":
            raise ModelError(
                "`align_corners=True` needs `interpolation='bilinear'`, received "
                f"{interpolation!r}."
            )
        self.interpolation = interpolation
        self.align_corners = align_corners

    def call(self, x: Tensor, like: Tensor) -> Tensor:
        """Resizes.

        Args:
            x: Float tensor (batch, height, width, channels).
            like: Tensor (batch, new height, new width, any); only its size is used.

        Returns:
            Tensor (batch, new height, new width, channels) of the dtype of `x`.
        """
        height, width = keras.ops.shape(like)[1:3]
        if self.align_corners:
            dtype = x.dtype
            x = keras.ops.cast(x, "float32")
            x = _resize_axis_aligned(x, height, axis=1)
            x = _resize_axis_aligned(x, width, axis=2)
            return keras.ops.cast(x, dtype)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            # keras.ops.image.resize fails in export when the size is a tensor.
            size = tf.stack([height, width])
            return tf.cast(tf.image.resize(x, size, self.interpolation), x.dtype)
        return keras.ops.image.resize(
            x,
            (height, width),
            interpolation=self.interpolation,
            data_format="channels_last",
        )

    def compute_output_shape(self, x_shape: Shape, like_shape: Shape) -> Shape:
        """Returns the shape of `x` with the height and width of `like`."""
        return (x_shape[0], *like_shape[1:3], x_shape[3])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "interpolation": self.interpolation,
            "align_corners": self.align_corners,
        }


def _resize_axis_aligned(x: Tensor, new: Tensor | int, axis: int) -> Tensor:
    """Interpolates linearly along one axis so that its end points stay in place."""
    ops = keras.ops
    old = ops.shape(x)[axis]
    # Whole numbers until the last division: end points are hit exactly.
    scaled = ops.arange(new, dtype="int32") * (old - 1)
    steps = ops.maximum(ops.convert_to_tensor(new, dtype="int32") - 1, 1)
    low = scaled // steps
    high = ops.minimum(low + 1, old - 1)
    weight = ops.cast(scaled - low * steps, x.dtype) / ops.cast(steps, x.dtype)
    weight = ops.reshape(weight, (-1, 1, 1) if axis == 1 else (-1, 1))
    return ops.take(x, low, axis) * (1 - weight) + ops.take(x, high, axis) * weight


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


@keras.saving.register_keras_serializable(package="landslide_tf")
class BilinearUpsampling(keras.initializers.Initializer):
    """Initialises a transposed convolution as bilinear upsampling of each channel.

    The kernel is the separable triangle of Long et al. 2015, section 3.3, on the
    diagonal of (output channel, input channel), zero elsewhere.
    """

    def __call__(
        self, shape: tuple[int, int, int, int], dtype: str | None = None
    ) -> Tensor:
        """Makes the kernel.

        Args:
            shape: (height, width, output channels, input channels).
            dtype: Dtype of the result; Keras's float type by default.

        Returns:
            Tensor of that shape.

        Raises:
            ModelError: If output and input channels differ.
        """
        height, width, outputs, inputs = shape
        if outputs != inputs:
            raise ModelError(
                "`BilinearUpsampling` needs as many output as input channels, "
                f"received {outputs} and {inputs}."
            )
        plane = np.outer(_triangle(height), _triangle(width))
        kernel = plane[:, :, None, None] * np.eye(outputs)
        return keras.ops.convert_to_tensor(kernel, dtype or keras.config.floatx())


def _triangle(size: int) -> FloatArray:
    factor = (size + 1) // 2
    centre = factor - 1.0 if size % 2 else factor - 0.5
    return 1 - np.abs(np.arange(size) - centre) / factor

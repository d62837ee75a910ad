"""Resizing to the size of another tensor, exportable with sizes unknown at build."""

from __future__ import annotations

from typing import Any

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError

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
        if interpolation not in INTERPOLATIONS:
            raise ModelError(
                f"`interpolation` must be one of {INTERPOLATIONS}, received "
                f"{interpolation!r}."
            )
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

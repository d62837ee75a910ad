"""Sizes of maps: padding by mirroring, the crop back, and that two are of one size."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError


@keras.saving.register_keras_serializable(package="landslide_tf")
class PadToStride(keras.layers.Layer):
    """Extends height and width to the next multiple of a stride.

    Rows are added at the bottom and columns at the right by symmetric mirroring,
    which repeats where the input is smaller than the padding: index i of the result
    is index j = i mod 2n of the input, or 2n - 1 - j where j >= n. Any size >= 1
    works, and a size that is a multiple already passes through unchanged.

    Args:
        stride: The multiple, >= 1.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ModelError: If `stride` is not a positive integer.
    """

    def __init__(self, stride: int, **kwargs: Any) -> None:  # keras.layers.Layer's
        super().__init__(**kwargs)
        if not isinstance(stride, int) or isinstance(stride, bool) or stride < 1:
            raise ModelError(f"`stride` must be an integer >= 1, received {stride!r}.")
        self.stride = stride

    def call(self, x: Tensor) -> Tensor:
        """Pads a tensor (batch, height, width, channels) of any dtype."""
        if self.stride == 1:
            return x
        for axis, size in ((1, keras.ops.shape(x)[1]), (2, keras.ops.shape(x)[2])):
            if isinstance(size, int):
                if size % self.stride:
                    x = keras.ops.take(x, self._static_index(size), axis)
            else:
                x = keras.ops.take(x, self._dynamic_index(size), axis)
        return x

    def _static_index(self, size: int) -> np.ndarray:
        index = np.arange(self._padded(size), dtype="int32") % (2 * size)
        return np.where(index < size, index, 2 * size - 1 - index)

    def _dynamic_index(self, size: Tensor) -> Tensor:
        ops = keras.ops
        index = ops.arange(self._padded(size), dtype="int32") % (2 * size)
        return ops.where(index < size, index, 2 * size - 1 - index)

    def _padded(self, size: Tensor | int) -> Tensor | int:
        return (size + self.stride - 1) // self.stride * self.stride

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input shape with height and width rounded up."""
        batch, height, width, channels = input_shape
        height = None if height is None else self._padded(height)
        width = None if width is None else self._padded(width)
        return (batch, height, width, channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "stride": self.stride}


@keras.saving.register_keras_serializable(package="landslide_tf")
class CropTo(keras.layers.Layer):
    """Cuts a tensor to the height and width of another, from the top left corner."""

    def call(self, x: Tensor, like: Tensor) -> Tensor:
        """Crops.

        Args:
            x: Tensor (batch, height, width, channels), at least as large as `like`.
            like: Tensor (batch, new height, new width, any); only its size is used.

        Returns:
            Tensor (batch, new height, new width, channels).
        """
        height, width = keras.ops.shape(like)[1:3]
        return x[:, :height, :width, :]

    def compute_output_shape(self, x_shape: Shape, like_shape: Shape) -> Shape:
        """Returns the shape of `x` with the height and width of `like`."""
        return (x_shape[0], *like_shape[1:3], x_shape[3])


@keras.saving.register_keras_serializable(package="landslide_tf")
class SameSize(keras.layers.Layer):
    """Returns a tensor unchanged after checking that its size equals that of another.

    Inputs that do not lie on each other give answers that mean nothing. Of sizes that
    are not known before the call only TensorFlow's graphs are checked; on the other
    backends all sizes are known.

    Example:
        >>> import numpy as np
        >>> from landslide_tf.layers import SameSize
        >>> SameSize()(np.zeros((1, 4, 5, 2)), np.zeros((1, 4, 5, 3))).shape[1:3]
        TensorShape([4, 5])
    """

    def call(self, x: Tensor, like: Tensor) -> Tensor:
        """Checks.

        Args:
            x: Tensor (batch, height, width, channels).
            like: Tensor (batch, height, width, any); only its size is used.

        Returns:
            `x`.

        Raises:
            ModelError: If the sizes are known and differ.
        """
        ours, others = (keras.ops.shape(tensor)[1:3] for tensor in (x, like))
        words = f"`{self.name}`: inputs must be of one height and width"
        known = [isinstance(size, int) for size in (*ours, *others)]
        if all(known):
            if ours != others:
                raise ModelError(f"{words}, received {ours} beside {others}.")
        elif keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            check = tf.debugging.assert_equal(ours, others, f"{words}.")
            with tf.control_dependencies([check]):
                return tf.identity(x)
        return x

    def compute_output_shape(self, x_shape: Shape, like_shape: Shape) -> Shape:
        """Returns the shape of `x`."""
        return x_shape

"""Transposed convolutions that start as bilinear upsampling."""

from __future__ import annotations

import keras
import numpy as np

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError


@keras.saving.register_keras_serializable(package="landslide_tf")
class BilinearUpsampling(keras.initializers.Initializer):
    """Starts a transposed convolution as bilinear upsampling of each channel.

    The kernel is the separable triangle of Long et al. 2015, section 3.3, on the
    diagonal of (output channel, input channel), zero elsewhere.
    """

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
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


def _triangle(size: int) -> np.ndarray:
    factor = (size + 1) // 2
    centre = factor - 1.0 if size % 2 else factor - 0.5
    return 1 - np.abs(np.arange(size) - centre) / factor

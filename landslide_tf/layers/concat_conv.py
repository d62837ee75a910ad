"""A convolution over several tensors as if they were one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError
from landslide_tf.layers.conv import Conv2D

IMPLEMENTATIONS = ("concat", "partial")


@keras.saving.register_keras_serializable(package="landslide_tf")
class ConcatConv2D(Conv2D):
    """Convolves the channel concatenation of a list of tensors.

    A convolution over a concatenation is the sum of convolutions of its parts with
    the kernel split along its input channels. `"partial"` computes that sum and never
    holds the concatenation in memory; `"concat"` holds it. Both have the same weights
    and, but for rounding, the same values.

    Args:
        filters: Channels of the result.
        kernel_size: Height and width of the kernel.
        implementation: `"partial"` or `"concat"`.
        **kwargs: Arguments of `keras.layers.Conv2D`; channels come last.

    Raises:
        ModelError: If the implementation is unknown.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        implementation: str = "partial",
        **kwargs: Any,  # what keras.layers.Conv2D takes
    ) -> None:
        super().__init__(filters, kernel_size, **kwargs)
        self.input_spec = None  # Keras's is for one tensor
        if implementation not in IMPLEMENTATIONS:
            raise ModelError(
                f"`implementation` must be one of {IMPLEMENTATIONS}, received "
                f"{implementation!r}."
            )
        self.implementation = implementation

    def build(self, input_shape: Sequence[Shape]) -> None:
        """Makes one kernel for all channels.

        Args:
            input_shape: Shapes (batch, height, width, channels) of the tensors.
        """
        super().build(_of_concatenation(input_shape))
        self.input_spec = None

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Convolves.

        Args:
            inputs: Tensors (batch, height, width, any) of one height and width.

        Returns:
            Tensor (batch, new height, new width, filters).
        """
        if self.implementation == "concat":
            return super().call(keras.ops.concatenate(inputs, axis=-1))
        kernel = keras.ops.convert_to_tensor(self.kernel)
        outputs, start = None, 0
        for x in inputs:
            part = kernel[:, :, start : start + x.shape[-1], :]
            start += x.shape[-1]
            convolved = self.convolution_op(x, part)
            outputs = convolved if outputs is None else outputs + convolved
        if self.use_bias:
            outputs = outputs + self.bias
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: Sequence[Shape] | Shape) -> Shape:
        """Returns (batch, new height, new width, filters)."""
        # Keras's own `build` asks with the shape of the concatenation.
        if isinstance(input_shape[0], tuple | list):
            input_shape = _of_concatenation(input_shape)
        return super().compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "implementation": self.implementation}


def _of_concatenation(shapes: Sequence[Shape]) -> Shape:
    return (*shapes[0][:3], sum(shape[3] for shape in shapes))

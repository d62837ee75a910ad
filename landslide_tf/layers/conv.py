"""2D convolutions: quick or small when dilated, and over several tensors as one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from landslide_tf.array_types import FloatArray, Shape, Tensor
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.layers.replicas import replicated

# Channels that oneDNN's widest kernels take at once; below, the overrun happens.
ONEDNN_BLOCK = 16
IMPLEMENTATIONS = ("concat", "partial")


@keras.saving.register_keras_serializable(package="landslide_tf")
class Conv2D(keras.layers.Conv2D):
    """2D convolution with the weights and config of `keras.layers.Conv2D`.

    TensorFlow turns a dilated convolution into SpaceToBatchND, Conv2D and
    BatchToSpaceND, which costs two to ten times the convolution itself. On the
    TensorFlow backend this class calls `tf.nn.conv2d` with `dilations` instead,
    where channels come last, `groups` and `strides` are 1 and the device computes
    value and gradients rightly for the data type (probed once). Everywhere else,
    and on other backends, it is `keras.layers.Conv2D`.

    The class is named `Conv2D` because Keras keys weight files by class name: files
    of a network with Keras's class load into one with this class, and back.
    Arguments, weights and values are those of `keras.layers.Conv2D`.

    A strided 1 × 1 convolution of fewer than 16 channels takes its pixels first and
    then convolves without a stride: with oneDNN the gradient of its kernel writes past
    its workspace (uxlfoundation/oneDNN issue 6035), which ends in a crash, a process
    that hangs or wrong weights.

    `DepthwiseConv2D` has no such route: with oneDNN the gradient of TensorFlow's
    dilated depthwise operation is wrong without an error.
    """

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Convolves without bias and activation.

        Args:
            inputs: (batch, height, width, channels), the layer's compute type.
            kernel: (rows, columns, channels, filters), the same type.

        Returns:
            (batch, height, width, filters) with `padding="same"`.
        """
        if self._overruns(kernel):
            rows, columns = self.strides
            taken = inputs[:, ::rows, ::columns]
            outputs = keras.ops.conv(taken, kernel, 1, "valid")
        elif not self._one_operation(inputs):
            outputs = super().convolution_op(inputs, kernel)
        else:
            import tensorflow as tf

            outputs = tf.nn.conv2d(
                inputs,
                kernel,
                strides=1,
                padding=self.padding.upper(),
                dilations=self.dilation_rate,
            )
        return self._with_shape(inputs, outputs) if replicated() else outputs

    def _with_shape(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Gives the result of an empty batch its shape.

        The last batch of an evaluation may leave nothing for a replica, and oneDNN's
        convolution of nothing has the shape of its inputs.
        """
        if self.data_format != "channels_last":
            return outputs
        import tensorflow as tf

        shape = tf.shape(inputs)
        size = shape[1:3]
        if self.padding == "valid":
            size -= (np.array(self.kernel_size) - 1) * self.dilation_rate
        size = -(-size // self.strides)  # rounded up
        shaped = tf.reshape(outputs, [shape[0], size[0], size[1], self.filters])
        shaped.set_shape(outputs.shape)
        return shaped

    def _overruns(self, kernel: Tensor) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and self.data_format == "channels_last"
            and self.kernel_size == (1, 1)
            and max(self.strides) > 1
            and kernel.shape[2] < ONEDNN_BLOCK
        )

    def _one_operation(self, inputs: Tensor) -> bool:
        if (
            keras.backend.backend() != "tensorflow"
            or self.data_format != "channels_last"
            or self.groups != 1
            or max(self.strides) > 1
            or max(self.dilation_rate) == 1
            or len(inputs.shape) != 4
        ):
            return False
        if self.padding == "valid" and not self._kernel_fits(tuple(inputs.shape)):
            return False  # Keras words the error
        return _dilation_works(_dtype_name(inputs), _device_type(inputs))

    def _kernel_fits(self, shape: Shape) -> bool:
        reach = [
            (k - 1) * d
            for k, d in zip(self.kernel_size, self.dilation_rate, strict=True)
        ]
        return all(
            size is None or size > r for size, r in zip(shape[1:3], reach, strict=True)
        )


def _dtype_name(inputs: Tensor) -> str:
    return keras.backend.standardize_dtype(inputs.dtype)


def _device_type(inputs: Tensor) -> str:
    """Returns where an operation on the inputs will run: "CPU", "GPU" or "TPU"."""
    import tensorflow as tf

    device = inputs.device
    if not device:  # a symbolic tensor outside a device scope: where TensorFlow places
        with tf.init_scope():
            device = tf.zeros(()).device
    return tf.DeviceSpec.from_string(device).device_type or "CPU"


@functools.cache
def _dilation_works(dtype: str, device: str) -> bool:
    """Returns whether a device has value and gradients of a dilated convolution.

    With oneDNN a CPU has them for float32 and bfloat16, and for float16 if it computes
    in that type; without oneDNN for no type. Raw operations, because a tape inside
    `init_scope` is paused.

    Args:
        dtype: Type of inputs and kernel.
        device: Device type, "CPU" or "GPU".
    """
    import tensorflow as tf

    # Small whole numbers: every sum is exact in each floating type.
    random = np.random.default_rng(0)
    x = random.integers(-2, 3, (1, 7, 6, 2)).astype("float32")
    kernel = random.integers(-1, 2, (3, 3, 2, 2)).astype("float32")
    gradient = random.integers(-2, 3, (1, 7, 6, 2)).astype("float32")
    common = {"strides": [1] * 4, "padding": "SAME", "dilations": [1, 2, 2, 1]}
    with tf.init_scope():
        if not tf.executing_eagerly():  # a TensorFlow 1 graph: nothing can be tried
            return False
        try:
            with tf.device(f"/{device}:0"):
                tx, tk, tg = (tf.cast(a, dtype) for a in (x, kernel, gradient))
                seen = (
                    tf.raw_ops.Conv2D(input=tx, filter=tk, **common),
                    tf.raw_ops.Conv2DBackpropInput(
                        input_sizes=x.shape, filter=tk, out_backprop=tg, **common
                    ),
                    tf.raw_ops.Conv2DBackpropFilter(
                        input=tx, filter_sizes=kernel.shape, out_backprop=tg, **common
                    ),
                )
            right = _dilated_reference(x, kernel, gradient, 2)
            return all(
                np.array_equal(tf.cast(s, "float32").numpy(), r)
                for s, r in zip(seen, right, strict=True)
            )
        except tf.errors.OpError:
            return False


def _dilated_reference(
    x: FloatArray, kernel: FloatArray, gradient: FloatArray, rate: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns value, input gradient and kernel gradient of a 3×3 "same" convolution."""
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (rate, rate), (rate, rate), (0, 0)))
    value = np.zeros_like(gradient)
    d_padded, d_kernel = np.zeros_like(padded), np.zeros_like(kernel)
    for i, j in np.ndindex(3, 3):
        rows = slice(i * rate, i * rate + height)
        columns = slice(j * rate, j * rate + width)
        tap = padded[:, rows, columns]
        value += tap @ kernel[i, j]
        d_padded[:, rows, columns] += gradient @ kernel[i, j].T
        d_kernel[i, j] = np.einsum("bhwc,bhwf->cf", tap, gradient)
    return value, d_padded[:, rate:-rate, rate:-rate], d_kernel


@keras.saving.register_keras_serializable(package="landslide_tf")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """Depthwise convolution with the weights and config of Keras's class.

    TensorFlow rearranges and pads the input of a dilated depthwise convolution
    (SpaceToBatchND), and holds the larger copy until the gradient. This class lets the
    gradient rearrange the input again, where channels come last. Arguments, weights
    and values are those of `keras.layers.DepthwiseConv2D`, whose name it has, because
    Keras keys weight files by it.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Convolves each channel.

        Args:
            inputs: (batch, height, width, channels).

        Returns:
            (batch, new height, new width, channels × depth multiplier).
        """
        if max(self.dilation_rate) == 1 or self.data_format != "channels_last":
            return super().call(inputs)
        # A tensor: of a variable the gradient would be counted twice, or read without
        # the layer's compute type.
        kernel = keras.ops.copy(self.kernel)
        outputs = keras.remat(self._convolve)(inputs, kernel)
        if self.use_bias:
            outputs = keras.ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def _convolve(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return keras.ops.depthwise_conv(
            inputs,
            kernel,
            self.strides,
            self.padding,
            self.data_format,
            self.dilation_rate,
        )


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
        check_choice("implementation", implementation, IMPLEMENTATIONS, ModelError)
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
        shapes = [shape for shape in input_shape if isinstance(shape, tuple | list)]
        # Keras's own `build` asks with the shape of the concatenation.
        shape = _of_concatenation(shapes) if shapes else input_shape
        return super().compute_output_shape(shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "implementation": self.implementation}


def _of_concatenation(shapes: Sequence[Shape]) -> Shape:
    channels = sum(shape[3] or 0 for shape in shapes)  # Keras refuses unknown ones
    return (*shapes[0][:3], channels)

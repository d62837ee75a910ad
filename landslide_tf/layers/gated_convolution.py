"""HorNet's recursive gated convolution."""

from __future__ import annotations

from typing import Any

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.layers.tokens import dense

KERNEL = 7
DAMPING = 3.0  # divides what the depthwise convolution gives


@keras.saving.register_keras_serializable(package="landslide_tf")
class GatedConvolution(keras.layers.Layer):
    """Multiplies a feature repeatedly by parts of a convolved feature.

    Rao et al. 2022, section 3.1, equations 3.3 to 3.5, with 7 × 7 kernels. The channels
    double from one gate to the next, up to those of the input.

    Args:
        order: How many gates.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, order: int, **kwargs: Any) -> None:  # keras.layers.Layer's
        super().__init__(**kwargs)
        self.order = order

    def build(self, input_shape: Shape) -> None:
        """Makes the dense layers and the depthwise convolution."""
        channels = int(input_shape[-1] or 0)
        self.gates = [max(1, channels >> n) for n in reversed(range(self.order))]
        first, every = self.gates[0], sum(self.gates)
        options = {"dtype": self.dtype_policy}
        self.inner = dense(first + every, "in", **options)
        self.outer = dense(channels, "out", **options)
        self.depthwise = keras.layers.DepthwiseConv2D(
            KERNEL,
            padding="same",
            depthwise_initializer="he_normal",
            name="depthwise",
            **options,
        )
        self.steps = [
            dense(count, f"step{n}", **options)
            for n, count in enumerate(self.gates[1:], start=1)
        ]
        before = (*input_shape[:-1],)
        self.inner.build((*before, channels))
        self.depthwise.build((*before, every))
        for layer, count in zip((*self.steps, self.outer), self.gates, strict=True):
            layer.build((*before, count))

    def call(self, x: Tensor) -> Tensor:
        """Gates a tensor (batch, height, width, channels)."""
        x = self.inner(x)
        start = self.gates[0]
        y, rest = x[..., :start], self.depthwise(x[..., start:]) / DAMPING
        start = 0
        for step, count in zip((None, *self.steps), self.gates, strict=True):
            y = y if step is None else step(y)
            y = y * rest[..., start : start + count]
            start += count
        return self.outer(y)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "order": self.order}

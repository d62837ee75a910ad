"""RepVGG's block: three branches in training, one convolution afterwards."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError
from landslide_tf.layers.batch_norm import BatchNormalization
from landslide_tf.layers.conv import Conv2D
from landslide_tf.words import counted

EPSILON = 1e-5
MOMENTUM = 0.9
SQUEEZE = 16


@keras.saving.register_keras_serializable(package="landslide_tf")
class RepVggBlock(keras.layers.Layer):
    """relu(BN(3 × 3 convolution) + BN(1 × 1 convolution) + BN(input)).

    Ding et al. 2021, section 3. The last term exists where the shapes allow it. After
    training the three are one biased 3 × 3 convolution (`deploy=True`, section 3.3),
    whose weights `fused_from` takes over. Any size of at least 1 × 1.

    Args:
        channels: Output channels.
        stride: 1 or 2.
        groups: Groups of both convolutions.
        squeeze: Whether a squeeze-and-excitation gate follows the sum.
        deploy: Whether the block is the single convolution.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ModelError: If the groups do not divide the channels.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        groups: int = 1,
        squeeze: bool = False,
        deploy: bool = False,
        **kwargs: Any,  # what keras.layers.Layer takes
    ) -> None:
        super().__init__(**kwargs)
        if channels % groups:
            raise ModelError(
                f"`groups` must divide the channels, received {groups} groups of "
                f"{counted(channels, 'channel')}."
            )
        self.channels = channels
        self.stride = stride
        self.groups = groups
        self.squeeze = squeeze
        self.deploy = deploy

    def build(self, input_shape: Shape) -> None:
        """Makes the branches, or the one convolution."""
        identity = input_shape[-1] == self.channels and self.stride == 1
        self.identity_norm = None
        padded = (input_shape[0], None, None, input_shape[-1])
        if self.deploy:
            self.conv = self._convolution(3, "conv", use_bias=True)
            self.conv.build(padded)
        else:
            output = (input_shape[0], None, None, self.channels)
            self.conv3 = self._convolution(3, "conv3")
            self.conv1 = self._convolution(1, "conv1")
            self.norm3, self.norm1 = self._norm("norm3"), self._norm("norm1")
            norms = [self.norm3, self.norm1]
            if identity:
                self.identity_norm = self._norm("identity_norm")
                norms.append(self.identity_norm)
            for layer in (self.conv3, self.conv1):
                layer.build(padded)
            for norm in norms:
                norm.build(output)
        if self.squeeze:
            inner = max(1, self.channels // SQUEEZE)
            options = {"dtype": self.dtype_policy}
            self.down = keras.layers.Dense(inner, "relu", name="squeeze", **options)
            self.up = keras.layers.Dense(
                self.channels, "sigmoid", name="excite", **options
            )
            self.down.build((input_shape[0], self.channels))
            self.up.build((input_shape[0], inner))

    def _convolution(self, size: int, name: str, use_bias: bool = False) -> Conv2D:
        return Conv2D(
            self.channels,
            size,
            strides=self.stride,
            groups=self.groups,
            use_bias=use_bias,
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, name: str) -> BatchNormalization:
        return BatchNormalization(
            epsilon=EPSILON, momentum=MOMENTUM, dtype=self.dtype_policy, name=name
        )

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Applies the block to (batch, height, width, channels)."""
        ops = keras.ops
        # "same" would pad the other side where the stride is 2 and the size even.
        padded = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        if self.deploy:
            y = self.conv(padded)
        else:
            y = self.norm3(self.conv3(padded), training=training)
            y = y + self.norm1(self.conv1(x), training=training)
            if self.identity_norm is not None:
                y = y + self.identity_norm(x, training=training)
        if self.squeeze:
            gate = self.up(self.down(ops.mean(y, axis=(1, 2))))
            y = y * gate[:, None, None, :]
        return ops.relu(y)

    def fused_from(self, trained: RepVggBlock) -> None:
        """Takes over the weights of a block in its training form.

        Args:
            trained: A built block of the same arguments but `deploy=False`.
        """
        kernel, bias = trained.fused_weights()
        self.conv.set_weights([kernel, bias])
        if self.squeeze:
            self.down.set_weights(trained.down.get_weights())
            self.up.set_weights(trained.up.get_weights())

    def fused_weights(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Returns kernel (3, 3, in / groups, out) and bias of the one convolution."""
        kernel, bias = _folded(self.conv3.get_weights()[0], self.norm3)
        point, more = _folded(self.conv1.get_weights()[0], self.norm1)
        kernel[1:2, 1:2] += point
        bias = bias + more
        if self.identity_norm is not None:
            outputs = np.arange(self.channels)
            unit = np.zeros_like(point)
            unit[0, 0, outputs % unit.shape[2], outputs] = 1
            unit, more = _folded(unit, self.identity_norm)
            kernel[1:2, 1:2] += unit
            bias = bias + more
        return kernel, bias

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the halved (rounded up) or equal size with the block's channels."""
        sizes = [n if n is None else -(-n // self.stride) for n in input_shape[1:3]]
        return (input_shape[0], *sizes, self.channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "channels": self.channels,
            "stride": self.stride,
            "groups": self.groups,
            "squeeze": self.squeeze,
            "deploy": self.deploy,
        }


def _folded(
    kernel: NDArray[np.floating], norm: BatchNormalization
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Returns a kernel and bias that do what kernel and normalisation did."""
    gamma, beta, mean, variance = norm.get_weights()
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return kernel * scale, beta - mean * scale

"""What vision transformers and networks after them are made of."""

from __future__ import annotations

import math
from typing import Any

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.layers.resize import Resize2D


def dense(units: int, name: str, **options: Any) -> keras.layers.Dense:
    """Makes a dense layer that starts as those of published transformers.

    Args:
        units: Channels of the result.
        name: Layer name.
        **options: Arguments of `keras.layers.Dense`.

    Returns:
        The layer, its kernel from a truncated normal of deviation 0.02.
    """
    start = keras.initializers.TruncatedNormal(stddev=0.02)
    return keras.layers.Dense(units, kernel_initializer=start, name=name, **options)


def patches(
    x: Tensor, channels: int, size: int, name: str, *, stride: int | None = None
) -> Tensor:
    """Applies the convolution that makes tokens of patches.

    Args:
        x: Tensor (batch, height, width, bands).
        channels: Channels of a token.
        size: Side of a patch.
        name: Layer name.
        stride: Distance of patches; their side by default. Where it is smaller, the
            borders are padded with half a patch of zeros.

    Returns:
        Tensor (batch, height / stride, width / stride, channels).
    """
    if stride is not None:
        x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    start = keras.initializers.TruncatedNormal(stddev=0.02)
    return keras.layers.Conv2D(
        channels, size, strides=stride or size, kernel_initializer=start, name=name
    )(x)


def layer_normalized(x: Tensor, name: str, epsilon: float) -> Tensor:
    """Normalises the channels of each place (Ba et al. 2016)."""
    return keras.layers.LayerNormalization(epsilon=epsilon, name=name)(x)


def feed_forward(x: Tensor, hidden: int, name: str) -> Tensor:
    """Applies two dense layers with a GELU between them.

    Args:
        x: Tensor (…, channels).
        hidden: Channels between them.
        name: Prefix of the layer names `<name>_1`, `<name>_gelu`, `<name>_2`.

    Returns:
        Tensor of the same shape.
    """
    y = dense(hidden, f"{name}_1")(x)
    y = keras.layers.Activation("gelu", name=f"{name}_gelu")(y)
    return dense(x.shape[-1], f"{name}_2")(y)


@keras.saving.register_keras_serializable(package="landslide_tf")
class LayerScale(keras.layers.Layer):
    """Multiplies each channel by a learned factor (Touvron et al. 2021, section 2).

    Args:
        start: First value of the factors.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, start: float, **kwargs: Any) -> None:  # keras.layers.Layer's
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape: Shape) -> None:
        """Makes the factors."""
        self.gamma = self.add_weight(
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(self.start),
            name="gamma",
        )

    def call(self, x: Tensor) -> Tensor:
        """Multiplies a tensor (…, channels)."""
        return x * self.gamma

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "start": self.start}


@keras.saving.register_keras_serializable(package="landslide_tf")
class ClassToken(keras.layers.Layer):
    """Turns a grid of tokens into a sequence with a class token and positions.

    Dosovitskiy et al. 2021, equation 1. The table of positions is that of a square
    grid; for another one it is resized bilinearly, sampled at cell centres (the paper,
    section 3.2, interpolates without saying how).

    Args:
        side: Rows and columns of the grid that the table of positions is for.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, side: int, **kwargs: Any) -> None:  # keras.layers.Layer's
        super().__init__(**kwargs)
        self.side = side

    def build(self, input_shape: Shape) -> None:
        """Makes the token and the table."""
        channels = input_shape[-1]
        self.token, self.table = (
            self.add_weight(
                shape=(1, count, channels),
                initializer=keras.initializers.TruncatedNormal(stddev=0.02),
                name=name,
            )
            for name, count in (("cls_token", 1), ("pos_embed", 1 + self.side**2))
        )
        self.resize = Resize2D(dtype=self.dtype_policy)

    def call(self, x: Tensor) -> Tensor:
        """Makes (batch, 1 + rows × columns, c) of (batch, rows, columns, c)."""
        ops = keras.ops
        channels = x.shape[-1]
        table = ops.convert_to_tensor(self.table)
        grid = ops.reshape(table[:, 1:], (1, self.side, self.side, channels))
        x = ops.reshape(x + self.resize(grid, x), (ops.shape(x)[0], -1, channels))
        first = ops.repeat(self.token + table[:, :1], ops.shape(x)[0], axis=0)
        return ops.concatenate([first, x], axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (batch, 1 + rows × columns, channels)."""
        sizes = [n for n in input_shape[1:3] if n is not None]
        count = 1 + math.prod(sizes) if len(sizes) == 2 else None
        return (input_shape[0], count, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "side": self.side}


@keras.saving.register_keras_serializable(package="landslide_tf")
class FirstToken(keras.layers.Layer):
    """Returns the first token of a sequence as a feature map of one pixel."""

    def call(self, x: Tensor) -> Tensor:
        """Makes (batch, 1, 1, channels) of (batch, tokens, channels)."""
        return x[:, None, :1]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (batch, 1, 1, channels)."""
        return (input_shape[0], 1, 1, input_shape[-1])

"""Convolution, normalisation and ReLU: the unit that all networks are made of."""

from __future__ import annotations

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.layers.batch_norm import BatchNormalization
from landslide_tf.layers.conv import Conv2D

# The papers give neither; momentum 0.9 settles within the short runs of this field.
BN_MOMENTUM = 0.9
BN_EPSILON = 1e-5


def batch_normalized(x: Tensor, *, name: str, epsilon: float = BN_EPSILON) -> Tensor:
    """Applies batch normalisation with the package's constants.

    Args:
        x: Tensor (batch, height, width, channels).
        name: Layer name.
        epsilon: Added to the variance.

    Returns:
        Tensor of the same shape.
    """
    return BatchNormalization(momentum=BN_MOMENTUM, epsilon=epsilon, name=name)(x)


def conv_bn_relu(
    x: Tensor,
    filters: int,
    kernel_size: int,
    *,
    name: str,
    dilation_rate: int = 1,
    batch_norm_after: bool = True,
) -> Tensor:
    """Applies a `same` convolution of stride 1, batch normalisation and ReLU.

    Args:
        x: Tensor (batch, height, width, channels).
        filters: Channels of the result.
        kernel_size: Height and width of the kernel.
        name: Prefix of the layer names `<name>_conv`, `<name>_bn`, `<name>_relu`.
        dilation_rate: Distance of the kernel's taps.
        batch_norm_after: Whether batch normalisation follows; without it the
            convolution has a bias.

    Returns:
        Tensor (batch, height, width, filters).
    """
    x = Conv2D(
        filters,
        kernel_size,
        padding="same",
        dilation_rate=dilation_rate,
        use_bias=not batch_norm_after,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    if batch_norm_after:
        x = batch_normalized(x, name=f"{name}_bn")
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def separable_conv_bn_relu(
    x: Tensor, filters: int, kernel_size: int, *, name: str, dilation_rate: int = 1
) -> Tensor:
    """Applies a depthwise and a 1 × 1 convolution, each normalised and rectified.

    Args:
        x: Tensor (batch, height, width, channels).
        filters: Channels of the result.
        kernel_size: Height and width of the depthwise kernel.
        name: Prefix of the layer names `<name>_depthwise`, `<name>_depthwise_bn`,
            `<name>_depthwise_relu` and those of `conv_bn_relu`.
        dilation_rate: Distance of the depthwise kernel's taps.

    Returns:
        Tensor (batch, height, width, filters).
    """
    # Keras's own layer: the shorter route that `Conv2D` takes has wrong gradients here.
    x = keras.layers.DepthwiseConv2D(
        kernel_size,
        padding="same",
        dilation_rate=dilation_rate,
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{name}_depthwise",
    )(x)
    x = batch_normalized(x, name=f"{name}_depthwise_bn")
    x = keras.layers.ReLU(name=f"{name}_depthwise_relu")(x)
    return conv_bn_relu(x, filters, 1, name=name)

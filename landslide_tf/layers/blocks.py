"""What networks are made of: convolution units, ASPP, and the rule for their width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError, warn
from landslide_tf.layers.batch_norm import BatchNormalization
from landslide_tf.layers.conv import Conv2D, DepthwiseConv2D
from landslide_tf.layers.resize import Resize2D

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
    x: Tensor,
    filters: int,
    kernel_size: int,
    *,
    name: str,
    dilation_rate: int = 1,
    depth_activation: bool = True,
) -> Tensor:
    """Applies a depthwise and a 1 × 1 convolution, normalised and rectified.

    Args:
        x: Tensor (batch, height, width, channels).
        filters: Channels of the result.
        kernel_size: Height and width of the depthwise kernel.
        name: Prefix of the layer names `<name>_depthwise`, `<name>_depthwise_bn`,
            `<name>_depthwise_relu` and those of `conv_bn_relu`.
        dilation_rate: Distance of the depthwise kernel's taps.
        depth_activation: Whether batch normalisation and ReLU also follow the
            depthwise convolution.

    Returns:
        Tensor (batch, height, width, filters).
    """
    # Keras's "he_normal" counts every channel as an input of each output, so that
    # kernels start too small by the root of their number unless a norm makes it up.
    plain = keras.initializers.VarianceScaling(2.0, "fan_out")
    x = DepthwiseConv2D(
        kernel_size,
        padding="same",
        dilation_rate=dilation_rate,
        use_bias=False,
        depthwise_initializer="he_normal" if depth_activation else plain,
        name=f"{name}_depthwise",
    )(x)
    if depth_activation:
        x = batch_normalized(x, name=f"{name}_depthwise_bn")
        x = keras.layers.ReLU(name=f"{name}_depthwise_relu")(x)
    return conv_bn_relu(x, filters, 1, name=name)


@keras.saving.register_keras_serializable(package="landslide_tf")
class ImagePooling(keras.layers.Layer):
    """Averages over height and width, keeping both axes with size 1.

    Batch normalisation after it sees one value an image, so that training on one
    image gives zero variance: a batch known to hold one image warns.
    """

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Averages a tensor (batch, height, width, channels)."""
        if training and x.shape[0] == 1:
            warn(
                "Expected a training batch of at least 2 images, received 1: the "
                "pooled branch of ASPP then normalises a single value to zero. Use a "
                "larger batch, or freeze batch normalisation.",
            )
        # A float16 sum over a large map would overflow.
        mean = keras.ops.mean(keras.ops.cast(x, "float32"), axis=(1, 2), keepdims=True)
        return keras.ops.cast(mean, x.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input shape with height and width 1."""
        return (input_shape[0], 1, 1, input_shape[3])


def aspp(
    x: Tensor,
    filters: int = 256,
    *,
    rates: Sequence[int] = (6, 12, 18),
    separable: bool = False,
    depth_activation: bool = True,
    align_corners: bool = False,
    name: str = "aspp",
) -> Tensor:
    """Applies atrous spatial pyramid pooling (Chen et al. 2017, section 3.3).

    Five branches (1 × 1, three dilated 3 × 3, pooled image) of `filters` channels are
    concatenated and projected by a 1 × 1 convolution; batch normalisation and ReLU
    follow every convolution (but for `depth_activation`).

    Args:
        x: Tensor (batch, height, width, channels).
        filters: Channels of each branch and of the result.
        rates: Dilations of the 3 × 3 branches; (6, 12, 18) at output stride 16.
        separable: Whether the 3 × 3 branches are depthwise separable (Chen et al. 2018,
            section 3.1).
        depth_activation: As in `separable_conv_bn_relu`.
        align_corners: Passed to the resize of the pooled branch.
        name: Prefix of the layer names: `<name>_b0`, `<name>_r<rate>`,
            `<name>_pool`, `<name>_concat`, `<name>_proj`.

    Returns:
        Tensor (batch, height, width, filters).
    """
    branches = [conv_bn_relu(x, filters, 1, name=f"{name}_b0")]
    convolution = conv_bn_relu
    if separable:
        convolution = partial(separable_conv_bn_relu, depth_activation=depth_activation)
    for rate in rates:
        branches.append(
            convolution(x, filters, 3, dilation_rate=rate, name=f"{name}_r{rate}")
        )
    pooled = ImagePooling(name=f"{name}_pool")(x)
    pooled = conv_bn_relu(pooled, filters, 1, name=f"{name}_pool")
    resize = Resize2D(align_corners=align_corners, name=f"{name}_pool_resize")
    branches.append(resize(pooled, x))
    merged = keras.layers.Concatenate(name=f"{name}_concat")(branches)
    return conv_bn_relu(merged, filters, 1, name=f"{name}_proj")


def scaled_channels(channels: int, width: float) -> int:
    """Scales a channel count to a multiple of 8, never below 8.

    Args:
        channels: Channel count at width 1.
        width: Width multiplier, above 0; 1 leaves the count as it is.

    Returns:
        `channels` for width 1, else `max(8, 8 * floor(channels * width / 8 + 0.5))`.

    Raises:
        ModelError: If `width` is not a positive number.
    """
    _check_width("width", width)
    if width == 1:
        return channels
    return max(8, 8 * math.floor(channels * width / 8 + 0.5))


def decoder_multiplier(width: float, decoder_width: float | None) -> float:
    """Returns the width multiplier of what is not a network's backbone.

    Args:
        width: Multiplier of the backbone's channel counts.
        decoder_width: Multiplier of the others, above 0; None is for one of both.

    Returns:
        The multiplier.

    Raises:
        ModelError: If `decoder_width` is not a positive number.
    """
    if decoder_width is None:
        return width
    _check_width("decoder_width", decoder_width)
    return decoder_width


def _check_width(name: str, width: float) -> None:
    if isinstance(width, bool) or not isinstance(width, int | float) or width <= 0:
        raise ModelError(
            f"`{name}` must be a number above 0 (1 = as published), received {width!r}."
        )

"""Atrous spatial pyramid pooling."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.layers.blocks import conv_bn_relu, separable_conv_bn_relu
from landslide_tf.layers.resize import Resize2D


@keras.saving.register_keras_serializable(package="landslide_tf")
class ImagePooling(keras.layers.Layer):
    """Averages over height and width, keeping both axes with size 1.

    Batch normalisation after it sees one value an image, so that training on one
    image gives zero variance: a batch known to hold one image warns.
    """

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Averages a tensor (batch, height, width, channels)."""
        if training and x.shape[0] == 1:
            warnings.warn(
                "Expected a training batch of at least 2 images, received 1: the "
                "pooled branch of ASPP then normalises a single value to zero. Use a "
                "larger batch, or freeze batch normalisation.",
                stacklevel=2,
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
    align_corners: bool = False,
    name: str = "aspp",
) -> Tensor:
    """Applies atrous spatial pyramid pooling (Chen et al. 2017, section 3.3).

    Five branches (1 × 1, three dilated 3 × 3, pooled image) of `filters` channels are
    concatenated and projected by a 1 × 1 convolution; batch normalisation and ReLU
    follow every convolution.

    Args:
        x: Tensor (batch, height, width, channels).
        filters: Channels of each branch and of the result.
        rates: Dilations of the 3 × 3 branches; (6, 12, 18) at output stride 16.
        separable: Whether the 3 × 3 branches are depthwise separable (Chen et al. 2018,
            section 3.1).
        align_corners: Passed to the resize of the pooled branch.
        name: Prefix of the layer names: `<name>_b0`, `<name>_r<rate>`,
            `<name>_pool`, `<name>_concat`, `<name>_proj`.

    Returns:
        Tensor (batch, height, width, filters).
    """
    branches = [conv_bn_relu(x, filters, 1, name=f"{name}_b0")]
    convolution = separable_conv_bn_relu if separable else conv_bn_relu
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

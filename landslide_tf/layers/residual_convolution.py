"""Residual convolution module: a bottleneck beside an identity."""

from __future__ import annotations

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.layers.blocks import batch_normalized
from landslide_tf.layers.conv import Conv2D


def residual_convolution(x: Tensor, filters: int, *, name: str = "rcm") -> Tensor:
    """Refines a feature by a bottleneck that is added to it.

    The residual convolution module of MFFENet (Xu et al. 2022, released code):
    x + 1 × 1 (ReLU(BN(3 × 3 (1 × 1 (x))))), all without bias and nothing after the
    addition, so that it is the identity where the last kernel is zero.
    `docs/mffe_net.svg` shows it.

    Args:
        x: Tensor (batch, height, width, channels).
        filters: Channels inside, >= 1.
        name: Prefix of the layer names.

    Returns:
        Tensor of the shape of `x`.
    """
    inner = x
    for part, (count, kernel_size) in enumerate(
        ((filters, 1), (filters, 3), (x.shape[-1], 1)), start=1
    ):
        if part == 3:
            inner = batch_normalized(inner, name=f"{name}_2_bn")
            inner = keras.layers.ReLU(name=f"{name}_2_relu")(inner)
        inner = Conv2D(
            count,
            kernel_size,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"{name}_{part}_conv",
        )(inner)
    return keras.layers.Add(name=f"{name}_add")([x, inner])

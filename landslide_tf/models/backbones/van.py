"""Visual attention networks: large kernels whose result gates the feature."""

from __future__ import annotations

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.layers import (
    DepthwiseConv2D,
    LayerScale,
    batch_normalized,
    scaled_channels,
)
from landslide_tf.layers.tokens import dense, layer_normalized, patches

# Channels and depths of the four stages (Guo et al. 2023, table 2).
_WIDE = (64, 128, 320, 512)
VANS = {
    "van_b0": ((32, 64, 160, 256), (3, 3, 5, 2)),
    "van_b1": (_WIDE, (2, 2, 4, 2)),
    "van_b2": (_WIDE, (3, 3, 12, 3)),
    "van_b3": (_WIDE, (3, 5, 27, 3)),
}
RATIOS = (8, 8, 4, 4)  # hidden channels of a block over its channels
EPSILON = 1e-6
SCALE = 1e-2


def van(x: Tensor, arch: str, *, width: float = 1.0) -> Tensor:
    """Builds a visual attention network up to its last feature (Guo et al. 2023).

    Args:
        x: Normalised image (batch, height, width, bands), sizes multiples of 32.
        arch: One of `VANS`.
        width: Multiplier of the channels.

    Returns:
        Normalised feature (batch, height / 32, width / 32, channels).
    """
    stages = zip(*VANS[arch], RATIOS, strict=True)
    for stage, (channels, depth, ratio) in enumerate(stages, start=1):
        channels = scaled_channels(channels, width)
        name = f"stage{stage}"
        size, stride = (7, 4) if stage == 1 else (3, 2)
        x = patches(x, channels, size, f"{name}_patch_conv", stride=stride)
        x = batch_normalized(x, name=f"{name}_patch_bn")
        for number in range(1, depth + 1):
            x = _block(x, ratio * channels, f"{name}_block{number}")
        x = layer_normalized(x, f"{name}_norm", EPSILON)
    return x


def _block(x: Tensor, hidden: int, name: str) -> Tensor:
    """Adds large kernel attention (section 3.1) and a convolutional feed-forward."""
    y = batch_normalized(x, name=f"{name}_norm1")
    y = _attention(y, f"{name}_attn")
    y = LayerScale(SCALE, name=f"{name}_scale1")(y)
    x = keras.layers.Add(name=f"{name}_add1")([x, y])
    y = batch_normalized(x, name=f"{name}_norm2")
    y = dense(hidden, f"{name}_mlp_1")(y)
    y = _depthwise(y, 3, f"{name}_mlp_depthwise")
    y = keras.layers.Activation("gelu", name=f"{name}_mlp_gelu")(y)
    y = dense(x.shape[-1], f"{name}_mlp_2")(y)
    y = LayerScale(SCALE, name=f"{name}_scale2")(y)
    return keras.layers.Add(name=f"{name}_add2")([x, y])


def _attention(x: Tensor, name: str) -> Tensor:
    """Gates a feature by a kernel of 21 × 21, made of three small ones (figure 3)."""
    channels = x.shape[-1]
    y = dense(channels, f"{name}_1")(x)
    value = keras.layers.Activation("gelu", name=f"{name}_gelu")(y)
    y = _depthwise(value, 5, f"{name}_near")
    y = _depthwise(y, 7, f"{name}_far", dilation=3)
    y = dense(channels, f"{name}_gate")(y)
    y = keras.layers.Multiply(name=f"{name}_gated")([value, y])
    y = dense(channels, f"{name}_2")(y)
    return keras.layers.Add(name=f"{name}_add")([x, y])


def _depthwise(x: Tensor, size: int, name: str, dilation: int = 1) -> Tensor:
    return DepthwiseConv2D(
        size,
        padding="same",
        dilation_rate=dilation,
        depthwise_initializer="he_normal",
        name=name,
    )(x)

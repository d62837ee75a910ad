"""EfficientNet-Lite: EfficientNet for devices without fast gates and exponentials."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.layers import (
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Normalization,
    scaled_channels,
)

# Multipliers of channels and of blocks (Tan and Le 2019, equation 3, and the released
# `efficientnet_lite_builder`).
LITES = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}
# (level, expansion, channels, blocks, kernel, stride) of Tan and Le 2019, table 1; a
# level is the power of two that the image is larger than the feature by.
_GROUPS = (
    (1, 1, 16, 1, 3, 1),
    (2, 6, 24, 2, 3, 2),
    (3, 6, 40, 2, 5, 2),
    (4, 6, 80, 3, 3, 2),
    (4, 6, 112, 3, 5, 1),
    (5, 6, 192, 4, 5, 2),
    (5, 6, 320, 1, 3, 1),
)
STEM, HEAD = 32, 1280  # not multiplied in the Lite forms
# The released code's epsilon; its momentum of 0.99 is too slow for short runs.
EPSILON, MOMENTUM = 1e-3, 0.9
# What the released weights expect of RGB in 0..255.
NORMALIZATION: Normalization = (127.0, 128.0, 1.0)


@dataclass(frozen=True)
class _Unit:
    """One convolution of a block: where it stands on the way to fewer strides."""

    stride: int
    rate: int  # distance of its taps
    removed: bool  # whether it lost a stride of 2


def efficientnet_lite(
    x: Tensor,
    arch: str = "efficientnet_lite0",
    *,
    output_stride: int = 32,
    width: float = 1.0,
) -> dict[str, Tensor]:
    """Builds an EfficientNet-Lite encoder: ReLU6, no gates, TensorFlow's padding.

    A stride is removed by the exact à-trous rule, as in `backbones.resnet`.

    Args:
        x: Normalised image (batch, height, width, bands), sizes multiples of
            `output_stride`.
        arch: One of `LITES`.
        output_stride: Image size over size of the last stage: 8, 16 or 32.
        width: Multiplier of every channel count.

    Returns:
        Features by name: `"C1"` (1/2) to `"C5"` (last stage), each the narrow end of
        its last block; `"C2_reduced"` and `"C3_reduced"` are the same as `"C2"` and
        `"C3"`.
    """
    wide, deep = LITES[arch]
    x = _conv(x, scaled_channels(STEM, width), 3, "stem", _Unit(2, 1, False))
    features: dict[str, Tensor] = {}
    rate, number = 1, 0
    for level, expansion, channels, blocks, kernel, stride in _GROUPS:
        # The first and the last group keep their number of blocks.
        fixed = channels in (_GROUPS[0][2], _GROUPS[-1][2])
        count = blocks if fixed else math.ceil(blocks * deep)
        channels = scaled_channels(_rounded(channels * wide), width)
        for index in range(count):
            number += 1
            removed = index == 0 and stride == 2 and 2**level > output_stride
            strided = stride if index == 0 and not removed else 1
            x = _block(
                x,
                channels,
                expansion,
                kernel,
                f"stage{level}_block{number}",
                _Unit(strided, rate, removed),
            )
            rate *= 2 if removed else 1
        features[f"C{level}"] = x
    return {**features, "C2_reduced": features["C2"], "C3_reduced": features["C3"]}


def efficientnet_lite_head(x: Tensor, *, width: float = 1.0) -> Tensor:
    """Applies the last convolution, which only the classifier has.

    Args:
        x: The feature `"C5"` of `efficientnet_lite`.
        width: Multiplier of the channel count.

    Returns:
        Feature of 1280 channels at width 1.
    """
    return _conv(x, scaled_channels(HEAD, width), 1, "head", _Unit(1, 1, False))


def classifying_lite(arch: str) -> keras.Model:
    """Builds the published classifier of 1000 classes, up to its logits.

    Args:
        arch: One of `LITES`.

    Returns:
        Functional model from a normalised image (batch, height, width, 3).
    """
    image = keras.Input((None, None, 3))
    x = efficientnet_lite_head(efficientnet_lite(image, arch)["C5"])
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(1000, name="logits")(x), name=arch)


def _rounded(channels: float) -> int:
    """Returns the multiple of 8 that is nearest and not below nine tenths."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _block(
    x: Tensor, channels: int, expansion: int, kernel: int, name: str, unit: _Unit
) -> Tensor:
    """Applies an inverted bottleneck (Sandler et al. 2018, table 1)."""
    y = x
    if expansion != 1:
        y = _conv(y, expansion * x.shape[-1], 1, f"{name}_expand", _Unit(1, 1, False))
    y = _conv(y, None, kernel, f"{name}_depthwise", unit)
    y = _conv(y, channels, 1, f"{name}_project", _Unit(1, 1, False), active=False)
    if unit.stride == 1 and not unit.removed and x.shape[-1] == channels:
        y = keras.layers.Add(name=f"{name}_add")([x, y])
    return y


def _conv(
    x: Tensor,
    channels: int | None,
    kernel: int,
    name: str,
    unit: _Unit,
    *,
    active: bool = True,
) -> Tensor:
    """Applies a convolution (depthwise without `channels`), a norm and ReLU6."""
    padding = "same"
    if unit.removed:
        # The strided convolution begins half of what is left over further in.
        before = (kernel - 2) // 2 * unit.rate
        pads = (before, (kernel - 1) * unit.rate - before)
        x = keras.layers.ZeroPadding2D((pads, pads), name=f"{name}_pad")(x)
        padding = "valid"
    options = {"strides": unit.stride, "padding": padding, "use_bias": False}
    if channels is None:
        convolution = DepthwiseConv2D(
            kernel,
            dilation_rate=unit.rate,
            depthwise_initializer="he_normal",
            name=f"{name}_conv",
            **options,
        )
    else:
        convolution = Conv2D(
            channels,
            kernel,
            kernel_initializer="he_normal",
            name=f"{name}_conv",
            **options,
        )
    x = BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_bn")(
        convolution(x)
    )
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if active else x

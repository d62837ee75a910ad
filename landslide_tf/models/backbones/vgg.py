"""The convolutions of VGG-16, with or without batch normalisation."""

from __future__ import annotations

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.layers import conv_bn_relu, scaled_channels

# Convolutions and channels of each block.
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def vgg16(
    x: Tensor,
    *,
    prefix: str = "vgg",
    batch_norm: bool = True,
    width: float = 1.0,
) -> dict[str, Tensor]:
    """Builds the thirteen convolutions of VGG-16 (Simonyan and Zisserman 2015).

    Args:
        x: Tensor (batch, height, width, channels), sizes multiples of 32.
        prefix: Start of the layer names: `<prefix>_conv1_1` to `<prefix>_conv5_3`,
            `<prefix>_pool1` to `<prefix>_pool5`.
        batch_norm: Whether batch normalisation follows each convolution, which then
            has no bias.
        width: Width multiplier of every channel count.

    Returns:
        Features by name: `"C1"` (full size) to `"C5"` (1/16), the last convolution of
        each block, and `"P1"` (1/2) to `"P5"` (1/32), the pooled ones.
    """
    features = {}
    for block, (count, channels) in enumerate(BLOCKS, start=1):
        for index in range(1, count + 1):
            x = conv_bn_relu(
                x,
                scaled_channels(channels, width),
                3,
                name=f"{prefix}_conv{block}_{index}",
                batch_norm_after=batch_norm,
            )
        features[f"C{block}"] = x
        x = keras.layers.MaxPooling2D(2, name=f"{prefix}_pool{block}")(x)
        features[f"P{block}"] = x
    return features

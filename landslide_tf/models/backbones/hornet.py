"""HorNet: recursive gated convolutions in the place of attention."""

from __future__ import annotations

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.layers import (
    GatedConvolution,
    ImagePooling,
    LayerScale,
    scaled_channels,
)
from landslide_tf.layers.tokens import feed_forward, layer_normalized, patches

# Channels of the first stage (Rao et al. 2022, section 3.3), those with 7 × 7 kernels;
# their global filters are bound to one size of image.
HORNETS = {"hornet_tiny": 64, "hornet_small": 96, "hornet_base": 128}
DEPTHS = (2, 3, 18, 2)
ORDERS = (2, 3, 4, 5)  # of the gated convolutions
RATIO = 4
EPSILON = 1e-6
SCALE = 1e-6


def hornet(x: Tensor, arch: str, *, width: float = 1.0) -> Tensor:
    """Builds HorNet up to its pooled feature (Rao et al. 2022).

    Args:
        x: Normalised image (batch, height, width, bands), sizes multiples of 32.
        arch: One of `HORNETS`.
        width: Multiplier of the channels.

    Returns:
        Normalised mean of the last feature (batch, 1, 1, channels).
    """
    for stage, (depth, order) in enumerate(zip(DEPTHS, ORDERS, strict=True), start=1):
        channels = scaled_channels(HORNETS[arch] * 2 ** (stage - 1), width)
        name = f"stage{stage}"
        if stage == 1:
            x = patches(x, channels, 4, f"{name}_patch_conv")
            x = layer_normalized(x, f"{name}_patch_norm", EPSILON)
        else:
            x = layer_normalized(x, f"{name}_patch_norm", EPSILON)
            x = patches(x, channels, 2, f"{name}_patch_conv")
        for number in range(1, depth + 1):
            x = _block(x, order, f"{name}_block{number}")
    x = ImagePooling(name="norm_pool")(x)
    return layer_normalized(x, "norm", EPSILON)


def _block(x: Tensor, order: int, name: str) -> Tensor:
    """Adds a gated convolution and a feed-forward, each scaled by channel."""
    y = layer_normalized(x, f"{name}_norm1", EPSILON)
    y = GatedConvolution(order, name=f"{name}_gnconv")(y)
    y = LayerScale(SCALE, name=f"{name}_scale1")(y)
    x = keras.layers.Add(name=f"{name}_add1")([x, y])
    y = layer_normalized(x, f"{name}_norm2", EPSILON)
    y = feed_forward(y, RATIO * x.shape[-1], f"{name}_mlp")
    y = LayerScale(SCALE, name=f"{name}_scale2")(y)
    return keras.layers.Add(name=f"{name}_add2")([x, y])

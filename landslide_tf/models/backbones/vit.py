"""Vision transformers of one class token."""

from __future__ import annotations

import math

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.layers import ClassToken, FirstToken, SelfAttention, scaled_channels
from landslide_tf.layers.tokens import feed_forward, layer_normalized, patches

# Channels and heads: of Dosovitskiy et al. 2021, table 1, the base size, which is
# their smallest; the two below it are of Touvron et al. 2021 (DeiT), table 1.
VITS = {"vit_tiny": (192, 3), "vit_small": (384, 6), "vit_base": (768, 12)}
PATCH, DEPTH, RATIO = 16, 12, 4
SIDE = 14  # of the grid that the positions are for: images of 224 pixels
EPSILON = 1e-6


def vit(x: Tensor, arch: str, *, width: float = 1.0) -> Tensor:
    """Builds a vision transformer up to its class token.

    Args:
        x: Normalised image (batch, height, width, bands), sizes multiples of 16.
        arch: One of `VITS`.
        width: Multiplier of the channels; there are then as many heads as divide both
            the channels and the published heads.

    Returns:
        Normalised feature of the class token (batch, 1, 1, channels).
    """
    channels, heads = VITS[arch]
    channels = scaled_channels(channels, width)
    x = patches(x, channels, PATCH, "patch_conv")
    x = ClassToken(SIDE, name="tokens")(x)
    for number in range(1, DEPTH + 1):
        name = f"block{number}"
        y = layer_normalized(x, f"{name}_norm1", EPSILON)
        y = SelfAttention(math.gcd(channels, heads), name=f"{name}_attn")(y)
        x = keras.layers.Add(name=f"{name}_add1")([x, y])
        y = layer_normalized(x, f"{name}_norm2", EPSILON)
        y = feed_forward(y, RATIO * channels, f"{name}_mlp")
        x = keras.layers.Add(name=f"{name}_add2")([x, y])
    return FirstToken(name="class_token")(layer_normalized(x, "norm", EPSILON))

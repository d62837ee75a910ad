"""Swin transformers, first and second version."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.layers import MergePatches, WindowAttention, scaled_channels
from landslide_tf.layers.tokens import dense, feed_forward, layer_normalized, patches

EPSILON = 1e-5
RATIO = 4  # hidden channels of a block over its channels


@dataclass(frozen=True)
class _Shape:
    """Table 7 of Liu et al. 2021; the second version has the same sizes."""

    depths: tuple[int, int, int, int]
    channels: int
    heads: int  # of the first stage; each next one has twice as many
    window: int
    second: bool


SWINS = {
    "swin_tiny": _Shape((2, 2, 6, 2), 96, 3, 7, False),
    "swin_small": _Shape((2, 2, 18, 2), 96, 3, 7, False),
    "swin_base": _Shape((2, 2, 18, 2), 128, 4, 7, False),
    "swin_v2_tiny": _Shape((2, 2, 6, 2), 96, 3, 8, True),
    "swin_v2_small": _Shape((2, 2, 18, 2), 96, 3, 8, True),
    "swin_v2_base": _Shape((2, 2, 18, 2), 128, 4, 8, True),
}


def swin(x: Tensor, arch: str, *, width: float = 1.0) -> Tensor:
    """Builds a Swin transformer up to its last feature (Liu et al. 2021; 2022).

    Args:
        x: Normalised image (batch, height, width, bands), sizes multiples of 32.
        arch: One of `SWINS`.
        width: Multiplier of the channels; there are then as many heads as divide both
            the channels and the published heads.

    Returns:
        Normalised feature (batch, height / 32, width / 32, channels).
    """
    shape = SWINS[arch]
    x = patches(x, scaled_channels(shape.channels, width), 4, "patch_conv")
    x = layer_normalized(x, "patch_norm", EPSILON)
    for stage, depth in enumerate(shape.depths, start=1):
        channels = scaled_channels(shape.channels * 2 ** (stage - 1), width)
        if stage > 1:
            x = _merged(x, channels, shape.second, f"stage{stage}_merge")
        heads = math.gcd(channels, shape.heads * 2 ** (stage - 1))
        for number in range(1, depth + 1):
            # Every other block shifts its windows by half of one.
            shift = 0 if number % 2 else shape.window // 2
            name = f"stage{stage}_block{number}"
            attention = WindowAttention(
                heads, shape.window, shift, shape.second, name=f"{name}_attn"
            )
            x = _block(x, attention, shape.second, name)
    return layer_normalized(x, "norm", EPSILON)


def _block(x: Tensor, attention: WindowAttention, second: bool, name: str) -> Tensor:
    """Adds attention and feed-forward, normalised before or, in the second, behind."""

    def added(y: Tensor, part: str, of: Callable[[Tensor], Tensor]) -> Tensor:
        norm = f"{name}_norm{part}"
        if second:
            z = layer_normalized(of(y), norm, EPSILON)
        else:
            z = of(layer_normalized(y, norm, EPSILON))
        return keras.layers.Add(name=f"{name}_add{part}")([y, z])

    x = added(x, "1", attention)
    return added(x, "2", lambda y: feed_forward(y, RATIO * y.shape[-1], f"{name}_mlp"))


def _merged(x: Tensor, channels: int, second: bool, name: str) -> Tensor:
    """Makes one place of 2 × 2: their channels concatenated, normalised, reduced."""
    x = MergePatches(name=f"{name}_patches")(x)
    if not second:
        x = layer_normalized(x, f"{name}_norm", EPSILON)
    x = dense(channels, f"{name}_reduce", use_bias=False)(x)
    return layer_normalized(x, f"{name}_norm", EPSILON) if second else x

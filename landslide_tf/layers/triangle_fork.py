"""The decoder blocks of MFFENet: adaptive triangle fork and residual convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.layers.blocks import batch_normalized, conv_bn_relu
from landslide_tf.layers.conv import Conv2D
from landslide_tf.layers.resize import Resize2D


@keras.saving.register_keras_serializable(package="landslide_tf")
class GroupWeighting(keras.layers.Layer):
    """Multiplies groups of channels by one weight map each.

    Args:
        sizes: Channels of each group, in order.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        **kwargs: Any,  # what keras.layers.Layer takes
    ) -> None:
        super().__init__(**kwargs)
        self.sizes = [int(size) for size in sizes]

    def call(self, x: Tensor, maps: Tensor) -> Tensor:
        """Weighs.

        Args:
            x: Tensor (batch, height, width, sum of sizes).
            maps: Tensor (batch, height, width, number of groups).

        Returns:
            Tensor of the shape of `x`.
        """
        if len(self.sizes) == 1:
            return x * maps
        starts = [sum(self.sizes[:i]) for i in range(len(self.sizes))]
        return keras.ops.concatenate(
            [
                x[..., start : start + size] * maps[..., i : i + 1]
                for i, (start, size) in enumerate(zip(starts, self.sizes, strict=True))
            ],
            axis=-1,
        )

    def compute_output_shape(self, x_shape: Shape, maps_shape: Shape) -> Shape:
        """Returns the shape of `x`."""
        return x_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "sizes": self.sizes}


def adaptive_triangle_fork(
    own: Tensor,
    deep: Tensor,
    deeper: Sequence[Tensor],
    shallower: Sequence[Tensor],
    filters: int,
    *,
    align_corners: bool = True,
    name: str = "atf",
) -> Tensor:
    """Joins a level's gated feature with the weighted features of all other levels.

    The adaptive triangle fork of MFFENet (Xu et al. 2022, released code):

    1. Gate: the level's feature is projected, u, and kept where it agrees with the
       projected deeper one, g: u · sigmoid(BN(1 × 1 (ReLU(g + u)))).
    2. Projection: every other level is projected to `filters` channels and resized.
    3. Weights: from all projections together, one map in (0, 1) for the deeper levels
       and one for the shallower ones multiplies them.

    The result is the concatenation of the three. `docs/methods/mffe_net.svg` shows it.

    Args:
        own: Feature of the level (batch, height, width, any).
        deep: Feature of the next deeper level, of any size, as are the others.
        deeper: Features of all deeper levels, the deepest first.
        shallower: Features of all shallower levels, the deepest first; may be empty.
        filters: Channels of the gated feature and of each projection, >= 1.
        align_corners: Passed to every resize.
        name: Prefix of the layer names.

    Returns:
        Tensor (batch, height, width, filters · (1 + number of other levels)).
    """
    gated = _gated(own, deep, filters, align_corners, f"{name}_gate")
    others = [
        _projected(x, own, filters, align_corners, f"{name}_other{i}")
        for i, x in enumerate((*deeper, *shallower), start=1)
    ]
    merged = keras.layers.Concatenate(name=f"{name}_concat")(others)
    sizes = [filters * len(group) for group in (deeper, shallower) if group]
    maps = conv_bn_relu(merged, sum(sizes) // 2, 3, name=f"{name}_weights_a")
    maps = _normalized(maps, len(sizes), 1, f"{name}_weights_b")
    maps = keras.layers.Activation("sigmoid", name=f"{name}_weights")(maps)
    weighed = GroupWeighting(sizes, name=f"{name}_weighed")(merged, maps)
    return keras.layers.Concatenate(name=f"{name}_out")([gated, weighed])


def _convolved(
    x: Tensor, filters: int, kernel_size: int, name: str, use_bias: bool = False
) -> Tensor:
    return Conv2D(
        filters,
        kernel_size,
        padding="same",
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)


def _normalized(
    x: Tensor, filters: int, kernel_size: int, name: str, use_bias: bool = False
) -> Tensor:
    x = _convolved(x, filters, kernel_size, name, use_bias)
    return batch_normalized(x, name=f"{name}_bn")


def _gated(
    own: Tensor, deep: Tensor, filters: int, align_corners: bool, name: str
) -> Tensor:
    # A 1 × 1 convolution without bias commutes with the resize: convolve the small map.
    deep = _convolved(deep, filters, 1, f"{name}_deep")
    deep = Resize2D(align_corners=align_corners, name=f"{name}_deep_up")(deep, own)
    deep = batch_normalized(deep, name=f"{name}_deep_bn")
    own = _normalized(own, filters, 1, f"{name}_own")
    x = keras.layers.Add(name=f"{name}_add")([deep, own])
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    x = _normalized(x, 1, 1, f"{name}_score")
    x = keras.layers.Activation("sigmoid", name=f"{name}_weights")(x)
    return keras.layers.Multiply(name=f"{name}_out")([own, x])


def _projected(
    x: Tensor, like: Tensor, filters: int, align_corners: bool, name: str
) -> Tensor:
    # The bias, which the normalisation cancels, is in the released weights.
    x = _normalized(x, filters, 1, name, use_bias=True)
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return Resize2D(align_corners=align_corners, name=f"{name}_up")(x, like)


def residual_convolution(x: Tensor, filters: int, *, name: str = "rcm") -> Tensor:
    """Refines a feature by a bottleneck that is added to it.

    The residual convolution module of MFFENet (Xu et al. 2022, released code):
    x + 1 × 1 (ReLU(BN(3 × 3 (1 × 1 (x))))), all without bias and nothing after the
    addition, so that it is the identity where the last kernel is zero.
    `docs/methods/mffe_net.svg` shows it.

    Args:
        x: Tensor (batch, height, width, channels).
        filters: Channels inside, >= 1.
        name: Prefix of the layer names.

    Returns:
        Tensor of the shape of `x`.
    """
    inner = _convolved(x, filters, 1, f"{name}_1")
    inner = conv_bn_relu(inner, filters, 3, name=f"{name}_2")
    inner = _convolved(inner, x.shape[-1], 1, f"{name}_3")
    return keras.layers.Add(name=f"{name}_add")([x, inner])

"""ResNet encoders with a chosen output stride, in two layouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from landslide_tf.array_types import Tensor
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.layers import Conv2D, batch_normalized, scaled_channels

# Blocks a stage, and whether a block is a bottleneck.
_PLAIN = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
}
# V1c has three 3 × 3 convolutions in the place of the first one, V1d average pooling in
# the shortcut of a stride besides (He et al. 2019, figure 2, c and d).
DEPTHS = {
    f"{name}{version}": shape
    for version in ("", "c", "d")
    for name, shape in _PLAIN.items()
}
LAYOUTS = ("keras", "torchvision")
OUTPUT_STRIDES = (8, 16, 32)
# The epsilon of each layout's published weights.
EPSILON = {"keras": 1.001e-5, "torchvision": 1e-5}


@dataclass(frozen=True)
class _Block:
    """What one residual block needs to know beside its input."""

    name: str
    channels: int  # before the width multiplier
    stride: int
    dilations: tuple[int, int]  # of a basic block's two; a bottleneck has the first
    width: float
    layout: str
    pooled: bool = False  # whether the shortcut of a stride averages
    unstrided: bool = False  # whether the block is the one that lost its stride


def check_resnet(
    backbone: str,
    layout: str,
    output_stride: int,
    multi_grid: Sequence[int] | None,
) -> None:
    """Refuses arguments that no ResNet of this module has.

    Args:
        backbone: As in `resnet`.
        layout: As in `resnet`.
        output_stride: As in `resnet`.
        multi_grid: As in `resnet`.

    Raises:
        ModelError: If an argument is unknown or does not fit the others.
    """
    check_choice("backbone", backbone, DEPTHS, ModelError)
    check_choice("backbone_layout", layout, LAYOUTS, ModelError)
    if output_stride not in OUTPUT_STRIDES:
        raise ModelError(
            f"`output_stride` must be one of {OUTPUT_STRIDES}, received "
            f"{output_stride!r}."
        )
    blocks, bottleneck = DEPTHS[backbone]
    if layout == "keras" and (not bottleneck or backbone not in _PLAIN):
        raise ModelError(
            f"`backbone={backbone!r}` exists in the layout 'torchvision' only, received"
            " `backbone_layout='keras'`."
        )
    if backbone.endswith("d") and output_stride == 8:
        raise ModelError(
            f"`backbone={backbone!r}` needs `output_stride` 16 or 32 (the averages of "
            "its shortcuts are not dilated), received 8."
        )
    if multi_grid is None:
        return
    if output_stride == 32:
        raise ModelError(
            "`multi_grid` needs `output_stride` 8 or 16 (it dilates a stage that has no"
            " stride), received 32."
        )
    if len(multi_grid) != blocks[-1] or not all(int(m) == m >= 1 for m in multi_grid):
        raise ModelError(
            f"`multi_grid` must hold {blocks[-1]} rates >= 1, one for each block of the"
            f" last stage of {backbone}, received {multi_grid!r}."
        )


def resnet(
    x: Tensor,
    backbone: str = "resnet50",
    *,
    layout: str = "keras",
    output_stride: int = 16,
    multi_grid: Sequence[int] | None = None,
    width: float = 1.0,
) -> dict[str, Tensor]:
    """Builds a ResNet encoder (He et al. 2016) with dilation instead of late strides.

    A stride is removed by the exact à-trous rule: every 3 × 3 convolution behind it
    is dilated, so that each second pixel of the result equals the strided network's
    (Chen et al. 2017). With `multi_grid` every block of a stage without its stride
    is dilated instead, the last stage by base rate × `multi_grid`.

    Args:
        x: Normalised image (batch, height, width, bands).
        backbone: `"resnet18"`, `"resnet34"`, `"resnet50"` or `"resnet101"`; with `c`
            behind it the first convolution is three of 3 × 3, with `d` shortcuts of a
            stride average besides (He et al. 2019, section 4.1).
        layout: `"keras"`: strides on the first 1 × 1 convolution and biases, with the
            layer names of `keras.applications`; `"torchvision"`: strides on the 3 × 3
            convolution, no biases. The two small depths and the forms `c` and `d` exist
            in the second only.
        output_stride: Image size over size of the last stage: 8, 16 or 32.
        multi_grid: Rates of the last stage's blocks, or None.
        width: Width multiplier of every channel count.

    Returns:
        Features by name: `"C1"` (stem, 1/2) to `"C5"` (last stage), and the inner
        features `"C2_reduced"` (1/4) and `"C3_reduced"` (1/8): the first convolution
        of the last block of that stage, after batch normalisation and ReLU.

    Raises:
        ModelError: If an argument is unknown or does not fit the others.
    """
    check_resnet(backbone, layout, output_stride, multi_grid)
    blocks, bottleneck = DEPTHS[backbone]
    apply_block = _bottleneck if bottleneck else _basic_block
    features = {}
    deep = backbone not in _PLAIN
    x = features["C1"] = (_deep_stem if deep else _stem)(x, layout, width)
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    current, rate = 4, 1
    for stage, count in enumerate(blocks, start=2):
        stride = 1 if stage == 2 else 2
        before = rate
        unstrided = current * stride > output_stride
        if unstrided:
            rate, stride = rate * stride, 1
        current *= stride
        for index in range(1, count + 1):
            first = before if index == 1 else rate
            dilations = (rate, rate) if layout == "keras" else (first, rate)
            if multi_grid is not None:
                grid = int(multi_grid[index - 1]) if stage == 5 else 1
                dilations = (rate * grid, rate * grid)
            block = _Block(
                name=f"conv{stage}_block{index}",
                channels=32 * 2 ** (stage - 1),
                stride=stride if index == 1 else 1,
                dilations=dilations,
                width=width,
                layout=layout,
                pooled=backbone.endswith("d") and stage > 2 and index == 1,
                unstrided=unstrided,
            )
            x, reduced = apply_block(x, block, project=index == 1)
        features[f"C{stage}"] = x
        if stage in (2, 3):
            features[f"C{stage}_reduced"] = reduced
    return features


def _stem(x: Tensor, layout: str, width: float) -> Tensor:
    x = keras.layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = Conv2D(
        scaled_channels(64, width),
        7,
        strides=2,
        use_bias=layout == "keras",
        kernel_initializer="he_normal",
        name="conv1_conv",
    )(x)
    x = batch_normalized(x, name="conv1_bn", epsilon=EPSILON[layout])
    return keras.layers.ReLU(name="conv1_relu")(x)


def _deep_stem(x: Tensor, layout: str, width: float) -> Tensor:
    """Applies three convolutions in the place of the first one."""
    for part, channels in enumerate((32, 32, 64), start=1):
        stride = 2 if part == 1 else 1
        block = _Block("conv1", channels, stride, (1, 1), width, layout)
        x = _conv_bn(x, block, part, channels=channels, kernel_size=3, stride=stride)
        x = keras.layers.ReLU(name=f"conv1_{part}_relu")(x)
    return x


def _conv_bn(
    x: Tensor,
    block: _Block,
    part: int,
    *,
    channels: int,
    kernel_size: int,
    stride: int = 1,
    dilation: int = 1,
) -> Tensor:
    """Applies one convolution of a block and its batch normalisation."""
    name = f"{block.name}_{part}"
    padding = "same"
    if kernel_size == 3 and stride == 2:
        # TensorFlow's `same` with a stride is shifted by one pixel.
        x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        padding = "valid"
    x = Conv2D(
        scaled_channels(channels, block.width),
        kernel_size,
        strides=stride,
        padding=padding,
        dilation_rate=dilation,
        use_bias=block.layout == "keras",
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return batch_normalized(x, name=f"{name}_bn", epsilon=EPSILON[block.layout])


def _projected(x: Tensor, block: _Block, channels: int) -> Tensor:
    """Returns the shortcut of a block that changes size or channels."""
    if not block.pooled:
        return _conv_bn(
            x, block, 0, channels=channels, kernel_size=1, stride=block.stride
        )
    # The average of a stride that was removed is that of every place.
    options = {"strides": 1, "padding": "same"} if block.unstrided else {"strides": 2}
    x = keras.layers.AveragePooling2D(2, name=f"{block.name}_0_pool", **options)(x)
    return _conv_bn(x, block, 0, channels=channels, kernel_size=1)


def _bottleneck(x: Tensor, block: _Block, project: bool) -> tuple[Tensor, Tensor]:
    """Returns a bottleneck's result and its reduced feature."""
    early, late = (block.stride, 1) if block.layout == "keras" else (1, block.stride)
    shortcut = x
    if project:
        shortcut = _projected(x, block, 4 * block.channels)
    x = _conv_bn(x, block, 1, channels=block.channels, kernel_size=1, stride=early)
    reduced = x = keras.layers.ReLU(name=f"{block.name}_1_relu")(x)
    x = _conv_bn(
        x,
        block,
        2,
        channels=block.channels,
        kernel_size=3,
        stride=late,
        dilation=block.dilations[0],
    )
    x = keras.layers.ReLU(name=f"{block.name}_2_relu")(x)
    x = _conv_bn(x, block, 3, channels=4 * block.channels, kernel_size=1)
    return _joined(shortcut, x, block), reduced


def _basic_block(x: Tensor, block: _Block, project: bool) -> tuple[Tensor, Tensor]:
    """Returns a basic block's result and its inner feature."""
    shortcut = x
    # The first stage keeps size and channels: torchvision has no projection there.
    if project and block.channels != 64:
        shortcut = _projected(x, block, block.channels)
    x = _conv_bn(
        x,
        block,
        1,
        channels=block.channels,
        kernel_size=3,
        stride=block.stride,
        dilation=block.dilations[0],
    )
    reduced = x = keras.layers.ReLU(name=f"{block.name}_1_relu")(x)
    x = _conv_bn(
        x,
        block,
        2,
        channels=block.channels,
        kernel_size=3,
        dilation=block.dilations[1],
    )
    return _joined(shortcut, x, block), reduced


def _joined(shortcut: Tensor, x: Tensor, block: _Block) -> Tensor:
    x = keras.layers.Add(name=f"{block.name}_add")([shortcut, x])
    return keras.layers.ReLU(name=f"{block.name}_out")(x)

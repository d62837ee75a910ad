"""MFFENet: ResNet-101, ASPP and a dense decoder of forks over all levels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.layers import (
    ConcatConv2D,
    Normalization,
    Resize2D,
    adaptive_triangle_fork,
    batch_normalized,
    conv_bn_relu,
    residual_convolution,
)
from landslide_tf.layers.conv import IMPLEMENTATIONS
from landslide_tf.models import assembly
from landslide_tf.models.backbones import Stem
from landslide_tf.models.encoder_decoder import (
    ASPP_RATES,
    FEATURE_CHANNELS,
    ContextNetwork,
)
from landslide_tf.models.registry import register

# Channels of the forks and of the residual modules behind them, by level.
FORK_CHANNELS = {3: 192, 2: 96, 1: 48}
RESIDUAL_CHANNELS = {3: 256, 2: 128, 1: 64}


@register
def mffe_net(
    num_classes: int = 2,
    *,
    input_shape: Shape = (None, None, 3),
    normalization: Normalization = "imagenet",
    backbone: str = "resnet101",
    backbone_layout: str = "torchvision",
    output_stride: int = 16,
    multi_grid: Sequence[int] | None = (1, 2, 4),
    aspp_rates: Sequence[int] = ASPP_RATES,
    decoder_impl: str = "partial",
    width: float = 1.0,
    decoder_width: float | None = None,
    dropout: float = 0.1,
    decoder_dropout: float = 0.5,
    align_corners: bool = True,
    classifier_activation: str | None = "softmax",
    weights: str | Path | None = None,
    skip_head: bool = False,
    backbone_weights: str | Path | None = None,
    stem: Stem | None = None,
    name: str = "mffe_net",
) -> keras.Model:
    """Builds MFFENet (Xu et al. 2022, Landslides 19, 1617-1647; the released code).

    The ASPP feature and the encoder's features at 1/8, 1/4 and 1/2 meet in three
    forks (`layers.adaptive_triangle_fork`), each refined by a residual module
    (`layers.residual_convolution`). From 1/8 to 1/2 every map is a convolution over
    its fork and all deeper maps; the classes are scored from all of them at 1/2. The
    network works at any size without padding to a stride.
    `docs/methods/mffe_net.svg` shows it.

    Args:
        num_classes: Classes, >= 1.
        input_shape: (height, width, bands) of `image`; any size >= 1, or None.
        normalization: `"imagenet"` (RGB, 0..255), `"caffe"` or (mean, std, scale).
        backbone: `"resnet101"` as published; `"resnet50"`, `"resnet18"` or
            `"resnet34"`.
        backbone_layout: `"torchvision"` (stride on the 3 × 3) or `"keras"`.
        output_stride: 16 as published, 8 or 32.
        multi_grid: Rates of the last stage's blocks; None for exact à-trous.
        aspp_rates: Dilations of the ASPP branches at output stride 16, each >= 1.
        decoder_impl: How the convolutions over several maps are computed: `"partial"`,
            the sum of one convolution a map, or `"concat"`, one over their
            concatenation; the same weights and, but for rounding, values.
        width: Multiplier of the backbone's channel counts, 1 for `backbone_weights`.
        decoder_width: That of ASPP, forks and maps; None takes `width`.
        dropout: Rate before the classifier.
        decoder_dropout: Rate after ASPP and between the last two convolutions.
        align_corners: Whether resizing aligns corner pixels.
        classifier_activation: `"softmax"`, `"sigmoid"` or None for logits.
        weights: `.weights.h5` or `.keras` file of the whole network, or a name of
            `list_weights()`, whose arguments then hold where none is given.
        skip_head: Whether `weights` leave what scores the classes as it is here, so
            that they may be of other classes.
        backbone_weights: `"imagenet"` or a file of `keras.applications`; with them
            `normalization="imagenet"` means `"caffe"`, which they expect.
        stem: How `backbone_weights` serve other bands than red, green, blue:
            `"repeat"`, `"zero"` or a colour for each, as in `backbones.stem_kernel`.
        name: Name of the model.

    Returns:
        Functional model from raw `image` (batch, height, width, bands) to float32
        (batch, height, width, classes).

    Raises:
        ModelError: If an argument or a file does not fit.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import models
        >>> model = models.mffe_net(width=0.125, backbone="resnet18", multi_grid=None)
        >>> tuple(model([np.zeros((1, 40, 56, 3))]).shape)
        (1, 40, 56, 2)
    """
    check_choice("decoder_impl", decoder_impl, IMPLEMENTATIONS, ModelError)
    head = assembly.Head(num_classes, classifier_activation, dropout)
    network = ContextNetwork(
        normalization=normalization,
        backbone=backbone,
        backbone_layout=backbone_layout,
        output_stride=output_stride,
        multi_grid=multi_grid,
        aspp_rates=aspp_rates,
        width=width,
        decoder_width=decoder_width,
        align_corners=align_corners,
        backbone_weights=backbone_weights,
        stem=stem,
    )
    image = assembly.image_input(input_shape)
    prepared = network.prepared(image, 1)
    features, context = network.encoded(prepared)
    context = assembly.dropped(context, decoder_dropout, "aspp_dropout")
    forks = _forks(network, features, context)
    maps = _dense_maps(network, forks, context, decoder_impl)
    filters = network.channels(FEATURE_CHANNELS)
    x = _convolved(maps, filters, decoder_impl, "head_a")
    x = assembly.dropped(x, decoder_dropout, "head_a_dropout")
    x = conv_bn_relu(x, filters, 3, name="head_b")
    return network.finished([image], x, prepared, head, weights, skip_head, name)


def _forks(
    network: ContextNetwork, features: dict[str, Tensor], context: Tensor
) -> dict[int, Tensor]:
    """Returns the refined fork of each level: 3 (1/8), 2 (1/4) and 1 (1/2)."""
    levels = [context, features["C3"], features["C2"], features["C1"]]
    forks = {}
    for index, level in enumerate((3, 2, 1), start=1):
        fork = adaptive_triangle_fork(
            levels[index],
            levels[index - 1],
            levels[:index],
            levels[index + 1 :],
            network.channels(FORK_CHANNELS[level]),
            align_corners=network.align_corners,
            name=f"atf{level}",
        )
        inner = network.channels(RESIDUAL_CHANNELS[level])
        forks[level] = residual_convolution(fork, inner, name=f"rcm{level}")
    return forks


def _dense_maps(
    network: ContextNetwork, forks: dict[int, Tensor], context: Tensor, impl: str
) -> list[Tensor]:
    """Returns the maps that the classes are scored from, all at 1/2.

    The order of the maps in each convolution is that of the released weights.
    """

    def enlarged(x: Tensor, level: int, what: str) -> Tensor:
        resize = Resize2D(
            align_corners=network.align_corners, name=f"dense{level}_{what}_up"
        )
        return resize(x, forks[level])

    filters = network.channels(FEATURE_CHANNELS)
    x3 = [enlarged(context, 3, "aspp"), forks[3]]
    d3 = _convolved(x3, filters, impl, "dense3")
    x2 = [forks[2], enlarged(context, 2, "aspp"), enlarged(d3, 2, "dense3")]
    d2 = _convolved(x2, filters, impl, "dense2")
    # Used twice: by the last map and by the head.
    others = [
        enlarged(d2, 1, "dense2"),
        enlarged(d3, 1, "dense3"),
        enlarged(context, 1, "aspp"),
    ]
    return [_convolved([forks[1], *others], filters, impl, "dense1"), *others]


def _convolved(maps: Sequence[Tensor], filters: int, impl: str, name: str) -> Tensor:
    """Applies a 3 × 3 convolution over several maps, batch normalisation and ReLU."""
    x = ConcatConv2D(
        filters,
        3,
        implementation=impl,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(maps)
    x = batch_normalized(x, name=f"{name}_bn")
    return keras.layers.ReLU(name=f"{name}_relu")(x)

"""DeepLabv3+: ResNet, ASPP and a decoder with one skip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import keras

from landslide_tf.array_types import Shape
from landslide_tf.layers import Normalization, conv_bn_relu, separable_conv_bn_relu
from landslide_tf.models import assembly
from landslide_tf.models.backbones import Stem
from landslide_tf.models.encoder_decoder import (
    ASPP_RATES,
    FEATURE_CHANNELS,
    ContextNetwork,
)
from landslide_tf.models.registry import register


@register
def deeplab_v3_plus(
    num_classes: int = 6,
    *,
    input_shape: Shape = (None, None, 3),
    normalization: Normalization = "imagenet",
    backbone: str = "resnet50",
    backbone_layout: str = "keras",
    output_stride: int = 16,
    multi_grid: Sequence[int] | None = None,
    aspp_rates: Sequence[int] = ASPP_RATES,
    skip_channels: int | None = 48,
    separable: bool = False,
    separable_aspp: bool = False,
    depth_activation: bool = True,
    width: float = 1.0,
    decoder_width: float | None = None,
    dropout: float = 0.5,
    decoder_dropout: float = 0.0,
    align_corners: bool = False,
    classifier_activation: str | None = "softmax",
    weights: str | Path | None = None,
    skip_head: bool = False,
    backbone_weights: str | Path | None = None,
    stem: Stem | None = None,
    name: str = "deeplab_v3_plus",
) -> keras.Model:
    """Builds DeepLabv3+ (Chen et al. 2018).

    Args:
        num_classes: Classes, >= 1.
        input_shape: (height, width, bands) of `image`; any size >= 1, or None.
        normalization: `"imagenet"` (RGB, 0..255), `"caffe"` or (mean, std, scale).
        backbone: `"resnet50"`, `"resnet101"`, `"resnet18"` or `"resnet34"`; with `c` or
            `d` behind it as in `backbones.resnet`; or `"efficientnet_lite0"` to
            `"efficientnet_lite2"`.
        backbone_layout: Of a ResNet: `"keras"`, or `"torchvision"` (stride on the
            3 × 3).
        output_stride: 8, 16 or 32.
        multi_grid: Rates of the last stage's blocks; None for exact à-trous.
        aspp_rates: Dilations of the ASPP branches at output stride 16, each >= 1.
        skip_channels: Channels that the skip is reduced to; None keeps it raw.
        separable: Whether the decoder's convolutions are depthwise separable.
        separable_aspp: Whether those of the ASPP branches are.
        depth_activation: Whether batch normalisation and ReLU follow the depthwise
            convolutions too, as in the authors' code; without them they are plain.
        width: Multiplier of the backbone's channel counts, 1 for `backbone_weights`.
        decoder_width: That of ASPP and the decoder; None takes `width`.
        dropout: Rate before the classifier.
        decoder_dropout: Rate before the decoder and between its convolutions.
        align_corners: Whether resizing aligns corner pixels.
        classifier_activation: `"softmax"`, `"sigmoid"` or None for logits.
        weights: `.weights.h5` or `.keras` file of the whole network, or a name of
            `list_weights()`, whose arguments then hold where none is given.
        skip_head: Whether `weights` leave what scores the classes as it is here, so
            that they may be of other classes.
        backbone_weights: `"imagenet"` or a file of `keras.applications` (for
            EfficientNet-Lite: of PyTorch); `normalization="imagenet"` then means the
            form that they expect.
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
        >>> model = models.deeplab_v3_plus(
        ...     num_classes=2,
        ...     width=0.125,
        ...     backbone="resnet18",
        ...     backbone_layout="torchvision",
        ... )
        >>> tuple(model([np.zeros((1, 40, 56, 3))]).shape)
        (1, 40, 56, 2)
    """
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
        separable_aspp=separable_aspp,
        depth_activation=depth_activation,
    )
    image = assembly.image_input(input_shape)
    padded = network.prepared(image, output_stride)
    features, x = network.encoded(padded)
    x = assembly.dropped(x, decoder_dropout, "dec_dropout")
    x = network.joined(x, features["C2"], "dec", skip_channels)
    filters = network.channels(FEATURE_CHANNELS)
    convolution = conv_bn_relu
    if separable:
        convolution = partial(separable_conv_bn_relu, depth_activation=depth_activation)
    x = convolution(x, filters, 3, name="dec_a")
    x = assembly.dropped(x, decoder_dropout, "dec_a_dropout")
    x = convolution(x, filters, 3, name="dec_b")
    return network.finished([image], x, padded, head, weights, skip_head, name)

"""FSTF-Net: RAE-D on the image fused with VGG-16 on terrain factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.layers import (
    Factors,
    Normalization,
    Resize2D,
    SameSize,
    conv_bn_relu,
)
from landslide_tf.models import assembly
from landslide_tf.models.backbones import Stem, vgg16
from landslide_tf.models.encoder_decoder import (
    ASPP_RATES,
    FEATURE_CHANNELS,
    ContextNetwork,
)
from landslide_tf.models.registry import register

FUSIONS = ("concat", "sum", "multiply", "max", "stack")
# The factor branch's output is at 1/16.
FACTOR_STRIDE = 16


@register
def fstf_net(
    num_classes: int = 6,
    *,
    input_shape: Shape = (None, None, 3),
    factors: Factors = ("slope", "aspect", "ndvi"),
    aspect_encoding: str = "paper",
    normalization: Normalization = "imagenet",
    backbone: str = "resnet50",
    backbone_layout: str = "keras",
    output_stride: int = 16,
    multi_grid: Sequence[int] | None = None,
    aspp_rates: Sequence[int] = ASPP_RATES,
    skip_channels: int | None = 48,
    fusion: str = "concat",
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
    name: str = "fstf_net",
) -> keras.Model:
    """Builds FSTF-Net (Xia et al. 2021, sections 2.1 and 2.2).

    Args:
        num_classes: Classes, >= 1.
        input_shape: (height, width, bands) of `image`; any size >= 1, or None.
        factors: Kind of each channel of `factors`, as in `layers.EncodeFactors`; or
            the kinds of several branches by name, which share the channels in this
            order: each has a VGG-16 of its own, and all are fused (equation 1).
        aspect_encoding: `"paper"` or `"sincos"`.
        normalization: `"imagenet"` (RGB, 0..255), `"caffe"` or (mean, std, scale).
        backbone: `"resnet50"`, `"resnet101"`, `"resnet18"` or `"resnet34"`; with `c` or
            `d` behind it as in `backbones.resnet`; or `"efficientnet_lite0"` to
            `"efficientnet_lite2"`.
        backbone_layout: Of a ResNet: `"keras"`, or `"torchvision"` (stride on the
            3 × 3).
        output_stride: 8, 16 or 32.
        multi_grid: Rates of the last stage's blocks; None for exact à-trous.
        aspp_rates: Dilations of the ASPP branches at output stride 16, each >= 1.
        skip_channels: Channels that skips are reduced to; None keeps them raw.
        fusion: `"concat"`, `"sum"`, `"multiply"`, `"max"` or, as bands, `"stack"`.
        width: Multiplier of the backbone's channel counts, 1 for `backbone_weights`.
        decoder_width: That of ASPP, of the factors' VGG-16 and of the decoder; None
            takes `width`.
        dropout: Rate before the classifier.
        decoder_dropout: Rate before the decoder and between its convolutions.
        align_corners: Whether resizing aligns corner pixels.
        classifier_activation: `"softmax"`, `"sigmoid"` or None for logits.
        weights: `.weights.h5` or `.keras` file of the whole network, or a name of
            `list_weights()`, whose arguments then hold where none is given.
        skip_head: Whether `weights` leave what scores the classes as it is here, so
            that they may be of other classes.
        backbone_weights: As in `rae_d`.
        stem: How `backbone_weights` serve other bands than red, green, blue:
            `"repeat"`, `"zero"` or a colour for each, as in `backbones.stem_kernel`.
        name: Model name.

    Returns:
        Functional model from raw `image` and `factors`, both (batch, height, width,
        channels), to float32 (batch, height, width, classes).

    Raises:
        ModelError: If an argument or a file does not fit.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import models
        >>> model = models.fstf_net(
        ...     num_classes=2,
        ...     width=0.125,
        ...     backbone="resnet18",
        ...     backbone_layout="torchvision",
        ... )
        >>> image, factors = np.zeros((2, 1, 40, 56, 3))  # raw values of both
        >>> tuple(model({"image": image, "factors": factors}).shape)
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
    )
    image = assembly.image_input(input_shape)
    terrain = assembly.factors_input(input_shape, factors)
    stride = output_stride if fusion == "stack" else max(output_stride, FACTOR_STRIDE)
    encoded = assembly.prepared_factors(terrain, stride, factors, aspect_encoding)
    checked = SameSize(dtype="float32", name="same_size")(image, terrain)
    features, x = _fused(network.prepared(checked, stride), encoded, fusion, network)
    x = network.two_skip_decoder(x, features, skip_channels, decoder_dropout)
    padded = next(iter(encoded.values()))
    return network.finished([image, terrain], x, padded, head, weights, skip_head, name)


def _fused(
    image: Tensor, factors: Mapping[str, Tensor], fusion: str, network: ContextNetwork
) -> tuple[dict[str, Tensor], Tensor]:
    """Returns the image encoder's features, and the context fused with the factors.

    VGG-16's feature of each branch of factors joins the ASPP feature at 1/16 (equation
    1 for `"concat"`); `"stack"` instead gives all factors to RAE-D as further bands.
    """
    check_choice("fusion", fusion, FUSIONS, ModelError)
    if fusion == "stack":
        merged = keras.layers.Concatenate(name="stack")([image, *factors.values()])
        return network.encoded(merged)
    features, context = network.encoded(image)
    found = {}
    for branch, encoded in factors.items():
        terrain = vgg16(encoded, prefix=branch, width=network.other_width)["C5"]
        if network.output_stride != FACTOR_STRIDE:
            resize = Resize2D(
                align_corners=network.align_corners, name=f"{branch}_resize"
            )
            terrain = resize(terrain, context)
        found[branch] = terrain
    filters = network.channels(FEATURE_CHANNELS)
    if fusion == "concat":
        every = keras.layers.Concatenate(name="fusion_concat")
        return features, conv_bn_relu(
            every([context, *found.values()]), filters, 1, name="fusion"
        )
    projected = [
        conv_bn_relu(terrain, filters, 1, name=branch.replace("fac", "fusion", 1))
        for branch, terrain in found.items()
    ]
    merge = {
        "sum": keras.layers.Add,
        "multiply": keras.layers.Multiply,
        "max": keras.layers.Maximum,
    }[fusion]
    return features, merge(name=f"fusion_{fusion}")([context, *projected])

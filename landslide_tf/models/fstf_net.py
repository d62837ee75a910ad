"""FSTF-Net: RAE-D on the image fused with VGG-16 on terrain factors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras

from landslide_tf.errors import ModelError
from landslide_tf.layers import FactorKind, Normalization, Resize2D, conv_bn_relu
from landslide_tf.models import assembly
from landslide_tf.models.backbones import vgg16
from landslide_tf.models.encoder_decoder import FEATURE_CHANNELS, ContextNetwork
from landslide_tf.models.registry import register
from landslide_tf.tensors import Shape, Tensor

FUSIONS = ("concat", "sum", "multiply", "max", "stack")
# The factor branch's output is at 1/16.
FACTOR_STRIDE = 16


@register
def fstf_net(
    num_classes: int = 6,
    *,
    input_shape: Shape = (None, None, 3),
    factors: Sequence[FactorKind] = ("slope", "aspect", "ndvi"),
    aspect_encoding: str = "paper",
    normalization: Normalization = "imagenet",
    backbone: str = "resnet50",
    backbone_layout: str = "keras",
    output_stride: int = 16,
    multi_grid: Sequence[int] | None = None,
    skip_channels: int | None = 48,
    fusion: str = "concat",
    width: float = 1.0,
    dropout: float = 0.5,
    decoder_dropout: float = 0.0,
    align_corners: bool = False,
    classifier_activation: str | None = "softmax",
    weights: str | Path | None = None,
    backbone_weights: str | Path | None = None,
    name: str = "fstf_net",
) -> keras.Model:
    """Builds FSTF-Net (Xia et al. 2021, sections 2.1 and 2.2).

    Args:
        num_classes: Classes, >= 1.
        input_shape: (height, width, bands) of `image`; any size >= 1, or None.
        factors: Kind of each channel of `factors` (see `layers.EncodeFactors`).
        aspect_encoding: `"paper"` or `"sincos"`.
        normalization: `"imagenet"` (RGB in 0..255, in the form that `backbone_weights`
            expect), `"caffe"` or (mean, std, scale).
        backbone: `"resnet50"`, `"resnet101"`, `"resnet18"` or `"resnet34"`.
        backbone_layout: `"keras"`, or `"torchvision"` (stride on the 3 × 3).
        output_stride: 8, 16 or 32.
        multi_grid: Rates of the last stage's blocks; None for exact à-trous.
        skip_channels: Channels that skips are reduced to; None keeps them raw.
        fusion: At 1/16: `"concat"` (equation 1), `"sum"`, `"multiply"`, `"max"`; or
            `"stack"`: factors are further bands of the image.
        width: Multiplier of every channel count.
        dropout: Rate before the classifier.
        decoder_dropout: Rate before the decoder and between its convolutions.
        align_corners: Whether resizing aligns corner pixels.
        classifier_activation: `"softmax"`, `"sigmoid"` or None for logits.
        weights: `.weights.h5` or `.keras` file of the whole network.
        backbone_weights: `"imagenet"` or a file of `keras.applications`.
        name: Name of the model.

    Returns:
        Functional model from raw `image` (batch, height, width, bands) and `factors`
        (batch, height, width, factors) to float32 (batch, height, width, classes).

    Raises:
        ModelError: If an argument or a file does not fit.
    """
    if fusion not in FUSIONS:
        raise ModelError(f"`fusion` must be one of {FUSIONS}, received {fusion!r}.")
    network = ContextNetwork(
        normalization=normalization,
        backbone=backbone,
        backbone_layout=backbone_layout,
        output_stride=output_stride,
        multi_grid=multi_grid,
        width=width,
        align_corners=align_corners,
        backbone_weights=backbone_weights,
    )
    image = assembly.image_input(input_shape)
    terrain = assembly.factors_input(input_shape, factors)
    stride = output_stride if fusion == "stack" else max(output_stride, FACTOR_STRIDE)
    padded = network.prepared(image, stride)
    encoded = assembly.prepared_factors(terrain, stride, factors, aspect_encoding)
    if fusion == "stack":
        padded = keras.layers.Concatenate(name="stack")([padded, encoded])
    features, x = network.encoded(padded)
    if fusion != "stack":
        x = _fused(x, encoded, fusion, network)
    x = network.two_skip_decoder(x, features, skip_channels, decoder_dropout)
    return network.finished(
        [image, terrain],
        x,
        padded,
        num_classes=num_classes,
        dropout=dropout,
        classifier_activation=classifier_activation,
        weights=weights,
        name=name,
    )


def _fused(x: Tensor, encoded: Tensor, fusion: str, network: ContextNetwork) -> Tensor:
    """Fuses the context feature with VGG-16's of the factors."""
    feature = vgg16(encoded, prefix="fac", width=network.width)["C5"]
    if network.output_stride != FACTOR_STRIDE:
        resize = Resize2D(align_corners=network.align_corners, name="fac_resize")
        feature = resize(feature, x)
    filters = network.channels(FEATURE_CHANNELS)
    if fusion == "concat":
        x = keras.layers.Concatenate(name="fusion_concat")([x, feature])
        return conv_bn_relu(x, filters, 1, name="fusion")
    feature = conv_bn_relu(feature, filters, 1, name="fusion")
    merge = {
        "sum": keras.layers.Add,
        "multiply": keras.layers.Multiply,
        "max": keras.layers.Maximum,
    }[fusion]
    return merge(name=f"fusion_{fusion}")([x, feature])

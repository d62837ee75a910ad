"""U-Net, with its own encoder or on one of another network."""

from __future__ import annotations

from pathlib import Path

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError
from landslide_tf.layers import (
    Normalization,
    Resize2D,
    conv_bn_relu,
    scaled_channels,
)
from landslide_tf.layers.blocks import decoder_multiplier
from landslide_tf.models import assembly
from landslide_tf.models.backbones import Stem, check_encoder, encoder
from landslide_tf.models.backbones.applications import (
    application_encoder,
    check_application,
)
from landslide_tf.models.backbones.encoders import ENCODERS
from landslide_tf.models.backbones.pretrained import effective_normalization
from landslide_tf.models.registry import register

PLAIN_CHANNELS = (64, 128, 256, 512, 1024)
# From 1/16 to full size.
DECODER_CHANNELS = (256, 128, 64, 32, 16)


@register
def unet(
    num_classes: int = 6,
    *,
    input_shape: Shape = (None, None, 3),
    normalization: Normalization = "imagenet",
    backbone: str | None = None,
    backbone_layout: str = "keras",
    width: float = 1.0,
    decoder_width: float | None = None,
    dropout: float = 0.0,
    classifier_activation: str | None = "softmax",
    weights: str | Path | None = None,
    skip_head: bool = False,
    backbone_weights: str | Path | None = None,
    stem: Stem | None = None,
    name: str = "unet",
) -> keras.Model:
    """Builds U-Net (Ronneberger et al. 2015) with padded, normalised convolutions.

    Without a `backbone`: five levels of 64 to 1024 channels with two 3 × 3
    convolutions each, max-pooling down, a transposed 2 × 2 convolution up. With one:
    its features at 1/2 to 1/32, each enlarged by nearest neighbour, joined with the
    next and convolved twice to 256, 128, 64, 32 and 16 channels, and a 3 × 3
    classifier at full size (the form of `segmentation_models.pytorch`).

    Args:
        num_classes: Classes, >= 1.
        input_shape: (height, width, bands) of `image`; any size >= 1, or None.
        normalization: `"imagenet"` (RGB in 0..255, in the form that `backbone_weights`
            expect), `"caffe"` or (mean, std, scale).
        backbone: None; `"resnet18"`, `"resnet34"`, `"resnet50"` or `"resnet101"` (also
            with `c`, `d` behind it); `"efficientnet_lite0"` to `2`; or a
            name in `keras.applications` such as `"MobileNetV2"`.
        backbone_layout: Of a ResNet: `"keras"`, or `"torchvision"` (stride on the
            3 × 3).
        width: Multiplier of the encoder's channel counts, 1 for `backbone_weights`; one
            of `keras.applications` keeps its own.
        decoder_width: That of the decoder; None takes `width`.
        dropout: Rate before the classifier.
        classifier_activation: `"softmax"`, `"sigmoid"` or None for logits.
        weights: `.weights.h5` or `.keras` file of the whole network, or a name of
            `list_weights()`, whose arguments then hold where none is given.
        skip_head: Whether `weights` leave what scores the classes as it is here, so
            that they may be of other classes.
        backbone_weights: None, `"imagenet"` or a file of `keras.applications`, for
            EfficientNet-Lite one of PyTorch.
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
        >>> model = models.unet(1, width=0.125, classifier_activation="sigmoid")
        >>> tuple(model([np.zeros((1, 40, 56, 3))]).shape)
        (1, 40, 56, 1)
    """
    head = assembly.Head(num_classes, classifier_activation, dropout)
    decoder = decoder_multiplier(width, decoder_width)
    image = assembly.image_input(input_shape)
    if backbone is not None and backbone not in ENCODERS:
        padded = _application_image(
            image, backbone, normalization, backbone_weights, stem
        )
        features = application_encoder(padded, backbone, backbone_weights)
    else:
        if backbone is not None:
            check_encoder(backbone, backbone_layout, 32, None)
        padded = assembly.pretrained_image(
            image,
            16 if backbone is None else 32,
            normalization,
            backbone=str(backbone),
            backbone_weights=backbone_weights,
            width=width,
            fits=backbone_layout == "keras",
            needs="`backbone_layout='keras'`",
            stem=stem,
        )
        features = {}
    if backbone in ENCODERS:
        features = encoder(
            padded, backbone, layout=backbone_layout, output_stride=32, width=width
        )
    if features:
        x = _decoded(features, padded, decoder)
    else:
        x = _plain(padded, width, decoder)
    kernel_size = 3 if features else 1
    x = assembly.dropped(x, head.dropout, "head_dropout")
    scores = assembly.class_scores(x, head.num_classes, kernel_size=kernel_size)
    outputs = assembly.cropped_output(scores, image, head.activation)
    return assembly.finished(
        [image],
        outputs,
        name,
        weights,
        skip_head,
        backbone=backbone if backbone in ENCODERS else None,
        backbone_weights=backbone_weights,
        stem=stem,
    )


def _application_image(
    image: Tensor,
    backbone: str,
    normalization: Normalization,
    backbone_weights: str | Path | None,
    stem: Stem | None,
) -> Tensor:
    """Pads and normalises an image for a network of `keras.applications`."""
    check_application(backbone, image.shape[-1], backbone_weights)
    if stem is not None:
        raise ModelError(
            "`stem` needs a ResNet or EfficientNet-Lite backbone, received "
            f"`backbone={backbone!r}`."
        )
    form = effective_normalization(normalization, backbone, backbone_weights)
    return assembly.prepared_image(image, 32, form)


def _twice(x: Tensor, filters: int, name: str) -> Tensor:
    x = conv_bn_relu(x, filters, 3, name=f"{name}_a")
    return conv_bn_relu(x, filters, 3, name=f"{name}_b")


def _plain(x: Tensor, width: float, decoder_width: float) -> Tensor:
    """Applies the encoder and decoder of the paper."""
    filters = [scaled_channels(count, width) for count in PLAIN_CHANNELS]
    skips = []
    for level, count in enumerate(filters[:-1], start=1):
        x = _twice(x, count, f"enc{level}")
        skips.append(x)
        x = keras.layers.MaxPooling2D(2, name=f"enc{level}_pool")(x)
    x = _twice(x, filters[-1], f"enc{len(filters)}")
    for level in range(len(skips), 0, -1):
        count = scaled_channels(PLAIN_CHANNELS[level - 1], decoder_width)
        x = keras.layers.Conv2DTranspose(
            count,
            2,
            strides=2,
            kernel_initializer="he_normal",
            name=f"dec{level}_up",
        )(x)
        merge = keras.layers.Concatenate(name=f"dec{level}_concat")
        x = _twice(merge([skips[level - 1], x]), count, f"dec{level}")
    return x


def _decoded(features: dict[str, Tensor], padded: Tensor, width: float) -> Tensor:
    """Enlarges the deepest feature step by step, with the others joined."""
    x = features["C5"]
    for level, count in zip((4, 3, 2, 1, 0), DECODER_CHANNELS, strict=True):
        skip = features[f"C{level}"] if level else padded
        x = Resize2D("nearest", name=f"dec{level}_up")(x, skip)
        if level:
            x = keras.layers.Concatenate(name=f"dec{level}_concat")([x, skip])
        x = _twice(x, scaled_channels(count, width), f"dec{level}")
    return x

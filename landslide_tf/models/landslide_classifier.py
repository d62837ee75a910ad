"""Landslide or not: one class for a whole image."""

from __future__ import annotations

from pathlib import Path

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError, did_you_mean
from landslide_tf.layers import Normalization
from landslide_tf.models import assembly
from landslide_tf.models.backbones.applications import FAMILIES, family_feature
from landslide_tf.models.backbones.repvgg import REPVGGS, repvgg
from landslide_tf.models.backbones.resnet import DEPTHS, resnet
from landslide_tf.models.registry import register_classifier
from landslide_tf.models.weights import load_weights


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
    backbone_weights: str | Path | None = None,
    name: str = "landslide_classifier",
) -> keras.Model:
    """Builds a classifier: encoder, global average pooling, one dense layer.

    One branch of doi 10.1109/JSTARS.2024.3354455, whose classes are (non-landslide,
    landslide). Of its toolbox, RepVGG (Ding et al. 2021) and the families of
    `keras.applications` are here; HorNet, Swin, VAN and ViT are not.

    Args:
        num_classes: Classes, >= 1.
        input_shape: (height, width, bands) of `image`; any size >= 1 with RepVGG.
            Other encoders mirror to a multiple of 32; Inception and Xception need 65.
        backbone: `"repvgg_a0"` to `"repvgg_b3"` (also `g2`, `g4`, `d2se`),
            `"resnet18"`, `"resnet34"`, `"resnet50"` or `"resnet101"` in torchvision's
            layout, or a name of `keras.applications`, such as `"EfficientNetB0"`.
        normalization: `"imagenet"` (RGB in 0..255, in the form that the encoder's
            ImageNet weights expect) or (mean, std, scale).
        width: Multiplier of the channels of a RepVGG or lower-case ResNet, or the
            `alpha` of a MobileNet.
        deploy: Whether RepVGG is built in the form that `deployed` returns.
        dropout: Rate before the classifier.
        classifier_activation: `"softmax"`, `"sigmoid"` or None for logits.
        weights: `.weights.h5` or `.keras` file of the whole network.
        backbone_weights: `"imagenet"` or a file of that network of
            `keras.applications`; for RepVGG and the lower-case ResNets a file of
            PyTorch's weights, as `models.weights.read_weights` reads them; a last
            layer of other classes starts anew.
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
    assembly.Head(num_classes, classifier_activation, dropout)
    image = assembly.image_input(input_shape)
    ours = backbone in REPVGGS or backbone in DEPTHS
    if deploy and backbone not in REPVGGS:
        raise ModelError(
            f"`deploy=True` needs a RepVGG, received `backbone={backbone!r}`."
        )
    file = backbone_weights if ours else None
    if file == "imagenet":
        raise ModelError(
            f"`backbone_weights` for `{backbone}` must be a file of PyTorch's weights, "
            "received `imagenet`, which `keras.applications` has not."
        )
    if backbone in REPVGGS:
        x = assembly.prepared_image(image, 1, normalization)
        x = repvgg(x, backbone, width=width, deploy=deploy)
    elif backbone in DEPTHS:
        x = assembly.prepared_image(image, 32, normalization)
        features = resnet(
            x, backbone, layout="torchvision", output_stride=32, width=width
        )
        x = features["C5"]
    elif backbone in FAMILIES:
        form = FAMILIES[backbone] if normalization == "imagenet" else normalization
        x = assembly.prepared_image(image, 32, form)
        x = family_feature(x, backbone, width=width, backbone_weights=backbone_weights)
    else:
        known = (*REPVGGS, *DEPTHS, *FAMILIES)
        raise ModelError(
            "`backbone` must be a RepVGG such as 'repvgg_a0', a ResNet such as "
            f"'resnet50' or a network of `keras.applications`, received {backbone!r}."
            + did_you_mean(str(backbone), known)
        )
    outputs = _scored(x, num_classes, dropout, classifier_activation)
    model = keras.Model([image], outputs, name=name)
    if file is not None:
        load_weights(model, file, names="landslide_classifier", optional=("logits",))
    assembly.load_whole_weights(model, weights)
    return model


def _scored(
    x: Tensor, num_classes: int, dropout: float, activation: str | None
) -> Tensor:
    """Pools and scores, in float32 under every policy."""
    x = keras.layers.GlobalAveragePooling2D(dtype="float32", name="pool")(x)
    x = assembly.dropped(x, dropout, "dropout")
    x = keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)
    if activation is None:
        return x
    return keras.layers.Activation(activation, dtype="float32", name="probabilities")(x)

"""FCN-8s on VGG-16, and what it shares with FCN-32s."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError, check_choice
from landslide_tf.layers import (
    BilinearUpsampling,
    Normalization,
    conv_bn_relu,
    scaled_channels,
)
from landslide_tf.models import assembly
from landslide_tf.models.backbones import Stem, vgg16
from landslide_tf.models.registry import register

STRIDE = 32
UPSAMPLINGS = ("bilinear", "transposed")


@register
def fcn_8s(
    num_classes: int = 6,
    *,
    input_shape: Shape = (None, None, 3),
    normalization: Normalization = "imagenet",
    batch_norm: bool = True,
    fc_units: int = 4096,
    upsampling: str = "bilinear",
    width: float = 1.0,
    dropout: float = 0.5,
    align_corners: bool = False,
    classifier_activation: str | None = "softmax",
    weights: str | Path | None = None,
    skip_head: bool = False,
    backbone_weights: str | Path | None = None,
    stem: Stem | None = None,
    name: str = "fcn_8s",
) -> keras.Model:
    """Builds FCN-8s (Long et al. 2015, section 4.2).

    Args:
        num_classes: Classes, >= 1.
        input_shape: (height, width, bands) of `image`; any size >= 1, or None.
        normalization: `"imagenet"` (RGB in 0..255, in the form that `backbone_weights`
            expect), `"caffe"` or (mean, std, scale).
        batch_norm: Whether batch normalisation follows each convolution (Xia et al.
            2021, section 2.3); False is the original network.
        fc_units: Channels of `fc6` and `fc7`.
        upsampling: Last step, × 8: `"bilinear"` or `"transposed"` (learned).
        width: Multiplier of every channel count.
        dropout: Rate after `fc6` and `fc7`.
        align_corners: Whether the last, bilinear resize aligns corner pixels.
        classifier_activation: `"softmax"`, `"sigmoid"` or None for logits.
        weights: `.weights.h5` or `.keras` file of the whole network, or a name of
            `list_weights()`, whose arguments then hold where none is given.
        skip_head: Whether `weights` leave what scores the classes as it is here, so
            that they may be of other classes.
        backbone_weights: `"imagenet"` or a file of `keras.applications.VGG16`.
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
        >>> model = models.fcn_8s(num_classes=2, width=0.125)
        >>> tuple(model([np.zeros((1, 40, 56, 3))]).shape)
        (1, 40, 56, 2)
    """
    check_choice("upsampling", upsampling, UPSAMPLINGS, ModelError)
    return fully_convolutional(
        assembly.image_input(input_shape),
        assembly.Head(num_classes, classifier_activation, dropout),
        skips=(4, 3),
        upsampling=upsampling,
        normalization=normalization,
        batch_norm=batch_norm,
        fc_units=fc_units,
        width=width,
        align_corners=align_corners,
        weights=weights,
        skip_head=skip_head,
        backbone_weights=backbone_weights,
        stem=stem,
        name=name,
    )


def fully_convolutional(
    image: Tensor,
    head: assembly.Head,
    *,
    skips: Sequence[int],
    upsampling: str,
    normalization: Normalization,
    batch_norm: bool,
    fc_units: int,
    width: float,
    align_corners: bool,
    weights: str | Path | None,
    skip_head: bool,
    backbone_weights: str | Path | None,
    stem: Stem | None,
    name: str,
) -> keras.Model:
    """Builds a fully convolutional network on VGG-16.

    Args:
        image: The `image` input.
        head: What is scored.
        skips: Levels of pooling whose scores are added on the way up, from 4.
        upsampling: Last step: `"bilinear"` or `"transposed"`.
        normalization: As in `fcn_8s`, as are all that follow.
        batch_norm: Whether batch normalisation follows each convolution.
        fc_units: Channels of `fc6` and `fc7`.
        width: Multiplier of every channel count.
        align_corners: Whether the last, bilinear resize aligns corner pixels.
        weights: File of the whole network, or None.
        skip_head: Whether it leaves the head as it is.
        backbone_weights: Weights of VGG-16, or None.
        stem: How they serve other bands than red, green, blue.
        name: Name of the model.

    Returns:
        The model.

    Raises:
        ModelError: If an argument or a file does not fit.
    """
    padded = assembly.pretrained_image(
        image,
        STRIDE,
        normalization,
        backbone="vgg16",
        backbone_weights=backbone_weights,
        width=width,
        fits=not batch_norm,
        needs="`batch_norm=False`",
        stem=stem,
    )
    features = vgg16(padded, batch_norm=batch_norm, width=width)
    x, units = features["P5"], scaled_channels(fc_units, width)
    for part, kernel_size in (("fc6", 7), ("fc7", 1)):
        x = conv_bn_relu(x, units, kernel_size, name=part, batch_norm_after=batch_norm)
        x = assembly.dropped(x, head.dropout, f"{part}_dropout")
    scores = assembly.class_scores(x, head.num_classes, "score_fr")
    for level in skips:
        scores = _transposed(scores, 2, f"up_pool{level}")
        skip = assembly.class_scores(
            features[f"P{level}"], head.num_classes, f"score_pool{level}"
        )
        add = keras.layers.Add(dtype="float32", name=f"add_pool{level}")
        scores = add([scores, skip])
    if upsampling == "transposed":
        scores = _transposed(scores, STRIDE >> len(skips), "up_logits")
    else:
        scores = assembly.enlarged(scores, padded, align_corners)
    outputs = assembly.cropped_output(scores, image, head.activation)
    return assembly.finished(
        [image],
        outputs,
        name,
        weights,
        skip_head,
        backbone="vgg16",
        backbone_weights=backbone_weights,
        stem=stem,
    )


def _transposed(x: Tensor, factor: int, name: str) -> Tensor:
    """Enlarges scores by a learned convolution that starts as bilinear."""
    return keras.layers.Conv2DTranspose(
        x.shape[-1],
        2 * factor,
        strides=factor,
        padding="same",
        use_bias=False,
        kernel_initializer=BilinearUpsampling(),
        dtype="float32",
        name=name,
    )(x)

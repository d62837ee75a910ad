"""FCN-32s on VGG-16: no skips."""

from __future__ import annotations

from pathlib import Path

import keras

from landslide_tf.array_types import Shape
from landslide_tf.layers import Normalization
from landslide_tf.models import assembly
from landslide_tf.models.backbones import Stem
from landslide_tf.models.fcn_8s import fully_convolutional
from landslide_tf.models.registry import register


@register
def basic_fcn(
    num_classes: int = 6,
    *,
    input_shape: Shape = (None, None, 3),
    normalization: Normalization = "imagenet",
    batch_norm: bool = True,
    fc_units: int = 4096,
    width: float = 1.0,
    dropout: float = 0.5,
    align_corners: bool = False,
    classifier_activation: str | None = "softmax",
    weights: str | Path | None = None,
    skip_head: bool = False,
    backbone_weights: str | Path | None = None,
    stem: Stem | None = None,
    name: str = "basic_fcn",
) -> keras.Model:
    """Builds FCN-32s (Long et al. 2015, section 4; "Basic FCN" in Xia et al. 2021).

    Args:
        num_classes: Classes, >= 1.
        input_shape: (height, width, bands) of `image`; any size >= 1, or None.
        normalization: `"imagenet"` (RGB in 0..255, in the form that `backbone_weights`
            expect), `"caffe"` or (mean, std, scale).
        batch_norm: Whether batch normalisation follows each convolution (Xia et al.
            2021, section 2.3); False is the original network.
        fc_units: Channels of `fc6` and `fc7`.
        width: Multiplier of every channel count.
        dropout: Rate after `fc6` and `fc7`.
        align_corners: Whether the last resize aligns corner pixels.
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
        >>> model = models.basic_fcn(num_classes=2, width=0.125)
        >>> tuple(model([np.zeros((1, 40, 56, 3))]).shape)
        (1, 40, 56, 2)
    """
    return fully_convolutional(
        assembly.image_input(input_shape),
        assembly.Head(num_classes, classifier_activation, dropout),
        skips=(),
        upsampling="bilinear",
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

"""FCN-8s on VGG-16: skips from pool4 and pool3."""

from __future__ import annotations

from pathlib import Path

import keras

from landslide_tf.array_types import Shape, Tensor
from landslide_tf.errors import ModelError
from landslide_tf.layers import BilinearUpsampling, Normalization
from landslide_tf.models import assembly
from landslide_tf.models.backbones import Stem
from landslide_tf.models.fcn import FullyConvolutional
from landslide_tf.models.registry import register

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
        weights: `.weights.h5` or `.keras` file of the whole network.
        backbone_weights: `"imagenet"` or a file of `keras.applications.VGG16`.
        stem: How `backbone_weights` serve other bands than red, green, blue:
            `"repeat"`, `"zero"` or a colour for each, as in `backbones.stem_kernel`.
        name: Name of the model.

    Returns:
        Functional model from raw `image` (batch, height, width, bands) to float32
        (batch, height, width, classes).

    Raises:
        ModelError: If an argument or a file does not fit.
    """
    if upsampling not in UPSAMPLINGS:
        raise ModelError(
            f"`upsampling` must be one of {UPSAMPLINGS}, received {upsampling!r}."
        )
    network = FullyConvolutional(
        head=assembly.Head(num_classes, classifier_activation, dropout),
        normalization=normalization,
        batch_norm=batch_norm,
        fc_units=fc_units,
        width=width,
        backbone_weights=backbone_weights,
        stem=stem,
    )
    image = assembly.image_input(input_shape)
    padded = network.prepared(image)
    features, scores = network.scored(padded)
    for level in (4, 3):
        scores = _transposed(scores, 2, f"up_pool{level}")
        skip = assembly.class_scores(
            features[f"P{level}"], num_classes, f"score_pool{level}"
        )
        add = keras.layers.Add(dtype="float32", name=f"add_pool{level}")
        scores = add([scores, skip])
    if upsampling == "transposed":
        scores = _transposed(scores, 8, "up_logits")
    else:
        scores = assembly.enlarged(scores, padded, align_corners)
    return network.finished(image, scores, weights, name)


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

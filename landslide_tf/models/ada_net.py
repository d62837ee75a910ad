"""ADANet's generator: MFFENet with a second classifier on the ASPP feature."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras

from landslide_tf.array_types import Shape
from landslide_tf.layers import Normalization
from landslide_tf.models import assembly
from landslide_tf.models.auxiliary import with_auxiliary
from landslide_tf.models.backbones import Stem
from landslide_tf.models.encoder_decoder import ASPP_RATES
from landslide_tf.models.mffe_net import mffe_net
from landslide_tf.models.registry import register

# MFFENet's feature that the second classifier sees: ASPP after its dropout.
AUX_LAYER = "aspp_dropout"


@register
def ada_net(
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
    dropout: float = 0.1,
    decoder_dropout: float = 0.5,
    align_corners: bool = True,
    classifier_activation: str | None = "softmax",
    weights: str | Path | None = None,
    backbone_weights: str | Path | None = None,
    stem: Stem | None = None,
    name: str = "ada_net",
) -> keras.Model:
    """Builds the generator of ADANet (Xu et al. 2022, Landslides 19, 1617-1647).

    It is `mffe_net` with a second classifier on the ASPP feature; adversarial
    training aligns the maps of both with `output_space_discriminator`s. To train it
    is `landslide-tf adapt`, which keeps the network without its second output; the
    second output is of no use after training.

    Args:
        num_classes: Classes, >= 1.
        input_shape: As in `mffe_net`.
        normalization: As in `mffe_net`.
        backbone: As in `mffe_net`.
        backbone_layout: As in `mffe_net`.
        output_stride: As in `mffe_net`.
        multi_grid: As in `mffe_net`.
        aspp_rates: As in `mffe_net`.
        decoder_impl: As in `mffe_net`.
        width: As in `mffe_net`.
        dropout: As in `mffe_net`.
        decoder_dropout: As in `mffe_net`.
        align_corners: As in `mffe_net`.
        classifier_activation: `"softmax"`, `"sigmoid"` or None for logits, of both
            outputs.
        weights: `.weights.h5` or `.keras` file of the whole network.
        backbone_weights: As in `mffe_net`.
        stem: As in `mffe_net`.
        name: Name of the model.

    Returns:
        Functional model from raw `image` (batch, height, width, bands) to a
        dictionary of `main` and `aux`, each float32 (batch, height, width, classes).

    Raises:
        ModelError: If an argument or a file does not fit.
    """
    network = mffe_net(
        num_classes,
        input_shape=input_shape,
        normalization=normalization,
        backbone=backbone,
        backbone_layout=backbone_layout,
        output_stride=output_stride,
        multi_grid=multi_grid,
        aspp_rates=aspp_rates,
        decoder_impl=decoder_impl,
        width=width,
        dropout=dropout,
        decoder_dropout=decoder_dropout,
        align_corners=align_corners,
        classifier_activation=classifier_activation,
        backbone_weights=backbone_weights,
        stem=stem,
        name=name,
    )
    model = with_auxiliary(
        network, AUX_LAYER, classifier_activation=classifier_activation
    )
    assembly.load_whole_weights(model, weights)
    return model

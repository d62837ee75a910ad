"""ADANet's generator: MFFENet with a second classifier, which any network can get."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras

from landslide_tf.array_types import Shape
from landslide_tf.errors import ModelError, did_you_mean
from landslide_tf.layers import CropTo, Normalization, Resize2D
from landslide_tf.models import assembly
from landslide_tf.models.backbones import Stem
from landslide_tf.models.encoder_decoder import ASPP_RATES
from landslide_tf.models.mffe_net import mffe_net
from landslide_tf.models.registry import register

# MFFENet's feature that the second classifier sees: ASPP after its dropout.
AUX_LAYER = "aspp_dropout"
MAIN, AUX = "main", "aux"  # the outputs


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
    decoder_width: float | None = None,
    dropout: float = 0.1,
    decoder_dropout: float = 0.5,
    align_corners: bool = True,
    classifier_activation: str | None = "softmax",
    weights: str | Path | None = None,
    skip_head: bool = False,
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
        decoder_width: As in `mffe_net`.
        dropout: As in `mffe_net`.
        decoder_dropout: As in `mffe_net`.
        align_corners: As in `mffe_net`.
        classifier_activation: `"softmax"`, `"sigmoid"` or None for logits, of both
            outputs.
        weights: `.weights.h5` or `.keras` file of the whole network, or a name of
            `list_weights()`, whose arguments then hold where none is given.
        skip_head: Whether `weights` leave what scores the classes as it is here, so
            that they may be of other classes.
        backbone_weights: As in `mffe_net`.
        stem: As in `mffe_net`.
        name: Name of the model.

    Returns:
        Functional model from raw `image` (batch, height, width, bands) to a
        dictionary of `main` and `aux`, each float32 (batch, height, width, classes).

    Raises:
        ModelError: If an argument or a file does not fit.

    Example:
        >>> import numpy as np
        >>> from landslide_tf import models
        >>> model = models.ada_net(width=0.125, backbone="resnet18", multi_grid=None)
        >>> outputs = model([np.zeros((1, 40, 56, 3))])
        >>> {name: tuple(value.shape) for name, value in outputs.items()}
        {'aux': (1, 40, 56, 2), 'main': (1, 40, 56, 2)}
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
        decoder_width=decoder_width,
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
    assembly.load_whole_weights(model, weights, skip_head)
    return model


def with_auxiliary(
    network: keras.Model, layer: str, *, classifier_activation: str | None = None
) -> keras.Model:
    """Adds a 1 × 1 classifier on a feature, enlarged to the image.

    The network and its weights stay as they are; the two share every layer. (Tsai et
    al. 2018, section 4.3, "multi-level"; the released code of ADANet.)

    Args:
        network: A segmentation network of this package, with one output.
        layer: Name of the layer whose output (batch, height, width, channels) is
            classified, such as `"aspp_dropout"`.
        classifier_activation: Form of the second output: `"softmax"`, `"sigmoid"` or
            None for logits.

    Returns:
        Functional model with the network's inputs and name, giving `{"main": the
        network's output, "aux": the same shape from the feature}`, float32.

    Raises:
        ModelError: If there is no such layer or its output is not a map.

    Example:
        >>> from landslide_tf import models
        >>> network = models.unet(num_classes=2, width=0.125)
        >>> both = models.with_auxiliary(network, "enc5_b_relu")
        >>> {name: tensor.shape[-1] for name, tensor in both.output.items()}
        {'aux': 2, 'main': 2}
    """
    names = [x.name for x in network.layers]
    if layer not in names:
        raise ModelError(
            f"`{network.name}` has no layer `{layer}`.{did_you_mean(layer, names)}"
        )
    feature = network.get_layer(layer).output
    if not isinstance(feature, keras.KerasTensor) or len(feature.shape) != 4:
        raise ModelError(
            f"Layer `{layer}` of `{network.name}` must give a map (batch, height, "
            "width, channels): name another one."
        )
    image = network.inputs[0]
    padded = network.get_layer("image_pad").output if "image_pad" in names else image
    aligned = "logits_resize" in names and bool(
        network.get_layer("logits_resize").get_config().get("align_corners")
    )
    x = assembly.class_scores(feature, network.output.shape[-1], "aux_conv")
    x = Resize2D(align_corners=aligned, dtype="float32", name="aux_resize")(x, padded)
    x = CropTo(dtype="float32", name="aux_logits")(x, image)
    if classifier_activation is not None:
        x = keras.layers.Activation(
            classifier_activation, dtype="float32", name="aux_probabilities"
        )(x)
    outputs = {AUX: x, MAIN: network.output}
    return assembly.functional(network.inputs, outputs, network.name)

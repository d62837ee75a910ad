"""A second classifier on a feature inside a network."""

from __future__ import annotations

import keras

from landslide_tf.errors import ModelError, did_you_mean
from landslide_tf.layers import CropTo, Resize2D
from landslide_tf.models import assembly

MAIN, AUX = "main", "aux"


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
    return keras.Model(
        network.inputs, {AUX: x, MAIN: network.output}, name=network.name
    )

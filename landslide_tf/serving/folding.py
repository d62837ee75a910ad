"""Batch normalization that is part of the convolution before it, for serving."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from landslide_tf.array_types import FloatArray, Tensor

if TYPE_CHECKING:
    import keras

_KNOWN = ("keras.", "landslide_tf.")  # whose layers their configuration describes


def folded(model: keras.Model) -> keras.Model:
    """Returns a model of the same values with fewer operations, to predict alone.

    In prediction batch normalization multiplies each channel by a number and adds
    another. Where it follows a convolution or a dense layer, which nothing else reads,
    its weights take both: kernel k and bias b become s k and s (b - m) + beta, with
    s = gamma / sqrt(v + epsilon) and the moving mean m and variance v (Jacob et al.
    2018, section 3.2, equation 14).

    Args:
        model: Functional model. Its own layers and weights stay as they are.

    Returns:
        A model with the same inputs and outputs and weights of its own, in which the
        folded normalizations are gone; the model itself where there is none to fold, or
        where it holds layers that are neither Keras's nor of this package.
    """
    import keras

    pairs = _foldable(model)
    if not pairs or not all(map(_can_be_copied, model.layers)):
        return model
    gone = {normalization.name for normalization in pairs.values()}

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer in pairs:
            config["use_bias"] = True
        return layer.__class__.from_config(config)

    def called(layer: keras.layers.Layer, *args: Tensor, **kwargs: Tensor) -> Tensor:
        return args[0] if layer.name in gone else layer(*args, **kwargs)

    inputs = keras.tree.map_structure(  # those of a copy have names of their own
        lambda t: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name),
        model.input,
    )
    copy = keras.models.clone_model(model, inputs, copied, called)
    for layer in model.layers:
        if layer in pairs:
            weights = _folded_weights(layer, pairs[layer])
            copy.get_layer(layer.name).set_weights(weights)
        elif layer.weights and layer.name not in gone:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def _foldable(
    model: keras.Model,
) -> dict[keras.layers.Layer, keras.layers.BatchNormalization]:
    """Returns the layers that take a normalization, with the one each takes."""
    import keras

    kinds = (
        keras.layers.Conv2D,
        keras.layers.DepthwiseConv2D,
        keras.layers.Conv2DTranspose,
        keras.layers.Dense,
    )
    makers, readers = {}, Counter(id(tensor) for tensor in model.outputs)
    last = set(readers)
    normalizations = []
    for operation in model.operations:
        try:
            inputs = keras.tree.flatten(operation.input)
            outputs = keras.tree.flatten(operation.output)
        except (AttributeError, ValueError):
            return {}  # called twice: who reads what is not known
        readers.update(map(id, inputs))
        makers.update({id(tensor): operation for tensor in outputs})
        if isinstance(operation, keras.layers.BatchNormalization):
            normalizations.append(operation)
    found = {}
    for normalization in normalizations:
        layer = makers.get(id(normalization.input))
        if (
            isinstance(layer, kinds)
            and readers[id(normalization.input)] == 1
            and id(normalization.output) not in last
            and layer.activation is keras.activations.linear
            and getattr(layer, "data_format", "channels_last") == "channels_last"
            and normalization.axis in (-1, len(normalization.output.shape) - 1)
            and {layer.compute_dtype, normalization.compute_dtype} == {"float32"}
        ):
            found[layer] = normalization
    return found


def _can_be_copied(layer: keras.layers.Layer) -> bool:
    """Whether a layer's configuration is all there is to it beside its weights."""
    import keras

    holds_others = (keras.Model, keras.layers.Wrapper, keras.layers.Lambda)
    known = type(layer).__module__.startswith(_KNOWN)
    return known and not isinstance(layer, holds_others)


def _folded_weights(
    layer: keras.layers.Layer, normalization: keras.layers.BatchNormalization
) -> list[FloatArray]:
    """Returns kernel and bias with the normalization in them."""
    import keras

    def value(variable: Tensor | None, default: float) -> FloatArray | float:
        return default if variable is None else keras.ops.convert_to_numpy(variable)

    variance = value(normalization.moving_variance, 1.0)
    scale = value(normalization.gamma, 1.0) / np.sqrt(variance + normalization.epsilon)
    kernel, *bias = layer.get_weights()
    old = bias[0] if bias else 0.0
    new = scale * (old - value(normalization.moving_mean, 0.0))
    return [
        kernel * _along_outputs(layer, kernel, scale),
        new + value(normalization.beta, 0.0),
    ]


def _along_outputs(
    layer: keras.layers.Layer, kernel: FloatArray, scale: FloatArray
) -> FloatArray:
    """Shapes a number a channel as the outputs lie in a kernel."""
    import keras

    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return scale.reshape(kernel.shape[2:])
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return scale[:, None]
    return scale

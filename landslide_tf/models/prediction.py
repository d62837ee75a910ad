"""One compiled function that predicts batches of any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import keras
import numpy as np

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import ModelError

Predict = Callable[[Mapping[str, FloatArray]], FloatArray]


def prediction_function(model: keras.Model) -> Predict:
    """Returns a function that runs a model without Keras's loop around it.

    `model(x)` in a loop retraces nothing but runs layer by layer, and `predict` sets
    up a data set a call; both cost more than the network on small tiles.

    Args:
        model: A model with named inputs and one output, such as that of a run,
            `train.RunFolder(folder).load_model()`.

    Returns:
        A function from a dictionary of arrays (B, H, W, C) of any batch and size to
        the output as an array. It raises ModelError where an input is missing or has
        other channels; what is no input of the model is left out.

    >>> import keras
    >>> import numpy as np
    >>> from landslide_tf import models
    >>> image = keras.Input((None, None, 1), name="image")
    >>> model = keras.Model({"image": image}, keras.layers.Rescaling(1 / 255)(image))
    >>> predict = models.prediction_function(model)
    >>> grey = np.full((1, 2, 3, 1), 51, np.uint8)
    >>> found = predict({"image": grey})
    >>> found.shape, round(float(found.max()), 3)
    ((1, 2, 3, 1), 0.2)
    """
    shapes = {tensor.name: tuple(tensor.shape) for tensor in model.inputs}
    call = _compiled(model)

    def predict(inputs: Mapping[str, FloatArray]) -> FloatArray:
        for name, shape in shapes.items():
            if name not in inputs:
                raise ModelError(
                    f"Model `{model.name}` needs the input `{name}`; received "
                    f"{', '.join(f'`{n}`' for n in inputs)}."
                )
            if inputs[name].ndim != 4 or inputs[name].shape[-1] != shape[-1]:
                raise ModelError(
                    f"Input `{name}` of `{model.name}`: expected shape (batch, height, "
                    f"width, {shape[-1]}), received {inputs[name].shape}."
                )
        return np.asarray(call({name: inputs[name] for name in shapes}))

    return predict


def _compiled(model: keras.Model) -> Callable[[dict[str, FloatArray]], FloatArray]:
    if keras.backend.backend() == "jax":
        import jax

        def stateless(
            variables: list[FloatArray], inputs: dict[str, FloatArray]
        ) -> FloatArray:
            trainable, rest = variables
            return model.stateless_call(trainable, rest, inputs, training=False)[0]

        jitted = jax.jit(stateless)
        return lambda inputs: jitted(
            [
                [v.value for v in model.trainable_variables],
                [v.value for v in model.non_trainable_variables],
            ],
            inputs,
        )

    import tensorflow as tf

    signature = {
        tensor.name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype)
        for tensor in model.inputs
    }

    @tf.function(input_signature=[signature], autograph=False)
    def traced(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return model(inputs, training=False)

    # The graph itself: where many models predict, TensorFlow would warn of retracing.
    graph = cache(traced.get_concrete_function)
    return lambda inputs: graph()(
        {name: tf.constant(value, tf.float32) for name, value in inputs.items()}
    ).numpy()

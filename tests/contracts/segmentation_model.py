"""What every segmentation network must do; subclass it and name the network.

A subclass gives `builder` and `arguments`; the tests build it at width 0.125 with
three classes, once a class.
"""

import contextlib
import json
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf import models
from landslide_tf.layers import PadToStride
from landslide_tf.models.prediction import prediction_function

CLASSES = 3
SIZES = [(64, 64), (37, 53), (97, 33), (1, 5)]


def draw_inputs(model, batch, height, width, seed=0):
    """Raw inputs of a network by name, with missing and flat factor values."""
    random = np.random.default_rng(seed)
    inputs = {}
    for tensor in model.inputs:
        shape = (batch, height, width, tensor.shape[-1])
        if tensor.name == "image":
            values = random.integers(0, 256, shape)
        else:
            values = random.uniform(0, 1, shape) * np.array([60.0, 359.0, 1.0])
            values[random.random(shape) < 0.05] = np.nan
            values[..., 1][random.random(shape[:3]) < 0.05] = -1
        inputs[tensor.name] = tf.constant(values, "float32")
    return inputs


def build(builder, arguments, **more):
    """A network of three classes at width 0.125, equal weights for equal arguments."""
    keras.utils.set_random_seed(1)
    arguments = {"num_classes": CLASSES, "width": 0.125, **arguments, **more}
    return models.get(builder)(**arguments)


def settle(model):
    """Sets the moving statistics to those of a batch, as training would.

    Without them the features of fifty layers grow until softmax is all 0 and 1.
    """
    layers = [v for v in model.layers if isinstance(v, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    model(draw_inputs(model, 4, 64, 64, seed=9), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return model


@contextlib.contextmanager
def restored(model):
    """Gives a model its weights and moving statistics back in the end."""
    weights = model.get_weights()
    try:
        yield model
    finally:
        model.set_weights(weights)


def has_no_effect(variable, layers):
    """Whether batch normalisation cancels a convolution's bias."""
    layer, _, kind = variable.path.rpartition("/")
    return kind == "bias" and layer.removesuffix("_conv") + "_bn" in layers


def loss_of(logits, labels):
    return tf.reduce_mean(
        keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    )


def main_part(model):
    """The network without further outputs, sharing its layers.

    `ada_net` is the exception: a dictionary with `main`, which is what is mapped.
    """
    if not isinstance(model.output, dict):
        return model
    return keras.Model(model.inputs, model.output["main"], name=model.name)


class SegmentationModelContract:
    builder: str
    arguments: ClassVar = {}

    @classmethod
    def network(cls):
        """The network, built once a class."""
        if "_network" not in vars(cls):
            cls._network = build(cls.builder, cls.arguments)
        return cls._network

    @pytest.fixture(scope="class")
    @classmethod
    def whole(cls):
        return cls.network()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, whole):
        return settle(main_part(whole))

    @pytest.fixture(scope="class")
    @classmethod
    def logits_model(cls, whole, model, tmp_path_factory):
        """The form without softmax, with the weights of the other through a file."""
        path = tmp_path_factory.mktemp("weights") / "all.weights.h5"
        whole.save_weights(path)  # once `model` has settled it
        return main_part(
            build(cls.builder, cls.arguments, classifier_activation=None, weights=path)
        )

    def test_is_registered_under_its_name(self, model):
        assert models.get(self.builder) is getattr(models, self.builder)
        assert self.builder in models.list_models()
        assert model.name == self.builder

    def test_names_of_inputs_and_output(self, model, logits_model):
        assert next(v.name for v in model.inputs) == "image"
        assert {v.name for v in model.inputs} <= {"image", "factors"}
        assert model.output_names == ["probabilities"]
        assert logits_model.output_names == ["logits"]
        assert model.output.shape == (None, None, None, CLASSES)

    def test_config_is_json(self, model):
        json.dumps(model.get_config())

    @pytest.mark.parametrize("size", SIZES)
    def test_any_size_gives_probabilities(self, model, size):
        y = model(draw_inputs(model, 2, *size)).numpy()
        assert y.shape == (2, *size, CLASSES)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y.sum(-1), 1, atol=1e-5)

    def test_odd_size_equals_the_mirrored_input_cropped(self, model):
        stride = max(v.stride for v in model.layers if isinstance(v, PadToStride))
        assert models.total_stride(model) == (stride if stride > 1 else 16)
        if stride == 1:
            pytest.skip("works natively at any size")
        inputs = draw_inputs(model, 1, 37, 53)
        mirrored = {k: PadToStride(stride)(v) for k, v in inputs.items()}
        assert mirrored["image"].shape[1] % stride == 0
        # Not bit by bit: where an array ends, CPUs without AVX-512 compute one by one.
        np.testing.assert_allclose(
            model(inputs), model(mirrored)[:, :37, :53], rtol=0, atol=1e-6
        )

    def test_inputs_by_name_or_in_order(self, model):
        inputs = draw_inputs(model, 1, 37, 53)
        expected = model(inputs)
        others = {"id": tf.zeros((1,)), **dict(reversed(inputs.items()))}
        np.testing.assert_array_equal(model(others), expected)
        in_order = [inputs[v.name] for v in model.inputs]
        np.testing.assert_array_equal(model(in_order), expected)
        np.testing.assert_array_equal(
            model(in_order[0] if len(in_order) == 1 else in_order), expected
        )
        with pytest.raises(ValueError, match="image"):
            model({k: v for k, v in inputs.items() if k != "image"})

    def test_batch_equals_its_members(self, model):
        inputs = draw_inputs(model, 2, 37, 53)
        single = [
            model({k: v[i : i + 1] for k, v in inputs.items()})[0] for i in (0, 1)
        ]
        np.testing.assert_allclose(model(inputs), tf.stack(single), atol=1e-4)

    def test_two_forms_share_weights(self, model, logits_model):
        inputs = draw_inputs(model, 2, 37, 53)
        probabilities, logits = model(inputs), logits_model(inputs)
        np.testing.assert_allclose(tf.nn.softmax(logits), probabilities, atol=1e-6)
        np.testing.assert_array_equal(
            np.argmax(logits, -1), np.argmax(probabilities, -1)
        )

    def test_dropout_in_training_only(self, model):
        inputs = draw_inputs(model, 2, 32, 32)
        np.testing.assert_array_equal(model(inputs), model(inputs))
        with restored(model):
            trained = [model(inputs, training=True).numpy() for _ in range(2)]
        assert not np.array_equal(*trained)

    def test_every_variable_has_a_gradient(self, logits_model):
        model = logits_model
        inputs = draw_inputs(model, 4, 37, 53)
        labels = np.random.default_rng(2).integers(0, CLASSES, (4, 37, 53, 1))
        with restored(model), tf.GradientTape() as tape:
            loss = loss_of(model(inputs, training=True), labels)
        assert np.isfinite(loss)
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        layers = {layer.name for layer in model.layers}
        for variable, gradient in zip(
            model.trainable_variables, gradients, strict=True
        ):
            assert gradient is not None, variable.path
            assert np.isfinite(gradient).all(), variable.path
            assert np.any(gradient) or has_no_effect(variable, layers), variable.path

    @pytest.mark.parametrize(
        "policy",
        # The same way through a network; float16 is scaled besides.
        ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)],
    )
    def test_mixed_precision(self, policy, logits_model):
        keras.config.set_dtype_policy(policy)
        try:
            model = main_part(
                build(self.builder, self.arguments, classifier_activation=None)
            )
        finally:
            keras.config.set_dtype_policy("float32")
        half = [v.name for v in model.layers if v.compute_dtype != "float32"]
        assert len(half) > len(model.layers) / 2
        model.set_weights(logits_model.get_weights())
        inputs = draw_inputs(model, 2, 37, 53)
        logits = model(inputs)
        assert logits.dtype == tf.float32
        expected = logits_model(inputs).numpy()
        # Rounding through fifty untrained layers: the same function, other digits.
        likeness = np.corrcoef(np.ravel(logits), np.ravel(expected))[0, 1]
        assert likeness > (0.98 if policy.endswith("_float16") else 0.6)
        model.compile(
            "adam",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            run_eagerly=True,
        )
        labels = np.random.default_rng(2).integers(0, CLASSES, (2, 37, 53, 1))
        assert np.isfinite(model.train_on_batch(inputs, labels))
        assert isinstance(
            model.optimizer, keras.optimizers.LossScaleOptimizer
        ) == policy.endswith("_float16")

    @pytest.mark.integration
    def test_export_serves_any_batch_and_size(self, model, tmp_path):
        model.export(tmp_path, verbose=False)
        served = tf.saved_model.load(tmp_path).signatures["serving_default"]
        names = {v.name for v in model.inputs}
        assert set(served.structured_input_signature[1]) == names
        predict = prediction_function(model)
        for batch, size in ((1, (37, 53)), (3, (16, 70))):
            inputs = draw_inputs(model, batch, *size)
            (y,) = served(**inputs).values()
            # Graphs round otherwise than layers called one by one.
            np.testing.assert_allclose(y, predict(inputs), rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(y, model(inputs), atol=1e-3)

"""What every classifier must do; subclass it and name the encoder.

A subclass gives `arguments`; the tests build it once a class with three classes.
"""

import json
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf import models
from tests.contracts.segmentation_model import draw_inputs, loss_of, restored

CLASSES = 3


def build(arguments, **more):
    """A classifier of three classes, equal weights for equal arguments."""
    keras.utils.set_random_seed(1)
    return models.landslide_classifier(CLASSES, **{**arguments, **more})


def settle(model):
    """Sets the moving statistics to those of a batch, inside blocks too."""
    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(draw_inputs(model, 4, 64, 64, seed=9), training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model


class ClassifierContract:
    arguments: ClassVar = {}

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls):
        return settle(build(cls.arguments))

    @pytest.fixture(scope="class")
    @classmethod
    def logits_model(cls, model, tmp_path_factory):
        """The form without softmax, with the weights of the other through a file."""
        path = tmp_path_factory.mktemp("weights") / "all.weights.h5"
        model.save_weights(path)
        return build(cls.arguments, classifier_activation=None, weights=path)

    def test_names_and_shapes(self, model, logits_model):
        assert [v.name for v in model.inputs] == ["image"]
        assert model.output_names == ["probabilities"]
        assert logits_model.output_names == ["logits"]
        assert model.output.shape == (None, CLASSES)
        assert model.name == "landslide_classifier"

    def test_config_is_json(self, model):
        json.dumps(model.get_config())

    @pytest.mark.parametrize("size", [(64, 64), (37, 53), (1, 5)])
    def test_any_size_gives_probabilities(self, model, size):
        y = model(draw_inputs(model, 2, *size)).numpy()
        assert y.shape == (2, CLASSES)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y.sum(-1), 1, atol=1e-5)

    def test_batch_equals_its_members(self, model):
        image = draw_inputs(model, 2, 37, 53)["image"]
        single = [model(image[i : i + 1])[0] for i in (0, 1)]
        np.testing.assert_allclose(model(image), tf.stack(single), atol=1e-4)

    def test_two_forms_share_weights(self, model, logits_model):
        inputs = draw_inputs(model, 2, 37, 53)
        probabilities, logits = model(inputs), logits_model(inputs)
        np.testing.assert_allclose(tf.nn.softmax(logits), probabilities, atol=1e-5)

    def test_every_variable_has_a_gradient(self, logits_model):
        model = logits_model
        inputs = draw_inputs(model, 4, 64, 64)
        with restored(model), tf.GradientTape() as tape:
            loss = loss_of(model(inputs, training=True), np.array([0, 1, 2, 0]))
        variables = model.trainable_variables
        gradients = tape.gradient(loss, [v.value for v in variables])
        for variable, gradient in zip(variables, gradients, strict=True):
            assert gradient is not None, variable.path
            assert np.isfinite(gradient).all(), variable.path

    def test_mixed_precision(self, logits_model):
        keras.config.set_dtype_policy("mixed_float16")
        try:
            model = build(self.arguments, classifier_activation=None)
        finally:
            keras.config.set_dtype_policy("float32")
        model.set_weights(logits_model.get_weights())
        inputs = draw_inputs(model, 6, 37, 53)
        logits = model(inputs)
        assert logits.dtype == tf.float32
        likeness = np.corrcoef(np.ravel(logits), np.ravel(logits_model(inputs)))[0, 1]
        assert likeness > 0.98

    @pytest.mark.integration
    def test_saves_and_exports(self, model, tmp_path):
        model.save(tmp_path / "model.keras")
        copy = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
        inputs = draw_inputs(model, 3, 37, 53)
        np.testing.assert_array_equal(copy(inputs), model(inputs))
        model.export(tmp_path / "export", verbose=False)
        served = tf.saved_model.load(tmp_path / "export").signatures["serving_default"]
        (y,) = served(**inputs).values()
        np.testing.assert_allclose(y, model(inputs), atol=1e-4)

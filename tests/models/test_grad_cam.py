"""Grad-CAM against gradients taken by TensorFlow."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf import models
from landslide_tf.errors import ModelError


@pytest.mark.parametrize("backbone", ["repvgg_a0", "MobileNetV2"])
def test_equals_mean_gradients_times_features(backbone):
    keras.utils.set_random_seed(1)
    width = 0.125 if backbone == "repvgg_a0" else 0.35
    model = models.landslide_classifier(backbone=backbone, width=width, dropout=0.3)
    head = model.get_layer("logits")
    kernel, bias = head.get_weights()
    kernel[:, 1] = -kernel[:, 0]  # every place speaks for one of the classes
    head.set_weights([kernel, bias])
    image = np.random.default_rng(0).uniform(0, 255, (2, 96, 64, 3)).astype("float32")
    probabilities, maps = models.grad_cam(model, image)
    assert maps.shape == (2, 3, 2, 2) and maps.max() > 0
    np.testing.assert_allclose(probabilities, model({"image": image}), atol=1e-6)
    head = keras.Model(
        model.inputs,
        [model.get_layer("pool").input, model.get_layer("logits").output],
    )
    with tf.GradientTape(persistent=True) as tape:
        features, logits = head([image])
        scores = logits[:, 0], logits[:, 1]
    for label in (0, 1):
        alpha = tf.reduce_mean(tape.gradient(scores[label], features), axis=(1, 2))
        expected = tf.nn.relu(tf.einsum("bk,bijk->bij", alpha, features))
        scale = maps.max()
        np.testing.assert_allclose(maps[..., label], expected, atol=1e-5 * scale)


def test_other_networks_are_refused():
    model = models.basic_fcn(3, width=0.125)
    with pytest.raises(ModelError, match="needs a `landslide_classifier`"):
        models.grad_cam(model, np.zeros((1, 32, 32, 3)))

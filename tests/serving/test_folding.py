"""Batch normalization in the layers before it gives the same values."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf import models, serving
from landslide_tf.serving.folding import folded
from tests.serving.conftest import toy_metadata

layers = keras.layers


def drawn(model, seed=0):
    """Gives every normalization statistics and weights other than at its start."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        name = variable.name
        if name in ("moving_variance", "gamma"):
            variable.assign(random.uniform(0.5, 2, variable.shape))
        elif name in ("moving_mean", "beta", "bias"):
            variable.assign(random.normal(0, 0.3, variable.shape))
    return model


def normalizations(model):
    return sum(isinstance(layer, layers.BatchNormalization) for layer in model.layers)


def values(model, size=(2, 19, 23, 3)):
    image = np.random.default_rng(1).normal(size=size).astype("float32")
    given = {"image": image}
    if len(model.inputs) == 2:
        given["factors"] = image
    return keras.ops.convert_to_numpy(model(given if len(given) > 1 else image))


KINDS = {
    "convolution": lambda: layers.Conv2D(4, 3, padding="same"),
    "without a bias": lambda: layers.Conv2D(4, (1, 5), strides=2, use_bias=False),
    "dilated": lambda: layers.Conv2D(4, 3, dilation_rate=3, padding="same"),
    "groups": lambda: layers.Conv2D(6, 3, groups=3),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "transposed": lambda: layers.Conv2DTranspose(5, 3, strides=2),
    "dense": lambda: layers.Dense(7),
}


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_takes_the_normalization_behind_it(kind, scale):
    image = keras.Input((None, None, 3))
    x = layers.BatchNormalization(scale=scale, center=scale)(KINDS[kind]()(image))
    model = drawn(keras.Model(image, layers.Activation("relu")(x)))
    before = [w.copy() for w in model.get_weights()]
    found = folded(model)
    assert (normalizations(model), normalizations(found)) == (1, 0)
    np.testing.assert_allclose(values(found), values(model), atol=2e-6)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def kept():
    """Models whose normalization stays, by the reason."""
    image = keras.Input((None, None, 3))
    conv = layers.Conv2D(4, 3, padding="same")(image)
    normal = layers.BatchNormalization()(conv)
    yield "both are read", keras.Model(image, layers.Add()([conv, normal]))
    x = layers.Conv2D(4, 3, activation="relu")(image)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    yield "an activation between", keras.Model(image, x)
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(image))
    yield "the last layer", keras.Model(image, x)
    shared = layers.Conv2D(3, 3, padding="same")
    x = layers.BatchNormalization()(shared(shared(image)))
    yield "called twice", keras.Model(image, layers.Activation("relu")(x))
    x = layers.BatchNormalization()(layers.MaxPooling2D()(image))
    yield "behind a pool", keras.Model(image, layers.Activation("relu")(x))
    x = layers.BatchNormalization(axis=2)(layers.Conv2D(4, 3)(keras.Input((9, 9, 3))))
    yield "another axis", keras.Model(x._keras_history[0].input, layers.ReLU()(x))


@pytest.mark.parametrize(("reason", "model"), list(kept()), ids=lambda v: str(v)[:21])
def test_what_others_read_or_change_is_kept(reason, model):
    assert folded(model) is model


@pytest.mark.parametrize("name", ["fstf_net", "mffe_net", "rae_d", "unet"])
def test_networks_lose_their_normalizations_and_keep_their_values(name):
    small = {"backbone": "resnet18", "width": 0.125}
    if name != "mffe_net":
        small["backbone_layout"] = "torchvision"
    if name == "mffe_net":
        small["multi_grid"] = (1, 2)
    model = drawn(models.get(name)(num_classes=2, classifier_activation=None, **small))
    found = folded(model)
    assert normalizations(found) <= normalizations(model) // 10
    wanted = values(model, (1, 64, 64, 3))
    off = np.abs(values(found, (1, 64, 64, 3)) - wanted).max()
    assert off <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("sharpness", [1, 3000])
def test_an_export_gives_the_values_of_the_model(tmp_path, sharpness):
    """Logits of thousands show how folded weights are rounded: those are not folded."""
    image = keras.Input((None, None, 3), name="image")
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(image))
    x = layers.Conv2D(2, 1)(layers.ReLU()(x))
    x = layers.Softmax()(layers.Rescaling(sharpness)(x))
    model = drawn(keras.Model(image, x))
    metadata = toy_metadata(
        factors=[], classes=["ground", "landslide"], landslide_class=1
    )
    path = serving.export(model, tmp_path, metadata=metadata, warm_up=None)
    names = {v.name.split(":")[0] for v in tf.saved_model.load(path).weights}
    if sharpness == 1:
        assert not {name for name in names if "moving_" in name}
    given = np.random.default_rng(2).uniform(0, 255, (1, 37, 29, 3)).astype("float32")
    served = serving.load(path)({"image": given})["probabilities"]
    np.testing.assert_allclose(served, model.predict(given, verbose=0), atol=1e-5)

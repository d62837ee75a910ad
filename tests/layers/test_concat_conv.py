import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import ModelError
from landslide_tf.layers import ConcatConv2D


def parts(seed=0, channels=(5, 1, 7)):
    random = np.random.default_rng(seed)
    return [random.normal(size=(2, 9, 11, c)).astype("float32") for c in channels]


@pytest.mark.parametrize("implementation", ["concat", "partial"])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_equals_a_convolution_of_the_concatenation(implementation, padding):
    random = np.random.default_rng(1)
    common = {"padding": padding, "activation": "relu"}
    layer = ConcatConv2D(6, 3, implementation=implementation, **common)
    layer.build([x.shape for x in parts()])
    weights = [random.normal(size=v.shape) for v in layer.weights]
    layer.set_weights(weights)
    reference = keras.layers.Conv2D(6, 3, **common)
    reference.build((None, None, None, 13))
    reference.set_weights(weights)
    expected = reference(np.concatenate(parts(), axis=-1))
    np.testing.assert_allclose(layer(parts()), expected, atol=1e-4)
    assert layer.compute_output_shape([x.shape for x in parts()]) == expected.shape


def test_gradients_of_both_are_the_same():
    gradients = []
    for implementation in ("concat", "partial"):
        keras.utils.set_random_seed(0)
        layer = ConcatConv2D(4, 3, implementation=implementation, padding="same")
        inputs = [tf.constant(x) for x in parts()]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(layer(inputs) ** 2)
        gradients.append(tape.gradient(loss, [*inputs, layer.kernel.value]))
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_weights_and_config_go_from_one_to_the_other(tmp_path):
    def model(implementation):
        inputs = [keras.Input((None, None, c)) for c in (5, 1, 7)]
        layer = ConcatConv2D(3, 3, implementation=implementation, padding="same")
        return keras.Model(inputs, layer(inputs))

    first, second = model("partial"), model("concat")
    assert second.layers[-1].get_config()["implementation"] == "concat"
    first.save_weights(tmp_path / "all.weights.h5")
    second.load_weights(tmp_path / "all.weights.h5")
    first.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = first.predict(parts(), verbose=0)
    np.testing.assert_array_equal(loaded.predict(parts(), verbose=0), expected)
    np.testing.assert_allclose(second.predict(parts(), verbose=0), expected, atol=1e-5)


def test_refuses_an_implementation():
    with pytest.raises(ModelError, match="`sum`"):
        ConcatConv2D(3, 3, implementation="sum")

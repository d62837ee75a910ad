"""The compiled function that predicts batches."""

import keras
import numpy as np
import pytest

from landslide_tf.errors import ModelError
from landslide_tf.models import prediction_function


@pytest.fixture(scope="module")
def model():
    image = keras.Input((None, None, 3), name="image")
    factors = keras.Input((None, None, 1), name="factors")
    both = keras.layers.Concatenate()([image, factors])
    scores = keras.layers.Conv2D(2, 1, activation="softmax")(both)
    return keras.Model([image, factors], scores, name="small")


def arrays(batch=2, height=6, width=7, bands=3, factors=1):
    rng = np.random.default_rng(0)
    return {
        "image": rng.random((batch, height, width, bands), np.float32),
        "factors": rng.random((batch, height, width, factors), np.float32),
    }


def test_any_batch_and_size_is_one_trace(model):
    traces = 0

    class Counted(keras.layers.Layer):
        def call(self, x):
            nonlocal traces
            traces += 1
            return x

    counted = keras.Model(model.inputs, Counted()(model.output), name="counted")
    predict = prediction_function(counted)
    traces = 0
    for shape in ((2, 6, 7), (1, 9, 5), (3, 1, 1)):
        inputs = arrays(*shape)
        expected = model([inputs["image"], inputs["factors"]])
        others = {"id": np.zeros(1), **inputs}  # what is not an input stays out
        np.testing.assert_allclose(predict(others), expected, atol=1e-6)
    assert traces == 1


def test_bytes_are_numbers(model):
    predict = prediction_function(model)
    inputs = arrays() | {"image": np.full((2, 6, 7, 3), 200, np.uint8)}
    as_float = inputs | {"image": np.full((2, 6, 7, 3), 200.0, np.float32)}
    np.testing.assert_array_equal(predict(inputs), predict(as_float))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"image": arrays()["image"]}, "needs the input `factors`; received `image`"),
        (arrays(bands=4), r"`image` of `small`: .*, 3\), received \(2, 6, 7, 4\)"),
        # Keras itself takes any number of channels where a model has one.
        (arrays(factors=3), r"`factors` of `small`: .*, 1\), received \(2, 6, 7, 3\)"),
        ({k: v[0] for k, v in arrays().items()}, r"received \(6, 7, 3\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(model, inputs, words):
    with pytest.raises(ModelError, match=words) as caught:
        prediction_function(model)(inputs)
    assert "\n" not in str(caught.value)

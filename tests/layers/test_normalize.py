import json

import keras
import numpy as np
import pytest

from landslide_tf.errors import ModelError
from landslide_tf.layers import Normalize


def draw(bands=3):
    return np.random.default_rng(5).uniform(0, 255, (2, 4, 5, bands)).astype("float32")


def test_imagenet_is_that_of_keras():
    expected = keras.applications.imagenet_utils.preprocess_input(
        draw(), data_format="channels_last", mode="torch"
    )
    np.testing.assert_allclose(Normalize()(draw()), expected, atol=1e-5)


def test_caffe_is_that_of_keras_resnet():
    expected = keras.applications.resnet50.preprocess_input(draw())
    np.testing.assert_allclose(Normalize("caffe")(draw()), expected, atol=1e-4)


def test_given_constants_for_any_bands():
    mean, std, scale = [1.0, 2, 3, 4, 5], [1, 2, 4, 8, 16], 10
    y = Normalize((mean, std, scale))(draw(5))
    np.testing.assert_allclose(y, (draw(5) / 10 - mean) / std, rtol=1e-5)


def test_single_numbers_serve_every_band():
    y = Normalize((0.5, 0.25, 255.0))(draw(7))
    np.testing.assert_allclose(y, (draw(7) / 255 - 0.5) / 0.25, atol=1e-5)


def test_float32_under_a_mixed_policy_and_no_variables():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = Normalize()
        y = layer(draw())
    finally:
        keras.config.set_dtype_policy("float32")
    assert y.dtype == "float32"
    np.testing.assert_array_equal(y, Normalize()(draw()))
    assert layer.weights == []


@pytest.mark.parametrize("form", ["caffe", ([1.0] * 3, [2.0] * 3, 255.0)])
def test_config_is_json_and_round_trips(form):
    config = json.loads(json.dumps(Normalize(form).get_config()))
    np.testing.assert_array_equal(
        Normalize.from_config(config)(draw()), Normalize(form)(draw())
    )


@pytest.mark.parametrize(
    ("form", "word"),
    [
        ("imagnet", "Did you mean `imagenet`"),
        ((0, 1), "mean, std, scale"),
        ((0, 0, 1), "other than 0"),
        ((0, [1, float("nan")], 1), "finite"),
        (None, "mean, std, scale"),
        (("a", 1, 1), "mean, std, scale"),
    ],
)
def test_refuses_form(form, word):
    with pytest.raises(ModelError, match=word):
        Normalize(form)


@pytest.mark.parametrize("form", ["imagenet", "caffe", ([0.0] * 3, 1.0, 1.0)])
def test_refuses_bands_that_do_not_fit(form):
    with pytest.raises(ModelError, match="4"):
        Normalize(form)(draw(4))

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import ModelError
from landslide_tf.layers import EncodeFactors

NAN = float("nan")


def encoded(rows, *args, **kwargs):
    """Encodes pixels given as rows of factors."""
    x = np.array(rows, "float32")[None, None]
    return keras.ops.convert_to_numpy(EncodeFactors(*args, **kwargs)(x))[0, 0]


def test_paper_encoding_golden():
    y = encoded([[45, 90, 0.5], [0, 359, -1], [90, 0, 1]])
    expected = [[0.5, 0.25, 0.75], [0, 359 / 360, 0], [1, 0, 1]]
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_sincos_encoding_golden():
    y = encoded([[45, 90, 0.5], [30, 180, 0], [9, 330, 0]], encoding="sincos")
    expected = [
        [0.5, 1, 0, 0.75],
        [1 / 3, 0, -1, 0.5],
        [0.1, -0.5, np.sqrt(0.75), 0.5],
    ]
    np.testing.assert_allclose(y, expected, atol=1e-6)


def test_sincos_has_no_seam_at_north():
    y = encoded([[0, 359.99, 0], [0, 0.01, 0]], encoding="sincos")
    assert np.abs(y[0] - y[1]).max() < 1e-3


@pytest.mark.parametrize("missing", [NAN, np.inf, -np.inf, -9999])
@pytest.mark.parametrize("encoding", ["paper", "sincos"])
def test_missing_values_become_zero(missing, encoding):
    kinds = ["slope", "aspect", "ndvi", ["standardise", 100, 20]]
    y = encoded([[missing] * 4], kinds, encoding=encoding)
    np.testing.assert_array_equal(y, np.zeros_like(y))


def test_flat_aspect_becomes_zero_and_only_aspect():
    kinds = ("aspect", ("standardise", 1.0, 2.0), "ndvi")
    np.testing.assert_array_equal(encoded([[-1, -1, -1]], kinds), [[0, -1, 0]])
    y = encoded([[-1, -1, -1]], kinds, encoding="sincos")
    np.testing.assert_array_equal(y, [[0, 0, -1, 0]])


def test_gradient_passes_missing_values():
    x = tf.constant([[[[NAN, -1, 0.5]]]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(EncodeFactors(encoding="sincos")(x))
    np.testing.assert_allclose(tape.gradient(y, x)[0, 0, 0], [0, 0, 0.5])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_float32_under_a_mixed_policy(policy):
    keras.config.set_dtype_policy(policy)
    try:
        y = encoded([[1, 359, 0]])
    finally:
        keras.config.set_dtype_policy("float32")
    assert y[0, 1] == np.float32(359) / np.float32(360)


def test_shapes_and_config():
    layer = EncodeFactors(["aspect", ["standardise", 1, 2]], "sincos")
    assert layer(keras.Input((None, 8, 2))).shape == (None, None, 8, 3)
    config = json.loads(json.dumps(layer.get_config()))
    again = EncodeFactors.from_config(config)
    assert again.kinds == ("aspect", ("standardise", 1.0, 2.0))
    x = np.array([[[[30.0, 7.0]]]], "float32")
    np.testing.assert_array_equal(again(x), layer(x))


@pytest.mark.parametrize(
    ("kinds", "encoding", "word"),
    [
        (["slop"], "paper", "Did you mean `slope`"),
        ([], "paper", "at least one"),
        ("slope", "paper", "list"),
        (["slope"], "sin", "aspect_encoding"),
        ([("standardise", 0)], "paper", "standardise"),
        ([("standardise", 0, 0)], "paper", "std > 0"),
        ([("standardise", NAN, 1)], "paper", "finite"),
        ([("normalise", 0, 1)], "paper", "standardise"),
        ([3], "paper", "standardise"),
    ],
)
def test_refuses(kinds, encoding, word):
    with pytest.raises(ModelError, match=word):
        EncodeFactors(kinds, encoding)


def test_refuses_channels_that_do_not_fit():
    with pytest.raises(ModelError, match=r"3 factors.*2 channels"):
        encoded([[1, 2]])

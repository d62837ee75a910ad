import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import ModelError
from landslide_tf.layers import Resize2D


def draw(*shape):
    return np.random.default_rng(3).normal(size=shape).astype("float32")


def resized(values, height, width, **kwargs):
    like = np.zeros((1, height, width, 1), "float32")
    return keras.ops.convert_to_numpy(Resize2D(**kwargs)(values, like))


def aligned_reference(x, new):
    """Linear interpolation of the rows of x, end points in place."""
    old = x.shape[0]
    at = np.linspace(0, old - 1, new) if new > 1 else np.zeros(1)
    flat = x.reshape(old, -1)
    columns = [np.interp(at, np.arange(old), column) for column in flat.T]
    return np.stack(columns, 1).reshape(new, *x.shape[1:])


def test_aligned_corners_golden():
    x = np.arange(4.0, dtype="float32").reshape(1, 4, 1, 1)
    np.testing.assert_allclose(
        resized(x, 7, 1, align_corners=True).ravel(),
        [0, 0.5, 1, 1.5, 2, 2.5, 3],
        rtol=1e-6,
    )


def test_half_pixel_golden():
    x = np.arange(4.0, dtype="float32").reshape(1, 4, 1, 1)
    np.testing.assert_allclose(
        resized(x, 7, 1).ravel(),
        [0, 0.3571429, 0.9285714, 1.5, 2.0714286, 2.6428571, 3],
        rtol=1e-5,
    )


@pytest.mark.parametrize("size", [(1, 1), (4, 9), (5, 7), (20, 28), (3, 1)])
def test_aligned_corners_equals_interpolation(size):
    x = draw(2, 5, 7, 3)
    expected = aligned_reference(x.transpose(1, 0, 2, 3), size[0])
    expected = aligned_reference(expected.transpose(2, 1, 0, 3), size[1])
    np.testing.assert_allclose(
        resized(x, *size, align_corners=True),
        expected.transpose(1, 2, 0, 3),
        atol=1e-5,
    )


def test_one_pixel_spreads():
    x = draw(2, 1, 1, 3)
    for kwargs in ({}, {"align_corners": True}, {"interpolation": "nearest"}):
        np.testing.assert_allclose(
            resized(x, 4, 6, **kwargs), np.broadcast_to(x, (2, 4, 6, 3))
        )


def test_nearest_repeats():
    x = draw(1, 2, 3, 1)
    np.testing.assert_array_equal(
        resized(x, 4, 9, interpolation="nearest"), x.repeat(2, 1).repeat(3, 2)
    )


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_dtype_is_kept(dtype, align_corners):
    layer = Resize2D(align_corners=align_corners, dtype=dtype)
    x = keras.ops.cast(draw(1, 3, 3, 2), dtype)
    y = layer(x, keras.ops.zeros((1, 6, 5, 1), dtype))
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(keras.ops.cast(y, "float32")),
        resized(draw(1, 3, 3, 2), 6, 5, align_corners=align_corners),
        atol=0.05,
    )


@pytest.mark.parametrize("align_corners", [False, True])
def test_exports_with_unknown_sizes_and_reloads(align_corners, tmp_path):
    x = keras.Input((None, None, 2), name="x")
    like = keras.Input((None, None, 1), name="like")
    outputs = Resize2D(align_corners=align_corners)(x, like)
    assert outputs.shape == (None, None, None, 2)
    model = keras.Model([x, like], outputs)
    model.export(tmp_path / "export", verbose=False)
    served = tf.saved_model.load(tmp_path / "export").signatures["serving_default"]
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    for size in ((9, 4), (1, 13)):
        values, target = draw(2, 3, 5, 2), np.zeros((2, *size, 1), "float32")
        expected = resized(values, *size, align_corners=align_corners)
        got = served(x=tf.constant(values), like=tf.constant(target))
        np.testing.assert_allclose(got["output_0"], expected, atol=1e-6)
        got = reloaded([tf.constant(values), tf.constant(target)])
        np.testing.assert_array_equal(got, expected)


def test_gradient_of_aligned_resize_is_its_transpose():
    x = tf.constant(draw(1, 4, 3, 1))
    weights = draw(1, 9, 8, 1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(Resize2D(align_corners=True)(x, weights) * weights)
    gradient = tape.gradient(total, x).numpy().ravel()
    for index in range(12):
        unit = np.zeros(12, "float32")
        unit[index] = 1
        y = resized(unit.reshape(1, 4, 3, 1), 9, 8, align_corners=True)
        assert gradient[index] == pytest.approx(float((y * weights).sum()), abs=1e-4)


def test_aligned_corners_stay_and_equal_sizes_change_nothing():
    x = draw(2, 7, 11, 3)
    np.testing.assert_array_equal(resized(x, 7, 11, align_corners=True), x)
    y = resized(x, 64, 97, align_corners=True)
    np.testing.assert_array_equal(y[:, ::63, ::96], x[:, ::6, ::10])


def test_aligned_gradient_of_ones_adds_up_to_the_output_pixels():
    x = tf.constant(draw(1, 4, 3, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(Resize2D(align_corners=True)(x, draw(1, 9, 8, 1)))
    gradient = tape.gradient(total, x)
    np.testing.assert_allclose(tf.reduce_sum(gradient, (0, 1, 2)), 72, rtol=1e-5)


def test_config_is_json_and_round_trips():
    layer = Resize2D(align_corners=True, name="r")
    config = json.loads(json.dumps(layer.get_config()))
    assert Resize2D.from_config(config).align_corners is True


@pytest.mark.parametrize(
    ("kwargs", "word"),
    [
        ({"interpolation": "cubic"}, "cubic"),
        ({"interpolation": "nearest", "align_corners": True}, "bilinear"),
    ],
)
def test_refuses(kwargs, word):
    with pytest.raises(ModelError, match=word):
        Resize2D(**kwargs)

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_tf.errors import ModelError
from landslide_tf.layers import CropTo, PadToStride


def mirrored(x, stride):
    """Symmetric padding, repeated by numpy until the size is reached."""
    pads = [(0, -n % stride if axis in (1, 2) else 0) for axis, n in enumerate(x.shape)]
    return np.pad(x, pads, mode="symmetric")


def numbered(height, width):
    return np.arange(2 * height * width * 2, dtype="float32").reshape(
        2, height, width, 2
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 8, 16, 32]))
def test_pads_by_mirroring(height, width, stride):
    x = numbered(height, width)
    y = PadToStride(stride)(x)
    np.testing.assert_array_equal(y, mirrored(x, stride))
    np.testing.assert_array_equal(CropTo()(y, x), x)


def test_golden_order_of_repeated_mirroring():
    x = np.array([1.0, 2, 3], "float32").reshape(1, 3, 1, 1)
    padded = keras.ops.convert_to_numpy(PadToStride(8)(x))
    assert padded[0, :, 0, 0].tolist() == [1, 2, 3, 3, 2, 1, 1, 2]


def test_multiple_passes_through_unchanged():
    x = tf.constant(numbered(32, 16))
    assert PadToStride(16)(x) is x


def test_unknown_sizes_in_a_graph_and_an_export(tmp_path):
    image = keras.Input((None, None, 2), name="image")
    padded = PadToStride(16)(image)
    assert padded.shape == (None, None, None, 2)
    outputs = {"padded": padded, "cropped": CropTo()(padded, image)}
    model = keras.Model([image], outputs)
    model.export(tmp_path, verbose=False)
    served = tf.saved_model.load(tmp_path).signatures["serving_default"]
    for size in ((1, 1), (3, 40), (37, 53), (64, 64)):
        x = numbered(*size)
        got = served(image=tf.constant(x))
        np.testing.assert_array_equal(got["padded"], mirrored(x, 16))
        np.testing.assert_array_equal(got["cropped"], x)


def test_static_shapes():
    assert PadToStride(16)(keras.Input((37, 53, 3))).shape == (None, 48, 64, 3)
    cropped = CropTo()(keras.Input((48, 64, 6)), keras.Input((37, None, 3)))
    assert cropped.shape == (None, 37, None, 6)


def test_nodata_values_survive():
    x = np.full((1, 5, 5, 1), np.nan, "float32")
    assert np.isnan(PadToStride(8)(x)).all()


@pytest.mark.parametrize("stride", [0, -4, 2.0, True])
def test_refuses_stride(stride):
    with pytest.raises(ModelError, match="stride"):
        PadToStride(stride)


def test_config_round_trips():
    assert PadToStride.from_config(PadToStride(16).get_config()).stride == 16

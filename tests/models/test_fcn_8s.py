import keras
import numpy as np
import pytest

from landslide_tf.errors import ModelError
from landslide_tf.layers import BilinearUpsampling
from landslide_tf.models import fcn_8s


def upsampled(x, factor):
    layer = keras.layers.Conv2DTranspose(
        x.shape[-1],
        2 * factor,
        strides=factor,
        padding="same",
        use_bias=False,
        kernel_initializer=BilinearUpsampling(),
    )
    return keras.ops.convert_to_numpy(layer(x))


@pytest.mark.parametrize("factor", [2, 8])
def test_transposed_convolutions_start_as_bilinear(factor):
    x = np.random.default_rng(1).normal(size=(1, 6, 7, 3)).astype("float32")
    import tensorflow as tf

    expected = tf.image.resize(x, (6 * factor, 7 * factor)).numpy()
    # At the rim the transposed convolution meets zeros instead of repeated pixels.
    inner = (slice(None), slice(factor, -factor), slice(factor, -factor))
    np.testing.assert_allclose(upsampled(x, factor)[inner], expected[inner], atol=1e-5)


def test_kernel_golden():
    kernel = keras.ops.convert_to_numpy(BilinearUpsampling()((4, 4, 2, 2)))
    row = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(kernel[:, :, 0, 0], np.outer(row, row))
    np.testing.assert_allclose(kernel[:, :, 1, 1], np.outer(row, row))
    assert not kernel[:, :, 0, 1].any()


def test_initializer_needs_equal_channels():
    with pytest.raises(ModelError, match="2 and 3"):
        BilinearUpsampling()((4, 4, 2, 3))


def test_scores_stay_float32_under_a_mixed_policy():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = fcn_8s(width=0.125, upsampling="transposed")
    finally:
        keras.config.set_dtype_policy("float32")
    names = ("score_fr", "up_pool4", "score_pool4", "add_pool4", "up_logits", "logits")
    assert {model.get_layer(v).compute_dtype for v in names} == {"float32"}
    assert model.get_layer("fc6_conv").compute_dtype == "float16"


def test_refuses_upsampling():
    with pytest.raises(ModelError, match="transposed"):
        fcn_8s(upsampling="nearest")

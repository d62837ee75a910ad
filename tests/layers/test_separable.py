"""Depthwise separable convolutions against Keras's own."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from landslide_tf.layers import aspp, separable_conv_bn_relu

SIZE = (12, 10, 5)


def layers_of(build, **options):
    image = keras.Input(SIZE)
    model = keras.Model(image, build(image, name="x", **options))
    return model, [type(layer).__name__ for layer in model.layers]


def test_plain_it_is_a_separable_convolution_of_keras():
    options = {"filters": 7, "kernel_size": 3, "dilation_rate": 2}
    model, _ = layers_of(separable_conv_bn_relu, depth_activation=False, **options)
    kernels = [
        model.get_layer(f"x_{name}").get_weights()[0] for name in ("depthwise", "conv")
    ]
    own = keras.layers.SeparableConv2D(**options, padding="same", use_bias=False)
    own.build((None, *SIZE))
    own.set_weights(kernels)
    x = np.random.default_rng(0).normal(size=(2, *SIZE)).astype("float32")
    # Batch normalisation starts with mean 0 and variance 1.
    expected = np.maximum(own(x), 0) / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("depth_activation", "norms"), [(True, 2), (False, 1)])
def test_what_follows_a_depthwise_convolution_is_chosen(depth_activation, norms):
    options = {"filters": 8, "depth_activation": depth_activation}
    _, names = layers_of(separable_conv_bn_relu, kernel_size=3, **options)
    assert names.count("BatchNormalization") == names.count("ReLU") == norms
    _, names = layers_of(aspp, rates=(1, 2), separable=True, **options)
    # 1 × 1, pooled and projecting convolution, and two branches.
    assert names.count("BatchNormalization") == names.count("ReLU") == 3 + 2 * norms

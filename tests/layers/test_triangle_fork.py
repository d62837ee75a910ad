import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.layers import (
    GroupWeighting,
    adaptive_triangle_fork,
    residual_convolution,
)

SHAPES = {"x1": (5, 7, 16), "f3": (9, 13, 12), "f2": (17, 25, 10), "f1": (33, 49, 4)}
# Own, next deeper, all deeper and all shallower features of a level.
LEVELS = {
    3: ("f3", "x1", ["x1"], ["f2", "f1"]),
    2: ("f2", "f3", ["x1", "f3"], ["f1"]),
    1: ("f1", "f2", ["x1", "f3", "f2"], []),
}
FILTERS = 6


def fork(level, shapes=SHAPES, filters=FILTERS):
    keras.utils.set_random_seed(level)
    inputs = {k: keras.Input(v, name=k) for k, v in shapes.items()}
    own, deep, deeper, shallower = LEVELS[level]
    output = adaptive_triangle_fork(
        inputs[own],
        inputs[deep],
        [inputs[k] for k in deeper],
        [inputs[k] for k in shallower],
        filters,
        name="atf",
    )
    return keras.Model(inputs, output)


@pytest.fixture(params=LEVELS, ids=lambda level: f"level{level}")
def model(request):
    return fork(request.param)


def draw(batch=2):
    random = np.random.default_rng(3)
    return {
        k: random.normal(size=(batch, *v)).astype("float32") for k, v in SHAPES.items()
    }


def set_last_bn(model, layer, gamma, beta):
    bn = model.get_layer(f"atf_{layer}_bn")
    bn.gamma.assign(keras.ops.full(bn.gamma.shape, gamma))
    bn.beta.assign(keras.ops.full(bn.beta.shape, beta))


def output_of(model, layer):
    return keras.Model(model.input, model.get_layer(layer).output)(draw()).numpy()


@pytest.mark.parametrize(("level", "filters"), [(3, 192), (2, 96), (1, 48)])
def test_channels_and_parameters_of_the_published_levels(level, filters):
    channels = {"x1": 256, "f3": 512, "f2": 256, "f1": 64}
    shapes = {k: (*v[:2], channels[k]) for k, v in SHAPES.items()}
    model = fork(level, shapes, filters)
    own = shapes[LEVELS[level][0]]
    assert model.output.shape == (None, *own[:2], 4 * filters)
    counts = {"gate": 0, "other": 0, "weights": 0}
    for layer in model.layers:
        for part in counts:
            if layer.name.startswith(f"atf_{part}"):
                counts[part] += sum(np.prod(v.shape) for v in layer.trainable_variables)
    assert (
        list(counts.values())
        == {
            3: [148_418, 112_320, 1_494_148],
            2: [74_210, 80_736, 373_828],
            1: [15_602, 49_584, 93_530],
        }[level]
    )


def test_every_input_it_uses_and_every_weight_has_a_gradient(model):
    inputs = {k: tf.constant(v) for k, v in draw(4).items()}
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_mean(model(inputs, training=True) ** 3)
    by_input, by_weight = tape.gradient(
        loss, [inputs, [v.value for v in model.trainable_variables]]
    )
    assert all(np.any(g) and np.isfinite(g).all() for g in by_input.values())
    for variable, gradient in zip(model.trainable_variables, by_weight, strict=True):
        # Batch normalisation cancels the bias before it.
        if not variable.path.endswith("bias"):
            assert np.any(gradient), variable.path


def test_weights_of_a_half(model):
    unweighted = output_of(model, "atf_concat")
    set_last_bn(model, "weights_b", 0.0, 0.0)
    np.testing.assert_array_equal(output_of(model, "atf_weights"), 0.5)
    np.testing.assert_array_equal(model(draw())[..., FILTERS:], unweighted / 2)


@pytest.mark.parametrize(("beta", "kept"), [(20.0, 1.0), (-20.0, 0.0)])
def test_gate_passes_or_blocks(model, beta, kept):
    projected = output_of(model, "atf_gate_own_bn")
    set_last_bn(model, "gate_score", 0.0, beta)
    gated = model(draw())[..., :FILTERS]
    np.testing.assert_allclose(gated, kept * projected, atol=1e-6)


def test_groups_are_weighted_apart():
    x = np.ones((1, 1, 2, 5), "float32")
    maps = np.array([[[[2.0, 3.0], [4.0, 5.0]]]], "float32")
    weighted = GroupWeighting([3, 2])(x, maps)
    np.testing.assert_array_equal(weighted[0, 0], [[2, 2, 2, 3, 3], [4, 4, 4, 5, 5]])


@pytest.mark.parametrize(
    ("channels", "inner", "count"),
    [(768, 256, 983_552), (384, 128, 246_016), (192, 64, 61_568)],
)
def test_residual_module(channels, inner, count):
    x = keras.Input((6, 5, channels))
    model = keras.Model(x, residual_convolution(x, inner))
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == count
    values = np.random.default_rng(0).normal(size=(1, 6, 5, channels))
    values = values.astype("float32")
    assert np.abs(model(values) - values).max() > 0.1
    last = model.get_layer("rcm_3_conv")
    last.kernel.assign(keras.ops.zeros_like(last.kernel))
    np.testing.assert_array_equal(model(values), values)

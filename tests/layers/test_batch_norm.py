"""BatchNormalization: equal to Keras's own, fused in training."""

import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.layers.batch_norm import BatchNormalization

# Of the largest value: the mixed types round inputs and outputs to 11 and 8 bits.
TOLERANCE = {"float32": 1e-5, "mixed_float16": 3e-3, "mixed_bfloat16": 2e-2}
STATISTICS = 1e-5


def pair(channels=3, shape=None, **options):
    """Our layer and Keras's with the same, not trivial, weights."""
    random = np.random.default_rng(0)
    layers = []
    for layer_class in (BatchNormalization, keras.layers.BatchNormalization):
        layer = layer_class(momentum=0.7, epsilon=1.001e-5, **options)
        layer.build(shape or (None, None, None, channels))
        layers.append(layer)
    weights = [random.uniform(0.5, 2.0, w.shape) for w in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def step(layer, x, graph=False, **call):
    """Value, gradients by the input and the weights, and moving statistics."""
    g = np.random.default_rng(1).normal(size=x.shape).astype("float32")

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True, **call)
            loss = tf.reduce_sum(tf.cast(y, "float32") * g)
        return y, tape.gradient(loss, [x, *layer.trainable_variables])

    if graph:
        signature = [tf.TensorSpec([None] * (x.ndim - 1) + [x.shape[-1]])]
        run = tf.function(run, input_signature=signature, autograph=False)
    y, gradients = run(tf.constant(x))
    tensors = [tf.cast(y, "float32"), *(t for t in gradients if t is not None)]
    moving = [v.numpy() for v in layer.non_trainable_variables]
    return [t.numpy() for t in tensors], moving


def assert_equal(ours, theirs, tolerance):
    for a, b in zip(ours[0], theirs[0], strict=True):
        scale = max(np.abs(b).max(), 1.0)
        np.testing.assert_allclose(a / scale, b / scale, atol=tolerance)
    for a, b in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=STATISTICS, atol=STATISTICS)


def sample(shape, offset=3.0):
    x = np.random.default_rng(2).normal(offset, 2.0, shape)
    return x.astype("float32")


def operations(layer, training=True):
    @tf.function(autograph=False)
    def run(x):
        return layer(x, training=training)

    concrete = run.get_concrete_function(tf.TensorSpec((None, None, None, 3)))
    return {operation.type for operation in concrete.graph.get_operations()}


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("policy", list(TOLERANCE))
@pytest.mark.parametrize("size", [(2, 20, 31), (2, 5, 4), (4, 1, 1), (2, 1, 1)])
def test_training_step_equals_keras(size, policy, graph):
    ours, theirs = pair(dtype=policy)
    x = sample((*size, 3))
    # Two elements cancel almost wholly in the input gradient.
    tolerance = TOLERANCE[policy] * (10 if size == (2, 1, 1) else 1)
    assert_equal(step(ours, x, graph), step(theirs, x, graph), tolerance)


def test_training_step_equals_numpy():
    """Against Ioffe and Szegedy 2015, algorithm 1 and its gradient, in float64."""
    layer, _ = pair()
    gamma, beta, mean, variance = layer.get_weights()
    x = sample((2, 6, 5, 3))
    g = np.random.default_rng(1).normal(size=x.shape).astype("float32")
    (y, dx, dgamma, dbeta), (new_mean, new_variance) = step(layer, x)
    axes = (0, 1, 2)
    x = x.astype("float64")
    m, v = x.mean(axes), x.var(axes)  # the biased variance
    normal = (x - m) / np.sqrt(v + 1.001e-5)
    np.testing.assert_allclose(y, gamma * normal + beta, atol=1e-5)
    np.testing.assert_allclose(dgamma, (g * normal).sum(axes), atol=1e-4)
    np.testing.assert_allclose(dbeta, g.sum(axes), atol=1e-4)
    inner = g - g.mean(axes) - normal * (g * normal).mean(axes)
    np.testing.assert_allclose(dx, gamma * inner / np.sqrt(v + 1.001e-5), atol=1e-5)
    np.testing.assert_allclose(new_mean, 0.7 * mean + 0.3 * m, rtol=1e-5)
    np.testing.assert_allclose(new_variance, 0.7 * variance + 0.3 * v, rtol=1e-5)


def test_far_from_zero_the_moving_statistics_hold():
    ours, theirs = pair()
    x = sample((4, 16, 16, 3), offset=1000.0)
    assert_equal(step(ours, x), step(theirs, x), 5e-3)


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_one_element_a_channel(graph):
    ours, theirs = pair()
    x = sample((1, 1, 1, 3))
    seen = step(ours, x, graph)
    assert_equal(seen, step(theirs, x, graph), 1e-5)
    np.testing.assert_allclose(seen[0][0][0, 0, 0], ours.beta.numpy(), rtol=1e-4)
    assert np.isfinite(seen[1]).all()


def test_training_is_one_fused_operation():
    ours, theirs = pair()
    assert "FusedBatchNormV3" in operations(ours)
    assert "FusedBatchNormV3" not in operations(theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"scale": False},
        {"center": False},
        {"synchronized": True},
        {"renorm": True},
        {"trainable": False},
        {"dtype": "float64"},
    ],
    ids=str,
)
def test_falls_back_to_keras(options):
    ours, theirs = pair(**options)
    assert "FusedBatchNormV3" not in operations(ours)
    x = sample((2, 4, 5, 3))
    assert_equal(step(ours, x), step(theirs, x), 1e-6)


def test_mask_falls_back_to_keras():
    ours, theirs = pair()
    x = sample((2, 4, 5, 3))
    mask = tf.constant(np.random.default_rng(3).random((2, 4, 5)) > 0.4)
    assert_equal(step(ours, x, mask=mask), step(theirs, x, mask=mask), 1e-6)


@pytest.mark.parametrize(
    ("shape", "axis"), [((6, 3), -1), ((2, 5, 3), -1), ((2, 3, 5, 4), 1)]
)
def test_other_ranks_and_axes_equal_keras(shape, axis):
    ours, theirs = pair(shape=shape, axis=axis)
    x = sample(shape)
    assert_equal(step(ours, x), step(theirs, x), 1e-6)


def test_inference_is_keras_path():
    ours, theirs = pair()
    x = sample((2, 4, 5, 3))
    np.testing.assert_array_equal(ours(x), theirs(x))
    assert "FusedBatchNormV3" not in operations(ours, training=False)


def network(layer):
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    return keras.Model(inputs, layer(name="bn")(x))


def test_fit_gives_keras_weights():
    models = [network(BatchNormalization), network(keras.layers.BatchNormalization)]
    models[1].set_weights(models[0].get_weights())
    x, y = sample((8, 6, 6, 3)), sample((8, 6, 6, 4))
    for model in models:
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
        model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_keras_file_and_export_round_trip(tmp_path):
    model = network(BatchNormalization)
    x = sample((2, 7, 6, 3))
    model(x, training=True)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    assert type(again.get_layer("bn")) is BatchNormalization
    assert again.get_layer("bn").get_config() == model.get_layer("bn").get_config()
    np.testing.assert_array_equal(again(x), model(x))
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(served.serve(x), model(x), atol=1e-6)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize("swap", [False, True])
def test_weight_files_interchange_with_keras(tmp_path, suffix, swap):
    source = network(BatchNormalization)
    target = network(keras.layers.BatchNormalization)
    if swap:
        source, target = target, source
    source(sample((2, 7, 6, 3)), training=True)
    path = tmp_path / f"m{suffix}"
    source.save_weights(path) if "h5" in suffix else source.save(path)
    target.load_weights(path)
    for a, b in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_without_onednn_every_policy_trains():
    code = """
    import keras, numpy as np
    from landslide_tf.layers.batch_norm import BatchNormalization
    x = np.random.default_rng(0).normal(3, 2, (2, 8, 8, 4)).astype("float32")
    for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
        layers = [c(dtype=policy, momentum=0.5) for c in
                  (BatchNormalization, keras.layers.BatchNormalization)]
        a, b = (np.asarray(keras.ops.cast(l(x, training=True), "float32"))
                for l in layers)
        np.testing.assert_allclose(a, b, atol=3e-2)
        for v, w in zip(layers[0].variables, layers[1].variables, strict=True):
            np.testing.assert_allclose(v, w, rtol=1e-4, atol=1e-5)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]

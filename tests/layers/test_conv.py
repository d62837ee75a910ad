"""Conv2D: equal to Keras's own, one operation where that is right."""

import ctypes.util
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.layers import conv
from landslide_tf.layers.conv import Conv2D, DepthwiseConv2D

# Sums of 3 × 3 × 3 products; mixed types round to 11 and 8 bits.
TOLERANCE = {"float32": 1e-5, "mixed_float16": 2e-3, "mixed_bfloat16": 2e-2}

NAMES = ("value", "input gradient", "kernel gradient", "bias gradient")


def pair(policy="float32", **options):
    """Our layer and Keras's with the same weights."""
    options = {"padding": "same", "dilation_rate": 6, "dtype": policy} | options
    ours, theirs = Conv2D(4, 3, **options), keras.layers.Conv2D(4, 3, **options)
    ours.build((None, None, None, 3))
    theirs.build((None, None, None, 3))
    ours.bias.assign([0.5, -1.0, 2.0, 0.0])
    theirs.set_weights(ours.get_weights())
    return ours, theirs


def value_and_gradients(layer, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(tf.cast(y, "float32") ** 2)
    gradients = tape.gradient(loss, [x, *layer.trainable_variables])
    return [t.numpy() for t in (tf.cast(y, "float32"), *gradients)]


def graph_value_and_gradients(layer, x):
    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, 3))], autograph=False
    )
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(tf.cast(y, "float32") ** 2)
        return y, tape.gradient(loss, [x, *layer.trainable_variables])

    y, gradients = run(x)
    return [t.numpy() for t in (tf.cast(y, "float32"), *gradients)]


def operations(layer):
    function = tf.function(layer.__call__, autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec((None, None, None, 3)))
    return {operation.type for operation in concrete.graph.get_operations()}


def run_python(code, *arguments, **environment):
    """Runs code in a process of its own and returns what it printed."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.mark.parametrize("policy", list(TOLERANCE))
@pytest.mark.parametrize("size", [(20, 31), (5, 4), (1, 1)])
@pytest.mark.parametrize("run", [value_and_gradients, graph_value_and_gradients])
def test_values_and_gradients_equal_keras(policy, size, run):
    ours, theirs = pair(policy)
    x = tf.constant(np.random.default_rng(0).normal(size=(2, *size, 3)), "float32")
    seen = zip(run(ours, x), run(theirs, x), strict=True)
    for name, (ours_seen, keras_seen) in zip(NAMES, seen, strict=True):
        if (name, policy) == ("bias gradient", "mixed_bfloat16"):
            continue  # Keras sums it in bfloat16: off by a half at (20, 31)
        scale = max(np.abs(keras_seen).max(), 1.0)
        np.testing.assert_allclose(
            ours_seen / scale, keras_seen / scale, atol=TOLERANCE[policy]
        )


def test_values_and_gradients_equal_shifted_taps():
    """Against a sum of shifted products that knows nothing of TensorFlow."""
    random = np.random.default_rng(1)
    x, g = random.normal(size=(2, 2, 9, 8, 3)).astype("float32")
    layer = Conv2D(3, 3, padding="same", dilation_rate=2, use_bias=False)
    layer.build(x.shape)
    kernel = layer.kernel.numpy()
    y, dx, dk = np.zeros_like(x), np.zeros_like(x), np.zeros_like(kernel)
    for row, column, i, j in np.ndindex(9, 8, 3, 3):
        r, c = row + 2 * (i - 1), column + 2 * (j - 1)
        if 0 <= r < 9 and 0 <= c < 8:
            y[:, row, column] += x[:, r, c] @ kernel[i, j]
            dx[:, r, c] += g[:, row, column] @ kernel[i, j].T
            dk[i, j] += x[:, r, c].T @ g[:, row, column]
    with tf.GradientTape() as tape:
        source = tf.constant(x)
        tape.watch(source)
        seen = layer(source)
        loss = tf.reduce_sum(seen * g)
    seen_dx, seen_dk = tape.gradient(loss, [source, layer.kernel.value])
    np.testing.assert_allclose(seen, y, atol=1e-5)
    np.testing.assert_allclose(seen_dx, dx, atol=1e-5)
    np.testing.assert_allclose(seen_dk, dk, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "valid", "dilation_rate": (2, 3)},
        {"dilation_rate": (1, 3)},
        {"dilation_rate": 1, "strides": 2},
        {"dilation_rate": 1},
    ],
    ids=str,
)
def test_other_arguments_equal_keras(options):
    ours, theirs = pair(**options)
    x = tf.constant(np.random.default_rng(2).normal(size=(1, 11, 12, 3)), "float32")
    for a, b in zip(
        value_and_gradients(ours, x), value_and_gradients(theirs, x), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=2e-4)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("size", "strides"), [((12, 9), 2), ((7, 10), (2, 3))])
def test_strided_points_of_few_channels_equal_a_product(size, strides, padding):
    layer = Conv2D(4, 1, strides=strides, padding=padding)
    layer.build((None, None, None, 3))
    x = np.random.default_rng(2).normal(size=(2, *size, 3)).astype("float32")
    rows, columns = layer.strides
    taken = x[:, ::rows, ::columns]
    kernel = layer.kernel.numpy()[0, 0]
    value = taken @ kernel
    dx = np.zeros_like(x)
    dx[:, ::rows, ::columns] = 2 * value @ kernel.T
    dk = np.einsum("bhwc,bhwf->cf", taken, 2 * value)
    seen = graph_value_and_gradients(layer, tf.constant(x))
    for right, got in zip((value, dx, dk[None, None]), seen[:3], strict=True):
        np.testing.assert_allclose(got, right, atol=1e-4)


@pytest.mark.integration
def test_strided_points_of_few_channels_leave_the_heap_whole():
    """oneDNN writes past its workspace there; glibc's checker ends such a process."""
    checker = ctypes.util.find_library("c_malloc_debug")
    if checker is None:
        pytest.skip("needs glibc's libc_malloc_debug")
    printed = run_python(
        """
        import tensorflow as tf
        from landslide_tf.layers.conv import Conv2D
        for channels in (1, 3, 8, 15):
            layer = Conv2D(8, 1, strides=2)
            for _ in range(10):
                with tf.GradientTape() as tape:
                    y = layer(tf.ones((4, 64, 64, channels)))
                tape.gradient(y, layer.trainable_variables)
        print("whole")
        """,
        LD_PRELOAD=checker,
        MALLOC_CHECK_="3",
    )
    assert printed == "whole\n"


def test_dilated_convolution_is_one_operation():
    ours, theirs = pair()
    if not conv._dilation_works("float32", "CPU"):
        pytest.skip("this TensorFlow has no gradient of a dilated convolution on CPUs")
    assert "SpaceToBatchND" in operations(theirs)
    assert "SpaceToBatchND" not in operations(ours)


def test_float16_on_a_cpu_follows_what_the_processor_can():
    """Where oneDNN raises in the gradient the layer must not (values: see above)."""
    own = conv._dilation_works("float16", "CPU")
    assert ("SpaceToBatchND" in operations(pair("mixed_float16")[0])) is not own


def test_a_probe_that_says_no_is_obeyed(monkeypatch):
    asked = []

    def says_no(dtype, device):
        asked.append((dtype, device))
        return False

    monkeypatch.setattr(conv, "_dilation_works", says_no)
    ours, _ = pair()
    assert "SpaceToBatchND" in operations(ours)
    ours(np.zeros((1, 4, 4, 3), "float32"))
    assert set(asked) == {("float32", "CPU")}


def test_the_device_asked_is_the_one_of_the_inputs():
    seen = []

    @tf.function(autograph=False)
    def run(x):
        seen.append(conv._device_type(x))
        with tf.device("/GPU:0"):
            seen.append(conv._device_type(tf.identity(x)))

    run.get_concrete_function(tf.TensorSpec((1, 4, 4, 3)))
    with tf.device("/CPU:0"):
        seen.append(conv._device_type(tf.zeros((1, 4, 4, 3))))
    ambient = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    assert seen == [ambient, "GPU", "CPU"]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_device_that_is_not_there_answers_as_the_cpu_that_stands_in(dtype):
    assert conv._dilation_works(dtype, "TPU") == conv._dilation_works(dtype, "CPU")


def test_too_small_an_input_without_padding_is_keras_error():
    with pytest.raises(ValueError, match="zero or negative"):
        Conv2D(4, 3, dilation_rate=6)(np.zeros((1, 12, 12, 3), "float32"))


def test_config_and_keras_file_round_trip(tmp_path):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(
        inputs, Conv2D(4, 3, dilation_rate=2, padding="same", name="d")(inputs)
    )
    x = np.random.default_rng(3).normal(size=(1, 7, 6, 3)).astype("float32")
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    assert type(again.get_layer("d")) is Conv2D
    assert again.get_layer("d").get_config() == model.get_layer("d").get_config()
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize("swap", [False, True])
def test_weight_files_interchange_with_keras(tmp_path, suffix, swap):
    def build(layer):
        inputs = keras.Input((None, None, 3))
        x = layer(4, 3, dilation_rate=2, padding="same")(inputs)
        return keras.Model(inputs, layer(2, 1)(x))

    source, target = build(Conv2D), build(keras.layers.Conv2D)
    if swap:
        source, target = target, source
    path = tmp_path / f"m{suffix}"
    source.save_weights(path) if "h5" in suffix else source.save(path)
    target.load_weights(path)
    for a, b in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_depthwise_dilation_keeps_a_right_gradient():
    """The tempting shortcut, TensorFlow's dilated operation, has a wrong one."""
    random = np.random.default_rng(4)
    x, g = random.normal(size=(2, 1, 9, 8, 3)).astype("float32")
    layer = DepthwiseConv2D(3, padding="same", dilation_rate=2, use_bias=False)
    layer.build(x.shape)
    kernel = layer.kernel.numpy()
    dx, dk = np.zeros_like(x), np.zeros_like(kernel)
    for row, column, i, j in np.ndindex(9, 8, 3, 3):
        r, c = row + 2 * (i - 1), column + 2 * (j - 1)
        if 0 <= r < 9 and 0 <= c < 8:
            dx[:, r, c] += g[:, row, column] * kernel[i, j, :, 0]
            dk[i, j, :, 0] += (x[:, r, c] * g[:, row, column]).sum(0)
    with tf.GradientTape() as tape:
        source = tf.constant(x)
        tape.watch(source)
        loss = tf.reduce_sum(layer(source) * g)
    seen_dx, seen_dk = tape.gradient(loss, [source, layer.kernel.value])
    np.testing.assert_allclose(seen_dx, dx, atol=1e-5)
    np.testing.assert_allclose(seen_dk, dk, atol=1e-4)


def depthwise_pair(policy="float32", **options):
    """Our depthwise layer and Keras's with the same weights."""
    options = {"padding": "same", "dilation_rate": 3, "dtype": policy} | options
    kinds = DepthwiseConv2D, keras.layers.DepthwiseConv2D
    ours, theirs = (kind(3, depth_multiplier=2, **options) for kind in kinds)
    ours.build((None, None, None, 3))
    theirs.build((None, None, None, 3))
    ours.bias.assign([0.5, -1.0, 2.0, 0.0, 1.0, 3.0])
    theirs.set_weights(ours.get_weights())
    return ours, theirs


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(
    "options",
    [{}, {"padding": "valid", "activation": "relu"}, {"dilation_rate": 1}],
    ids=["same", "valid", "not dilated"],
)
@pytest.mark.parametrize("run", [value_and_gradients, graph_value_and_gradients])
def test_depthwise_convolution_is_that_of_keras(run, options, policy):
    x = tf.constant(np.random.default_rng(6).normal(size=(2, 11, 9, 3)), "float32")
    for seen, wanted in zip(
        *(run(layer, x) for layer in depthwise_pair(policy, **options)), strict=True
    ):
        np.testing.assert_allclose(seen, wanted, rtol=1e-6, atol=1e-6)


def test_the_gradient_of_a_dilated_depthwise_convolution_rearranges_again():
    counts = []
    for layer in depthwise_pair():

        @tf.function(autograph=False)
        def run(x, layer=layer):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(layer(x) ** 2)
            return tape.gradient(loss, layer.trainable_variables)

        graph = run.get_concrete_function(tf.TensorSpec((None, 8, 8, 3))).graph
        kinds = [node.op for node in graph.as_graph_def().node]
        counts.append(kinds.count("SpaceToBatchND"))
    assert counts[0] > counts[1] > 0


@pytest.mark.slow
def test_without_onednn_trains_and_serves_an_export_made_with_it(tmp_path):
    inputs = keras.Input((None, None, 3), name="image")
    outputs = Conv2D(4, 3, dilation_rate=6, padding="same")(inputs)
    model = keras.Model(inputs, outputs)
    model.export(tmp_path / "saved", verbose=False)
    x = np.random.default_rng(5).normal(size=(2, 13, 9, 3)).astype("float32")
    np.savez(tmp_path / "case.npz", x=x, y=model(x))
    printed = run_python(
        """
        import sys
        import keras, numpy as np, tensorflow as tf
        from landslide_tf.layers.conv import Conv2D, _dilation_works
        folder = sys.argv[1]
        case = np.load(folder + "/case.npz")
        served = tf.saved_model.load(folder + "/saved").signatures["serving_default"]
        (y,) = served(tf.constant(case["x"])).values()
        np.testing.assert_allclose(y, case["y"], atol=1e-5)
        layer = Conv2D(4, 3, dilation_rate=6, padding="same")
        model = keras.Sequential([keras.Input((None, None, 3)), layer])
        model.compile("sgd", "mse")
        losses = [model.train_on_batch(case["x"], case["y"]) for _ in range(5)]
        print(_dilation_works("float32", "CPU"), losses[-1] < losses[0])
        """,
        tmp_path,
        TF_ENABLE_ONEDNN_OPTS="0",
    )
    assert printed.split() == ["False", "True"]

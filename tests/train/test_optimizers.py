import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import RecipeError
from landslide_tf.train.multiplied_rates import MultipliedAdam, MultipliedSGD
from landslide_tf.train.optimizers import CoupledSGD, make_schedule


def kernel(value=1.0):
    return keras.Variable(np.atleast_1d(np.float32(value)), name="kernel")


def values_of(optimizer, gradients, start=1.0):
    """The variable after every step."""
    variable = kernel(start)
    values = []
    for gradient in gradients:
        optimizer.apply(
            [keras.ops.convert_to_tensor([gradient], "float32")], [variable]
        )
        values.append(float(variable[0]))
    return np.array(values)


def reference(gradients, rates, momentum, decay, start=1.0):
    """Equations 3 and 4 in float64."""
    value, delta, values = start, 0.0, []
    for gradient, rate in zip(gradients, rates, strict=True):
        delta = rate * (decay * value + gradient) + momentum * delta
        value -= delta
        values.append(value)
    return np.array(values)


def test_constant_gradient_goldens():
    values = values_of(CoupledSGD(0.1, 0.9, 0.01), [0.5] * 10)
    expected = [0.949, 0.852151, 0.7141347, -1.0920681]
    np.testing.assert_allclose(values[[0, 1, 2, 9]], expected, atol=2e-7)


def test_differs_from_the_decay_of_keras_from_the_second_step_on():
    coupled = values_of(CoupledSGD(0.1, 0.9, 0.01), [0.5] * 3)
    keras_sgd = keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01)
    decoupled = values_of(keras_sgd, [0.5] * 3)
    np.testing.assert_allclose(decoupled, [0.949, 0.85305095, 0.7166979], atol=2e-7)
    assert coupled[0] == pytest.approx(decoupled[0], abs=1e-7)
    assert (decoupled - coupled)[1:].min() > 5e-4


def test_decay_alone_after_1000_steps():
    coupled = values_of(CoupledSGD(1e-3, 0.9, 5e-4), [0.0] * 1000)
    assert coupled[-1] == pytest.approx(0.995057, abs=5e-5)


def test_equals_the_equations_over_20_steps_with_a_schedule_change():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=20).astype(np.float32)
    schedule = make_schedule("step", 0.1, steps=8)
    rates = 0.1 * 0.1 ** (np.arange(20) // 8)
    received = values_of(CoupledSGD(schedule, 0.9, 0.05), gradients, start=-0.7)
    expected = reference(gradients, rates, 0.9, 0.05, start=-0.7)
    np.testing.assert_allclose(received, expected, atol=2e-6)
    # A rate that a callback sets acts on the next step, inside the velocity.
    optimizer = CoupledSGD(0.1, 0.9, 0.05)
    variable = kernel(-0.7)
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.learning_rate = rate
        optimizer.apply([keras.ops.convert_to_tensor([gradient])], [variable])
    assert float(variable[0]) == pytest.approx(expected[-1], abs=2e-6)


def test_without_decay_it_is_the_sgd_of_keras():
    gradients = np.random.default_rng(1).normal(size=6)
    expected = values_of(keras.optimizers.SGD(0.1, momentum=0.9), gradients)
    for optimizer in (
        CoupledSGD(0.1, 0.9, 0.0),
        CoupledSGD(0.1, 0.9, 0.0, decay="all"),
    ):
        np.testing.assert_array_equal(values_of(optimizer, gradients), expected)
    plain = values_of(CoupledSGD(0.1, 0, 0.01), gradients)
    assert plain[-1] == pytest.approx(
        reference(gradients, [0.1] * 6, 0, 0.01)[-1], abs=1e-6
    )


@pytest.mark.parametrize("decay", ["kernels", "all"])
def test_which_variables_decay(decay):
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.SeparableConv2D(4, 3, name="separable")(x)
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(x)
    model = keras.Model(image, keras.layers.Dense(2, name="dense")(x))
    for variable in model.trainable_variables:
        variable.assign(keras.ops.ones(variable.shape))
    optimizer = CoupledSGD(0.1, 0.9, 0.01, decay=decay)
    zeros = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    decayed = {
        v.path for v in model.trainable_variables if float(v.value.numpy().flat[0]) < 1
    }
    kernels = {
        "conv/kernel",
        "separable/depthwise_kernel",
        "separable/pointwise_kernel",
        "depthwise/kernel",
        "dense/kernel",
    }
    everything = {v.path for v in model.trainable_variables}
    assert {"norm/gamma", "norm/beta", "conv/bias"} < everything
    assert decayed == (kernels if decay == "kernels" else everything)


@pytest.mark.parametrize(
    ("clipping", "clipped"),
    [
        ({"clipnorm": 1.0}, 1.0),
        ({"global_clipnorm": 1.0}, 1.0),
        ({"clipvalue": 0.5}, 0.5),
    ],
)
def test_clipping_comes_before_the_decay(clipping, clipped):
    # Clipping the decayed gradient (30 + 20) instead would leave no trace of the decay.
    values = values_of(CoupledSGD(0.1, 0.9, 2.0, **clipping), [30.0], start=10.0)
    assert values[0] == pytest.approx(10 - 0.1 * (2.0 * 10 + clipped), abs=1e-5)


def test_loss_scaling_and_float16_gradients():
    # The decay is smaller than a float16 next to the weight could show.
    expected = reference([0.5] * 3, [0.1] * 3, 0.9, 1e-5, start=1.0)
    optimizer = keras.optimizers.LossScaleOptimizer(
        CoupledSGD(0.1, 0.9, 1e-5), initial_scale=1024.0
    )
    variable = kernel()
    optimizer.build([variable])
    for _ in range(3):
        optimizer.apply([tf.constant([512.0], tf.float16)], [variable])
    assert float(variable[0]) == pytest.approx(expected[-1], abs=2e-7)
    # An overflow leaves the weight, decay and velocity alone and halves the scale.
    before = [v.numpy().copy() for v in optimizer.inner_optimizer.variables]
    optimizer.apply([tf.constant([np.inf], tf.float16)], [variable])
    assert float(variable[0]) == pytest.approx(expected[-1], abs=2e-7)
    assert float(optimizer.dynamic_scale.numpy()) == 512.0
    for old, new in zip(before, optimizer.inner_optimizer.variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_fit_decays_the_float32_master_weights(policy):
    # No gradient reaches the first layer: its kernel only decays.
    image = keras.Input((2,))
    first = keras.layers.Dense(2, name="first", dtype=policy)
    blocked = keras.layers.Dense(1, kernel_initializer="zeros", trainable=False)
    model = keras.Model(image, blocked(first(image)))
    model.compile(CoupledSGD(0.01, 0.9, 0.01), loss="mse", jit_compile=False)
    start = first.kernel.numpy().copy()
    model.fit(np.ones((8, 2)), np.ones((8, 1)), batch_size=2, epochs=2, verbose=0)
    factor = reference([0.0] * 8, [0.01] * 8, 0.9, 0.01)[-1]
    assert first.kernel.dtype == "float32"
    np.testing.assert_allclose(first.kernel.numpy(), start * factor, rtol=1e-6)
    assert not first.bias.numpy().any()


def test_gradient_accumulation_decays_once_an_update():
    optimizer = CoupledSGD(0.1, 0.9, 0.01, gradient_accumulation_steps=2)
    values = values_of(optimizer, [0.4, 0.6, 0.3, 0.7])
    expected = reference([0.5, 0.5], [0.1, 0.1], 0.9, 0.01)
    np.testing.assert_allclose(
        values, [1.0, expected[0], expected[0], expected[1]], atol=2e-7
    )


@pytest.mark.parametrize("rate", [0.1, make_schedule("step", 0.1, steps=2)])
def test_config_survives_json(rate):
    optimizer = CoupledSGD(rate, 0.8, 0.02, decay="all", clipnorm=2.0, name="sgd")
    config = json.loads(json.dumps(keras.optimizers.serialize(optimizer)))
    restored = keras.optimizers.deserialize(config)
    assert isinstance(restored, CoupledSGD)
    assert config["registered_name"] == "landslide_tf>CoupledSGD"
    np.testing.assert_array_equal(
        values_of(restored, [0.5] * 5), values_of(optimizer, [0.5] * 5)
    )


def test_a_saved_model_goes_on_as_if_never_saved(tmp_path):
    def train(model):
        model.fit(x, y, batch_size=2, shuffle=False, verbose=0)

    rng = np.random.default_rng(2)
    x, y = rng.random((8, 3)), rng.random((8, 1))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(CoupledSGD(0.1, 0.9, 0.01), loss="mse", jit_compile=False)
    train(model)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    for each in (model, restored):
        train(each)
    for one, two in zip(model.variables, restored.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight_decay": -1e-4}, "`weight_decay` of at least 0, received -0.0001"),
        ({"weight_decay": float("nan")}, "`weight_decay`"),
        ({"momentum": 1.5}, "`momentum` from 0 to 1, received 1.5"),
        ({"decay": "kernel"}, "`decay` to be `kernels` or `all`, received `kernel`"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(RecipeError, match=message):
        CoupledSGD(**arguments)


def two_layers(multipliers, momentum=0.9, decay=0.05, rate=0.1):
    """A model with a `conv1_a` and a `head_a`, both 1, and its optimiser."""
    inputs = keras.Input((1,))
    dense = {"kernel_initializer": "ones", "use_bias": False}
    x = keras.layers.Dense(1, **dense, name="conv1_a")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, **dense, name="head_a")(x))
    optimizer = CoupledSGD(rate, momentum, decay, multipliers=multipliers)
    optimizer.build(model.trainable_variables)
    return model.trainable_variables, optimizer


def test_head_moves_ten_times_the_backbone_for_equal_gradients():
    variables, optimizer = two_layers({"conv*": 1.0, "*": 10.0}, 0.0, 0.0)
    optimizer.apply([tf.constant([[0.02]])] * 2, variables)
    backbone, head = (1 - float(v.numpy().item()) for v in variables)
    assert backbone == pytest.approx(0.1 * 0.02, rel=1e-4)
    assert head == pytest.approx(10 * backbone, rel=1e-4)


@pytest.mark.parametrize("scaled", [False, True])
def test_multiplied_rates_are_the_equations_with_another_rate(scaled):
    rng = np.random.default_rng(2)
    gradients = rng.normal(size=(12, 2)).astype(np.float32)
    schedule = make_schedule("poly", 0.1, steps=12, power=0.9)
    rates = 0.1 * (1 - np.arange(12) / 12) ** 0.9
    variables, optimizer = two_layers({"conv1_*": 1, "*": 10}, rate=schedule)
    if scaled:
        inner = optimizer
        optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
        optimizer.build(variables)
    for pair in gradients:
        scale = 8.0 if scaled else 1.0
        optimizer.apply([tf.constant([[g * scale]]) for g in pair], variables)
    for number, factor in enumerate((1, 10)):
        expected = reference(gradients[:, number], factor * rates, 0.9, 0.05)
        received = float(variables[number].numpy().item())
        assert received == pytest.approx(expected[-1], rel=2e-5)


def test_multipliers_are_kept_and_checked():
    _, optimizer = two_layers({"conv1_*": 2.0, "conv*": 3.0})
    assert optimizer._factors == [2.0, 1.0]
    config = json.loads(json.dumps(optimizer.get_config()))
    assert CoupledSGD.from_config(config).multipliers == optimizer.multipliers
    with pytest.raises(RecipeError, match="`multipliers` above 0"):
        CoupledSGD(0.1, multipliers={"*": 0.0})


def test_head_multiplier_of_a_recipe():
    from landslide_tf.train import load_recipe
    from landslide_tf.train.tasks.compilation import make_optimizer
    from landslide_tf.train.tasks.network import build_model, builder_arguments

    recipe = load_recipe("mffe_net_cas", ["model.arguments={width: 0.05}"])
    model = build_model("mffe_net", builder_arguments(recipe, 2), activation=None)
    optimizer = make_optimizer(recipe, 10)
    optimizer.build(model.trainable_variables)
    pairs = zip(model.trainable_variables, optimizer._factors, strict=True)
    for variable, factor in pairs:
        backbone = variable.path.startswith("conv")
        assert factor == (1 if backbone else 10), variable.path
    for name in ("sgd", "adam", "adamw"):
        recipe.optimizer.name = name
        other = make_optimizer(recipe, 10)
        other.build(model.trainable_variables)
        assert other._factors == optimizer._factors


@pytest.mark.parametrize(
    "further", [{}, {"clipnorm": 0.3}, {"gradient_accumulation_steps": 2}]
)
@pytest.mark.parametrize(
    ("multiplied", "plain", "own"),
    [
        (MultipliedSGD, keras.optimizers.SGD, {"momentum": 0.9}),
        (MultipliedAdam, keras.optimizers.Adam, {}),
        (MultipliedAdam, keras.optimizers.AdamW, {}),
    ],
)
def test_each_group_moves_as_with_an_optimiser_of_its_own(
    multiplied, plain, own, further
):
    """Weight decay, which Keras applies at one rate, follows the group's rate."""
    rng = np.random.default_rng(3)
    gradients = rng.normal(size=(8, 2)).astype(np.float32)
    options = {**own, **further, "weight_decay": 0.05}
    variables = [keras.Variable([1.0], name=name) for name in ("a_kernel", "b_kernel")]
    optimizer = multiplied(
        learning_rate=0.02, multipliers={"a*": 1, "*": 10}, **options
    )
    optimizer.build(variables)
    singles = [plain(learning_rate=0.02 * factor, **options) for factor in (1, 10)]
    expected = [keras.Variable([1.0], name="kernel") for _ in singles]
    for pair in gradients:
        optimizer.apply([tf.constant([g]) for g in pair], variables)
        for single, gradient, variable in zip(singles, pair, expected, strict=True):
            single.apply([tf.constant([gradient])], [variable])
    for found, wanted in zip(variables, expected, strict=True):
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=2e-6)


@pytest.mark.parametrize("multiplied", [MultipliedSGD, MultipliedAdam])
def test_multiplied_optimisers_are_kept_with_their_models(multiplied):
    optimizer = multiplied(learning_rate=0.1, multipliers={"*": 2.0}, weight_decay=0.01)
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(restored) is multiplied
    assert restored.get_config() == optimizer.get_config()
    assert restored.multipliers == {"*": 2.0} and restored.own_decay == 0.01
    with pytest.raises(RecipeError, match="`weight_decay` of at least 0"):
        multiplied(weight_decay=-1.0)


def test_poly_schedule_golden():
    # LandslideNet: base 2.5e-4 over 15 x 2001 iterations.
    schedule = make_schedule("poly", 2.5e-4, steps=30_015, power=0.9)
    expected = {0: 2.5e-4, 1000: 2.424911e-4, 15_007: 1.339757e-4, 30_014: 2.33526e-8}
    for step, rate in expected.items():
        assert float(schedule(step)) == pytest.approx(rate, rel=2e-4), step

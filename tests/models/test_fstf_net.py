import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.datasets.synthetic_landslides import generate_tile
from landslide_tf.errors import ModelError
from landslide_tf.models import fstf_net, rae_d
from landslide_tf.models.prediction import prediction_function
from tests.contracts.segmentation_model import draw_inputs, loss_of, settle

SMALL = {
    "num_classes": 3,
    "width": 0.125,
    "backbone": "resnet18",
    "backbone_layout": "torchvision",
}


def made(builder=fstf_net, **arguments):
    keras.utils.set_random_seed(1)
    return settle(builder(**{**SMALL, **arguments}))


def depends_on_factors(model):
    inputs = draw_inputs(model, 1, 37, 53)
    other = {**inputs, "factors": inputs["factors"][:, ::-1]}
    return not np.array_equal(model(inputs), model(other))


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["concat", "sum", "multiply", "max", "stack"])
def test_every_fusion_uses_the_factors(fusion):
    assert depends_on_factors(made(fusion=fusion))


BRANCHES = {"terrain": ("slope", "aspect"), "vegetation": ("ndvi",)}


def test_one_named_branch_is_the_network_of_a_list():
    kinds = ("slope", "aspect", "ndvi")
    one, other = made(factors=kinds), made(factors={"terrain": kinds})
    assert [v.path for v in one.weights] == [v.path for v in other.weights]
    inputs = draw_inputs(one, 1, 37, 53)
    np.testing.assert_array_equal(one(inputs), other(inputs))


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["concat", "sum", "multiply", "max"])
def test_branches_are_fused_as_equation_1_says(fusion):
    """The fused map is recomputed by NumPy from the features of the branches."""
    model = made(fusion=fusion, factors=BRANCHES)
    sizes = [model.get_layer(f"fac_{n}_conv1_1_conv").kernel.shape[2] for n in BRANCHES]
    assert sizes == [2, 1]
    names = [f"fac_{name}_conv5_3_relu" for name in BRANCHES]
    names = ["aspp_proj_relu", *names]
    outputs = [model.get_layer(name).output for name in names]
    end = "fusion_relu" if fusion == "concat" else f"fusion_{fusion}"
    inner = keras.Model(model.inputs, [*outputs, model.get_layer(end).output])
    *maps, fused = map(np.asarray, inner(draw_inputs(model, 1, 37, 53)))

    def projected(x, name):
        kernel = model.get_layer(f"{name}_conv").get_weights()[0][0, 0]
        gamma, beta, mean, variance = model.get_layer(f"{name}_bn").get_weights()
        scaled = (x @ kernel - mean) / np.sqrt(variance + 1e-5) * gamma + beta
        return np.maximum(scaled, 0)

    if fusion == "concat":
        expected = projected(np.concatenate(maps, -1), "fusion")
    else:
        own = [
            projected(x, f"fusion_{n}") for x, n in zip(maps[1:], BRANCHES, strict=True)
        ]
        merge = {"sum": np.add, "multiply": np.multiply, "max": np.maximum}[fusion]
        expected = merge(merge(maps[0], own[0]), own[1])
    np.testing.assert_allclose(fused, expected, rtol=1e-3, atol=1e-4)


def test_a_branch_sees_its_own_factors_alone():
    model = made(factors=BRANCHES)
    feature = model.get_layer("fac_vegetation_conv5_3_relu").output
    inner = keras.Model(model.inputs[1], feature)
    drawn = np.array(draw_inputs(model, 1, 37, 53)["factors"])
    before = np.asarray(inner(drawn))
    for channel, same in ((0, True), (1, True), (2, False)):
        factors = drawn.copy()
        factors[..., channel] = factors[:, ::-1, :, channel]
        after = np.asarray(inner(factors))
        assert np.array_equal(before, after) == same


@pytest.mark.parametrize(
    ("fusion", "layer", "own"),
    [
        ("concat", "fusion_conv", 32),  # behind the context's 256 / 8 channels
        ("sum", "fusion_conv", 0),
        ("stack", "conv1_conv", 3),  # behind the image's bands
    ],
)
def test_without_fusion_weights_the_factors_do_nothing(fusion, layer, own):
    model = made(fusion=fusion)
    assert depends_on_factors(model)
    kernel = model.get_layer(layer).kernel
    values = kernel.numpy()
    values[:, :, own:] = 0
    kernel.assign(values)
    assert not depends_on_factors(model)


def test_sum_without_fusion_weights_is_rae_d():
    model, plain = made(fusion="sum"), made(rae_d)
    for layer in plain.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    for layer in ("fusion_conv", "fusion_bn"):
        variables = model.get_layer(layer).weights
        for variable in variables:
            if not variable.path.endswith("variance"):
                variable.assign(np.zeros(variable.shape))
    inputs = draw_inputs(model, 1, 37, 53)
    np.testing.assert_allclose(model(inputs), plain(inputs), atol=1e-6)


def test_stack_without_factor_kernels_is_rae_d():
    model, plain = made(fusion="stack"), made(rae_d)
    kernel = model.get_layer("conv1_conv").kernel
    values = kernel.numpy()
    values[:, :, 3:] = 0
    kernel.assign(values)
    for layer in plain.layers:
        if layer.weights:
            weights = model.get_layer(layer.name).get_weights()
            if layer.name == "conv1_conv":
                weights[0] = weights[0][:, :, :3]
            layer.set_weights(weights)
    inputs = draw_inputs(model, 1, 37, 53)
    np.testing.assert_allclose(model(inputs), plain(inputs), atol=1e-5)


@pytest.mark.parametrize("output_stride", [8, 32])
def test_other_output_strides_fuse_on_one_grid(output_stride):
    model = made(output_stride=output_stride)
    assert model(draw_inputs(model, 1, 37, 53)).shape == (1, 37, 53, 3)


def test_skips_are_reduced_features():
    model = fstf_net(input_shape=(64, 96, 3), width=0.25)
    assert model.get_layer("dec1_skip_conv").input.shape == (None, 8, 12, 32)
    assert model.get_layer("dec2_skip_conv").input.shape == (None, 16, 24, 16)
    assert model.get_layer("fusion_conv").input.shape == (None, 4, 6, 64 + 128)


def test_any_factors_and_bands():
    model = fstf_net(
        input_shape=(None, None, 5),
        normalization=([0.5] * 5, 0.25, 255),
        factors=["slope", ["standardise", 3000, 400]],
        **SMALL,
    )
    image = np.zeros((1, 20, 30, 5), "float32")
    factors = np.full((1, 20, 30, 2), np.nan, "float32")
    assert np.isfinite(model({"image": image, "factors": factors})).all()


def test_raw_values_are_read_in_float32_under_a_mixed_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = fstf_net(**SMALL)
    finally:
        keras.config.set_dtype_policy("float32")
    raw = [v for v in model.layers if v.name.startswith(("image_", "factors_"))]
    final = ["logits_conv", "logits_resize", "logits", "probabilities"]
    layers = raw + [model.get_layer(v) for v in final]
    assert len(layers) == 8
    assert {v.compute_dtype for v in layers} == {"float32"}
    assert model.get_layer("fac_conv1_1_conv").compute_dtype == "bfloat16"
    encoder = keras.Model(model.inputs, model.get_layer("factors_encode").output)
    factors = np.full((1, 16, 16, 3), 359, "float32")  # 360 in bfloat16
    encoded = encoder({"image": np.zeros_like(factors), "factors": factors})
    assert float(encoded[0, 0, 0, 1]) == pytest.approx(359 / 360, abs=1e-6)


def test_a_graph_of_unknown_sizes_has_finite_gradients():
    model = made(classifier_activation=None)
    inputs = draw_inputs(model, 2, 37, 53)
    labels = tf.constant(np.random.default_rng(2).integers(0, 3, (2, 37, 53)))
    unknown = {
        name: tf.TensorSpec((None, None, None, value.shape[-1]))
        for name, value in inputs.items()
    }

    @tf.function(
        autograph=False,
        input_signature=[unknown, tf.TensorSpec((None, None, None), labels.dtype)],
    )
    def gradients(inputs, labels):
        values = [v.value for v in model.trainable_variables]
        with tf.GradientTape() as tape:
            loss = loss_of(model(inputs, training=True), labels)
        return tape.gradient(loss, values)

    assert all(np.isfinite(found).all() for found in gradients(inputs, labels))


@pytest.mark.slow  # the graph above, as `fit` makes it
def test_fit_of_unknown_sizes_from_a_dataset():
    model = made(classifier_activation=None)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    inputs = draw_inputs(model, 4, 37, 53)
    labels = np.random.default_rng(2).integers(0, 3, (4, 37, 53, 1))
    data = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(2)
    history = model.fit(data, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def two_tiles():
    """Raw inputs and labels of two generated tiles, where slope parts two classes."""
    tiles = [generate_tile(11, 0, "train", index, size=64) for index in range(2)]
    factors = [[tile[name] for name in ("slope", "aspect", "ndvi")] for tile in tiles]
    inputs = {
        "image": np.stack([tile["image"] for tile in tiles]).astype("float32"),
        "factors": np.moveaxis(np.array(factors), 1, -1),
    }
    return inputs, np.stack([tile["mask"] for tile in tiles]).astype("int32")


@pytest.mark.integration
def test_overfits_two_tiles():
    keras.utils.set_random_seed(2)
    model = fstf_net(
        **{**SMALL, "num_classes": 6, "dropout": 0, "classifier_activation": None}
    )
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(model.trainable_variables)
    inputs, labels = two_tiles()

    @tf.function(autograph=False)  # a third of what `fit` and `predict` trace
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(model(inputs, training=True), labels)
        values = [v.value for v in model.trainable_variables]
        optimizer.apply(tape.gradient(loss, values), model.trainable_variables)

    for _ in range(150):
        step()
    correct = np.argmax(model(inputs), -1) == labels
    assert np.bincount(labels.ravel()).max() / labels.size < 0.9
    assert correct.mean() > 0.97
    # Landslide and bare ground have one colour: only slope tells them apart.
    assert correct[(labels == 0) | (labels == 5)].mean() > 0.9


def test_warns_of_a_training_batch_of_one():
    model = fstf_net(**SMALL)
    with pytest.warns(UserWarning, match="at least 2 images"):
        model(draw_inputs(model, 1, 32, 32), training=True)


@pytest.mark.slow
def test_fit_compiled_by_xla():
    model = made(classifier_activation=None)
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    labels = np.random.default_rng(2).integers(0, 3, (2, 37, 53, 1))
    inputs = {k: v.numpy() for k, v in draw_inputs(model, 2, 37, 53).items()}
    history = model.fit(inputs, labels, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"fusion": "add"}, "fusion"),
        ({"factors": []}, "at least one"),
        ({"factors": ["slope", "aspct"]}, "Did you mean `aspect`"),
        ({"aspect_encoding": "sin"}, "aspect_encoding"),
        ({"num_classes": 0}, "num_classes"),
        ({"num_classes": 1}, "sigmoid"),
        ({"classifier_activation": "relu"}, "classifier_activation"),
        ({"dropout": 1.0}, "dropout"),
        ({"skip_channels": 0}, "skip_channels"),
        ({"input_shape": (64, 64)}, "input_shape"),
        ({"input_shape": (64, 64, None)}, "input_shape"),
        ({"input_shape": (None, None, 4)}, "bands"),
        ({"width": 0}, "width"),
    ],
)
def test_refuses(arguments, word):
    with pytest.raises(ModelError, match=word) as caught:
        fstf_net(**{**SMALL, **arguments})
    assert "\n" not in str(caught.value)


def test_one_class_with_sigmoid():
    model = made(num_classes=1, classifier_activation="sigmoid")
    y = model(draw_inputs(model, 1, 37, 53)).numpy()
    assert y.shape == (1, 37, 53, 1)
    assert ((y > 0) & (y < 1)).all()


def test_image_and_factors_of_two_sizes_are_refused():
    model = made()
    inputs = draw_inputs(model, 1, 37, 53)
    other = {**inputs, "factors": inputs["factors"][:, :33]}
    with pytest.raises(ModelError, match=r"one height and width.*37, 53.*33, 53"):
        model(other)
    with pytest.raises(ModelError, match=r"one height and width"):
        model.predict(other, verbose=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="one height and width"):
        prediction_function(model)({k: np.asarray(v) for k, v in other.items()})

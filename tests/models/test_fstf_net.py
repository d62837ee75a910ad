import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import ModelError
from landslide_tf.models import fstf_net, rae_d
from tests.contracts.segmentation_model import draw_inputs, settle

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


@pytest.mark.parametrize("fusion", ["concat", "sum", "multiply", "max", "stack"])
def test_every_fusion_uses_the_factors(fusion):
    assert depends_on_factors(made(fusion=fusion))


def test_without_fusion_weights_the_factors_do_nothing():
    model = made()
    kernel = model.get_layer("fusion_conv").kernel
    values = kernel.numpy()
    context = model.get_layer("aspp_proj_relu").output.shape[-1]
    values[:, :, context:] = 0
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


def test_fit_of_unknown_sizes_from_a_dataset():
    model = made(classifier_activation=None)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    inputs = draw_inputs(model, 4, 37, 53)
    labels = np.random.default_rng(2).integers(0, 3, (4, 37, 53, 1))
    data = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(2)
    history = model.fit(data, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def tiles():
    """Two tiles in which colour tells two classes apart and slope the other two."""
    random = np.random.default_rng(7)
    labels = np.ones((2, 96, 96), "int32")
    y, x = np.mgrid[:96, :96]
    for tile in range(2):
        for label in (0, 2, 3, 0, 3):
            cy, cx = random.integers(12, 84, 2)
            labels[tile][np.hypot(y - cy, x - cx) < random.integers(8, 18)] = label
    palette = np.array([[160, 140, 110], [50, 100, 50], [30, 80, 110], [160, 140, 110]])
    slope = np.array([35.0, 20.0, 0.0, 5.0])[labels]
    noise = random.normal(0, 5, (2, 96, 96, 3))
    factors = np.stack([slope, np.full_like(slope, 90), np.zeros_like(slope)], -1)
    image = np.clip(palette[labels] + noise, 0, 255)
    return {"image": image.astype("f4"), "factors": factors.astype("f4")}, labels


def test_overfits_two_tiles():
    keras.utils.set_random_seed(2)
    model = fstf_net(4, width=0.125, dropout=0, classifier_activation=None)
    model.compile(
        keras.optimizers.Adam(3e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    inputs, labels = tiles()
    data = tf.data.Dataset.from_tensors((inputs, labels)).repeat(100)
    model.fit(data, shuffle=False, verbose=0)
    correct = model.predict(inputs, verbose=0).argmax(-1) == labels
    assert np.mean(labels == 1) < 0.9
    assert correct.mean() > 0.97
    # Two classes of one colour: only slope tells them apart.
    assert correct[(labels == 0) | (labels == 3)].mean() > 0.9


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

import keras
import numpy as np
import pytest

from landslide_tf.errors import ModelError
from landslide_tf.models.backbones import resnet

SHAPE = (None, None, 3)


def encoder(*args, level="C5", **kwargs):
    image = keras.Input(SHAPE)
    features = resnet(image, *args, **kwargs)
    return keras.Model(image, features if level is None else features[level])


def draw(height, width, batch=1):
    random = np.random.default_rng(1)
    return random.normal(size=(batch, height, width, 3)).astype("float32")


def randomise_statistics(model):
    """Gives batch normalisation values that an error would not pass unseen."""
    random = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            n = layer.gamma.shape[0]
            layer.set_weights(
                [
                    random.uniform(0.5, 1.0, n),
                    random.normal(0, 0.1, n),
                    random.normal(0, 0.1, n),
                    random.uniform(0.5, 1.5, n),
                ]
            )


def test_equals_keras_applications():
    reference = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=SHAPE
    )
    randomise_statistics(reference)
    ours = encoder("resnet50", output_stride=32)
    assert ours.count_params() == reference.count_params() == 23_587_712
    for layer in reference.layers:
        if layer.weights:
            ours.get_layer(layer.name).set_weights(layer.get_weights())
    x = draw(64, 96)
    expected = reference(x)
    np.testing.assert_allclose(
        ours(x), expected, atol=1e-4 * float(np.abs(expected).max())
    )


@pytest.mark.slow
@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize(
    ("backbone", "layout"),
    [
        ("resnet50", "keras"),
        ("resnet50", "torchvision"),
        ("resnet18", "torchvision"),
        ("resnet34", "torchvision"),
    ],
)
def test_removed_strides_are_a_trous(backbone, layout, output_stride):
    dense, strided = (
        encoder(backbone, layout=layout, output_stride=stride, width=0.125)
        for stride in (output_stride, 32)
    )
    randomise_statistics(dense)
    strided.set_weights(dense.get_weights())
    x, step = draw(64, 64), 32 // output_stride
    expected = strided(x)
    np.testing.assert_allclose(
        dense(x)[:, ::step, ::step],
        expected,
        atol=1e-5 * float(np.abs(expected).max()),
    )


@pytest.mark.parametrize("backbone", ["resnet18c", "resnet18d"])
def test_removed_strides_of_other_stems(backbone):
    test_removed_strides_are_a_trous(backbone, "torchvision", 16)


def test_a_shortcut_of_v1d_averages():
    """Two by two pixels, then a 1 × 1 convolution, where the block has a stride."""
    image = keras.Input(SHAPE)
    features = resnet(
        image, "resnet18d", layout="torchvision", output_stride=32, width=0.125
    )
    model = keras.Model(image, features)
    inner = {v.name: v for v in model.layers}
    assert "conv2_block1_0_pool" not in inner
    both = keras.Model(image, [features["C2"], inner["conv3_block1_0_conv"].output])
    feature, found = (np.asarray(v) for v in both(draw(64, 32)))
    mean = feature.reshape(1, 8, 2, 4, 2, -1).mean((2, 4))
    kernel = inner["conv3_block1_0_conv"].get_weights()[0][0, 0]
    np.testing.assert_allclose(found, mean @ kernel, atol=1e-5)


def dilations(model, prefix):
    return [
        layer.dilation_rate[0]
        for layer in model.layers
        if layer.name.startswith(prefix)
        and isinstance(layer, keras.layers.Conv2D)
        and layer.kernel_size == (3, 3)
    ]


@pytest.mark.parametrize(
    ("arguments", "conv4", "conv5"),
    [
        ({}, [1] * 6, [2, 2, 2]),
        ({"layout": "torchvision"}, [1] * 6, [1, 2, 2]),
        ({"layout": "torchvision", "output_stride": 8}, [1] + [2] * 5, [2, 4, 4]),
        ({"multi_grid": (1, 2, 4)}, [1] * 6, [2, 4, 8]),
        (
            {"layout": "torchvision", "multi_grid": [1, 2, 4], "output_stride": 8},
            [2] * 6,
            [4, 8, 16],
        ),
        ({"output_stride": 32}, [1] * 6, [1, 1, 1]),
    ],
)
def test_dilations(arguments, conv4, conv5):
    model = encoder("resnet50", width=0.125, **arguments)
    assert dilations(model, "conv4_") == conv4
    assert dilations(model, "conv5_") == conv5


@pytest.mark.parametrize("layout", ["keras", "torchvision"])
def test_levels(layout):
    model = encoder("resnet50", layout=layout, width=0.5, level=None)
    shapes = {k: tuple(v.shape) for k, v in model(draw(64, 96)).items()}
    assert shapes == {
        "C1": (1, 32, 48, 32),
        "C2": (1, 16, 24, 128),
        "C2_reduced": (1, 16, 24, 32),
        "C3": (1, 8, 12, 256),
        "C3_reduced": (1, 8, 12, 64),
        "C4": (1, 4, 6, 512),
        "C5": (1, 4, 6, 1024),
    }
    names = {k: v._keras_history.operation.name for k, v in model.output.items()}
    assert names["C3_reduced"] == "conv3_block4_1_relu"
    assert names["C2_reduced"] == "conv2_block3_1_relu"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "trainable"),
    # torchvision's counts less the 1000-class classifier
    [
        ("resnet18", 11_689_512 - 513_000),
        ("resnet34", 21_797_672 - 513_000),
        ("resnet50", 25_557_032 - 2_049_000),
        ("resnet101", 44_549_160 - 2_049_000),
        # OpenMMLab's and timm's
        ("resnet18d", 11_708_744 - 513_000),
        ("resnet50c", 25_576_264 - 2_049_000),
        ("resnet50d", 25_576_264 - 2_049_000),
    ],
)
def test_torchvision_counts(backbone, trainable):
    model = encoder(backbone, layout="torchvision")
    counts = [int(np.prod(v.shape)) for v in model.trainable_variables]
    assert sum(counts) == trainable


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"backbone": "resnet152"}, "resnet50"),
        ({"backbone": "resnet18"}, "torchvision"),
        ({"backbone": "resnet50d"}, "torchvision"),
        (
            {"backbone": "resnet18d", "layout": "torchvision", "output_stride": 8},
            "16 or 32",
        ),
        ({"layout": "pytorch"}, "torchvision"),
        ({"output_stride": 4}, "8, 16, 32"),
        ({"multi_grid": (1, 2)}, "3 rates"),
        ({"multi_grid": (0, 1, 2)}, "rates >= 1"),
        ({"multi_grid": (1, 2, 4), "output_stride": 32}, "received 32"),
    ],
)
def test_refuses(arguments, word):
    with pytest.raises(ModelError, match=word):
        encoder(**arguments)

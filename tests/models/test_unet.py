import keras
import numpy as np
import pytest

from landslide_tf.errors import ModelError
from landslide_tf.models import unet
from landslide_tf.models.backbones.applications import (
    APPLICATIONS,
    NORMALIZATIONS,
    application_encoder,
    check_application,
)
from landslide_tf.models.backbones.resnet import resnet
from tests.contracts.segmentation_model import draw_inputs

MOBILE = {"backbone": "MobileNetV2", "num_classes": 3, "width": 0.125}


def test_takes_skips_at_every_stride():
    model = unet(backbone="resnet18", backbone_layout="torchvision", width=0.125)
    joined = {
        level: model.get_layer(f"dec{level}_concat").input[1].name
        for level in (4, 3, 2, 1)
    }
    image = keras.Input((64, 64, 3))
    features = resnet(
        image, "resnet18", layout="torchvision", output_stride=32, width=0.125
    )
    sizes = {level: features[f"C{level}"].shape[1] for level in joined}
    assert sizes == {4: 4, 3: 8, 2: 16, 1: 32}
    for level in joined:
        skip = model.get_layer(f"dec{level}_concat").input[1]
        assert skip.shape[-1] == features[f"C{level}"].shape[-1]


@pytest.mark.integration
def test_mobile_net_as_encoder(tmp_path):
    model = unet(**MOBILE)
    # A batch, as one image of zero variance says little.
    inputs = draw_inputs(model, 2, 37, 53)
    expected = model(inputs)
    assert expected.shape == (2, 37, 53, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(inputs), expected)
    model.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(), run_eagerly=True
    )
    labels = np.zeros((2, 37, 53, 1))
    assert np.isfinite(model.train_on_batch(inputs, labels))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNet", "VGG16", "DenseNet121", "ResNet50V2"])
def test_levels_of_applications_lie_at_their_strides(name):
    features = application_encoder(keras.Input((64, 96, 4)), name)
    assert {k: v.shape[1:3] for k, v in features.items()} == {
        f"C{i}": (64 >> i, 96 >> i) for i in range(1, 6)
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_every_application_has_five_levels(name):
    features = application_encoder(keras.Input((64, 96, 3)), name)
    assert [v.shape[1] for _, v in sorted(features.items())] == [32, 16, 8, 4, 2]


def test_takes_weights_of_an_application(tmp_path):
    reference = keras.applications.MobileNetV2(include_top=False, weights=None)
    path = tmp_path / "mobile.weights.h5"
    random = np.random.default_rng(0)
    reference.set_weights([random.random(v.shape) for v in reference.get_weights()])
    reference.save_weights(path)
    model = unet(**MOBILE, backbone_weights=path)
    for layer in reference.layers:
        for a, b in zip(
            layer.get_weights(),
            model.get_layer(layer.name).get_weights() if layer.weights else [],
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    normalize = model.get_layer("image_normalize")
    assert normalize.normalization == [1.0, 1.0, 127.5]


@pytest.mark.parametrize(
    ("name", "preprocess"),
    [
        ("ResNet50", keras.applications.resnet.preprocess_input),
        ("MobileNetV2", keras.applications.mobilenet_v2.preprocess_input),
        ("DenseNet121", keras.applications.densenet.preprocess_input),
    ],
)
def test_normalisation_is_the_one_the_weights_expect(name, preprocess):
    from landslide_tf.layers import Normalize

    image = np.random.default_rng(0).uniform(0, 255, (1, 4, 4, 3)).astype("float32")
    ours = Normalize(NORMALIZATIONS[name])(image)
    np.testing.assert_allclose(ours, preprocess(image.copy()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"backbone": "MobileNetV"}, "Did you mean `MobileNet"),
        ({"backbone": "ConvNeXtTiny"}, "features at 1/2 to 1/32"),
        ({"backbone": "resnet18"}, "torchvision"),
        ({"backbone_weights": "imagenet"}, "`backbone_weights` needs a backbone"),
        ({**MOBILE, "backbone_weights": "absent.h5"}, "does not exist"),
        ({"dropout": 1}, "dropout"),
    ],
)
def test_refuses(arguments, word):
    with pytest.raises(ModelError, match=word):
        unet(**{"width": 0.125, **arguments})


def test_refuses_weights_that_do_not_fit(tmp_path):
    (tmp_path / "corrupt.weights.h5").write_bytes(b"no HDF5")
    with pytest.raises(ModelError, match=r"MobileNetV2`, received .*corrupt"):
        unet(**MOBILE, backbone_weights=tmp_path / "corrupt.weights.h5")
    with pytest.raises(ModelError, match="3 bands"):
        check_application("MobileNetV2", 4, "imagenet")

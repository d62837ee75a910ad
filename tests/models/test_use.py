"""Networks as people use them: arrays in, other classes, some layers fixed."""

import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf import models
from landslide_tf.errors import ModelError

IMAGE = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")


@pytest.fixture(scope="module")
def trained():
    model = models.unet(num_classes=2, width=0.05)
    for weight in model.weights:
        weight.assign(np.random.default_rng(1).random(weight.shape))
    return model


@pytest.fixture(scope="module", params=["net.keras", "net.weights.h5"])
def path(request, trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("use") / request.param
    (trained.save if path.suffix == ".keras" else trained.save_weights)(path)
    return path


def test_an_image_in_any_form_gives_no_warning(trained, tmp_path):
    trained.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    expected = trained.predict(IMAGE, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in (trained, loaded):
            for image in (IMAGE, tf.constant(IMAGE), [IMAGE], {"image": IMAGE}):
                np.testing.assert_allclose(model(image), expected, atol=1e-5)


def test_all_but_the_head_loads_for_other_classes(trained, path):
    model = models.unet(num_classes=5, width=0.05, weights=path, skip_head=True)
    assert model.output.shape[-1] == 5
    heads = [layer.name for layer in model.layers if layer.name == "logits_conv"]
    compared = 0
    for layer in model.layers:
        if layer.name in heads:
            continue
        theirs = trained.get_layer(layer.name).get_weights()
        for mine, value in zip(layer.get_weights(), theirs, strict=True):
            np.testing.assert_array_equal(mine, value)
            compared += 1
    assert heads == ["logits_conv"]
    assert compared == len(trained.weights) - 2


def test_the_same_head_is_left_out_as_well(trained, path):
    model = models.unet(num_classes=2, width=0.05, weights=path, skip_head=True)
    own, theirs = (m.get_layer("logits_conv").kernel for m in (model, trained))
    assert not np.allclose(own, theirs)


def test_other_classes_without_it_name_the_way(path):
    with pytest.raises(ModelError, match=r"`skip_head=True` for other classes\.$"):
        models.unet(num_classes=5, width=0.05, weights=path)


def test_another_body_is_refused_with_it_as_well(path):
    with pytest.raises(ModelError, match="must fit `unet`") as caught:
        models.unet(num_classes=5, width=0.1, weights=path, skip_head=True)
    assert "skip_head" not in str(caught.value)


def with_weights(builder, classes):
    model = models.get(builder)(num_classes=classes, width=0.05)
    return {x.name: [w.shape for w in x.weights] for x in model.layers if x.weights}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fcn_8s", "ada_net", "landslide_classifier", "unet"])
def test_the_head_is_what_depends_on_the_classes(name):
    two, three = with_weights(name, 2), with_weights(name, 3)
    model = models.get(name)(num_classes=2, width=0.05)
    frozen = [x for x in models.freeze(model, "head") if x in two]
    assert frozen == [name for name in two if two[name] != three[name]]


def test_freezing(trained):
    model = keras.models.clone_model(trained)
    frozen = models.freeze(model, "encoder", "dec4_*")
    assert all(name.startswith(("enc", "dec4_")) for name in frozen)
    trainable = {v.path.split("/")[-2] for v in model.trainable_variables}
    assert trainable and not trainable & set(frozen)
    models.freeze(model, "bn")
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert norms and not any(norm.trainable for norm in norms)
    with pytest.raises(ModelError, match=r"`encodr` fits no layer.*`encoder`"):
        models.freeze(model, "encodr")


def test_numbers_of_numpy_are_numbers():
    model = models.fstf_net(
        num_classes=np.int64(2),
        input_shape=(None, None, np.int32(4)),
        normalization=(0.0, 1.0, 1.0),
        width=0.05,
        backbone="resnet18",
        backbone_layout="torchvision",
    )
    assert model.output.shape[-1] == 2
    json.dumps(model.get_config())
    discriminator = models.output_space_discriminator(np.int64(2), filters=np.int16(4))
    json.dumps(discriminator.get_config())


@pytest.mark.parametrize(
    "arguments",
    [
        {"input_shape": None},
        {"input_shape": 3},
        {"input_shape": (None, None, 3.5)},
        {"num_classes": 2.0},
        {"num_classes": None},
    ],
)
@pytest.mark.parametrize("builder", [models.unet, models.landslide_classifier])
def test_other_values_are_one_line(builder, arguments):
    name = next(iter(arguments))
    with pytest.raises(ModelError, match=f"`{name}` must be") as caught:
        builder(width=0.05, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backbone", ["resnet50", "VGG16"])
def test_backbone_weights_name_the_formats_they_take(trained, tmp_path, backbone):
    trained.save(tmp_path / "net.keras")
    with pytest.raises(ModelError, match=r"`\.weights\.h5` or `\.h5` file"):
        models.unet(backbone=backbone, backbone_weights=tmp_path / "net.keras")

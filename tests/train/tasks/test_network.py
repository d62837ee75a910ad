"""`model.stem` of a recipe: bands by name."""

import fnmatch

import pytest

from landslide_tf import models
from landslide_tf.errors import RecipeError
from landslide_tf.models.layer_groups import LAYER_GROUPS
from landslide_tf.train import load_recipe
from landslide_tf.train.tasks import task_of
from landslide_tf.train.tasks.network import builder_arguments

BANDS = "data.image=[nir, red, green, swir]"


def arguments(stem):
    recipe = load_recipe("rae_d_synthetic", [BANDS, f"model.stem={stem}"])
    return builder_arguments(recipe, 6)


def test_bands_are_named_in_the_order_of_the_image():
    found = arguments("{green: green, nir: red, red: red}")
    assert found["stem"] == ("red", "red", "green", None)
    assert found["input_shape"] == (None, None, 4)
    assert arguments("zero")["stem"] == "zero"
    assert "stem" not in arguments("null")


def test_a_trained_network_is_built_without_it():
    task = task_of(load_recipe("rae_d_synthetic"))
    assert "stem" not in task.trained_arguments(arguments("repeat"))


@pytest.mark.parametrize(
    ("stem", "message"),
    [
        ("{swri: red}", "`swri`.*Did you mean `swir`"),
        ("repat", "`model.stem`.*'repeat' or 'zero'"),
        ("{nir: infrared}", "`model.stem"),
    ],
)
def test_stems_that_do_not_fit(stem, message):
    with pytest.raises(RecipeError, match=message) as caught:
        arguments(stem)
    assert "\n" not in str(caught.value) and "literal[" not in str(caught.value)


@pytest.mark.parametrize(
    "backbone", ["repvgg_a0", "resnet18", "swin_tiny", "vit_tiny", "efficientnet_lite0"]
)
def test_the_encoder_is_all_but_the_classifier(backbone):
    model = models.landslide_classifier(backbone=backbone, width=0.125)
    left = {
        weight.path.split("/")[0]
        for weight in model.weights
        if not any(fnmatch.fnmatch(weight.path, p) for p in LAYER_GROUPS["encoder"])
    }
    assert left == {"logits"}


def test_the_encoder_of_a_map_leaves_its_decoder():
    model = models.rae_d(backbone="efficientnet_lite0", width=0.125)
    left = [
        layer.name
        for layer in model.layers
        if layer.weights
        and not any(fnmatch.fnmatch(layer.name, p) for p in LAYER_GROUPS["encoder"])
    ]
    assert {name.split("_")[0] for name in left} == {"aspp", "dec1", "dec2", "logits"}


def test_the_final_network_sees_what_the_trained_one_saw():
    task = task_of(load_recipe("rae_d_synthetic"))
    for backbone, expected in (
        ("efficientnet_lite0", (127.0, 128.0, 1.0)),
        ("MobileNetV2", (1.0, 1.0, 127.5)),
        ("resnet50", "caffe"),
    ):
        given = {"backbone": backbone, "backbone_weights": "imagenet"}
        assert task.trained_arguments(given)["normalization"] == expected

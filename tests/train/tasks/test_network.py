"""`model.stem` of a recipe: bands by name."""

import pytest

from landslide_tf.errors import RecipeError
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

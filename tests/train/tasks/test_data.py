"""What a recipe takes from its data: numbers in place of rules, or one line."""

from dataclasses import replace

import numpy as np
import pytest

from landslide_tf.errors import DataError, LandslideTFError, RecipeError
from landslide_tf.pipelines import Channel, DataDescription, from_examples
from landslide_tf.train import load_recipe
from landslide_tf.train.tasks.data import input_selection, resolve
from landslide_tf.train.tasks.network import (
    build_model,
    builder_arguments,
    describe_model,
)

RECIPE = """
description: made up
source: made up
data:
  name: made
  image: [red, green, blue]
  factors: [slope, aspect, heat]
  fill: {heat: median, slope: 2.5}
model: {name: fstf_net, arguments: {width: 0.125}}
loss: {class_weights: median_frequency}
"""
SHARES = (0.5, 0.375, 0.125)


@pytest.fixture
def recipe(tmp_path):
    def made(*changes):
        (tmp_path / "made.yaml").write_text(RECIPE)
        return load_recipe(tmp_path / "made.yaml", changes)

    return made


@pytest.fixture(scope="module")
def store():
    """Tiles of 8 × 8 with three classes of known shares and a channel with gaps."""
    channels = {
        name: Channel(name, "image", k, range=(0, 255))
        for k, name in enumerate(("red", "green", "blue"))
    }
    for k, (name, unit) in enumerate(
        (("slope", "degree"), ("aspect", "degree"), ("heat", "kelvin"))
    ):
        channels[name] = Channel(name, "factors", k, unit)
    random = np.random.default_rng(8)
    classes = np.repeat(np.arange(3, dtype=np.uint8), [32, 24, 8])
    examples = []
    for number in range(4):
        factors = random.normal(10.0, 3.0, (8, 8, 3)).astype(np.float32)
        factors[..., 2] = 250 + 10 * number
        factors[0, 0, 2] = np.nan
        examples.append(
            {
                "image": random.integers(0, 255, (8, 8, 3)).astype(np.uint8),
                "factors": factors,
                "mask": random.permutation(classes).reshape(8, 8),
                "id": str(number),
            }
        )
    names = ("rest", "slide", "road")
    return from_examples(examples, DataDescription("made", "train", channels, names, 1))


def test_rules_become_numbers_of_the_training_split(recipe, store):
    written = recipe()
    found = resolve(written, store)
    expected = np.median(SHARES) / np.array(SHARES)
    np.testing.assert_allclose(found.loss.class_weights, expected)
    assert found.data.fill == {"heat": pytest.approx(265.0), "slope": 2.5}
    kinds = found.model.arguments["factors"]
    assert kinds[:2] == ["slope", "aspect"]
    name, mean, deviation = kinds[2]
    assert name == "standardise"
    assert mean == pytest.approx(265.0, abs=0.5)
    assert deviation == pytest.approx(np.std([250, 260, 270, 280]), rel=0.05)
    assert written.loss.class_weights == "median_frequency"
    assert written.data.fill["heat"] == "median"


def test_a_recipe_may_fill_what_it_does_not_read(recipe, store):
    found = resolve(recipe("data.factors=[slope, aspect]"), store)
    assert found.data.fill == {"slope": 2.5}
    assert len(found.model.arguments["factors"]) == 2


def test_a_resolved_recipe_stays_as_it_is(recipe, store):
    once = resolve(recipe(), store)
    assert resolve(once, store) == once
    selection = input_selection(once)
    assert selection.image == ("red", "green", "blue")
    assert selection.fill == {"heat": pytest.approx(265.0), "slope": 2.5}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("data.fill={dem: 0}", RecipeError, "`data.fill` names `dem`"),
        ("loss.class_weights=[1, 2]", RecipeError, r"expected 3 weights \(rest, slide"),
        ("data.image_scale=255", RecipeError, "`red` of up to 255 times 255"),
        ("data.image=[red, green, nir]", DataError, "`nir`"),
    ],
)
def test_what_does_not_fit_the_data_is_one_line(recipe, store, change, error, message):
    with pytest.raises(error, match=message) as caught:
        resolve(recipe(change), store)
    assert "\n" not in str(caught.value)


BRANCHES = "model.branches={heat: [heat], terrain: [slope, aspect]}"


def test_branches_go_from_the_recipe_to_the_metadata(recipe, store, tmp_path):
    found = resolve(recipe(BRANCHES), store)
    # The channels of the input come in the order of the branches.
    assert input_selection(found).factors == ("heat", "slope", "aspect")
    kinds = found.model.arguments["factors"]
    assert kinds["terrain"] == ["slope", "aspect"] and len(kinds["heat"]) == 1
    assert kinds["heat"] == resolve(recipe(), store).model.arguments["factors"][2:]
    found.write(tmp_path / "resolved.yaml")
    again = load_recipe(tmp_path / "resolved.yaml")
    assert resolve(again, store) == again == found
    arguments = builder_arguments(again, 3)
    model = build_model("fstf_net", arguments, activation=None)
    assert model.get_layer("fac_heat_conv1_1_conv").kernel.shape[2] == 1
    assert model.get_layer("fac_terrain_conv1_1_conv").kernel.shape[2] == 2
    assert describe_model(again, model, store, arguments, "made").terrain is None
    how = {"distances": "ground", "derive": "before"}
    store = replace(store, description=replace(store.description, terrain=how))
    metadata = describe_model(again, model, store, arguments, "made")
    assert (metadata.terrain.distances, metadata.terrain.derive) == tuple(how.values())
    assert [(f.name, f.branch) for f in metadata.factors] == [
        ("heat", "heat"),
        ("slope", "terrain"),
        ("aspect", "terrain"),
    ]
    read = type(metadata).read(metadata.write(tmp_path))
    assert read == type(metadata).read(tmp_path)
    assert list(read.arguments["factors"]) == ["heat", "terrain"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.branches={a: [slope, aspect]}"], "once"),
        (["model.branches={a: [slope, aspect, heat], b: [slope]}"], "once"),
        (["model.branches={a: [slope, aspect, heat], b: []}"], "once"),
        (["model.branches={'a b': [slope, aspect], c: [heat]}"], "letters, digits"),
        ([BRANCHES, "model.arguments.factors=[slope, aspect, ndvi]"], "the branches"),
        (
            [BRANCHES, "model.arguments.factors={heat: [ndvi], terrain: [slope]}"],
            "one kind for each",
        ),
    ],
)
def test_branches_that_do_not_fit_are_one_line(recipe, changes, message):
    with pytest.raises(LandslideTFError, match=message) as caught:
        recipe(*changes)
    assert "\n" not in str(caught.value)


def test_another_normalisation_takes_any_range(recipe, store):
    own = "model.arguments.normalization=[[1, 1, 1], [2, 2, 2], 1]"
    found = resolve(recipe("data.image_scale=255", own), store)
    assert found.data.image_scale == 255

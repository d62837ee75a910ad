import re
from pathlib import Path

import pytest
import yaml

from landslide_tf.errors import ModelError, RecipeError
from landslide_tf.train import load_recipe, shipped_recipes
from landslide_tf.train.tasks.compilation import make_rate

SMALL = {
    "description": "d",
    "source": "s",
    "data": {"name": "synthetic_landslides/tiny", "image": ["red", "green", "blue"]},
    "model": {"name": "rae_d"},
}


@pytest.fixture
def write(tmp_path):
    def write_recipe(content):
        path = tmp_path / "recipe.yaml"
        path.write_text(
            content if isinstance(content, str) else yaml.safe_dump(content)
        )
        return path

    return write_recipe


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_shipped_recipe_is_valid_and_survives_writing(name, tmp_path):
    recipe = load_recipe(name)
    recipe.write(tmp_path / "again.yaml")
    assert load_recipe(tmp_path / "again.yaml") == recipe


FOLDERS = ("recipes", "benchmark/grids", "continual/recipes")
TRAIN = Path(__file__).parents[3] / "train"


@pytest.mark.parametrize(
    "file", sorted(f for folder in FOLDERS for f in (TRAIN / folder).glob("*.yaml")),
    ids=lambda file: file.stem,
)  # fmt: skip
def test_every_file_starts_with_its_command_time_and_score(file):
    comment = re.match(r"(# .*\n)+", file.read_text("utf-8"))
    text = " ".join(comment[0].replace("#", "").split())
    found = re.fullmatch(r"landslide-tf (.+) Time: (.+)\. Score: (.+)\.", text)
    assert file.stem in found[1].split()
    for value in found.group(2, 3):
        assert value == "not measured" or re.search(r"\((README|\w+/\w+)\.md\)$", value)


def test_the_paper_recipe_has_the_paper_numbers():
    recipe = load_recipe("fstf_net_mangkam")
    optimizer, schedule = recipe.optimizer, recipe.schedule
    assert optimizer.name == "coupled_sgd"
    assert (optimizer.learning_rate, optimizer.momentum) == (1e-3, 0.9)
    assert (optimizer.weight_decay, optimizer.decay) == (5e-4, "all")
    assert (schedule.kind, schedule.steps, schedule.factor) == ("step", 15000, 0.1)
    assert recipe.training.epochs == 300
    # The rate falls within the run, whatever the number of patches.
    last = recipe.training.epochs * recipe.training.steps - 1
    rate = make_rate(recipe, recipe.training.steps, optimizer.learning_rate)
    rates = [float(rate(step)) for step in (0, 14_999, 15_000, last)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])


def test_values_are_changed_by_path(write):
    changes = ["optimizer.learning_rate=0.5", "model.arguments.width=0.25"]
    recipe = load_recipe(write(SMALL), changes)
    assert recipe.optimizer.learning_rate == 0.5
    assert recipe.model.arguments == {"width": 0.25}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epoch=3", "unknown key `training.epoch`.*`epochs`"),
        ("trainin.epochs=3", "unknown key `trainin`.*`training`"),
        ("training.epochs=0", "`training.epochs`.*received `0`"),
        ("training.epochs=many", "`training.epochs`.*received `many`"),
        ("training.devices=0", "`training.devices`: .*or `all`, received `0`"),
        ("training.devices=few", "`training.devices`: .*or `all`, received `few`"),
        ("training.epochs", "section.key=value"),
        ("description.x=1", "is a value, not a section"),
        ("optimizer.name=adamx", "`optimizer.name`.*adamw.*received `adamx`"),
        ("model.arguments.witdh=1", "no argument `witdh`.*`width`"),
        ("data.factors=[slope]", "takes no `factors`"),
        ("model.name=fstf_net", "needs `data.factors`"),
        ("data.image=3", "`data.image`"),
    ],
)
def test_a_wrong_key_or_value_is_one_line_that_names_it(write, change, message):
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(write(SMALL), [change])
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named(write):
    with pytest.raises(RecipeError, match=r"`data.name` is missing"):
        load_recipe(write({**SMALL, "data": {"image": ["red"]}}))


def test_an_unknown_model_names_near_ones(write):
    with pytest.raises(ModelError, match="`rae_d`"):
        load_recipe(write({**SMALL, "model": {"name": "raed"}}))


@pytest.mark.parametrize("content", ["a: [1", "- 1\n- 2", "", "\x00"])
def test_a_file_that_is_no_recipe_is_refused(write, content):
    with pytest.raises(RecipeError):
        load_recipe(write(content))


def test_missing_recipes_name_near_ones_or_the_file():
    with pytest.raises(RecipeError, match="`fstf_net_synthetic`"):
        load_recipe("fstf_net_synthetik")
    with pytest.raises(RecipeError, match=r"`nowhere.yaml` does not exist"):
        load_recipe("nowhere.yaml")

"""Searches around a continual recipe: what is drawn, scored, kept, gone on with."""

import csv

import pytest

from landslide_tf.errors import RecipeError, RunError
from landslide_tf.train import load_continual_recipe, tune_continual
from landslide_tf.train.continual import search as module
from landslide_tf.train.continual.run import ContinualFolder
from landslide_tf.train.continual.search import ContinualSpace, step_score
from landslide_tf.train.run.folder import RunFolder

RECIPE = """
description: made for tests
source: made up
regions:
  - {name: one, data: a}
  - {name: two, data: b}
  - {name: three, data: c}
data: {image: [red, green, blue]}
model: {inputs: post}
base: {learning_rate: 0.01}
joint: {strength: 3}
"""
NAMES = [
    "base.learning_rate",
    "joint.learning_rate",
    "joint.strength",
    "model.dropout",
    "training.batch_size",
    "joint.preservation",
]


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return load_continual_recipe(path)


def history(place, rows):
    """Writes the epochs of the joint stages of two steps."""
    for step, values in enumerate(rows, 1):
        path = place.state / "history" / f"{step}_joint.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as stream:
            writer = csv.DictWriter(stream, values[0])
            writer.writeheader()
            writer.writerows(values)


def row(dice, moved, strength=1.0, soft_iou=0.5):
    return {
        "val_loss": dice + strength * moved,
        "val_dice": dice,
        "val_preservation": moved,
        "val_soft_iou": soft_iou,
    }


@pytest.fixture
def made_up(monkeypatch):
    """Trainings that take no time: the nearer the joint rate to 3e-4 the better."""

    class MadeUp:
        trained, resumed = [], []

    class Network:
        def count_params(self):
            return 5

    def train(recipe, folder, session):
        place = ContinualFolder(folder)
        place.path.mkdir(parents=True)
        recipe.write(place.run.recipe)
        MadeUp.trained.append(recipe)
        if len(MadeUp.trained) == 3 and not MadeUp.resumed:
            raise KeyboardInterrupt
        return finish(recipe, place)

    def resume(folder, session):
        place = ContinualFolder(folder)
        MadeUp.resumed.append(folder)
        return finish(place.read_recipe(), place)

    def finish(recipe, place):
        dice = abs(recipe.joint.learning_rate - 3e-4)
        history(place, [[row(dice, 0.0)]] * 2)
        return place

    MadeUp.trained, MadeUp.resumed = [], []
    monkeypatch.setattr(module, "train_continual", train)
    monkeypatch.setattr(module, "resume_continual", resume)
    monkeypatch.setattr(RunFolder, "load_model", lambda self: Network())
    return MadeUp


def test_the_space_holds_the_recipe_and_stays_in_its_ranges(recipe):
    space = ContinualSpace.around(recipe)
    assert [d.name for d in space.dimensions] == NAMES
    assert space.recipe_at(space.draw(0, seed=5)) == recipe
    drawn = [space.recipe_at(space.draw(k, seed=5)) for k in range(1, 60)]
    # The recipe's own rate widens the range.
    assert all(1e-4 <= r.base.learning_rate <= 0.01 for r in drawn)
    assert all(1e-5 <= r.joint.learning_rate <= 1e-3 for r in drawn)
    assert {r.joint.strength for r in drawn} == {0.3, 1, 3, 10}
    assert {r.model.dropout for r in drawn} == {None, 0, 0.1, 0.2}
    assert {r.training.batch_size for r in drawn} == {2, 4, 8}
    assert {r.joint.preservation for r in drawn} == {"mse", "kd_kl"}
    assert len({r.joint.learning_rate for r in drawn}) > 50
    assert space.draw(7, seed=5) == space.draw(7, seed=5) != space.draw(7, seed=6)


def test_what_cannot_be_searched_is_refused(recipe):
    with pytest.raises(RecipeError, match=r"joint.strength.*received `joint.strenght`"):
        ContinualSpace.around(recipe, ["joint.strenght"])
    with pytest.raises(RecipeError, match="two regions"):
        ContinualSpace.around(recipe.model_copy(update={"regions": recipe.regions[:1]}))
    only = ContinualSpace.around(recipe, ["joint.strength"])
    assert [d.name for d in only.dimensions] == ["joint.strength"]


def test_a_trial_does_not_win_by_caring_less(recipe, tmp_path):
    place = ContinualFolder(tmp_path / "run")
    # The trial's own λ is 0.3: its epochs are selected by that, scored by λ = 3.
    steps = [
        [row(0.5, 0.0, 0.3), row(0.1, 0.2, 0.3), row(0.4, 0.1, 0.3)],
        [row(0.3, 0.1, 0.3), row(0.35, 0.05, 0.3)],
    ]
    history(place, steps)
    assert step_score(recipe, place) == pytest.approx((0.7 + 0.6) / 2)
    joint = recipe.joint.model_copy(update={"selection": "new_iou"})
    by_iou = recipe.model_copy(update={"joint": joint})
    assert step_score(by_iou, place) == 0.5
    with pytest.raises(RunError, match=r"2_joint.csv` is missing"):
        (place.state / "history/2_joint.csv").unlink()
        step_score(recipe, place)


def test_a_search_goes_on_and_writes_the_winner(recipe, made_up, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        tune_continual(recipe, out, trials=6)
    search = tune_continual(recipe, out, trials=6)
    assert len(made_up.trained) == 6
    assert len(made_up.resumed) == 1
    outcomes = search.outcomes()
    assert [o.trial for o in outcomes] == list(range(6))
    rates = [o.values["joint.learning_rate"] for o in outcomes]
    assert rates[0] == recipe.joint.learning_rate
    nearest = min(rates, key=lambda rate: abs(rate - 3e-4))
    assert load_continual_recipe(search.best).joint.learning_rate == nearest
    assert len(search.table.read_text().splitlines()) == 7
    again = tune_continual(recipe, out, trials=7)
    assert len(made_up.trained) == 7
    assert len(again.outcomes()) == 7
    with pytest.raises(RunError, match="another recipe or other options"):
        tune_continual(recipe, out, trials=2, seed=1)

"""Which task a recipe is, and what each refuses."""

import numpy as np
import pytest

from landslide_tf.errors import RecipeError
from landslide_tf.pipelines import Channel, DataDescription, from_examples
from landslide_tf.train import Session, load_recipe, shipped_recipes, task_of

BANDS = ("red", "green", "blue")
SMALL = """
description: made up
source: made up
data: {name: made, image: [red, green, blue], train: train, validation: train}
model: {name: landslide_classifier, arguments: {backbone: resnet18, width: 0.125}}
classification: {size: 32}
training: {batch_size: 2}
"""


def store(whole):
    """Eight bright or dark images, with a class each or a class a pixel."""
    channels = {n: Channel(n, "image", k) for k, n in enumerate(BANDS)}
    description = DataDescription("made", "train", channels, ("no", "yes"), 1)
    examples = []
    for k in range(8):
        image = np.full((40, 40, 3), 200 * (k % 2) + k, np.uint8)
        label = {"label": k % 2} if whole else {"mask": np.full((40, 40), k % 2)}
        examples.append({"image": image, "id": str(k), **label})
    return from_examples(examples, description)


def recipe(tmp_path, *changes):
    file = tmp_path / "made.yaml"
    file.write_text(SMALL)
    return load_recipe(file, changes)


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_a_recipe_is_of_one_task(name):
    task = task_of(load_recipe(name))
    of_images = name.startswith("evidential")
    assert task.kind == ("classification" if of_images else "segmentation")
    assert task.recipe.loss.name in task.losses
    adapts = "adapted to" in task.facts()
    assert adapts == name.startswith(("ada_net", "adaptsegnet"))


def test_labels_of_another_kind_are_refused(tmp_path):
    whole = task_of(recipe(tmp_path))
    with pytest.raises(RecipeError, match="classes of pixels: leave out"):
        whole.batches(store(False), store(False), Session())
    changes = ("classification=null", "model={name: basic_fcn}")
    pixels = task_of(recipe(tmp_path, *changes))
    with pytest.raises(RecipeError, match="classes of whole images: add"):
        pixels.batches(store(True), store(True), Session())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.patch=16", "`training.patch` belongs to maps"),
        ("training.pictures=1", "`training.pictures` belongs to maps"),
        ("model.prior_bias=true", "`model.prior_bias` belongs to maps"),
        ("loss.name=dice", "must be one of .*received `dice`"),
        ("data={name: m, image: [red, green], train: a, validation: a}", None),
    ],
)
def test_what_belongs_to_maps_is_refused(tmp_path, change, message):
    changes = [change]
    if message is None:
        changes.append("classification.branch=h")
        message = "takes saliency from 8-bit colours"
    with pytest.raises(RecipeError, match=message):
        task_of(recipe(tmp_path, *changes)).batches(store(True), store(True), Session())


def test_a_part_is_held_out_of_what_is_trained(tmp_path):
    task = task_of(recipe(tmp_path, "classification.holdout=0.25"))
    data = task.batches(store(True), store(True), Session())
    assert len(data.store) == 6 and len(data.labelled.store) == 2
    assert not set(data.store.ids) & set(data.labelled.store.ids)
    labels = [int(y) for _, ys in map(data.labelled.batch, range(1)) for y in ys]
    assert sorted(labels) == [0, 1]
    other = task_of(recipe(tmp_path, "classification.holdout=0.25", "data.train=test"))
    with pytest.raises(RecipeError, match=r"expected `data\.validation: test`"):
        other.batches(store(True), store(True), Session())


def test_a_session_settles_what_a_run_keeps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = recipe(tmp_path)
    assert Session().with_arrays(own) is own
    found = Session(arrays="folder").with_arrays(own)
    assert found.data.arrays == str(tmp_path / "folder") and own.data.arrays is None
    found.data.arrays = "other"
    assert Session().with_arrays(found).data.arrays == str(tmp_path / "other")
    assert [Session(verbose=v).verbosity for v in (0, 1, 2)] == [0, 1, 2]
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert Session().verbosity == 2

"""Fine-tuning: what starts, stays, is drawn, goes on, and what it brings."""

import json

import keras
import numpy as np
import pytest

from landslide_tf.errors import DataError, RecipeError, RunError
from landslide_tf.pipelines import find_builder, load, sample_examples
from landslide_tf.train import (
    FinetuneOptions,
    RunFolder,
    Session,
    evaluate_run,
    finetune,
    finetune_recipe,
    load_recipe,
    train,
)
from landslide_tf.train.run.checkpoint import load_newest

DATA = "synthetic_landslides/tiny"
SMALL = [
    "data.train=train[:16]",
    "data.validation=validation[:4]",
    "data.test=test[:4]",
    "model={name: unet, arguments: {width: 0.125}}",
    "training={epochs: 1, batch_size: 4, patch: 32, deterministic: false}",
]
SHORT = ("training.epochs=1", "data.test=test[:4]")


@pytest.fixture(scope="module")
def source(tmp_path_factory, tiny_data):
    folder = tmp_path_factory.mktemp("source") / "run"
    return train(
        load_recipe("rae_d_synthetic", SMALL), folder, Session(tiny_data, verbose=0)
    )


@pytest.fixture
def session(tiny_data):
    return Session(tiny_data, verbose=0)


def weights(run, name="state"):
    """The variables of a run's checkpoint by path."""
    checkpoint = load_newest(run.checkpoints, name)
    return {
        path: checkpoint.arrays[key]
        for key, (path, _) in checkpoint.meta["variables"].items()
        if key.startswith("model/") and "seed" not in path
    }


def test_samples_are_nested_and_one_shows_landslide(tiny_data):
    store = load(f"{DATA}:train", data_dir=tiny_data)
    drawn = {
        (count, seed): sample_examples(store, count, seed)
        for count in (1, 5, 40, len(store))
        for seed in range(5)
    }
    for (count, seed), part in drawn.items():
        assert len(set(part.ids)) == len(part) == count
        assert part.positive.any()
        assert set(drawn[1, seed].ids) <= set(part.ids)
        for name, example in zip(part.ids, part.examples, strict=True):
            whole = store.examples[store.ids.index(name)]
            assert example.keys() == whole.keys()
            np.testing.assert_array_equal(example["image"], whole["image"])
        again = sample_examples(store, count, seed)
        assert again.ids == part.ids
    assert len({tuple(drawn[5, seed].ids) for seed in range(5)}) > 1
    for count in (0, len(store) + 1):
        with pytest.raises(DataError, match="has 160 examples: expected from 1 to 160"):
            sample_examples(store, count, 0)


def test_the_recipe_goes_on_with_the_run(source, session):
    recipe = finetune_recipe(source, DATA, 5, session=session)
    before = source.read_recipe()
    assert recipe.optimizer.learning_rate == before.optimizer.learning_rate / 10
    assert recipe.schedule.kind == "constant"
    assert (recipe.data.samples, recipe.data.validation_samples) == (5, 1)
    assert recipe.training.draws * 5 >= 4 * recipe.training.batch_size
    assert recipe.model.start == str(source.path.resolve())
    assert (recipe.model.freeze, recipe.model.freeze_norms) == ([], False)
    assert finetune_recipe(source, DATA, 3, session=session).model.freeze_norms
    options = FinetuneOptions(("encoder", "bn", "dec4_*"), 9, ("training.epochs=2",))
    recipe = finetune_recipe(source, DATA, 40, options, session)
    assert recipe.model.freeze == [f"enc{n}_*" for n in range(1, 6)] + ["dec4_*"]
    assert recipe.model.freeze_norms
    assert (recipe.training.seed, recipe.training.epochs) == (9, 2)
    assert recipe.data.validation_samples == 10


def test_frozen_parts_stay_and_the_rest_moves(source, session, tmp_path):
    options = FinetuneOptions(("stage1", "stage2", "bn"), None, SHORT)
    recipe = finetune_recipe(source, DATA, 4, options, session)
    run = train(recipe, tmp_path / "run", session)
    # The weights of `model.keras` are those of the source's best epoch.
    model = source.load_model()
    before = {v.path: v.numpy() for v in model.weights}
    after = weights(run)
    assert set(before) == set(after)
    for path, value in after.items():
        frozen = path.startswith(("enc1_", "enc2_")) or "_bn/" in path
        assert np.array_equal(value, before[path]) == frozen, path


@pytest.mark.slow
def test_without_learning_a_curve_is_flat(source, session, tmp_path):
    changes = (*SHORT, "optimizer.learning_rate=1e-12")
    options = FinetuneOptions(("bn",), None, changes)
    points = finetune(source.path, DATA, [4, 0], tmp_path, options, session)
    assert [point.samples for point in points] == [0, 4]
    zero, four = points
    assert zero.run.path == source.path
    np.testing.assert_array_equal(zero.target.matrices, four.target.matrices)
    np.testing.assert_array_equal(zero.source.matrices, four.source.matrices)
    direct = evaluate_run(source, data=f"{DATA}:test[:4]", session=session)
    np.testing.assert_array_equal(direct.matrices, zero.target.matrices)
    with pytest.raises(RunError, match="holds a run of another recipe"):
        finetune(source.path, DATA, [4], tmp_path, None, session)


@pytest.mark.slow
def test_the_same_call_goes_on_to_the_same_end(source, session, tmp_path, monkeypatch):
    from landslide_tf.train import engine

    options = FinetuneOptions(None, None, (*SHORT, "training.epochs=2"))
    whole = finetune(source.path, DATA, [2], tmp_path / "whole", options, session)

    def killed(*arguments, **keywords):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine, "write_result", killed)
        with pytest.raises(KeyboardInterrupt):
            finetune(source.path, DATA, [2], tmp_path / "cut", options, session)
    # As if it had been killed after the first epoch.
    folder = RunFolder(tmp_path / "cut" / "samples-2")
    newest = max(folder.checkpoints.glob("state-*"))
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()
    cut = finetune(source.path, DATA, [2], tmp_path / "cut", options, session)
    one, other = weights(whole[0].run), weights(cut[0].run)
    assert one.keys() == other.keys()
    for path, value in one.items():
        np.testing.assert_array_equal(value, other[path], err_msg=path)
    np.testing.assert_array_equal(whole[0].target.matrices, cut[0].target.matrices)


@pytest.mark.parametrize(
    ("data", "samples", "options", "error", "message"),
    [
        (DATA, 0, {}, RecipeError, "`samples` of at least 1"),
        (f"{DATA}:test", 1, {}, RecipeError, "other splits are"),
        (DATA, 1, {"freeze": ("encodr",)}, RecipeError, "Did you mean `encoder`"),
        (DATA, 1, {"freeze": ("factors",)}, RecipeError, "names no layer"),
        (DATA, 1, {"changes": ("training.epoch=1",)}, RecipeError, "unknown key"),
        ("synthetic_landslides/visible", 1, {}, DataError, "has the classes"),
    ],
)
def test_what_does_not_fit_is_refused(
    source, session, monkeypatch, data, samples, options, error, message
):
    # What a data set says of itself is enough: `visible` need not be built.
    monkeypatch.setattr(
        "landslide_tf.train.transfer.finetuning.prepared_builder",
        lambda name, **_: find_builder(name, data_dir=session.data_dir),
    )
    with pytest.raises(error, match=message):
        finetune_recipe(source, data, samples, FinetuneOptions(**options), session)


def test_a_run_to_start_from_has_to_be_of_the_same_network(source, session, tmp_path):
    recipe = finetune_recipe(source, DATA, 4, session=session)
    recipe.model.arguments["width"] = 0.25
    with pytest.raises(RecipeError, match="is another network"):
        train(recipe, tmp_path / "run", session)
    recipe.model.start = str(tmp_path / "none")
    with pytest.raises(RunError, match="does not exist"):
        train(recipe, tmp_path / "run", session)
    assert not (tmp_path / "run").exists()
    assert keras.config.dtype_policy().name == "float32"
    assert json.loads(source.environment.read_text())["backend"]


def test_a_run_of_whole_images_is_refused(source, session, tmp_path):
    metadata = source.read_metadata()
    metadata.task = "classification"
    metadata.write(tmp_path)
    with pytest.raises(RunError, match="gives whole images a class"):
        finetune_recipe(RunFolder(tmp_path), DATA, 1, session=session)

import math

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.common.info import make_metadata
from landslide_tf.errors import DataError, RecipeError
from landslide_tf.pipelines import (
    Augmentation,
    Channel,
    EvaluationBatches,
    ExampleStore,
    InputSelection,
    TrainingBatches,
    evaluation_stream,
    load,
    read_batches,
    training_stream,
)
from landslide_tf.pipelines.sequences import EvaluationSequence, TrainingSequence
from landslide_tf.train import RunFolder, Session, load_recipe, run_facts
from landslide_tf.train.search.space import SearchSpace
from landslide_tf.train.tasks import adaptation, task_of
from landslide_tf.train.tasks.adaptation import CollapseError, kept_epoch
from landslide_tf.train.tasks.compilation import make_rate
from landslide_tf.train.tasks.data import RunData
from landslide_tf.train.transfer import paired_batches as data
from landslide_tf.train.transfer.compatibility import target_selection
from tests.train.tasks.region_examples import CHANNELS, description, examples, store

SELECTION = InputSelection(("r", "g", "b"))


def training(count, seed, batch=4):
    change = Augmentation(dihedral=True)
    return TrainingBatches(store(count, seed), SELECTION, batch, 7, augmentation=change)


def evaluation(count, seed):
    return EvaluationBatches(store(count, seed), SELECTION, 4)


@pytest.fixture
def pairs():
    return data.PairedTraining(training(12, 1), training(9, 2))


def take(stream, count):
    return [next(iterator) for iterator in [iter(stream)] for _ in range(count)]


def assert_same(one, other):
    for (x, y), (p, q) in zip(one, other, strict=True):
        assert x.keys() == p.keys() == {"image", "target_image"}
        for key in x:
            np.testing.assert_array_equal(x[key], p[key])
        np.testing.assert_array_equal(y, q)


def test_pairs_go_on_from_any_step_on_both_backends(pairs):
    """The target's epochs of two batches end within the source's of three."""
    assert pairs.steps_per_epoch == 3
    stream = take(training_stream(pairs), 8)
    assert_same(stream[4:], take(training_stream(pairs, 1, 1), 4))
    numbered = TrainingSequence(pairs, 1, 1)
    assert_same(stream[4:], [numbered[k] for k in range(4)])
    images = [x["target_image"].numpy() for x, _ in stream]
    assert not np.array_equal(images[0], images[2])  # another epoch of the target


def test_validation_marks_the_region_of_every_example():
    both = data.PairedValidation(evaluation(6, 1), evaluation(5, 2))
    found = list(evaluation_stream(both))
    assert len(found) == 4
    numbered = EvaluationSequence(both)
    assert numbered.num_batches == 4
    for k, (x, y) in enumerate(found):
        assert set(x["domain"].numpy()) == {0 if k < 2 else 1}
        p, q = numbered[k]
        np.testing.assert_array_equal(x["domain"], p["domain"])
        np.testing.assert_array_equal(x["image"], p["image"])
        np.testing.assert_array_equal(y, q)
    labelled = read_batches(both.source)
    assert [len(y) for _, y in labelled] == [4, 2]


class Bare(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A data set whose examples have no mask at all."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = epath.Path(__file__).parent
    name = "bare"

    def _info(self):
        image = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
        metadata = make_metadata(
            bands=[{"name": n, "unit": "", "range": [0.0, 255.0]} for n in "rgb"],
            factors=[],
            classes=["other", "slide"],
            landslide_class=1,
            licence="none",
            gsd=None,
        )
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {"image": image, "id": tfds.features.Text()}
            ),
            metadata=metadata,
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for example in examples(3, 1):
            del example["mask"]
            yield example["id"], example


def test_a_target_needs_no_labels_and_those_it_has_are_not_read(monkeypatch, tmp_path):
    """Property 13."""
    builder = Bare(data_dir=tmp_path)
    builder.download_and_prepare()
    found = data.load_unlabelled(str(builder.data_dir), "train")
    assert len(found) == 3 and not found.positive.any()
    assert all((example["mask"] == 255).all() for example in found.examples)
    assert found.examples[0]["mask"].shape == (32, 32)
    with pytest.raises(DataError, match="neither masks nor labels"):
        load(f"{builder.data_dir}:train")
    whole = store(3, 1)
    monkeypatch.setattr(data, "load_arrays", lambda *_: whole)
    found = data.load_unlabelled("made", "train", arrays="folder")
    for part in (found.examples, found.examples[1:]):
        assert all((example["mask"] == 255).all() for example in part)
    assert (whole.examples[0]["mask"] != 255).any()


RECIPE = """
description: made up
source: made up
data: {name: made, image: [r, g, b]}
model: {name: basic_fcn, arguments: {width: 0.0625}}
optimizer: {name: coupled_sgd, learning_rate: 0.00025, weight_decay: 0.0005}
schedule: {kind: poly, power: 0.9}
training: {epochs: 15, batch_size: 4}
adaptation: {target: other, filters: 2}
"""


def recipe(tmp_path, *changes):
    file = tmp_path / "made.yaml"
    file.write_text(RECIPE)
    return load_recipe(file, changes)


def batches(monkeypatch, chosen, target, labelled=None):
    monkeypatch.setattr(adaptation, "load_unlabelled", lambda *_, **__: target)
    monkeypatch.setattr(adaptation, "load_split", lambda *_, **__: labelled)
    return task_of(chosen).batches(store(8, 1), store(4, 2), Session())


def of_steps(count):
    """Batches of an epoch of so many steps."""
    own = store(1, 1)
    batches = TrainingBatches(own, SELECTION, 1, 7, draws=count)
    return RunData(own, batches, None, None)


def hidden(count, seed, **changes):
    whole = store(count, seed)
    kept = data.UnlabelledExamples(whole.examples)
    return ExampleStore(description(**changes), whole.ids, kept)


def test_a_small_target_is_drawn_more_often(monkeypatch, tmp_path):
    found = batches(monkeypatch, recipe(tmp_path), hidden(2, 3))
    assert found.training.target.draws == 2
    (x, y), *_ = take(training_stream(found.training), 1)
    assert x["target_image"].shape == (4, 32, 32, 3) and y.shape == (4, 32, 32)
    labels = [y.numpy() for _, y in evaluation_stream(found.validation)]
    assert (labels[-1] == 255).all() and (labels[0] != 255).any()


def test_an_oracle_reads_labels_of_the_same_classes(monkeypatch, tmp_path):
    chosen = recipe(tmp_path, "adaptation.oracle=true")
    found = batches(monkeypatch, chosen, hidden(4, 3), store(4, 3))
    labels = [y.numpy() for _, y in evaluation_stream(found.validation)]
    assert (labels[-1] != 255).any()
    (_, y), *_ = take(training_stream(found.training.target), 1)
    assert (y.numpy() == 255).all()  # training never does
    other = store(4, 3)
    other.description = description(classes=("slide", "other"))
    with pytest.raises(DataError, match="classes"):
        batches(monkeypatch, chosen, hidden(4, 3), other)


def test_a_target_of_another_range_is_scaled():
    unit = {n: Channel(n, "image", k, range=(0, 1)) for k, n in enumerate("rgb")}
    found = target_selection(SELECTION, description(), description(channels=unit))
    assert found.image_scale == 255
    mixed = {**unit, "b": CHANNELS["b"]}
    with pytest.raises(DataError, match="a scale each"):
        target_selection(SELECTION, description(), description(channels=mixed))
    few = {"r": CHANNELS["r"]}
    with pytest.raises(DataError, match="no band or factor `g`"):
        target_selection(SELECTION, description(), description(channels=few))
    slopes = {
        unit: {**CHANNELS, "slope": Channel("slope", "factors", 0, unit=unit)}
        for unit in ("degree", "1")
    }
    chosen = InputSelection(("r", "g", "b"), ("slope",))
    with pytest.raises(DataError, match="`slope` in `1`, expected the source's"):
        target_selection(
            chosen,
            description(channels=slopes["degree"]),
            description(channels=slopes["1"]),
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("adaptation.select=target_iou", "needs? `adaptation.oracle: true`"),
        ("adaptation.label_noise=1", "label_noise"),
        ("adaptation.weigth=1", "`adaptation.weigth`"),
        ("adaptation={}", "`adaptation.target` is missing"),
        ("model={name: ada_net}", "trained as `mffe_net`"),
    ],
)
def test_sections_that_are_not_valid(tmp_path, change, message):
    with pytest.raises(RecipeError, match=message):
        recipe(tmp_path, change)


def test_what_has_no_meaning_with_two_regions(tmp_path):
    for change in ("training.pictures=1", "optimizer.ema=0.9"):
        with pytest.raises(RecipeError, match=change.split("=")[0]):
            task_of(recipe(tmp_path, change)).settled()


def test_the_monitor_is_what_is_selected_by(tmp_path):
    def settled(*changes):
        return task_of(recipe(tmp_path, *changes)).settled().training

    section = settled("adaptation.select=entropy")
    assert (section.monitor, section.mode) == ("val_target_entropy", "min")
    options = ("adaptation.oracle=true", "adaptation.select=target_iou")
    section = settled(*options)
    assert (section.monitor, section.mode) == ("val_target_landslide_iou", "max")
    assert settled().monitor == "val_landslide_iou"


def test_a_search_varies_the_adversary(tmp_path):
    chosen = recipe(tmp_path, "adaptation.aux_layer=fc7_dropout")
    space = SearchSpace.around(chosen)
    own = space.values({})
    assert space.recipe_at(own) == chosen
    found = {d.name: d for d in space.dimensions if d.name.startswith("adaptation")}
    weight = found["adaptation.weight"]
    assert (weight.low, weight.own, weight.high) == (1e-4, 0.01, 0.02)
    assert set(found["adaptation.aux_weight"].forms) == {"0.001", "0.002"}
    other = space.recipe_at({**own, "adaptation.label_noise": "0"})
    assert other.adaptation.label_noise == 0
    plain = SearchSpace.around(recipe(tmp_path, "adaptation=null"))
    assert not any(d.name.startswith("adaptation") for d in plain.dimensions)


def row(iou, entropy, share=0.1):
    return {
        "val_landslide_iou": iou,
        "val_target_entropy": entropy,
        "val_target_fraction": share,
        "val_source_fraction": 0.1,
    }


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([row(0.5, 0.3), row(0.5, 0.2), row(0.5, 0.25)], 1),
        # Surer, but worse on the source by more than a fiftieth.
        ([row(0.50, 0.3), row(0.48, 0.1), row(0.495, 0.2)], 2),
        # Far better on the source: the earlier choice gives way.
        ([row(0.4, 0.1), row(0.6, 0.3), row(0.6, 0.4)], 1),
        # A share beyond a tenth and ten times the source's.
        ([row(0.5, 0.3), row(0.5, 0.1, 0.009), row(0.5, 0.1, 1.01)], 0),
        ([row(0.5, 0.1, 0.0), row(0.5, 0.3), row(0.5, 0.4)], 1),
        ([row(math.nan, 0.3), row(0.2, 0.4)], 1),
    ],
)
def test_the_surest_epoch_that_is_good_on_the_source(rows, kept):
    assert kept_epoch(rows, "entropy") == kept
    assert kept_epoch(rows, "last") == len(rows) - 1


def test_the_page_of_a_run_names_the_epoch_that_is_kept(tmp_path):
    run = RunFolder(tmp_path)
    rows = [{"epoch": k, **row(*v)} for k, v in enumerate([(0.6, 0.2), (0.59, 0.3)])]
    for select, kept in (("last", "2, by `last`"), ("entropy", "1, by `entropy`")):
        recipe(tmp_path, f"adaptation.select={select}").write(run.recipe)
        run.write_metrics(rows)
        facts = run_facts(run)["facts"]
        assert facts["best epoch"] == kept
        assert (facts["adapted to"], facts["target labels"]) == ("other", "not seen")


def test_a_collapse_ends_training(tmp_path):
    recorder = task_of(recipe(tmp_path)).recorder(RunFolder(tmp_path))
    recorder.rows = [row(0.5, 0.1, 0.0), row(0.5, 0.1, 0.0)]
    with pytest.raises(CollapseError, match=r"0\.000% of the target.*adaptation"):
        recorder.end_epoch(None, 2, row(0.5, 0.1, 0.0))


def test_discriminators_follow_the_schedule_from_their_own_rate(tmp_path):
    """Goldens of the released code: 0.00025, 15 epochs of 2,001 steps, power 0.9."""
    chosen = recipe(tmp_path)
    rate = make_rate(chosen, 2001, 0.00025)
    golden = {0: 2.5e-4, 1000: 2.424911e-4, 15007: 1.339757e-4, 30014: 2.33526e-8}
    for step, value in golden.items():
        assert float(rate(step)) == pytest.approx(value, rel=1e-4)
    image = keras.Input((None, None, 3), name="image")
    network = keras.Model([image], keras.layers.Conv2D(2, 1)(image))
    for change, base in (("filters=2", 1e-4), ("rate_of_generator=true", 2.5e-4)):
        task = task_of(recipe(tmp_path, f"adaptation.{change}"))
        model = task.compiled(network, of_steps(2001))
        found = float(model.optimizer.second.learning_rate.numpy())
        assert found == pytest.approx(base, rel=1e-5)
        assert (model.optimizer.second.beta_1, model.optimizer.second.beta_2) == (
            0.9,
            0.99,
        )


def test_scale_and_shift_stay_while_statistics_move(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.BatchNormalization(name="norm")(image)
    network = keras.Model([image], keras.layers.Conv2D(2, 1, name="score")(x))
    task = task_of(recipe(tmp_path, "adaptation.freeze_affine=true"))
    model = task.compiled(network, of_steps(2))
    before = {v.path: v.numpy() for v in network.variables}
    random = np.random.default_rng(0)
    x = {
        name: random.uniform(0, 255, (2, 32, 32, 3)).astype("float32")
        for name in ("image", "target_image")
    }
    model.train_on_batch(x, random.integers(0, 2, (2, 32, 32)))
    moved = {v.path for v in network.variables if np.any(before[v.path] != v.numpy())}
    assert moved == {
        "norm/moving_mean",
        "norm/moving_variance",
        "score/kernel",
        "score/bias",
    }

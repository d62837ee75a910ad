"""Evaluation of a run against predictions that are counted one by one."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.metrics import OneClassWarning
from landslide_tf.objects import object_counts
from landslide_tf.pipelines import export_arrays, load, load_arrays, write_arrays
from landslide_tf.train import (
    RunFolder,
    Session,
    evaluate_run,
    load_recipe,
    task_of,
    train,
)

DATA = "synthetic_landslides/tiny"
SMALL = [
    "data.train=train[:8]",
    "data.validation=validation[:4]",
    "data.test=test[:6]",
    "model={name: basic_fcn, arguments: {width: 0.0625}}",
    "training={epochs: 1, batch_size: 4, patch: 32, deterministic: false}",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_data):
    """A run whose network is as it started."""
    task, data = task_of(load_recipe("rae_d_synthetic", SMALL)).load(
        Session(tiny_data), resumed=False
    )
    arguments, model = task.build(data)
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "untrained")
    folder.begin(task.recipe)
    network, metadata = task.finish(model, arguments, data, "untrained")
    network.save(folder.model)
    metadata.write(folder.path)
    return folder


@pytest.fixture(scope="module")
def examples(tiny_data):
    store = load(f"{DATA}:test[:6]", data_dir=tiny_data)
    return [store.examples[k] for k in range(6)]


def counted(run, images, masks):
    """Confusion matrices from the network's own probabilities."""
    model, found = run.load_model(), []
    for image, mask in zip(images, masks, strict=True):
        classes = np.argmax(
            model({"image": image[None].astype(np.float32)})[0], axis=-1
        )
        valid = mask != 255
        pairs = mask[valid].astype(int) * 6 + classes[valid]
        found.append(np.bincount(pairs, minlength=36).reshape(6, 6))
    return np.stack(found)


def test_every_pixel_and_object_is_counted_once(run, examples, tiny_data):
    found = evaluate_run(run, session=Session(tiny_data), pictures=2, batch_size=4)
    images, masks = ([e[k] for e in examples] for k in ("image", "mask"))
    np.testing.assert_array_equal(found.matrices, counted(run, images, masks))
    assert found.data == f"{DATA}:test[:6]" and len(found.ids) == 6
    assert [picture["id"] for picture in found.pictures] == [
        name for name in found.ids if name in {p["id"] for p in found.pictures}
    ]
    model, total = run.load_model(), None
    for image, mask in zip(images, masks, strict=True):
        classes = np.argmax(
            model({"image": image[None].astype(np.float32)})[0], axis=-1
        )
        own = object_counts(
            mask == 0, classes == 0, match="iou", ignore=mask == 255
        )  # fmt: skip
        total = own if total is None else total + own
    assert found.objects["iou"] == total and total.tp + total.fn > 0


def test_arrays_hold_the_same_examples(run, tiny_data, tmp_path):
    export_arrays(DATA, tmp_path, data_dir=tiny_data)
    one = evaluate_run(run, session=Session(tiny_data), pictures=0)
    other = evaluate_run(run, session=Session(arrays=tmp_path), pictures=0)
    np.testing.assert_array_equal(one.matrices, other.matrices)


def test_a_permuted_image_is_that_of_a_far_example(run, examples, tiny_data):
    found = evaluate_run(run, session=Session(tiny_data), permute="image", pictures=0)
    images = [examples[(k + 3) % 6]["image"] for k in range(6)]
    expected = counted(run, images, [e["mask"] for e in examples])
    np.testing.assert_array_equal(found.matrices, expected)
    assert found.facts["permuted input"] == "image"


def test_a_permuted_band_leaves_the_others(run, examples, tiny_data):
    found = evaluate_run(run, session=Session(tiny_data), permute="green", pictures=0)
    images = [e["image"].copy() for e in examples]
    for k, image in enumerate(images):
        image[..., 1] = examples[(k + 3) % 6]["image"][..., 1]
    expected = counted(run, images, [e["mask"] for e in examples])
    np.testing.assert_array_equal(found.matrices, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"permute": "factors"},
            r"no input, band or factor `factors` to permute; it has image \(red, ",
        ),
        ({"permute": "image", "data": f"{DATA}:test[:1]"}, "at least two examples"),
        ({"data": f"{DATA}:tests"}, "no split `tests`"),
    ],
)
def test_what_does_not_fit_is_refused(run, tiny_data, options, message):
    with pytest.raises(DataError, match=message):
        evaluate_run(run, session=Session(tiny_data), pictures=0, **options)


@pytest.fixture(scope="module")
def masked(tmp_path_factory, tiny_data):
    """Arrays whose masks hold 0 and 255, as of a drawing program."""
    folder = tmp_path_factory.mktemp("masked")
    store = load(f"{DATA}:train[:4]", data_dir=tiny_data)
    drawn = [
        {**example, "mask": np.where(example["mask"] == 0, 255, 0).astype(np.uint8)}
        for example in (store.examples[k] for k in range(4))
    ]
    for split in ("train", "validation", "test"):
        description = replace(
            store.description, name="drawn", split=split, landslide_class=1,
            classes=("background", "landslide"),
        )  # fmt: skip
        named = [{**e, "id": f"{split}_{k}"} for k, e in enumerate(drawn)]
        write_arrays(folder / split, named, description)
    return folder


ADVICE = r"masks hold 0 and 255 alone, .* write 1 for it"


def test_masks_of_0_and_255_are_not_trained_on(masked, tmp_path):
    recipe = load_recipe(
        "rae_d_synthetic",
        [*SMALL[3:], "data.name=drawn", f"data.arrays={masked}", "data.test=test"],
    )
    with pytest.raises(DataError, match=rf"`drawn:train` must show .*{ADVICE}"):
        train(recipe, tmp_path / "run", Session())
    assert not (tmp_path / "run").exists()


def test_scores_without_landslides_are_told(masked, tiny_data, tmp_path):
    """Also where other classes are there, and scores of them are numbers."""
    changes = [*SMALL[3:], "data.name=drawn", "loss.class_weights=null"]
    recipe = load_recipe("rae_d_synthetic", changes)
    store = load_arrays(masked, "drawn", "train")
    slid = [{**e, "mask": np.where(e["mask"] == 255, 1, e["mask"])} for e in
            (store.examples[k] for k in range(4))]  # fmt: skip
    named = [{**e, "id": f"s_{k}"} for k, e in enumerate(slid)]
    write_arrays(tmp_path / "good" / "train", named, store.description)
    write_arrays(tmp_path / "good" / "validation", named, store.description)
    recipe.data.arrays = str(tmp_path / "good")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch is little
        made = train(recipe, tmp_path / "run", Session())
    with pytest.warns(OneClassWarning, match=ADVICE):
        found = evaluate_run(made, data="drawn:test", session=Session(arrays=masked))
    assert np.isnan(found.scores.of_class(1)["recall"])


def test_over_eight_sides_is_the_mean_of_turned_predictions(run, examples, tiny_data):
    model = run.load_model()

    def probabilities(image):
        return np.asarray(model({"image": image[None].astype(np.float32)}))[0]

    counts = []
    for example in examples:
        total = 0
        for turns in range(4):
            turned = np.rot90(example["image"], turns)
            total += np.rot90(probabilities(turned), -turns)
            total += np.rot90(probabilities(turned[:, ::-1])[:, ::-1], -turns)
        classes, mask = total.argmax(axis=-1), example["mask"]
        pairs = mask[mask != 255].astype(int) * 6 + classes[mask != 255]
        counts.append(np.bincount(pairs, minlength=36).reshape(6, 6))
    found = evaluate_run(run, tta=True, session=Session(tiny_data), pictures=0)
    # Means that are all but equal may be told apart otherwise.
    assert np.abs(found.matrices - np.stack(counts)).sum() <= 8
    assert (
        found.facts["test-time augmentation"]
        == "mean over the eight flips and rotations"
    )
    plain = evaluate_run(run, session=Session(tiny_data), pictures=0)
    assert "test-time augmentation" not in plain.facts
    assert not np.array_equal(plain.matrices, found.matrices)

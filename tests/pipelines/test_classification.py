"""Whole images with one class: order, crops, views, branches and degradations."""

import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import DataError
from landslide_tf.pipelines import (
    DEGRADATIONS,
    Augmentation,
    Channel,
    DataDescription,
    Degradation,
    ImageEvaluationBatches,
    ImageTrainingBatches,
    InputSelection,
    branch_image,
    branch_stores,
    evaluation_stream,
    from_examples,
    hold_out,
    holds_labels,
    training_stream,
)
from landslide_tf.pipelines.classification import random_box, resized, seen_box
from landslide_tf.pipelines.sequences import TrainingSequence

COLOURS = ("red", "green", "blue")
RGB = InputSelection(COLOURS)
DESCRIPTION = DataDescription(
    name="made/up",
    split="train",
    channels={n: Channel(n, "image", i) for i, n in enumerate(COLOURS)},
    classes=("non-landslide", "landslide"),
    landslide_class=1,
)


def store_of(labels, seed=0):
    random = np.random.default_rng(seed)
    examples = [
        {
            "image": random.integers(0, 256, (30 + n, 41 - n, 3), "uint8"),
            "label": np.int64(label),
            "id": f"image{n}".encode(),
        }
        for n, label in enumerate(labels)
    ]
    return from_examples(examples, DESCRIPTION)


@pytest.fixture(scope="module")
def store():
    return store_of([0, 1, 1, 0, 1])


def test_a_store_of_labels(store):
    assert holds_labels(store)
    assert store.positive.tolist() == [False, True, True, False, True]
    assert store.examples[1]["label"].shape == () and store.examples[1]["label"] == 1
    assert (30, 41) in store.sizes and len(store.sizes) == 5
    with pytest.raises(DataError, match="label value 2 is not a class"):
        store_of([0, 2])


def test_training_is_a_function_of_seed_epoch_and_id(store):
    def batches(**options):
        options = {"seed": 3, "augmentation": Augmentation(dihedral=True), **options}
        return ImageTrainingBatches(store, RGB, 2, size=24, **options)

    first, again = batches().batch(1, 0), batches().batch(1, 0)
    np.testing.assert_array_equal(first[0]["image"], again[0]["image"])
    assert first[0]["image"].shape == (2, 24, 24, 3)
    assert first[1].dtype == np.uint8 and first[1].shape == (2,)
    for other in (batches(seed=4).batch(1, 0), batches().batch(2, 0)):
        assert not np.array_equal(first[0]["image"], other[0]["image"])
    stream = iter(training_stream(batches(), epoch=0, step=1))
    for step in ((0, 1), (1, 0)):
        image, label = next(stream)
        wanted = batches().batch(*step)
        np.testing.assert_array_equal(image["image"], wanted[0]["image"])
        np.testing.assert_array_equal(label, wanted[1])
    sequence = TrainingSequence(batches(), epoch=1)
    np.testing.assert_array_equal(sequence[0][0]["image"], first[0]["image"])


def test_labels_stay_with_their_images(store):
    batches = ImageTrainingBatches(store, RGB, 1, seed=0, size=8, crop_area=(1, 1))
    order = batches.order(0)
    for step, number in enumerate(order):
        image, label = batches.batch(0, step)
        assert label == store.examples[number]["label"]
        mean = store.examples[number]["image"].mean(axis=(0, 1))
        np.testing.assert_allclose(image["image"][0].mean(axis=(0, 1)), mean, atol=6)


def test_evaluation_sees_every_image_once(store):
    batches = ImageEvaluationBatches(store, RGB, 2, size=16, view="whole")
    assert batches.numbers() == [[0, 1], [2, 3], [4]]
    found = list(evaluation_stream(batches))
    assert [len(label) for _, label in found] == [2, 2, 1]
    assert np.concatenate([v for _, v in found]).tolist() == [0, 1, 1, 0, 1]
    assert found[0][0]["image"].shape == (2, 16, 16, 3)


def test_resizing_is_that_of_the_network(store):
    image = store.examples[0]["image"]
    ours = resized(image, seen_box(*image.shape[:2], "whole"), 16)
    graph = tf.image.resize(image.astype("float32"), (16, 16), antialias=True)
    np.testing.assert_allclose(ours, graph, atol=1e-3)
    ramp = np.tile(np.arange(64.0)[None, :, None], (64, 1, 3))
    left, top, right, bottom = seen_box(64, 64, "centre")
    assert (left, top, right, bottom) == (4, 4, 60, 60)
    centre = resized(ramp, (left, top, right, bottom), 56)
    np.testing.assert_allclose(centre[0, :, 0], np.arange(4, 60), atol=1e-4)
    with pytest.raises(DataError, match=r"`view` cannot be `center`\. Did you mean"):
        seen_box(64, 64, "center")


def test_crops_have_the_area_and_aspect_asked_for():
    random = np.random.default_rng(0)
    for _ in range(200):
        left, top, right, bottom = random_box(40, 60, (0.25, 0.5), random)
        assert 0 <= left < right <= 60 and 0 <= top < bottom <= 40
        area = (right - left) * (bottom - top) / 2400
        assert 0.25 - 1e-9 <= area <= 0.5 + 1e-9
        assert 3 / 4 - 1e-9 <= (right - left) / (bottom - top) <= 4 / 3 + 1e-9
    # Nothing of that area fits into a strip.
    assert random_box(4, 400, (0.9, 1.0), random) == (0, 0, 400, 4)


def test_a_held_out_part_is_stratified_and_seeded():
    store = store_of([0] * 6 + [1] * 10)
    rest, part = hold_out(store, 0.3)
    assert len(part) == 5 and part.positive.sum() == 3
    assert sorted(rest.ids + part.ids) == sorted(store.ids)
    assert hold_out(store, 0.3)[1].ids == part.ids
    assert hold_out(store, 0.3, seed=1)[1].ids != part.ids
    with pytest.raises(DataError, match="6 images of `non-landslide`"):
        hold_out(store, 0.05)


def test_branches_of_one_saliency_are_those_of_branch_image(store):
    found = branch_stores(store, ["original", "h", "s", "v"], mode="mean")
    for branch, made in found.items():
        assert made.ids == store.ids
        for example, source in zip(made.examples, store.examples, strict=True):
            expected = branch_image(source["image"], branch, mode="mean")
            np.testing.assert_array_equal(example["image"], expected)
            assert example["label"] == source["label"]


def test_small_images_are_named():
    store = store_of([0, 1])
    store.examples[1]["image"] = store.examples[1]["image"][:20]
    with pytest.raises(DataError, match="Image `image1`"):
        branch_stores(store, ["h"])
    branch_stores(store, ["original"])


def test_degradations_are_those_of_their_kind(store):
    image = np.full((64, 64, 3), 128, np.uint8)
    noisy = Degradation("noise", 10)(image, "a").astype(float) - 128
    assert abs(noisy.std() - 10) < 0.3 and abs(noisy.mean()) < 0.3
    again = Degradation("noise", 10)(image, "a").astype(float) - 128
    np.testing.assert_array_equal(noisy, again)
    assert not np.array_equal(noisy, Degradation("noise", 10)(image, "b") - 128.0)
    step = image.copy()
    step[:, 32:] = 228
    blurred = Degradation("blur", 2)(step, "a").astype(int)
    np.testing.assert_array_equal(blurred[0], blurred[40])
    # A step becomes the normal distribution function: 84 % one deviation behind it.
    assert abs(blurred[0, 33, 0] + blurred[0, 34, 0] - 2 * (128 + 100 * 0.841)) < 12
    assert blurred[0, 31, 0] + blurred[0, 32, 0] == pytest.approx(356, abs=2)
    assert [d.name for d in DEGRADATIONS] == [
        "noise 5", "noise 10", "noise 20", "blur 1", "blur 2", "blur 3"
    ]  # fmt: skip
    made = branch_stores(store, ["v"], degradation=DEGRADATIONS[0])["v"]
    harmed = DEGRADATIONS[0](store.examples[0]["image"], "image0")
    expected = branch_image(harmed, "v")
    np.testing.assert_array_equal(made.examples[0]["image"], expected)
    with pytest.raises(DataError, match="`noise` or `blur`"):
        Degradation("fog", 1.0)

import itertools

import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import DataError
from landslide_tf.pipelines import (
    Augmentation,
    EvaluationBatches,
    InputSelection,
    PermutedBatches,
    TrainingBatches,
    evaluation_stream,
    read_batches,
    training_stream,
)
from landslide_tf.pipelines.batches import stacked

RGB = InputSelection(("red", "green", "blue"), ("slope", "aspect", "height"))
EVERYTHING = Augmentation(dihedral=True, brightness=0.1, contrast=0.1)


def take(stream, count):
    return [
        ({k: v.numpy() for k, v in inputs.items()}, labels.numpy())
        for inputs, labels in training_stream(stream).take(count)
    ]


def assert_equal(one, other):
    assert one[0].keys() == other[0].keys()
    for key in one[0]:
        np.testing.assert_array_equal(one[0][key], other[0][key])
    np.testing.assert_array_equal(one[1], other[1])


def test_an_epoch_holds_every_example_once(make_store):
    stream = TrainingBatches(make_store(11), RGB, batch_size=3, seed=5)
    assert stream.steps_per_epoch == 3
    for epoch in range(3):
        assert sorted(stream.order(epoch)) == list(range(11))
    assert stream.order(0).tolist() != stream.order(1).tolist()
    other = TrainingBatches(make_store(11), RGB, batch_size=3, seed=6)
    assert stream.order(0).tolist() != other.order(0).tolist()


@pytest.mark.parametrize(("steps", "size"), [(2, 3), (1, 4), (5, 3), (4, 7)])
def test_epochs_of_some_steps_go_on_until_every_example_has_come(
    make_store, steps, size
):
    store = make_store(11)
    stream = TrainingBatches(store, RGB, batch_size=size, seed=5, steps=steps)
    assert stream.steps_per_epoch == steps
    epochs = [stream.order(epoch) for epoch in range(12)]
    assert all(len(set(order.tolist())) == steps * size for order in epochs)
    drawn = np.concatenate(epochs) % len(store)
    rounds = [drawn[k : k + 11].tolist() for k in range(0, len(drawn) - 10, 11)]
    assert all(sorted(numbers) == list(range(11)) for numbers in rounds)
    assert rounds[0] != rounds[1]
    again = TrainingBatches(store, RGB, batch_size=size, seed=5, steps=steps)
    np.testing.assert_array_equal(again.order(7), epochs[7])


def test_the_length_of_an_epoch_is_said_once(make_store):
    with pytest.raises(DataError, match=r"expected `training.draws` of 1"):
        TrainingBatches(make_store(4), RGB, batch_size=2, seed=0, steps=3, draws=2)


def test_the_stream_goes_on_from_any_step_as_if_never_interrupted(make_store):
    stream = TrainingBatches(
        make_store(11), RGB, batch_size=3, seed=5, augmentation=EVERYTHING
    )
    whole = take(stream, 9)
    for epoch, step in itertools.product(range(2), range(3)):
        rest = training_stream(stream, epoch, step).take(2)
        found = [({k: v.numpy() for k, v in i.items()}, y.numpy()) for i, y in rest]
        first = epoch * 3 + step
        for one, other in zip(found, whole[first:], strict=False):
            assert_equal(one, other)
        assert_equal(stream.batch(epoch, step), whole[first])


def test_augmentation_depends_on_the_example_not_on_its_place(make_store):
    store = make_store(8)
    one = TrainingBatches(store, RGB, batch_size=8, seed=1, augmentation=EVERYTHING)
    two = TrainingBatches(store, RGB, batch_size=2, seed=1, augmentation=EVERYTHING)
    whole = one.batch(3, 0)
    for step in range(4):
        inputs, labels = two.batch(3, step)
        cut = slice(2 * step, 2 * step + 2)
        np.testing.assert_array_equal(inputs["image"], whole[0]["image"][cut])
        np.testing.assert_array_equal(labels, whole[1][cut])


def test_dihedral_turns_image_factors_and_mask_together(make_store):
    store = make_store(1)
    example = store.examples[0]
    # One number in every array tells where a pixel came from.
    place = np.arange(64).reshape(8, 8)
    example["image"][..., 0] = place
    example["factors"][..., 0] = place
    example["mask"][:] = (place % 2).astype(np.uint8)
    stream = TrainingBatches(
        store, RGB, batch_size=1, seed=0, augmentation=Augmentation(dihedral=True)
    )
    layouts = set()
    for epoch in range(60):
        inputs, labels = stream.batch(epoch, 0)
        red = inputs["image"][0, ..., 0]
        np.testing.assert_array_equal(red, inputs["factors"][0, ..., 0])
        np.testing.assert_array_equal(red.astype(int) % 2, labels[0])
        layouts.add(red.tobytes())
    assert len(layouts) == 8


def test_a_quarter_turn_turns_the_aspect_but_no_other_factor(make_store):
    store = make_store(1)
    store.examples[0]["factors"][..., 1] = 30.0
    stream = TrainingBatches(
        store, RGB, batch_size=1, seed=0, augmentation=Augmentation(dihedral=True)
    )
    seen = set()
    for epoch in range(60):
        factors = stream.batch(epoch, 0)[0]["factors"][0]
        seen.add(round(float(factors[0, 0, 1]), 3))
        before = np.sort(store.examples[0]["factors"][..., 2].ravel())
        np.testing.assert_array_equal(np.sort(factors[..., 2].ravel()), before)
    assert seen == {30.0, 300.0, 210.0, 120.0, 330.0, 150.0, 240.0, 60.0}


def test_brightness_stays_in_range_and_leaves_factors_alone(make_store):
    store = make_store(4)
    bright = Augmentation(brightness=0.5, contrast=0.5)
    stream = TrainingBatches(store, RGB, batch_size=4, seed=0, augmentation=bright)
    plain = TrainingBatches(store, RGB, batch_size=4, seed=0)
    changed, same = stream.batch(0, 0)[0], plain.batch(0, 0)[0]
    assert not np.array_equal(changed["image"], same["image"])
    assert changed["image"].min() >= 0 and changed["image"].max() <= 255
    np.testing.assert_array_equal(changed["factors"], same["factors"])


def test_light_changes_the_colours_alone(make_store):
    store = make_store(4)
    bright = Augmentation(brightness=0.5, contrast=0.5)
    mixed = InputSelection(("nir", "green", "red"))
    changed, same = (
        TrainingBatches(store, mixed, 4, seed=0, augmentation=change).batch(0, 0)[0]
        for change in (bright, Augmentation())
    )
    differs = (changed["image"] != same["image"]).any(axis=(1, 2))
    np.testing.assert_array_equal(differs, [[False, True, True]] * 4)
    # The others change as they do where they are all there is.
    colours = InputSelection(("green", "red"))
    alone = TrainingBatches(store, colours, 4, seed=0, augmentation=bright)
    np.testing.assert_array_equal(
        changed["image"][..., 1:], alone.batch(0, 0)[0]["image"]
    )
    with pytest.raises(DataError, match="received the bands nir: leave them out"):
        TrainingBatches(store, InputSelection(("nir",)), 4, 0, bright)


def test_factors_are_stretched_one_by_one_but_aspects_stay(make_store):
    store = make_store(6)
    store.examples[0]["factors"][2, 3] = np.nan
    jitter = Augmentation(factor_jitter=0.2)
    changed, same = (
        TrainingBatches(store, RGB, 6, seed=0, augmentation=change).batch(1, 0)[0]
        for change in (jitter, Augmentation())
    )
    np.testing.assert_array_equal(changed["image"], same["image"])
    gains = (changed["factors"] / same["factors"]).reshape(6, -1, 3)
    assert np.isnan(gains).sum() == 3
    assert np.nanmax(np.nanmax(gains, axis=1) - np.nanmin(gains, axis=1)) < 1e-6
    drawn = np.nanmean(gains, axis=1)
    np.testing.assert_array_equal(drawn[:, 1], 1)
    others = drawn[:, [0, 2]]
    assert len(np.unique(others.round(4))) == 12
    assert np.abs(others - 1).max() <= 0.2 and np.abs(others - 1).max() > 0.1


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.9])
def test_positive_sampling_reaches_its_share_with_repeats(make_store, fraction):
    store = make_store(20, positive={3, 4})
    stream = TrainingBatches(
        store, RGB, batch_size=4, seed=2, positive_fraction=fraction
    )
    order = stream.order(0)
    assert len(order) == 20
    # A repeat is another draw of the example, never the same augmentation again.
    assert len(set(order.tolist())) == 20
    assert np.isin(order % 20, [3, 4]).sum() == round(fraction * 20)
    counts = np.bincount(order % 20, minlength=20)
    assert abs(int(counts[3]) - int(counts[4])) <= 1


def test_positive_sampling_needs_both_kinds(make_store):
    with pytest.raises(DataError, match="0 of 4"):
        TrainingBatches(
            make_store(4, positive=set()), RGB, 2, seed=0, positive_fraction=0.5
        )


def test_patches_come_from_the_example_and_change_with_the_epoch(make_store):
    store = make_store(2, size=(30, 40))
    stream = TrainingBatches(store, RGB, batch_size=2, seed=3, patch=8, draws=3)
    assert stream.steps_per_epoch == 3
    seen = set()
    for epoch in range(4):
        inputs, labels = stream.batch(epoch, 0)
        assert inputs["image"].shape == (2, 8, 8, 3) and labels.shape == (2, 8, 8)
        seen.add(inputs["image"].tobytes())
    assert len(seen) == 4


def test_small_and_unequal_examples_are_padded_with_ignored_pixels(make_store):
    store = make_store(2, size=[(5, 7), (9, 4)])
    inputs, labels = TrainingBatches(store, RGB, batch_size=2, seed=0).batch(0, 0)
    assert labels.shape == (2, 9, 7)
    assert sorted((labels != 255).sum((1, 2)).tolist()) == [35, 36]
    assert np.isfinite(inputs["image"]).all()
    patch = TrainingBatches(store, RGB, batch_size=2, seed=0, patch=16)
    assert (patch.batch(0, 0)[1] != 255).sum() == 71


def test_a_batch_larger_than_the_epoch_is_refused(make_store):
    with pytest.raises(DataError, match="at most 3"):
        TrainingBatches(make_store(3), RGB, batch_size=4, seed=0)


def test_evaluation_gives_every_example_whole_once_in_order(make_store):
    store = make_store(5, size=[(5, 7), (5, 7), (9, 4), (5, 7), (5, 7)])
    batches = EvaluationBatches(store, RGB, batch_size=8)
    assert batches.numbers() == [[0, 1], [2], [3, 4]]
    marks = np.concatenate([b[0]["image"][:, 0, 0, 0] for b in read_batches(batches)])
    assert marks.tolist() == [0, 1, 2, 3, 4]
    as_data = [labels.shape for _, labels in evaluation_stream(batches)]
    assert [tuple(s) for s in as_data] == [(2, 5, 7), (1, 9, 4), (2, 5, 7)]


@pytest.mark.parametrize(
    ("permuted", "input_name", "channels"),
    [("factors", "factors", [0, 1]), ("slope", "factors", [1]), ("nir", "image", [2])],
)
def test_a_permuted_part_is_that_of_a_far_example(
    make_store, permuted, input_name, channels
):
    store = make_store(7)
    selection = InputSelection(("red", "green", "nir"), ("height", "slope"))
    plain = EvaluationBatches(store, selection, 4)
    moved = PermutedBatches(store, selection, 4, permuted=permuted)
    for numbers in plain.numbers():
        inputs, labels = plain.load(numbers)
        others, _ = plain.load([(n + 3) % 7 for n in numbers])
        for channel in channels:
            inputs[input_name][..., channel] = others[input_name][..., channel]
        found, own = moved.load(numbers)
        np.testing.assert_array_equal(own, labels)
        for name in inputs:
            np.testing.assert_array_equal(found[name], inputs[name])


def test_what_cannot_be_permuted_is_refused(make_store):
    selection = InputSelection(("red",), ("slope",))
    for store, name, message in (
        (make_store(4), "aspect", r"has image \(red\) and factors \(slope\)"),
        (make_store(1), "red", "at least two examples, all of one size"),
        (make_store(2, [(4, 4), (8, 8)]), "red", "all of one size"),
    ):
        with pytest.raises(DataError, match=message):
            PermutedBatches(store, selection, permuted=name)


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_batch_is_stacked_where_tensorflow_takes_it_over(axis, dtype):
    arrays = list(np.arange(3 * 5 * 7 * 2).reshape(3, 5, 7, 2).astype(dtype))
    found = stacked(arrays, axis)
    np.testing.assert_array_equal(found, np.stack(arrays, axis))
    assert found.dtype == dtype and found.flags.c_contiguous
    stream = tf.data.Dataset.range(1).map(
        lambda _: tf.numpy_function(lambda: found, [], dtype)
    )
    assert np.shares_memory(np.asarray(memoryview(next(iter(stream)))), found)

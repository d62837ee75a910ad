import functools
import json
import math
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from landslide_tf.errors import DataError, ModelError
from landslide_tf.metrics import (
    ThresholdAccumulator,
    best_threshold,
    decide,
    standard_error_threshold,
)


def scene(seed, classes=3, pixels=400, dtype=np.float32):
    """Probabilities that know something about the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(
        classes, pixels, p=[0.1] + [0.9 / (classes - 1)] * (classes - 1)
    )
    logits = rng.normal(size=(pixels, classes)) + 1.5 * np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    labels = np.where(rng.random(pixels) < 0.1, 255, labels)
    return probabilities.astype(dtype), labels.astype(np.uint8)


def brute_force(probabilities, labels, landslide_class, bins):
    """F1 of every threshold, each with `decide` and scikit-learn."""
    index = 1 if landslide_class == "sigmoid" else landslide_class
    valid = labels != 255
    scores = []
    for k in range(bins + 1):
        predicted = decide(
            probabilities, landslide_class=landslide_class, threshold=k / bins
        )
        truth, found = labels[valid] == index, predicted[valid] == index
        scores.append(sk.f1_score(truth, found, zero_division=0))
    return np.array(scores)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("landslide_class", [0, 2, "sigmoid"])
def test_exact_against_brute_force(dtype, landslide_class):
    probabilities, labels = scene(1, dtype=dtype)
    if landslide_class == "sigmoid":
        probabilities = probabilities[:, :1]
        labels = np.where(labels == 255, 255, labels == 0).astype(np.uint8)
    # Many pixels exactly on a threshold, as rounding puts them.
    probabilities[::3] = (np.round(probabilities[::3].astype(float) * 50) / 50).astype(
        dtype
    )
    accumulator = ThresholdAccumulator(landslide_class, bins=50)
    accumulator.update(probabilities, labels)
    expected = brute_force(probabilities, labels, landslide_class, 50)
    np.testing.assert_allclose(accumulator.curve().f1, expected, atol=1e-12)
    best = accumulator.best()
    assert best.f1 == pytest.approx(expected.max())
    assert best.f1 == pytest.approx(expected[round(best.threshold * 50)])
    assert json.dumps(best._asdict())


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from([0, 1, 255])), max_size=30)
)
@settings(max_examples=60, deadline=None)
def test_any_few_pixels_agree_with_brute_force(pixels):
    values = np.array([[k / 20] for k, _ in pixels], np.float32).reshape(-1, 1)
    labels = np.array([label for _, label in pixels], np.uint8)
    best = best_threshold(values, labels, landslide_class="sigmoid", bins=20)
    if not {0, 1} <= set(labels.tolist()):
        assert best is None
        return
    expected = brute_force(values, labels, "sigmoid", 20)
    assert best.f1 == pytest.approx(expected.max())
    chosen = decide(values, landslide_class="sigmoid", threshold=best.threshold)
    valid = labels != 255
    assert sk.f1_score(labels[valid], chosen[valid]) == pytest.approx(best.f1)
    assert sk.recall_score(labels[valid], chosen[valid]) == pytest.approx(best.recall)
    assert sk.precision_score(labels[valid], chosen[valid]) == pytest.approx(
        best.precision
    )


def test_halves_add_up():
    probabilities, labels = scene(2)
    whole, first, second = (ThresholdAccumulator(0) for _ in range(3))
    image, mask = probabilities.reshape(1, 20, 20, 3), labels.reshape(1, 20, 20, 1)
    whole.update(image, mask)
    first.update(image[:, :7], mask[:, :7])
    second.update(image[:, 7:], mask[:, 7:, :, 0])
    both = first + second
    np.testing.assert_array_equal(both.counts, whole.counts)
    assert both.best() == whole.best()
    assert whole.counts.sum() == (labels != 255).sum()
    assert whole.counts.dtype == np.int64


def test_ties_take_the_middle_of_the_longest_run():
    # Landslide from 0.8 on, the rest up to 0.2: thresholds 0.3 to 0.8 are perfect.
    values, labels = np.array([[0.1], [0.2], [0.8], [0.9]]), np.array([0, 0, 1, 1])
    best = best_threshold(values, labels, landslide_class="sigmoid", bins=10)
    assert best == (0.5, 1.0, 1.0, 1.0)
    # One more step to choose from: 0.21 to 0.80 has sixty, the lower middle is taken.
    best = best_threshold(values, labels, landslide_class="sigmoid", bins=100)
    assert best.threshold == 0.50
    # Two runs as good: F1 = 2/3 for t = 0.1 to 0.4 (2 of 4) and 0.7 to 0.9 (1 of 1).
    values, labels = [[0.9], [0.6], [0.6], [0.4]], [1, 0, 0, 1]
    best = best_threshold(
        np.array(values), np.array(labels), landslide_class="sigmoid", bins=10
    )
    assert best.f1 == pytest.approx(2 / 3)
    assert best.threshold == 0.2  # of 0.0 to 0.4


def test_a_threshold_finds_what_the_argmax_misses():
    # Rare landslides with a score of 0.3 where everything else has less.
    labels = np.zeros(1000, np.uint8)
    labels[:10] = 1
    probabilities = np.where(labels == 1, 0.3, 0.05)[:, None]
    probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    assert not decide(probabilities, landslide_class=1).any()
    best = best_threshold(probabilities, labels, landslide_class=1)
    np.testing.assert_array_equal(
        decide(probabilities, landslide_class=1, threshold=best.threshold), labels
    )


def images(number, seed=0, pixels=200):
    """Images of their own brightness, on which a low threshold is the best."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        labels = (rng.random(pixels) < 0.2).astype(np.uint8)
        logits = rng.normal(np.where(labels == 1, 0, -3) + rng.normal(), 1.0)
        found.append((1 / (1 + np.exp(-logits))[:, None], labels))
    return found


def counts_of(made, bins=40):
    found = []
    for probabilities, labels in made:
        found.append(ThresholdAccumulator("sigmoid", bins=bins))
        found[-1].update(probabilities, labels)
    return found


def resampled_choice(made, bins=40, draws=4000):
    """The rule, its error from resampled images: nearest to 0.5 of those within it."""
    truth = np.array([labels == 1 for _, labels in made])
    values = np.array([probabilities[:, 0] for probabilities, _ in made])
    cuts = np.arange(bins + 1) / bins
    mapped = values[..., None] >= cuts
    hits = (mapped & truth[..., None]).sum(1)
    areas = mapped.sum(1) + truth.sum(1)[:, None]
    drawn = np.random.default_rng(1).integers(len(made), size=(draws, len(made)))
    f1, every = (2 * hits[d].sum(-2) / areas[d].sum(-2) for d in (slice(None), drawn))
    error = (every - every[:, [f1.argmax()]]).std(0)
    near = np.flatnonzero(f1.max() - f1 <= error)
    return cuts[near[np.abs(cuts[near] - 0.5).argmin()]], cuts[f1.argmax()]


@pytest.mark.parametrize("number", [6, 16, 60, 400])
def test_the_standard_error_is_that_of_resampled_images(number):
    made = images(number, seed=number)
    chosen = standard_error_threshold(counts_of(made))
    expected, _ = resampled_choice(made)
    assert abs(chosen.threshold - expected) <= 1 / 40 + 1e-9
    pixels = [np.concatenate(part) for part in zip(*made, strict=True)]
    own = decide(pixels[0], landslide_class="sigmoid", threshold=chosen.threshold)
    assert chosen.f1 == pytest.approx(sk.f1_score(pixels[1], own))


def test_few_images_stay_nearer_to_a_half_than_many():
    few = [standard_error_threshold(counts_of(images(6, seed))) for seed in range(20)]
    for seed, chosen in enumerate(few):
        own = functools.reduce(operator.add, counts_of(images(6, seed))).best()
        assert abs(chosen.threshold - 0.5) <= abs(own.threshold - 0.5)
    many = standard_error_threshold(counts_of(images(2000)))
    _, best = resampled_choice(images(2000), draws=10)
    assert abs(many.threshold - best) <= 0.05
    mean = np.mean([chosen.threshold for chosen in few])
    assert best <= many.threshold < mean < 0.5


def test_one_image_has_no_error_and_images_without_pixels_do_not_count():
    one = images(1)
    empty = (one[0][0], np.full_like(one[0][1], 255))
    assert standard_error_threshold(counts_of(one)).threshold == 0.5
    assert standard_error_threshold(counts_of([*one, empty])).threshold == 0.5
    made = images(12)
    both = [standard_error_threshold(counts_of(m)) for m in (made, [*made, empty])]
    assert both[0] == both[1]


@pytest.mark.parametrize("value", [0, 1, 255])
def test_images_of_one_class_alone_choose_no_threshold(value):
    made = [(p, np.full_like(labels, value)) for p, labels in images(3)]
    assert standard_error_threshold(counts_of(made)) is None
    assert standard_error_threshold([]) is None


def test_images_counted_apart_need_the_same_arguments():
    first, second = counts_of(images(1), bins=10), counts_of(images(1), bins=20)
    with pytest.raises(DataError, match="only counts of one evaluation"):
        standard_error_threshold(first + second)


@pytest.mark.parametrize("labels", [[], [255, 255], [0, 0], [1, 255]])
def test_nothing_to_tell_apart_gives_none(labels):
    labels = np.array(labels, np.uint8)
    values = np.full((len(labels), 1), 0.7)
    assert best_threshold(values, labels, landslide_class="sigmoid") is None
    accumulator = ThresholdAccumulator("sigmoid", bins=4)
    accumulator.update(values, labels)
    recall = accumulator.curve().recall
    assert np.isnan(recall).all() if 1 not in labels else recall[0] == 1


def test_scores_without_information_mark_everything():
    values, labels = np.full((10, 1), 0.4), np.array([1] + [0] * 9)
    best = best_threshold(values, labels, landslide_class="sigmoid", bins=10)
    assert best.threshold <= 0.4
    assert best.f1 == pytest.approx(2 / 11)
    curve = ThresholdAccumulator("sigmoid", bins=10)
    curve.update(values, labels)
    assert math.isnan(curve.curve().precision[-1])


@pytest.mark.parametrize(
    ("values", "labels", "message"),
    [
        ([[0.5], [1.5]], [0, 1], "from 0 to 1, received values from 0.5 to 1.5"),
        ([[0.5], [-1.0]], [0, 1], "not logits"),
        ([[0.5], [math.nan]], [0, 1], "received NaN or infinity"),
        ([[0.5], [0.5]], [0, 2], "from 0 to 1 or the ignore value 255, received 2"),
        ([[0.5], [0.5]], [0, -1], "received -1"),
        ([[0.5], [0.5]], [0.0, 1.0], "integer `labels`"),
        ([[0.5], [0.5]], [0, 1, 1], r"shape \(2,\).*received \(3,\)"),
        ([[0], [1]], [0, 1], "floating-point `probabilities`"),
    ],
)
def test_impossible_values_are_refused_and_not_counted(values, labels, message):
    accumulator = ThresholdAccumulator("sigmoid")
    with pytest.raises(DataError, match=message):
        accumulator.update(np.array(values), np.array(labels))
    assert not accumulator.counts.any()


def test_nan_where_there_is_no_label_is_fine():
    accumulator = ThresholdAccumulator("sigmoid")
    accumulator.update(np.array([[math.nan], [0.4]]), np.array([255, 1]))
    assert accumulator.counts.sum() == 1


def test_wrong_arguments_are_refused():
    with pytest.raises(DataError, match="`bins` of at least 2, received 1"):
        ThresholdAccumulator(0, bins=1)
    probabilities, labels = scene(3)
    for landslide_class, channels in ((3, 3), (-1, 3), ("sigmoid", 2), (0, 1)):
        with pytest.raises(ModelError, match=f"received {channels} channel"):
            best_threshold(
                probabilities[:, :channels],
                np.zeros_like(labels),
                landslide_class=landslide_class,
            )
    with pytest.raises(DataError, match="only counts of one evaluation"):
        ThresholdAccumulator(0) + ThresholdAccumulator(1)

import math
from functools import partial

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.metrics import (
    Scores,
    paired_bootstrap,
    score_of_matrices,
)
from landslide_tf.metrics.bootstrap import SCORES

IOU = partial(score_of_matrices, score="landslide_iou", landslide=0)


def counts(seed, runs=2, images=30, classes=3, good=0.0):
    generator = np.random.default_rng(seed)
    found = generator.integers(0, 40, (runs, images, classes, classes))
    found[..., range(classes), range(classes)] += int(good * 100)
    return found


@pytest.mark.parametrize("score", SCORES)
def test_scores_of_many_matrices_equal_those_of_each(score):
    matrices = counts(0)
    matrices[0, 0, 0] = matrices[0, 0, :, 0] = 0  # no landslide at all
    found = score_of_matrices(matrices, score, 0)
    for place in np.ndindex(found.shape):
        scores = Scores.from_matrix(matrices[place])
        if score.startswith("landslide_"):
            expected = scores.of_class(0)[score.removeprefix("landslide_")]
        else:
            expected = getattr(scores, score)
        np.testing.assert_allclose(found[place], expected, rtol=1e-12)


def test_an_unknown_score_names_the_nearest():
    with pytest.raises(DataError, match="landslide_iou"):
        score_of_matrices(counts(0), "landslide_iuo", 0)


def plain_bootstrap(first, second, samples, seed):
    """The same, image by image."""
    generator = np.random.default_rng(seed)
    images = first.shape[1]
    found = []
    for _ in range(samples):
        drawn = generator.integers(0, images, images)
        one, two = (
            np.mean([Scores.from_matrix(run[drawn].sum(0)).iou[0] for run in model])
            for model in (first, second)
        )
        found.append(two - one)
    return np.quantile(found, [0.025, 0.975])


def test_the_interval_agrees_with_drawing_image_by_image():
    first, second = counts(1), counts(2, runs=3, good=0.2)
    interval = paired_bootstrap(first, second, IOU, samples=3000)
    expected = plain_bootstrap(first, second, 1500, seed=9)
    width = expected[1] - expected[0]
    np.testing.assert_allclose(
        [interval.low, interval.high], expected, atol=0.1 * width
    )
    one, two = (
        np.mean([Scores.from_matrix(run.sum(0)).iou[0] for run in model])
        for model in (first, second)
    )
    assert interval.estimate == pytest.approx(two - one)
    assert interval.low < interval.estimate < interval.high


def test_a_model_does_not_differ_from_itself_though_images_do():
    first = counts(3)
    interval = paired_bootstrap(first, first, IOU, samples=50)
    assert (interval.estimate, interval.low, interval.high) == (0, 0, 0)


def test_pairs_are_narrower_than_independent_draws():
    first = counts(4, runs=1)
    second = first.copy()
    second[..., 0, 0] += 1  # a little better on every image
    paired = paired_bootstrap(first, second, IOU, samples=500)
    assert paired.low > 0
    shuffled = second[:, np.random.default_rng(0).permutation(second.shape[1])]
    apart = paired_bootstrap(first, shuffled, IOU, samples=500)
    assert paired.high - paired.low < 0.2 * (apart.high - apart.low)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(5)
    probability = np.array([[0.3, 0.1], [0.1, 0.5]])
    accuracy = partial(score_of_matrices, score="oa", landslide=0)
    hits = 0
    for trial in range(200):
        both = generator.multinomial(50, probability.ravel(), (2, 1, 40))
        first, second = both.reshape(2, 1, 40, 2, 2)
        found = paired_bootstrap(first, second, accuracy, samples=300, seed=trial)
        hits += found.low <= 0 <= found.high
    assert 0.90 <= hits / 200 <= 0.99


def test_undefined_resamples_are_left_out():
    matrices = np.zeros((1, 4, 2, 2), int)
    matrices[..., 1, 1] = 5
    matrices[0, 0, 0, 0] = 5  # landslide in one image of four
    better = matrices.copy()
    interval = paired_bootstrap(matrices, better, IOU, samples=100)
    assert interval.low == interval.high == 0
    nothing = np.zeros((1, 4, 2, 2), int)
    assert math.isnan(paired_bootstrap(nothing, nothing, IOU, samples=10).low)


def test_other_images_are_refused():
    with pytest.raises(DataError, match="30 and 29"):
        paired_bootstrap(counts(0), counts(0)[:, 1:], IOU)

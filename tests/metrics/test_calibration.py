import json
import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from landslide_tf.errors import DataError, ModelError
from landslide_tf.metrics import ReliabilityAccumulator, expected_calibration_error


def pixels(seed, classes=4, number=3000):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, number)
    logits = rng.normal(size=(number, classes)) + 2 * np.eye(classes)[labels]
    probabilities = np.exp(2 * logits)
    probabilities /= probabilities.sum(-1, keepdims=True)
    return probabilities, labels.astype(np.uint8)


def test_published_values(shared):
    path = shared / "specs" / "golden" / "evidential_fusion.json"
    golden = json.loads(path.read_text())["calibration"]
    landslide = np.array(golden["p_landslide"])
    probabilities = np.stack([1 - landslide, landslide], axis=-1)
    labels = np.array(golden["y"])
    accumulator = ReliabilityAccumulator(bins=15)
    accumulator.update(probabilities, labels)
    assert accumulator.ece == pytest.approx(golden["ece_15"], abs=1e-12)
    assert accumulator.mce == pytest.approx(golden["mce_15"], abs=1e-12)
    received = expected_calibration_error(probabilities, labels, bins=10)
    assert received == pytest.approx(golden["ece_10"], abs=1e-12)


@pytest.mark.parametrize("bins", [5, 15])
@pytest.mark.parametrize("landslide_class", [None, 2])
def test_against_scikit_learn(bins, landslide_class):
    probabilities, labels = pixels(1)
    probabilities[:40] = np.eye(4)[labels[:40]]  # 0 and 1 themselves
    probabilities[40:60] = [0.6, 0.2, 0.2, 0.0]  # on the edges of bins
    accumulator = ReliabilityAccumulator(bins, landslide_class)
    accumulator.update(probabilities, labels)
    if landslide_class is None:
        hit, confidence = probabilities.argmax(-1) == labels, probabilities.max(-1)
    else:
        hit, confidence = labels == 2, probabilities[:, 2]
    accuracies, confidences = calibration_curve(hit, confidence, n_bins=bins)
    rows = [row for row in accumulator.table() if row["pixels"]]
    np.testing.assert_allclose([r["accuracy"] for r in rows], accuracies, atol=1e-12)
    np.testing.assert_allclose([r["confidence"] for r in rows], confidences)
    share = np.array([r["pixels"] for r in rows]) / len(labels)
    gaps = np.abs(accuracies - confidences)
    assert accumulator.ece == pytest.approx((share * gaps).sum())
    assert accumulator.mce == pytest.approx(gaps.max())


def test_bins_are_closed_above():
    accumulator = ReliabilityAccumulator(bins=4, landslide_class="sigmoid")
    values = np.array([[0.0], [0.25], [0.5], [0.75], [1.0]])
    accumulator.update(values, np.array([0, 0, 1, 1, 1]))
    table = accumulator.table()
    assert [row["pixels"] for row in table] == [2, 1, 1, 1]
    assert [(row["above"], row["up_to"]) for row in table][-1] == (0.75, 1.0)
    assert table[0] == {
        "above": 0.0,
        "up_to": 0.25,
        "pixels": 2,
        "confidence": 0.125,
        "accuracy": 0.0,
    }


def test_halves_add_up_and_ignored_pixels_do_not_count():
    probabilities, labels = pixels(2, number=400)
    labels[::5] = 255
    probabilities[0] = math.nan
    image, mask = probabilities.reshape(1, 20, 20, 4), labels.reshape(1, 20, 20, 1)
    first, second = ReliabilityAccumulator(), ReliabilityAccumulator()
    first.update(image[:, :3], mask[:, :3])
    second.update(image[:, 3:], mask[:, 3:, :, 0])
    both = first + second
    valid = labels != 255
    expected = expected_calibration_error(probabilities[valid], labels[valid])
    assert both.ece == pytest.approx(expected, abs=1e-12)
    assert both.pixels.sum() == 320
    assert json.dumps(both.table())


def test_one_channel_is_the_second_of_two():
    probabilities, labels = pixels(3, classes=2)
    single, double = (ReliabilityAccumulator() for _ in range(2))
    single.update(probabilities[:, 1:], labels)
    double.update(probabilities, labels)
    np.testing.assert_array_equal(single.pixels, double.pixels)
    assert single.ece == pytest.approx(double.ece, abs=1e-12)
    # An even sigmoid is landslide, as in `decide`.
    even = ReliabilityAccumulator()
    even.update(np.array([[0.5]]), np.array([1]))
    assert even.hits.sum() == 1


def test_calibrated_scores_have_a_small_error_and_overconfident_ones_a_large():
    rng = np.random.default_rng(4)
    p = rng.random(200_000)
    labels = (rng.random(p.size) < p).astype(np.uint8)
    assert expected_calibration_error(p[:, None], labels) < 0.005
    sure = (p[:, None] > 0.5).astype(float)
    assert expected_calibration_error(sure, labels) == pytest.approx(0.25, abs=0.01)


def test_rare_landslides_hide_behind_the_rest():
    # 1 % landslide, scores twice too high: the predicted class hardly shows it.
    rng = np.random.default_rng(5)
    score = rng.choice([0.0, 0.4], 100_000, p=[0.95, 0.05])
    labels = (rng.random(score.size) < score / 2).astype(np.uint8)
    landslide = ReliabilityAccumulator(landslide_class="sigmoid")
    landslide.update(score[:, None], labels)
    assert landslide.mce == pytest.approx(0.2, abs=0.02)
    assert landslide.ece < 0.02


def test_nothing_counted_is_nan():
    accumulator = ReliabilityAccumulator(bins=2)
    accumulator.update(np.full((3, 2), 0.5), np.full(3, 255))
    assert math.isnan(accumulator.ece)
    assert math.isnan(accumulator.mce)
    assert [row["accuracy"] for row in accumulator.table()] == [None, None]


def test_wrong_arguments_are_refused():
    with pytest.raises(DataError, match="`bins` of at least 1, received 0"):
        ReliabilityAccumulator(bins=0)
    with pytest.raises(DataError, match="only counts of one evaluation"):
        ReliabilityAccumulator(5) + ReliabilityAccumulator(6)
    probabilities, labels = pixels(6)
    with pytest.raises(ModelError, match="from 0 to 3, received 4"):
        expected_calibration_error(probabilities, labels, landslide_class=4)
    with pytest.raises(DataError, match="not logits"):
        expected_calibration_error(5 * probabilities, labels)

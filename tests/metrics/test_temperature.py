import math

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

from landslide_tf.errors import DataError, ModelError
from landslide_tf.metrics import (
    LogitSample,
    apply_temperature,
    decide,
    expected_calibration_error,
    fit_temperature,
)


def calibrated(seed, number=20_000, classes=3):
    """Logits whose softmax is the true distribution of the labels."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(number, classes))
    noise = rng.gumbel(size=logits.shape)
    return logits, (logits + noise).argmax(-1).astype(np.uint8)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0, 1.7, 20.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_become_those_of_divided_logits(temperature, dtype):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(2, 5, 4, 3))
    received = apply_temperature(softmax(logits, -1).astype(dtype), temperature)
    assert received.dtype == dtype
    tolerance = 2e-5 if dtype == np.float32 else 1e-11
    expected = softmax(logits / temperature, -1)
    np.testing.assert_allclose(received, expected, atol=tolerance)
    single = logits[..., :1]
    received = apply_temperature(expit(single).astype(dtype), temperature)
    assert received.shape == single.shape
    assert received.dtype == dtype
    np.testing.assert_allclose(received, expit(single / temperature), atol=tolerance)


def test_sure_and_missing_pixels_stay_as_they_are():
    sure = np.array([[1.0, 0.0], [0.5, 0.5], [math.nan, math.nan]], np.float32)
    np.testing.assert_array_equal(apply_temperature(sure, 3.0), sure)
    single = np.array([[0.0], [0.5], [1.0]], np.float32)
    np.testing.assert_array_equal(apply_temperature(single, 0.1), single)
    half = np.array([[0.25, 0.75]], np.float16)
    assert apply_temperature(half, 2.0).dtype == np.float32


def test_the_argmax_stays_and_the_input_too():
    probabilities = softmax(np.random.default_rng(2).normal(size=(500, 5)), -1)
    before = probabilities.copy()
    scaled = apply_temperature(probabilities, 4.0)
    np.testing.assert_array_equal(
        decide(scaled, landslide_class=0), decide(probabilities, landslide_class=0)
    )
    np.testing.assert_array_equal(probabilities, before)


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf])
def test_what_is_no_temperature_is_refused(temperature):
    with pytest.raises(ModelError, match="`temperature` above 0"):
        apply_temperature([[0.5, 0.5]], temperature)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_fit_finds_the_temperature_of_overconfident_logits(temperature):
    logits, labels = calibrated(3)
    received = fit_temperature(temperature * logits, labels)
    assert received == pytest.approx(temperature, rel=0.03)
    # The smallest likelihood on a fine grid of an independent formula.
    grid = temperature * np.linspace(0.9, 1.1, 201)
    rows = np.arange(len(labels))
    scaled = temperature * logits
    losses = [-log_softmax(scaled / t, -1)[rows, labels].mean() for t in grid]
    assert received == pytest.approx(grid[np.argmin(losses)], rel=2e-3)


def test_fit_mends_the_calibration_error():
    logits, labels = calibrated(4)
    before = softmax(5 * logits, -1)
    after = apply_temperature(before, fit_temperature(5 * logits, labels))
    assert expected_calibration_error(before, labels) > 0.1
    assert expected_calibration_error(after, labels) < 0.02


def test_sigmoid_logits_and_log_probabilities_do_as_well():
    logits, labels = calibrated(5, classes=2)
    expected = fit_temperature(3 * logits, labels)
    single = 3 * (logits[:, 1:] - logits[:, :1])
    assert fit_temperature(single, labels) == pytest.approx(expected, rel=1e-4)
    received = fit_temperature(log_softmax(3 * logits, -1), labels)
    assert received == pytest.approx(expected, rel=1e-4)


def test_shapes_of_images_and_ignored_pixels():
    logits, labels = calibrated(6, number=3200)
    expected = fit_temperature(logits[:3000], labels[:3000])
    labels[3000:] = 255
    logits[3000:] = math.nan
    image, mask = logits.reshape(2, 40, 40, 3), labels.reshape(2, 40, 40, 1)
    assert fit_temperature(image, mask) == expected


def test_likelihoods_without_a_minimum_end_near_a_bound():
    logits = np.array([[4.0, 0.0], [0.0, 4.0]] * 10)
    right = np.array([0, 1] * 10)
    assert 0.05 <= fit_temperature(logits, right) < 0.1
    assert fit_temperature(logits, 1 - right) == 20.0
    huge = np.array([[1e4, -1e4], [1e4, -1e4]], np.float32)
    assert 0.05 <= fit_temperature(huge, np.array([0, 1])) <= 20.0


def test_the_sample_is_seeded_bounded_and_independent_of_the_batches():
    logits, labels = calibrated(7, number=5000)
    labels[::7] = 255
    samples = []
    for size in (5000, 640, 1):
        sample = LogitSample(size=300, seed=11)
        for start in range(0, 5000, size):
            part = slice(start, start + size)
            sample.update(logits[part], labels[part])
        samples.append(sample)
    assert samples[0].logits.shape == (300, 3)
    for sample in samples[1:]:
        np.testing.assert_array_equal(sample.logits, samples[0].logits)
        np.testing.assert_array_equal(sample.labels, samples[0].labels)
    other = LogitSample(size=300, seed=12)
    other.update(logits, labels)
    assert not np.array_equal(other.logits, samples[0].logits)
    assert fit_temperature(logits, labels, max_pixels=300, seed=11) == (
        samples[0].temperature()
    )


def test_every_pixel_has_the_same_chance():
    taken = np.zeros(50)
    for seed in range(400):
        sample = LogitSample(size=10, seed=seed)
        for start in (0, 5, 30):
            stop = {0: 5, 5: 30, 30: 50}[start]
            marks = np.arange(start, stop, dtype=float)[:, None] * [1, 0]
            sample.update(marks, np.zeros(stop - start, int))
        taken[sample.logits[:, 0].astype(int)] += 1
    # 400 draws with chance 1/5: mean 80, standard deviation 8.
    assert taken.sum() == 4000
    assert 40 < taken.min() < taken.max() < 120


def test_impossible_input_is_refused():
    logits, labels = calibrated(8, number=10)
    with pytest.raises(DataError, match="at least one labelled pixel"):
        fit_temperature(logits, np.full(10, 255))
    with pytest.raises(DataError, match="at least one labelled pixel"):
        LogitSample().temperature()
    with pytest.raises(DataError, match="finite `logits`"):
        fit_temperature(np.full((10, 3), np.inf), labels)
    with pytest.raises(DataError, match="`size` of at least 1"):
        LogitSample(size=0)
    sample = LogitSample()
    sample.update(logits, labels)
    with pytest.raises(DataError, match="logits of 3 classes as before, received 2"):
        sample.update(logits[:, :2], np.zeros(10, int))

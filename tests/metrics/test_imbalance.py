import math

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.metrics import class_weights, prior_bias


def test_published_log_weights():
    expected = [2.388286, 1.532978, 8.823891, 50.498350]
    received = class_weights([0.5, 0.9, 0.1, 0.0], rule="log")
    np.testing.assert_allclose(received, expected, atol=5e-7)
    assert class_weights([1.0, 0.0], rule="log")[0] == pytest.approx(1.422278, abs=5e-7)


def test_median_frequency_by_hand():
    assert class_weights([0.5, 0.4, 0.1]) == pytest.approx([0.8, 1.0, 4.0])
    # An even number of classes: the median lies between two.
    assert class_weights([0.98, 0.02]) == pytest.approx([0.5 / 0.98, 25.0])


def test_absent_classes_get_nothing_and_move_no_median():
    assert class_weights([0.6, 0.0, 0.3, 0.1, 0.0]) == pytest.approx([0.5, 0, 1, 3, 0])
    assert class_weights([0.0, 1.0]) == [0.0, 1.0]


@pytest.mark.parametrize("rule", ["median_frequency", "log"])
def test_rarer_classes_weigh_more_and_results_are_json(rule):
    weights = class_weights(np.array([0.7, 0.2, 0.09, 0.01], np.float32), rule)
    assert weights == sorted(weights)
    assert all(type(weight) is float for weight in weights)


@pytest.mark.parametrize(
    "shares", [[], [0, 0], [-0.1, 1.1], [math.nan, 1], [30, 70], [[0.5, 0.5]]]
)
def test_what_is_no_share_is_refused(shares):
    with pytest.raises(DataError, match="one share a class"):
        class_weights(shares)
    if shares != [30, 70]:  # counts and weighted shares make a prior, too
        with pytest.raises(DataError, match="one share a class"):
            prior_bias(shares)


def test_an_unknown_rule_is_named():
    with pytest.raises(DataError, match=r"cannot be `logs`.*mean `log`"):
        class_weights([0.5, 0.5], rule="logs")


def test_prior_bias_gives_the_shares_back():
    shares = np.array([0.9, 0.07, 0.03])
    exponents = np.exp(prior_bias(shares))
    np.testing.assert_allclose(exponents / exponents.sum(), shares, rtol=1e-12)
    np.testing.assert_allclose(prior_bias(1000 * shares), prior_bias(shares))
    (bias,) = prior_bias([0.98, 0.02], sigmoid=True)
    assert 1 / (1 + math.exp(-bias)) == pytest.approx(0.02)


def test_prior_bias_of_an_absent_class_is_finite():
    assert prior_bias([1, 0]) == pytest.approx([0, math.log(1e-6)])
    assert prior_bias([1, 0], sigmoid=True) == pytest.approx([math.log(1e-6)])


def test_prior_bias_of_a_sigmoid_needs_two_classes():
    with pytest.raises(DataError, match=r"Expected 2 `shares`.*received 3"):
        prior_bias([0.5, 0.3, 0.2], sigmoid=True)


def test_weighted_shares_are_what_a_weighted_loss_settles_on():
    # The constant scores that minimise Σ w·f·(−ln a), found by search.
    shares, weights = np.array([0.95, 0.05]), np.array(class_weights([0.95, 0.05]))
    a = np.linspace(0.001, 0.999, 9981)
    loss = -(weights[0] * shares[0] * np.log(1 - a) + weights[1] * 0.05 * np.log(a))
    (bias,) = prior_bias(weights * shares, sigmoid=True)
    assert 1 / (1 + math.exp(-bias)) == pytest.approx(a[loss.argmin()], abs=2e-4)

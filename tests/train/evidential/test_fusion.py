"""Calibration, rules and their scores over seeds."""

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.evidence import RULES, combine_branches, fuse_branches
from landslide_tf.metrics import IMAGE_SCORES, expected_calibration_error, image_scores
from landslide_tf.train.evidential.evaluation import score_methods, summarise
from landslide_tf.train.evidential.fusion import (
    all_methods,
    calibrated,
    fit_temperatures,
    fuse_table,
)
from landslide_tf.train.evidential.predictions import BranchTable

BRANCHES = ("original", "h", "s", "v")


def table(images=400, seed=0, sharpness=(1.0, 1.0, 3.0, 0.4)):
    """Branches whose logits are those of true posteriors times a sharpness."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, images)
    rows = []
    for factor in sharpness:
        logit = random.normal(2 * labels - 1.0, 1.0)  # posterior: sigmoid(2 logit)
        p = 1 / (1 + np.exp(-2 * factor * logit))
        rows.append(np.stack([1 - p, p], axis=1))
    stems = tuple(f"i{n:04}" for n in range(images))
    return BranchTable(BRANCHES, stems, labels, np.stack(rows, axis=1))


def test_temperatures_undo_what_made_branches_too_sure_or_unsure():
    found = fit_temperatures(table(20000))
    for branch, factor in zip(BRANCHES, (1.0, 1.0, 3.0, 0.4), strict=True):
        assert found[branch] == pytest.approx(factor, rel=0.05), branch
    test = table(20000, seed=1)
    after = calibrated(test, found)
    for branch in ("s", "v"):
        assert expected_calibration_error(test.of(branch), test.labels) > 0.05
        assert expected_calibration_error(after.of(branch), after.labels) < 0.02
    np.testing.assert_array_equal(
        after.of("s").argmax(axis=1), test.of("s").argmax(axis=1)
    )


def test_saturated_branches_can_be_calibrated():
    sure = table(40)
    sure.probabilities[:, 1] = np.eye(2)[sure.labels]
    sure.probabilities[0, 1] = np.eye(2)[1 - sure.labels[0]]  # once wrong
    found = fit_temperatures(sure)
    assert np.isfinite(calibrated(sure, found).probabilities).all()


def test_methods_are_the_branches_and_every_rule_of_three():
    found = all_methods(table())
    assert tuple(found) == (*BRANCHES, *RULES)
    three = table().probabilities[:, 1:]
    for rule in RULES:
        np.testing.assert_array_equal(found[rule], combine_branches(three, rule))
    predictions, result = fuse_table(table(), "support")
    expected = fuse_branches(three, "support")
    np.testing.assert_array_equal(predictions.probabilities, expected.probabilities)
    np.testing.assert_array_equal(result.weights, expected.weights)


def test_a_missing_branch_is_named():
    part = table()
    part = BranchTable(("h", "s"), part.stems, part.labels, part.probabilities[:, 1:3])
    with pytest.raises(DataError, match="none of `v`"):
        fuse_table(part)


def test_rows_hold_means_spreads_and_paired_intervals():
    seeds = [score_methods(table(seed=0)), score_methods(table(seed=0, images=400))]
    seeds.append(score_methods(table(seed=0, sharpness=(1, 1, 1, 1))))
    rows = {row["method"]: row for row in summarise(seeds)}
    for name, row in rows.items():
        for score in IMAGE_SCORES:
            values = [s[name].scores[score] for s in seeds]
            assert row[score] == pytest.approx(np.mean(values))
            assert row[f"{score}_sd"] == pytest.approx(np.std(values, ddof=1))
        assert np.sum(row["confusion"]) == 3 * 400
    assert rows["original"]["difference"] is None
    mean = rows["probability_mean"]
    gain = mean["accuracy"] - rows["original"]["accuracy"]
    assert mean["difference"] == pytest.approx(gain)
    assert mean["low"] < gain < mean["high"]
    # Three branches of independent noise beat one.
    assert mean["low"] > 0
    (alone,) = [r for r in summarise(seeds[:1]) if r["method"] == "h"]
    assert alone["accuracy_sd"] is None


def test_reliability_and_scores_belong_to_the_method():
    data = table()
    method = score_methods(data)["s"]
    assert method.scores == image_scores(data.of("s"), data.labels)
    assert sum(row["pixels"] for row in method.reliability) == 400
    assert method.correct.sum(axis=0).tolist() == method.confusion.tolist()


def test_seeds_of_other_images_are_refused():
    with pytest.raises(DataError, match="same branches and test images"):
        summarise([score_methods(table(400)), score_methods(table(300))])

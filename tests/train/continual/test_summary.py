"""Forgetting, transfer, pooled scores and intervals against the worked examples."""

import json

import numpy as np
import pytest

from landslide_tf.train.continual.summary import (
    continual_scores,
    interval,
    pooled,
    resampled_cell,
)


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "specs/golden/tsmu.json").read_text())["continual"]


def test_golden(golden):
    found = continual_scores(
        np.array(golden["R"], float),
        zero_shot=np.array(golden["Z_zero_shot"], float),
        fresh=np.array(golden["fresh_single_region"]),
        untrained=np.array(golden["untrained"]),
    )
    names = {
        "final_average": "final_average",
        "new_region_average": "new_region_average",
        "forgetting_per_region": "forgetting_per_region",
        "forgetting": "forgetting",
        "bwt": "bwt",
        "fwt_zero_shot": "fwt_zero_shot",
        "fwt_learn": "fwt_learn",
        "intransigence_per_region": "intransigence_per_region",
    }
    for name, key in names.items():
        np.testing.assert_allclose(found[name], golden[key], atol=1e-12)
    gain = np.array(golden["R"][-1]) - golden["fresh_single_region"]
    np.testing.assert_allclose(found["gain_per_region"], gain, atol=1e-12)


def test_runs_and_resamples_are_leading_axes(golden):
    one = np.array(golden["R"], float)
    many = np.stack([[one, one + 0.1], [one, one * 0.5]])
    found = continual_scores(many)
    assert found["forgetting"].shape == (2, 2)
    np.testing.assert_allclose(found["forgetting"][:, 0], golden["forgetting"])
    # A shift of every score changes no difference; half the scores halve it.
    np.testing.assert_allclose(found["forgetting"][0, 1], golden["forgetting"])
    np.testing.assert_allclose(found["forgetting"][1, 1], golden["forgetting"] / 2)


def test_one_region_forgets_nothing_and_transfers_nothing():
    found = continual_scores(np.array([[0.5]]), fresh=np.array([0.4]))
    assert found["final_average"] == 0.5
    assert found["gain_per_region"].tolist() == pytest.approx([0.1])
    assert not {"forgetting", "bwt", "fwt_learn"} & found.keys()


def test_a_missing_score_leaves_what_depends_on_it_open():
    matrix = np.array([[np.nan, np.nan], [0.4, 0.6]])
    found = continual_scores(matrix)
    assert found["final_average"] == 0.5
    assert np.isnan(found["forgetting"])
    assert np.isnan(found["bwt"])


def test_pooled_scores_by_hand():
    counts = np.array([[3, 1, 2, 10], [0, 0, 0, 16], [0, 4, 0, 12]])
    assert pooled(counts, "iou").tolist() == pytest.approx([0.5, 1, 0])
    assert pooled(counts, "f1").tolist() == pytest.approx([2 / 3, 1, 0])


def test_resamples_are_those_of_the_images():
    same = {"counts": [[3, 1, 2, 10]] * 5}
    assert set(resampled_cell(same, "iou", 0, samples=50)) == {0.5}
    mixed = {"counts": [[4, 0, 0, 0], [0, 0, 4, 0]]}
    drawn = resampled_cell(mixed, "iou", 0, samples=400)
    # Two of two, one of two, none of two: with probability 1/4, 1/2, 1/4.
    values, times = np.unique(drawn, return_counts=True)
    assert values.tolist() == [0, 0.5, 1]
    np.testing.assert_allclose(times / 400, [0.25, 0.5, 0.25], atol=0.08)


def test_methods_are_resampled_alike_and_regions_apart():
    counts = np.random.default_rng(0).integers(1, 9, (7, 4))
    first = resampled_cell({"counts": counts.tolist()}, "iou", 1, samples=20)
    again = resampled_cell({"counts": counts.tolist()}, "iou", 1, samples=20)
    other = resampled_cell({"counts": counts.tolist()}, "iou", 2, samples=20)
    assert first.tolist() == again.tolist() != other.tolist()


def test_interval_is_that_of_the_percentiles():
    drawn = np.stack([np.arange(1001.0), np.full(1001, np.nan)], axis=1)
    low, high = interval(drawn)
    assert (low[0], high[0]) == pytest.approx((25, 975))
    assert np.isnan([low[1], high[1]]).all()

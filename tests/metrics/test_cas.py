"""The published table of the CAS Landslide benchmark, row by row."""

import math

import numpy as np
import pytest

from landslide_tf.errors import DataError
from landslide_tf.metrics import (
    CAS_COLUMNS,
    ConfusionAccumulator,
    Scores,
    cas_scores,
)

# TN, FP, FN, TP in pixels per million; then precision, recall and IoU of landslide,
# macro F1, macro IoU, overall accuracy: exact ones, printed ones; landslide F1.
ROWS = {
    "UAV DeepLabv3+": (
        (791_637, 21_063, 11_729, 175_571),
        (89.2882, 93.7379, 84.2621, 94.7149, 90.1423, 96.7208),
        (89.289, 93.739, 84.261, 94.715, 90.142, 96.721),
        91.459,
    ),
    "UAV MFFENet": (
        (791_729, 21_001, 11_539, 175_731),
        (89.3251, 93.8383, 84.3761, 94.7562, 90.2142, 96.7460),
        (89.326, 93.839, 84.375, 94.756, 90.214, 96.746),
        91.526,
    ),
    "SAT DeepLabv3+": (
        (902_091, 23_107, 8_089, 66_713),
        (74.2741, 89.1861, 68.1378, 89.6751, 82.3976, 96.8804),
        (74.275, 89.187, 68.137, 89.675, 82.397, 96.881),
        81.050,
    ),
    "SAT MFFENet": (
        (901_941, 23_257, 8_123, 66_679),
        (74.1405, 89.1407, 67.9989, 89.6209, 82.3183, 96.8620),
        (74.141, 89.141, 67.998, 89.621, 82.318, 96.862),
        80.952,
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_golden_matrices_give_the_published_rows(row):
    (tn, fp, fn, tp), exact, printed, f1 = ROWS[row]
    table = cas_scores(Scores.from_matrix([[tn, fp], [fn, tp]]), landslide=1)
    values = [table[name] for name in CAS_COLUMNS]
    assert list(table)[: len(CAS_COLUMNS)] == list(CAS_COLUMNS)
    np.testing.assert_allclose(values, exact, atol=6e-5)
    np.testing.assert_allclose(values, printed, atol=0.0015)
    assert table["f1_landslide"] == pytest.approx(f1, abs=6e-4)
    # The landslide scores of one matrix follow from each other.
    p, r = table["precision"] / 100, table["recall"] / 100
    assert table["iou"] == pytest.approx(100 / (1 / p + 1 / r - 1))
    # Frequency-weighted by hand.
    background = tn / (tn + fp + fn)
    share = (fn + tp) / (tn + fp + fn + tp)
    expected = (1 - share) * background + share * table["iou"] / 100
    assert table["fwiou"] == pytest.approx(100 * expected)


def test_ignored_pixels_do_not_count_and_perfect_is_100():
    labels = np.array([[0, 1, 255], [1, 255, 0]])
    counts = ConfusionAccumulator(2)
    counts.update(labels, np.where(labels == 255, 1, labels))
    assert set(cas_scores(counts.scores(), landslide=1).values()) == {100.0}


def test_an_absent_class_is_nan_not_0():
    table = cas_scores(Scores.from_matrix([[5, 0], [0, 0]]), landslide=1)
    for name in ("precision", "recall", "iou", "f1_landslide"):
        assert math.isnan(table[name])
    assert table["oa"] == table["miou"] == table["f1"] == table["fwiou"] == 100.0
    assert all(
        math.isnan(v) for v in cas_scores(counts_of_nothing(), landslide=1).values()
    )


def counts_of_nothing():
    return ConfusionAccumulator(2).scores()


def test_the_landslide_class_is_not_always_1():
    first = cas_scores(Scores.from_matrix([[7, 2], [1, 90]]), landslide=0)
    second = cas_scores(Scores.from_matrix([[90, 1], [2, 7]]), landslide=1)
    assert first == pytest.approx(second)
    with pytest.raises(DataError, match="from 0 to 1, received 2"):
        cas_scores(counts_of_nothing(), landslide=2)

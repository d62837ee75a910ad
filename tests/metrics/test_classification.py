"""Scores of whole images against golden values, scikit-learn and hand counts."""

import json

import numpy as np
import pytest
from sklearn import metrics as sklearn

from landslide_tf.errors import DataError
from landslide_tf.metrics import IMAGE_SCORES, image_scores


def test_golden(shared):
    path = shared / "specs" / "golden" / "evidential_fusion.json"
    golden = json.loads(path.read_text())["calibration"]
    landslide = np.array(golden["p_landslide"])
    found = image_scores(np.stack([1 - landslide, landslide], axis=1), golden["y"])
    for name in ("brier", "nll", "accuracy"):
        assert found[name] == pytest.approx(golden[name], abs=1e-12), name
    assert found["ece"] == pytest.approx(golden["ece_15"], abs=1e-12)
    assert found["mce"] == pytest.approx(golden["mce_15"], abs=1e-12)


def test_equals_scikit_learn():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 200)
    landslide = np.clip(0.3 * labels + random.uniform(0, 0.7, 200), 0, 1)
    found = image_scores(np.stack([1 - landslide, landslide], axis=1), labels)
    assert tuple(found) == IMAGE_SCORES
    decided = landslide > 0.5
    expected = {
        "accuracy": sklearn.accuracy_score(labels, decided),
        "precision": sklearn.precision_score(labels, decided),
        "recall": sklearn.recall_score(labels, decided),
        "f1": sklearn.f1_score(labels, decided),
        "auc": sklearn.roc_auc_score(labels, landslide),
        "average_precision": sklearn.average_precision_score(labels, landslide),
        "brier": sklearn.brier_score_loss(labels, landslide),
        "nll": sklearn.log_loss(labels, landslide),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_ties_and_empty_denominators_count_as_no_landslide():
    found = image_scores([[0.5, 0.5], [0.6, 0.4]], [1, 0])
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)
    assert found["accuracy"] == 0.5 and found["auc"] == 1
    alone = image_scores([[0.0, 1.0]], [0])
    assert np.isnan(alone["auc"]) and np.isnan(alone["average_precision"])
    assert alone["nll"] == pytest.approx(12 * np.log(10))


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [([[0.5, 0.5]], [2]), ([[0.2, 1.3]], [1]), ([[1.0]], [1]), ([[0.1, 0.9]], [1, 0])],
)
def test_refuses_what_are_no_probabilities_of_images(probabilities, labels):
    with pytest.raises(DataError):
        image_scores(probabilities, labels)

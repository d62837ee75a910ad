"""Soft IoU and scores by image against worked values; empty against empty is 1."""

import json

import keras
import numpy as np
import pytest

from landslide_tf.metrics import ConfusionMatrix, Scores, SoftIoU, mean_image_scores


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "specs" / "golden" / "tsmu.json").read_text())


@pytest.fixture(scope="module")
def arrays(golden):
    y = np.asarray(golden["dice"]["y_true"], "uint8")
    return y, np.asarray(golden["dice"]["y_prob"], "float32")[..., None]


def soft_iou(*batches):
    metric = SoftIoU()
    for y, p in batches:
        metric.update_state(y, p)
    return float(metric.result())


def test_soft_iou_goldens(golden, arrays):
    y, p = arrays
    case = golden["iou"]
    each = [soft_iou((y[k : k + 1], p[k : k + 1])) for k in (0, 1)]
    assert each == pytest.approx(case["soft_per_image"], abs=1e-6)
    assert soft_iou((y, p)) == pytest.approx(case["soft_mean"], abs=1e-6)
    parts = [(y[k : k + 1], p[k : k + 1]) for k in (1, 0)]
    assert soft_iou(*parts) == pytest.approx(case["soft_mean"], abs=1e-6)


def test_soft_iou_of_a_map_with_itself_is_below_one(golden, arrays):
    p = arrays[1].astype("float64")
    ious = [(q * q).sum() / (2 * q - q * q).sum() for q in p]
    assert np.mean(ious) == pytest.approx(golden["iou"]["soft_self_of_y_prob"])


def test_empty_against_empty_is_one():
    nothing = np.zeros((2, 4, 4), "uint8")
    assert soft_iou((nothing, nothing[..., None].astype("float32"))) == 1
    assert float(SoftIoU().result()) == 0  # nothing seen


def test_ignored_pixels_count_nowhere(arrays):
    y, p = arrays
    expected = soft_iou((y[:, :3], p[:, :3]))
    hidden = y.copy()
    hidden[:, 3] = 255
    assert soft_iou((hidden, p)) == pytest.approx(expected, abs=1e-6)


def counts_of(y, p):
    metric = ConfusionMatrix(2, landslide_class="sigmoid")
    metric.update_state(y, p)
    return metric.matrix()


def test_hard_goldens(golden, arrays):
    y, p = arrays
    case = golden["iou"]
    matrix = counts_of(y, p)
    tp, fp, fn, tn = case["pooled_confusion"]
    assert matrix.tolist() == [[tn, fp], [fn, tp]]
    scores = Scores.from_matrix(matrix, empty="one").of_class(1)
    for name in ("iou", "f1", "precision", "recall"):
        assert scores[name] == pytest.approx(case[f"pooled_{name}"], abs=1e-9)
    each = [counts_of(y[k : k + 1], p[k : k + 1]) for k in (0, 1)]
    for matrix, wanted in zip(each, case["per_image_confusion"], strict=True):
        tp, fp, fn, tn = wanted
        assert matrix.tolist() == [[tn, fp], [fn, tp]]
    means = mean_image_scores(each, landslide=1)
    assert means["mean_image_iou"] == pytest.approx(case["mean_image_iou"], abs=1e-9)
    assert means["mean_image_f1"] == pytest.approx(case["mean_image_f1"], abs=1e-9)


def test_hard_edges(golden):
    for case in golden["iou"]["edge"]:
        matrix = [[9, case["fp"]], [case["fn"], case["tp"]]]
        scores = Scores.from_matrix(matrix, empty="one").of_class(1)
        for name in ("iou", "f1", "precision", "recall"):
            assert scores[name] == case[name], (name, case)


def test_config_round_trip():
    metric = SoftIoU(ignore_class=None, name="mine")
    twin = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert twin.get_config() == metric.get_config()

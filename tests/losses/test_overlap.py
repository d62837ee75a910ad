import json
import math

import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import ModelError
from landslide_tf.losses import (
    CrossEntropyDiceLoss,
    DiceLoss,
    SegmentationCrossEntropy,
    TverskyLoss,
)


def hard(labels, classes=3):
    """Probabilities of a prediction that is sure of itself."""
    return np.eye(classes, dtype=np.float32)[labels]


def test_golden(square):
    labels, logits = square
    assert float(DiceLoss()(labels, logits)) == pytest.approx(0.430700, abs=5e-7)
    both = CrossEntropyDiceLoss()(labels, logits)
    assert float(both) == pytest.approx(0.301616 + 0.430700, abs=1e-6)


def test_published_soft_dice_of_a_sigmoid_model(shared):
    path = shared / "specs" / "golden" / "tsmu.json"
    golden = json.loads(path.read_text())["dice"]
    loss = DiceLoss(smooth=1.0, class_weights=[0, 1], from_logits=False)
    truth = np.array(golden["y_true"]).astype(np.uint8)
    probabilities = np.array(golden["y_prob"])[..., None]
    assert float(loss(truth, probabilities)) == pytest.approx(
        golden["pooled_loss"], abs=1e-6
    )
    values = {"zeros": 0.0, "ones": 1.0}
    for case in golden["edge_cases_4x4"]:
        y = np.full((1, 4, 4), values[case["y"]], np.uint8)
        p = np.full((1, 4, 4, 1), values[case["p"]], np.float32)
        assert float(loss(y, p)) == pytest.approx(case["loss"], abs=1e-6)


def test_hand_worked_index():
    # class 0: 2 hits, 1 false alarm, 1 miss; class 1: 1, 1, 2; class 2: 1, 1, 0
    labels = np.array([[[0, 0, 0, 1, 1, 1, 2, 255]]], np.uint8)
    predicted = hard([[[0, 0, 1, 1, 0, 2, 2, 0]]])
    loss = TverskyLoss(alpha=0.25, beta=0.75, from_logits=False)
    index = [2 / 3, 1 / 2.75, 1 / 1.25]
    assert float(loss(labels, predicted)) == pytest.approx(1 - np.mean(index), abs=1e-6)
    loss = TverskyLoss(0.25, 0.75, class_weights=[1, 0, 3], from_logits=False)
    expected = 1 - (index[0] + 3 * index[2]) / 4
    assert float(loss(labels, predicted)) == pytest.approx(expected, abs=1e-6)


def test_equal_halves_are_dice_and_ones_are_iou(square):
    labels, logits = square
    tversky = TverskyLoss(0.5, 0.5)(labels, logits)
    assert float(tversky) == float(DiceLoss()(labels, logits))
    truth = np.array([[[0, 0, 1, 1]]])
    iou = TverskyLoss(1, 1, from_logits=False)(truth, hard([[[0, 1, 1, 1]]], 2))
    assert float(iou) == pytest.approx(1 - (1 / 2 + 2 / 3) / 2, abs=1e-6)


def test_beta_asks_for_recall_and_alpha_for_precision():
    truth = np.array([[[0] * 6 + [1] * 4]])
    missing = hard([[[0] * 8 + [1] * 2]], 2)
    too_many = hard([[[0] * 4 + [1] * 6]], 2)
    only = {"class_weights": [0, 1], "from_logits": False}
    recall, precision = TverskyLoss(0.1, 0.9, **only), TverskyLoss(0.9, 0.1, **only)
    assert float(recall(truth, missing)) > float(recall(truth, too_many))
    assert float(precision(truth, missing)) < float(precision(truth, too_many))


def test_areas_are_pooled_over_the_batch():
    # A small and a large landslide: the mean of the images' coefficients is another.
    labels = np.zeros((2, 1, 10), np.uint8)
    labels[0, 0, 0] = labels[1, 0, :9] = 1
    predicted = np.full((2, 1, 10), 0)
    predicted[1, 0, :9] = 1
    loss = DiceLoss(class_weights=[0, 1], from_logits=False)
    value = float(loss(labels, hard(predicted, 2)))
    assert value == pytest.approx(1 - 2 * 9 / (9 + 10), abs=1e-6)


@pytest.mark.parametrize(("smooth", "learns"), [(0.0, False), (1.0, True)])
def test_an_empty_class_learns_to_stay_empty_only_when_smoothed(smooth, learns):
    labels = np.zeros((1, 4, 4), np.uint8)
    logits = tf.Variable(np.zeros((1, 4, 4, 1), np.float32))
    with tf.GradientTape() as tape:
        loss = DiceLoss(smooth, class_weights=[0, 1])(labels, logits)
    gradient = tape.gradient(loss, logits).numpy()
    assert float(loss) == pytest.approx(1 - smooth / (8 + max(smooth, 1e-7)))
    assert (gradient > 0).all() if learns else not gradient.any()


def test_parts_of_the_sum(square):
    labels, logits = square
    entropy = SegmentationCrossEntropy(class_weights=[1, 9])(labels, logits)
    dice = DiceLoss()(labels, logits)
    both = CrossEntropyDiceLoss(dice_weight=0.25, class_weights=[1, 9])
    expected = float(entropy) + 0.25 * float(dice)
    assert float(both(labels, logits)) == pytest.approx(expected, rel=1e-6)
    alone = CrossEntropyDiceLoss(dice_weight=0, class_weights=[1, 9])
    assert float(alone(labels, logits)) == pytest.approx(float(entropy), rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (TverskyLoss, {"alpha": -0.1}),
        (TverskyLoss, {"beta": math.nan}),
        (TverskyLoss, {"alpha": 0, "beta": 0}),
        (DiceLoss, {"smooth": -1}),
        (CrossEntropyDiceLoss, {"dice_weight": math.inf}),
    ],
)
def test_arguments_out_of_range_are_refused(kind, arguments):
    with pytest.raises(ModelError, match=r"`(alpha|beta|smooth|dice_weight)`"):
        kind(**arguments)

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn import metrics as sk

from landslide_tf.errors import DataError
from landslide_tf.metrics import (
    ConfusionAccumulator,
    OneClassWarning,
    Scores,
    warn_of_one_class,
)

# Rows = reference, columns = prediction.
GOLDEN = np.array(
    [
        [50, 0, 0, 0, 2, 8],
        [1, 20, 0, 0, 4, 0],
        [0, 0, 100, 1, 0, 3],
        [0, 0, 2, 30, 0, 0],
        [3, 2, 0, 0, 15, 0],
        [6, 0, 4, 0, 1, 48],
    ]
)
CLASSES = ("landslide", "building", "forest", "water", "road", "bare")


def pixels_of(matrix):
    """Labels and predictions that give this confusion matrix."""
    classes = len(matrix)
    index = np.repeat(np.arange(classes**2), np.ravel(matrix))
    return index // classes, index % classes


def test_golden_matrix_gives_the_published_scores():
    scores = Scores.from_matrix(GOLDEN, class_names=CLASSES)
    per_class = {
        "precision": [0.833333, 0.909091, 0.943396, 0.967742, 0.681818, 0.813559],
        "recall": [0.833333, 0.800000, 0.961538, 0.937500, 0.750000, 0.813559],
        "f1": [0.833333, 0.851064, 0.952381, 0.952381, 0.714286, 0.813559],
        "iou": [0.714286, 0.740741, 0.909091, 0.909091, 0.555556, 0.685714],
    }
    for name, expected in per_class.items():
        np.testing.assert_allclose(getattr(scores, name), expected, atol=5e-7)
    averages = {
        "mean_precision": 0.858157,
        "mean_recall": 0.849322,
        "g_mean": 0.846024,
        "mean_f1": 0.852834,
        "miou": 0.752413,
        "oa": 0.876667,
    }
    for name, expected in averages.items():
        assert getattr(scores, name) == pytest.approx(expected, abs=5e-7)
    assert scores.binary_accuracy[0] == pytest.approx(0.933333, abs=5e-7)
    assert scores.of_class(0)["binary_accuracy"] == scores.binary_accuracy[0]


# TN, FP, FN, TP in pixels per million; P, R, IoU, macro F1, mIoU, OA in percent.
PUBLISHED = [
    (
        791637,
        21063,
        11729,
        175571,
        89.2882,
        93.7379,
        84.2621,
        94.7149,
        90.1423,
        96.7208,
    ),
    (
        791729,
        21001,
        11539,
        175731,
        89.3251,
        93.8383,
        84.3761,
        94.7562,
        90.2142,
        96.7460,
    ),
    (902091, 23107, 8089, 66713, 74.2741, 89.1861, 68.1378, 89.6751, 82.3976, 96.8804),
    (901941, 23257, 8123, 66679, 74.1405, 89.1407, 67.9989, 89.6209, 82.3183, 96.8620),
]


@pytest.mark.parametrize("row", PUBLISHED)
def test_published_two_class_tables(row):
    tn, fp, fn, tp, *expected = row
    scores = Scores.from_matrix([[tn, fp], [fn, tp]])
    landslide = scores.of_class(1)
    received = [landslide["precision"], landslide["recall"], landslide["iou"]]
    received += [scores.mean_f1, scores.miou, scores.oa]
    np.testing.assert_allclose(np.multiply(received, 100), expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_equals_scikit_learn_with_absent_classes(seed):
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 8))
    # Some classes are absent from the reference, the prediction or both.
    truth = rng.choice(rng.permutation(classes)[: rng.integers(1, classes + 1)], 400)
    predicted = rng.choice(
        rng.permutation(classes)[: rng.integers(1, classes + 1)], 400
    )
    accumulator = ConfusionAccumulator(classes)
    accumulator.update(truth, predicted)
    labels = list(range(classes))
    matrix = sk.confusion_matrix(truth, predicted, labels=labels)
    np.testing.assert_array_equal(accumulator.matrix, matrix)

    for empty, zero_division in (("zero", 0.0), ("nan", np.nan)):
        scores = accumulator.scores(empty=empty)
        expected = sk.precision_recall_fscore_support(
            truth, predicted, labels=labels, zero_division=zero_division
        )
        for name, values in zip(("precision", "recall"), expected[:2], strict=True):
            np.testing.assert_allclose(getattr(scores, name), values, rtol=1e-12)
    zero = accumulator.scores(empty="zero")
    macro = sk.precision_recall_fscore_support(
        truth, predicted, labels=labels, average="macro", zero_division=0.0
    )
    received = (zero.mean_precision, zero.mean_recall, zero.mean_f1)
    np.testing.assert_allclose(received, macro[:3], rtol=1e-12)
    np.testing.assert_allclose(
        zero.iou,
        sk.jaccard_score(
            truth, predicted, labels=labels, average=None, zero_division=0
        ),
        rtol=1e-12,
    )
    assert zero.oa == pytest.approx(sk.accuracy_score(truth, predicted))
    # Means over the defined classes: scikit-learn's macro over the classes that occur.
    occurring = sorted(set(truth) | set(predicted))
    present = sorted(set(truth))
    nan = accumulator.scores()
    assert nan.mean_f1 == pytest.approx(
        sk.f1_score(truth, predicted, labels=occurring, average="macro")
    )
    assert nan.miou == pytest.approx(
        sk.jaccard_score(truth, predicted, labels=occurring, average="macro")
    )
    assert nan.mean_recall == pytest.approx(
        sk.recall_score(truth, predicted, labels=present, average="macro")
    )
    recalls = sk.recall_score(truth, predicted, labels=present, average=None)
    assert nan.g_mean == pytest.approx(np.prod(recalls) ** (1 / len(present)))


def test_rules_for_empty_classes():
    # Class 0 occurs in both, 1 only in the reference, 2 only predicted, 3 nowhere.
    matrix = [[4, 0, 1, 0], [3, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    nan = Scores.from_matrix(matrix)
    np.testing.assert_array_equal(np.isnan(nan.precision), [False, True, False, True])
    np.testing.assert_array_equal(np.isnan(nan.recall), [False, False, True, True])
    np.testing.assert_array_equal(np.isnan(nan.iou), [False, False, False, True])
    assert nan.mean_f1 == pytest.approx((8 / 12 + 0 + 0) / 3)
    assert nan.g_mean == 0.0

    one = Scores.from_matrix(matrix, empty="one")
    for name in ("precision", "recall", "f1", "iou"):
        assert getattr(one, name)[1:].tolist() == [0.0, 0.0, 1.0]
    zero = Scores.from_matrix(matrix, empty="zero")
    for name in ("precision", "recall", "f1", "iou"):
        assert getattr(zero, name)[1:].tolist() == [0.0, 0.0, 0.0]
    for scores in (one, zero, nan):
        assert scores.oa == pytest.approx(4 / 8)
        assert scores.binary_accuracy[3] == 1.0


@pytest.mark.parametrize(
    ("empty", "expected"), [("nan", math.nan), ("one", 1), ("zero", 0)]
)
def test_nothing_counted(empty, expected):
    scores = ConfusionAccumulator(3).scores(empty=empty)
    values = [scores.oa, scores.miou, scores.g_mean, scores.mean_f1, *scores.precision]
    np.testing.assert_array_equal(values, expected)


def test_dictionary_is_strict_json():
    table = Scores.from_matrix([[3, 0], [0, 0]], class_names=("landslide", "other"))
    restored = json.loads(json.dumps(table.as_dict(), allow_nan=False))
    assert restored["classes"]["other"]["iou"] is None
    assert restored["classes"]["landslide"]["iou"] == 1.0
    assert restored["confusion_matrix"] == [[3, 0], [0, 0]]
    assert restored["pixels"] == 3


@settings(deadline=None)
@given(
    npst.arrays(np.uint8, st.integers(0, 60), elements=st.sampled_from([0, 1, 2, 255])),
    st.integers(0, 60),
    st.randoms(use_true_random=False),
)
def test_parts_add_up_to_the_whole_in_any_order(labels, cut, random):
    predictions = np.array([random.randrange(3) for _ in labels], np.int16)
    whole = ConfusionAccumulator(3)
    whole.update(labels, predictions)
    head, tail = ConfusionAccumulator(3), ConfusionAccumulator(3)
    head.update(labels[:cut], predictions[:cut])
    tail.update(labels[cut:], predictions[cut:])
    total = tail + head
    np.testing.assert_array_equal(total.matrix, whole.matrix)
    assert total.matrix.sum() == np.count_nonzero(labels != 255)
    # Adding leaves the parts alone; merging changes the left one only.
    assert head.matrix.sum() == np.count_nonzero(labels[:cut] != 255)
    head.merge(tail)
    np.testing.assert_array_equal(head.matrix, whole.matrix)


def test_ignored_pixels_change_nothing_whatever_is_predicted():
    labels, predictions = pixels_of(GOLDEN)
    accumulator = ConfusionAccumulator(6)
    accumulator.update(labels, predictions)
    accumulator.update(np.full((2, 3, 3, 1), 255, np.uint8), np.full((2, 3, 3), 200))
    np.testing.assert_array_equal(accumulator.matrix, GOLDEN)


def test_a_class_may_be_the_ignored_one():
    accumulator = ConfusionAccumulator(3, ignore_value=0)
    accumulator.update([0, 1, 2, 0], [1, 1, 0, 0])
    assert accumulator.matrix.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_counts_stay_exact_beyond_float32():
    accumulator = ConfusionAccumulator(2)
    accumulator.update(np.ones(2**24 + 1, np.uint8), np.ones(2**24 + 1, bool))
    accumulator.update([1], [1])
    assert accumulator.matrix[1, 1] == 2**24 + 2
    assert accumulator.matrix.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "predictions", "words"),
    [
        ([0, 7], [0, 1], ["label", "0 to 2", "255", "received 7"]),
        ([0, -1], [0, 1], ["label", "received -1"]),
        ([0, 1], [0, 3], ["prediction", "received 3"]),
        ([0.0, 1.0], [0, 1], ["integer `labels`", "float64"]),
        ([0, 1], [0.2, 0.8], ["integer `predictions`", "float64"]),
        ([[0, 1]], [0, 1], ["one shape", "(1, 2)", "(2,)"]),
        (np.zeros((4, 6), int), np.zeros((6, 4), int), ["(4, 6)", "(6, 4)"]),
    ],
)
def test_bad_pixels_are_refused_and_not_counted(labels, predictions, words):
    accumulator = ConfusionAccumulator(3)
    with pytest.raises(DataError) as error:
        accumulator.update(labels, predictions)
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    assert not accumulator.matrix.any()


def test_bad_matrices_and_arguments_are_refused():
    for matrix in ([[1, 2]], [[1.5, 0], [0, 1]], [[1, -1], [0, 1]], [], 3):
        with pytest.raises(DataError, match="square confusion matrix"):
            Scores.from_matrix(matrix)
    with pytest.raises(DataError, match="Expected 2 `class_names`, received 1"):
        Scores.from_matrix([[1, 0], [0, 1]], class_names=["landslide"])
    with pytest.raises(DataError, match=r"`empty` cannot be `zeros`.*`zero`"):
        Scores.from_matrix([[1]], empty="zeros")
    with pytest.raises(DataError, match="num_classes"):
        ConfusionAccumulator(0)
    for other in (ConfusionAccumulator(4), ConfusionAccumulator(3, ignore_value=0)):
        with pytest.raises(DataError, match="classes, ignore value"):
            ConfusionAccumulator(3).merge(other)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0, 0], [0, 9]], "one class only where it is scored, `slide`"),
        ([[4, 2], [0, 0]], "one class only where it is scored, `other`"),
        ([[0, 0], [0, 0]], "no pixel with a class"),
        ([[1, 0], [0, 9]], None),
    ],
)
def test_scores_of_one_class_are_warned_of(matrix, message):
    scores = Scores.from_matrix(matrix, class_names=("other", "slide"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_one_class(scores, "`x:test`")
    told = [str(w.message) for w in caught if w.category is OneClassWarning]
    assert len(told) == (message is not None)
    assert message is None or (message in told[0] and told[0].startswith("`x:test`"))

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from landslide_tf.errors import DataError
from landslide_tf.objects import ObjectCounts, label_objects, object_counts
from landslide_tf.objects.scores import Overlaps


def mask_of(*boxes, shape=(12, 16)):
    mask = np.zeros(shape, bool)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


REFERENCE = mask_of((1, 5, 1, 5), (1, 4, 8, 14), (7, 11, 2, 5), (8, 10, 12, 14))
PREDICTION = mask_of(
    (1, 5, 2, 6), (2, 4, 8, 10), (2, 4, 12, 15), (6, 8, 8, 11), (11, 12, 5, 6)
)
PAIRS = st.tuples(st.integers(1, 10), st.integers(1, 10)).flatmap(
    lambda shape: st.tuples(npst.arrays(bool, shape), npst.arrays(bool, shape))
)
RULES = st.fixed_dictionaries(
    {
        "match": st.sampled_from(["iou", "overlap", "pixel"]),
        "min_area": st.integers(0, 4),
        "connectivity": st.sampled_from([4, 8]),
        "iou_threshold": st.sampled_from([0.1, 0.3, 0.5, 1.0]),
        "min_overlap": st.sampled_from([None, 0.2, 0.5]),
    }
)


@pytest.mark.parametrize(
    ("match", "min_area", "counts", "scores"),
    [
        ("iou", 0, (1, 4, 3), (0.25, 0.125, 0.75, 0.8, 1.0)),
        ("overlap", 0, (2, 2, 2), (0.5, 0.3333, 0.5, 0.5, 0.5)),
        ("iou", 5, (1, 2, 2), (0.3333, 0.2, 0.6667, 0.6667, 0.6667)),
        ("overlap", 5, (2, 1, 1), (0.6667, 0.5, 0.3333, 0.3333, 0.3333)),
        ("iou", 16, (1, 0, 1), (0.5, 0.5, 0.5, 0.0, 0.0)),
        ("overlap", 16, (1, 0, 1), (0.5, 0.5, 0.5, 0.0, 0.0)),
        ("pixel", 16, (20, 13, 30), (0.4, 0.3175, 0.6, 0.3939, 0.26)),
    ],
)
def test_goldens(match, min_area, counts, scores):
    received = object_counts(REFERENCE, PREDICTION, match=match, min_area=min_area)
    assert received == ObjectCounts(*counts, match)
    names = ("dp", "qp", "oe", "ce", "ce_ref")
    table = received.scores().as_dict()
    np.testing.assert_allclose([table[name] for name in names], scores, atol=5e-5)
    if min_area == 16:  # the default
        assert object_counts(REFERENCE, PREDICTION, match=match) == received


def test_iou_threshold_is_inclusive():
    # The first objects have IoU 12/20, the fragments of the second 4/18 and 4/20.
    for threshold, found in ((0.6, 1), (0.6001, 0), (4 / 18, 2), (0.2, 2)):
        counts = object_counts(
            REFERENCE, PREDICTION, min_area=0, iou_threshold=threshold
        )
        assert counts.tp == found, threshold


def test_overlap_share_is_inclusive():
    # The prediction covers 12/16 of the first object and 8/18 of the second.
    for share, found in ((8 / 18, 2), (0.45, 1), (0.75, 1), (0.76, 0)):
        counts = object_counts(
            REFERENCE, PREDICTION, match="overlap", min_area=0, min_overlap=share
        )
        assert (counts.tp, counts.fn) == (found, 4 - found)
        assert counts.fp == 2  # depends on contact alone


def count_pairs(truth, labels, threshold):
    overlaps = Overlaps(int(truth.max()), int(labels.max()))
    overlaps.add(truth, labels)
    return overlaps.counts("iou", iou_threshold=threshold).tp


def test_assignment_maximises_the_total_not_the_best_pair_first():
    # Reference columns 0-9 and 10-15; predictions 4-12 and 13-15 of one row each.
    reference = np.repeat([[1, 2]], [10, 6], axis=1)
    labels = np.array([[0] * 2 + [1] * 11 + [2] * 3])
    # IoU: (1,1) 8/13, (2,1) 3/14, (2,2) 3/6.
    assert count_pairs(reference, labels, 0.2) == 2
    assert count_pairs(reference, labels, 0.55) == 1


def brute_force(truth, labels, threshold):
    """The largest total IoU, then the most pairs, over every one-to-one assignment."""
    ious = {}
    for a, b in itertools.product(range(1, 4), repeat=2):
        both = np.count_nonzero((truth == a) & (labels == b))
        either = np.count_nonzero((truth == a) | (labels == b))
        if both and both / either >= threshold:
            ious[a, b] = both / either
    best = (0.0, 0)
    for size in range(1, 4):
        for chosen in itertools.combinations(ious, size):
            rows, columns = zip(*chosen, strict=True)
            if len(set(rows)) == len(set(columns)) == size:
                best = max(best, (round(sum(ious[p] for p in chosen), 9), size))
    greedy = []
    for a, b in sorted(ious, key=ious.get, reverse=True):
        if all(a != c and b != d for c, d in greedy):
            greedy.append((a, b))
    return best[1], len(greedy)


def test_assignment_equals_brute_force():
    rng = np.random.default_rng(0)
    beyond_greedy = 0
    for _ in range(300):
        # Scattered labels: every object overlaps most others.
        truth, labels = rng.integers(0, 4, (2, 4, 5))
        expected, greedy = brute_force(truth, labels, 0.12)
        assert count_pairs(truth, labels, 0.12) == expected
        beyond_greedy += greedy != expected
    assert beyond_greedy > 5


@settings(deadline=None)
@given(PAIRS, st.sampled_from([0.05, 0.2, 0.5]), st.randoms(use_true_random=False))
def test_permuted_labels_change_nothing(masks, threshold, random):
    truth, labels = (
        label_objects(mask, min_area=0, connectivity=4)[0] for mask in masks
    )

    def permuted(array):
        order = list(range(1, array.max() + 1))
        random.shuffle(order)
        return np.array([0, *order])[array]

    expected = count_pairs(truth, labels, threshold)
    assert count_pairs(permuted(truth), permuted(labels), threshold) == expected
    # The rule is symmetric, too.
    assert count_pairs(labels, truth, threshold) == expected


@settings(deadline=None)
@given(PAIRS, RULES)
def test_identities(masks, rule):
    counts = object_counts(*masks, **rule)
    reference, prediction = masks
    scores = counts.scores()
    if rule["match"] == "pixel":
        assert counts.tp + counts.fn == np.count_nonzero(reference)
        assert counts.tp + counts.fp == np.count_nonzero(prediction)
    else:
        shape = {"connectivity": rule["connectivity"], "min_area": rule["min_area"]}
        assert counts.tp + counts.fn == label_objects(reference, **shape)[1]
        assert counts.fp <= label_objects(prediction, **shape)[1]
    if counts.tp + counts.fn:
        assert scores.dp + scores.oe == pytest.approx(1)
        assert scores.qp == pytest.approx(scores.dp / (1 + scores.ce_ref))
    if counts.tp:
        inverse = 1 / scores.dp + 1 / (1 - scores.ce) - 1
        assert 1 / scores.qp == pytest.approx(inverse)
        assert scores.qp <= min(scores.dp, 1 - scores.ce) + 1e-12


@settings(deadline=None)
@given(PAIRS, RULES)
def test_a_perfect_prediction(masks, rule):
    mask = masks[0]
    counts = object_counts(mask, mask, **rule)
    assert counts.fp == counts.fn == 0
    if counts.tp:
        scores = counts.scores()
        assert (scores.dp, scores.qp, scores.oe, scores.ce) == (1, 1, 0, 0)


@settings(deadline=None, max_examples=50)
@given(PAIRS, PAIRS, RULES)
def test_scenes_add_up(first, second, rule):
    total = object_counts(*first, **rule) + object_counts(*second, **rule)

    def beside(one, two):
        height = max(one.shape[0], two.shape[0])
        wide = [np.pad(m, ((0, height - m.shape[0]), (0, 2))) for m in (one, two)]
        return np.concatenate(wide, axis=1)

    together = [beside(one, two) for one, two in zip(first, second, strict=True)]
    assert object_counts(*together, **rule) == total


@settings(deadline=None)
@given(PAIRS, RULES)
def test_ignored_pixels_belong_to_nobody(masks, rule):
    reference, prediction = masks
    ignore = np.roll(reference ^ prediction, 1, axis=0)
    received = object_counts(reference, prediction, ignore=ignore, **rule)
    expected = object_counts(reference & ~ignore, prediction & ~ignore, **rule)
    assert received == expected


def test_ignored_pixels_cut_objects_before_small_ones_go():
    mask = mask_of((0, 2, 0, 16))
    ignore = mask_of((0, 12, 7, 8))
    assert object_counts(mask, mask, ignore=ignore, min_area=15).tp == 1
    assert object_counts(mask, mask, ignore=ignore, min_area=14).tp == 2


def test_smallest_area_in_square_metres():
    for cell_size, min_area in ((None, 5), (10.0, 500.0), ((10.0, 5.0), 250.0)):
        counts = object_counts(
            REFERENCE, PREDICTION, min_area=min_area, cell_size=cell_size
        )
        assert counts == ObjectCounts(1, 2, 2)


def test_many_crowded_objects():
    # 40 000 reference objects; one matrix of all pairs would need 13 GB.
    reference = np.zeros((800, 800), bool)
    reference[::4, ::4] = reference[1::4, ::4] = True
    prediction = np.roll(reference, 1, axis=0)
    prediction[:, 2] = True  # a stripe that touches no object
    counts = object_counts(
        reference, prediction, min_area=1, iou_threshold=0.3, connectivity=4
    )
    assert counts == ObjectCounts(40000, 1, 0)


def test_nothing_anywhere_is_undefined_and_strict_json():
    empty = np.zeros((3, 3), bool)
    for match in ("iou", "overlap", "pixel"):
        counts = object_counts(empty, empty, match=match)
        assert counts == ObjectCounts(0, 0, 0, match)
        scores = counts.scores()
        assert all(math.isnan(v) for v in (scores.dp, scores.qp, scores.oe, scores.ce))
        table = json.loads(json.dumps(scores.as_dict(), allow_nan=False))
        assert set(table.values()) == {None}
    only_false = object_counts(empty, ~empty, min_area=1).scores()
    assert (only_false.qp, only_false.ce) == (0, 1)
    assert math.isnan(only_false.dp) and math.isnan(only_false.ce_ref)


def test_counts_of_two_rules_do_not_add():
    with pytest.raises(DataError, match=r"`match='iou'`, received `match='overlap'`"):
        ObjectCounts(1, 0, 0) + ObjectCounts(1, 0, 0, "overlap")
    with pytest.raises(TypeError):
        ObjectCounts(1, 0, 0) + 1
    total = sum([ObjectCounts(1, 2, 3), ObjectCounts(4, 5, 6)], ObjectCounts(0, 0, 0))
    assert total == ObjectCounts(5, 7, 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"match": "overlaps"}, r"`match` cannot be `overlaps`.*`overlap`"),
        ({"iou_threshold": 0.0}, "`iou_threshold` above 0 and at most 1"),
        ({"iou_threshold": 1.5}, "received 1.5"),
        ({"min_overlap": 0.0}, "`min_overlap` above 0"),
        ({"prediction": np.zeros((16, 12), bool)}, r"shape \(12, 16\), received \(16"),
        (
            {"prediction": np.full((12, 16), 255, np.uint8)},
            "`prediction` to be boolean",
        ),
        ({"ignore": np.zeros((1, 1), bool)}, "Expected `ignore` of the reference's"),
        ({"min_area": -1}, "`min_area`"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    arguments = {"reference": REFERENCE, "prediction": PREDICTION, **arguments}
    with pytest.raises(DataError, match=message) as error:
        object_counts(**arguments)
    assert "\n" not in str(error.value)

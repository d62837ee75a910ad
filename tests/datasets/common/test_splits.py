"""Splits by scene, and scenes that share ground."""

import hashlib
import random
import warnings

import pytest
import shapely
from etils import epath
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_tf.datasets.common.splits import (
    SharedGroundWarning,
    overlapping_footprints,
    read_splits,
    split_by_hash,
    warn_of_shared_ground,
)
from landslide_tf.errors import DataError

IDS = [f"pair_{k:03d}" for k in range(175)]
UNITS = st.integers(1, 40).flatmap(
    lambda count: st.tuples(
        st.just([f"s{k}" for k in range(count)]),
        st.lists(
            st.lists(st.integers(0, count - 1), min_size=1, max_size=5), max_size=6
        ),
    )
)


def sizes(splits):
    return {name: len(ids) for name, ids in splits.items()}


def test_the_175_pairs():
    splits = split_by_hash(IDS, seed=0)
    assert sizes(splits) == {"train": 122, "validation": 18, "test": 35}
    assert sorted(sum(splits.values(), ())) == IDS
    order = sorted(IDS, key=lambda i: hashlib.sha256(f"0:{i}".encode()).digest())
    assert splits["test"] == tuple(sorted(order[:35]))
    assert splits["validation"] == tuple(sorted(order[35:53]))


def test_order_does_not_matter_but_the_seed_does():
    shuffled = random.Random(5).sample(IDS, len(IDS))
    assert split_by_hash(iter(shuffled), seed=3) == split_by_hash(IDS, seed=3)
    assert split_by_hash(IDS, seed=3) != split_by_hash(IDS, seed=4)


@pytest.mark.parametrize(
    ("count", "fractions", "expected"),
    [
        (0, (0.2, 0.1), (0, 0, 0)),
        (1, (0.2, 0.1), (1, 0, 0)),
        (5, (0.2, 0.1), (3, 1, 1)),  # 0.5 rounds up
        (50, (0.29, 0.0), (35, 0, 15)),  # 14.5 as decimals, less in floating point
        (10, (0.0, 0.0), (10, 0, 0)),
        (3, (0.5, 0.49), (0, 1, 2)),
    ],
)
def test_counts_round_half_up(count, fractions, expected):
    test, validation = fractions
    splits = split_by_hash(IDS[:count], 1, test=test, validation=validation)
    assert tuple(sizes(splits).values()) == expected


@settings(deadline=None)
@given(UNITS, st.integers(0, 9), st.randoms(use_true_random=False))
def test_groups_share_a_split(drawn, seed, shuffle):
    ids, indices = drawn
    groups = [[ids[k] for k in group] for group in indices]
    splits = split_by_hash(ids, seed, groups=groups)
    assert sorted(sum(splits.values(), ())) == sorted(ids)
    split_of = {name: split for split, names in splits.items() for name in names}
    for group in groups:
        assert len({split_of[name] for name in group}) == 1
    plain = sizes(split_by_hash(ids, seed))
    assert len(splits["test"]) <= plain["test"]
    assert len(splits["validation"]) <= plain["validation"]

    shuffle.shuffle(ids)
    shuffle.shuffle(groups)
    for group in groups:
        shuffle.shuffle(group)
    assert split_by_hash(ids, seed, groups=groups) == splits


def test_groups_of_one_change_nothing():
    groups = [[name] for name in IDS]
    assert split_by_hash(IDS, 0, groups=groups) == split_by_hash(IDS, 0)


BOX = st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 5)] * 2).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)


@settings(deadline=None)
@given(st.lists(BOX, max_size=12))
def test_groups_are_linked_by_common_area(boxes):
    bounds = {f"s{k:02d}": box for k, box in enumerate(boxes)}
    groups = overlapping_footprints(bounds)
    # Independent: merge until nothing more overlaps.
    expected = [({name}, [shapely.box(*box)]) for name, box in bounds.items()]
    merged = True
    while merged:
        merged = False
        for k, (names, shapes) in enumerate(expected):
            for other in expected[k + 1 :]:
                if any(a.intersection(b).area for a in shapes for b in other[1]):
                    names |= other[0]
                    shapes += other[1]
                    expected.remove(other)
                    merged = True
                    break
    assert groups == sorted(tuple(sorted(n)) for n, _ in expected if len(n) > 1)


def test_neighbours_of_a_tiling_share_no_ground():
    edges = [99 + 0.1 * k for k in range(8)]
    tiles = {
        f"{row}_{column}": (
            edges[column],
            edges[row],
            edges[column + 1],
            edges[row + 1],
        )
        for row in range(7)
        for column in range(7)
    }
    # Edges computed in another way differ by rounding.
    left, bottom, right, top = tiles["3_3"]
    tiles["3_3"] = (left - 1e-13, bottom - 1e-13, right + 1e-13, top + 1e-13)
    assert overlapping_footprints(tiles) == []


def test_a_split_that_shares_ground_warns():
    bounds = {
        "a": (0, 0, 10, 10),
        "b": (9, 9, 20, 20),
        "c": (30, 0, 40, 10),
        "d": (31, 1, 32, 2),
        "e": (10, 0, 12, 9),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = {"train": ["a", "b", "e", "without bounds"], "test": ["c", "d"]}
        assert warn_of_shared_ground(splits, bounds) == []
    words = r"`a` \(train\), `b` \(test\)"
    with pytest.warns(SharedGroundWarning, match=words) as got:
        crossing = warn_of_shared_ground({"train": "ac", "test": "bde"}, bounds)
    assert crossing == [("a", "b"), ("c", "d")]
    assert "2 groups in all" in str(got[0].message)
    groups = overlapping_footprints(bounds)
    assert warn_of_shared_ground(split_by_hash("abcde", 2, groups=groups), bounds) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ids": ["a", "b", "a"]}, "`a` twice"),
        ({"test": 1.5}, "`test` to be a fraction"),
        ({"validation": -0.1}, "`validation` to be a fraction"),
        ({"test": float("nan")}, "`test` to be a fraction"),
        ({"test": 0.6, "validation": 0.4}, "less than 1"),
        ({"groups": [["a", "z"]]}, "received `z`"),
    ],
)
def test_bad_splits(arguments, words):
    with pytest.raises(DataError, match=words) as caught:
        split_by_hash(**({"ids": ["a", "b"], "seed": 0} | arguments))
    assert "\n" not in str(caught.value)


def test_an_id_in_two_splits_is_refused():
    with pytest.raises(DataError, match="`a` twice"):
        warn_of_shared_ground({"train": ["a", "b"], "test": ["a"]}, {})


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 0, 1),
        (0, 5, 1, 4),
        (0, 0, float("nan"), 1),
        (0, 0, float("inf"), 1),
        (1,),
    ],
)
def test_bad_bounds(box):
    with pytest.raises(DataError, match="bounds of `b`") as caught:
        overlapping_footprints({"a": (0, 0, 1, 1), "b": box})
    assert "\n" not in str(caught.value)


def test_ones_own_split_is_read_whatever_else_it_lists(tmp_path):
    path = epath.Path(tmp_path / "splits.csv")
    path.write_text("scene,split\n a ,train\nb, val\nother,test\n")
    chosen = read_splits(path, ["a", "b"], "scene")
    assert chosen == {"a": "train", "b": "validation", "other": "test"}


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["a,train", "b,tset"], "for every scene, received `tset` for `b`.*`test`"),
        (["a,train", "b"], "received `` for `b`"),
        (["b,train"], "a split for every scene, received none for `a`, 1 in all"),
    ],
)
def test_other_splits_of_ones_own_are_refused(tmp_path, lines, fault):
    path = epath.Path(tmp_path / "splits.csv")
    path.write_text("\n".join(["scene,split", *lines]))
    with pytest.raises(DataError, match=rf"splits\.csv.*{fault}"):
        read_splits(path, ["a", "b"], "scene")

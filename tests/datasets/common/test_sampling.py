"""Multistage sampling: the properties it promises, on any pool."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_tf.errors import DataError
from landslide_tf.prepare import Patch, multistage_sample, superpixel_patches
from landslide_tf.terrain import DIHEDRAL, dihedral


def pool_of(shares):
    """One patch a row of pixel shares; the largest share is its class."""
    return [
        Patch("s", 8 * k, 0, 8, int(np.argmax(row)), tuple(map(float, row)))
        for k, row in enumerate(shares)
    ]


@st.composite
def pools(draw):
    classes = draw(st.integers(1, 5))
    weights = draw(
        st.lists(
            st.lists(st.sampled_from([0, 0, 1, 2, 10, 60]), min_size=classes,
                     max_size=classes).filter(any),
            min_size=1, max_size=40,
        )
    )  # fmt: skip
    filled = draw(st.sampled_from([1.0, 0.6]))
    return pool_of([filled * np.array(w) / sum(w) for w in weights])


def class_ratio(draws):
    counts = Counter(draw.patch.label for draw in draws).values()
    return max(counts) / min(counts)


def pixel_ratio(draws, pool):
    present = np.array([p.fractions for p in pool]).any(axis=0)
    totals = np.sum([draw.patch.fractions for draw in draws], axis=0)[present]
    return totals.max() / totals.min() if totals.min() > 0 else np.inf


@settings(deadline=None)
@given(pools(), st.integers(0, 99), st.integers(1, 8), st.sampled_from([1, 2, 10]))
def test_properties(pool, seed, repeats, max_ratio):
    options = {"seed": seed, "repeats": repeats, "max_ratio": max_ratio}
    original, mus1, mus2 = (
        multistage_sample(pool, method, **options)
        for method in ("original", "mus1", "mus2")
    )
    assert original == [(patch, "identity") for patch in pool]
    assert class_ratio(mus1) <= class_ratio(original)
    assert mus2[: len(mus1)] == mus1
    assert len(mus2) <= 2 * len(mus1)
    assert pixel_ratio(mus2, pool) <= pixel_ratio(mus1, pool)
    for draws in (mus1, mus2):
        assert max(Counter(draw.patch for draw in draws).values()) <= repeats
        assert len(set(draws)) == len(draws)  # every repeat another transform
        first = dict(reversed(draws))
        assert set(first.values()) == {"identity"}
        assert {draw.transform for draw in draws} <= set(DIHEDRAL)

    before = Counter(patch.label for patch in pool)
    median = int(np.median(list(before.values())))
    after = Counter(draw.patch.label for draw in mus1)
    assert after == {c: min(median, repeats * n) for c, n in before.items()}
    if repeats == 8:  # as many as the rare classes need
        used = {draw.patch for draw in mus1}
        assert all(p in used for p in pool if before[p.label] <= median)


@settings(deadline=None, max_examples=25)
@given(pools(), st.integers(0, 99))
def test_same_seed_same_list(pool, seed):
    for method in ("mus1", "mus2"):
        first = multistage_sample(pool, method, seed=seed)
        assert first == multistage_sample(list(pool), method, seed=seed)


def test_seeds_differ():
    pool = pool_of(np.repeat(np.eye(3), [40, 10, 3], axis=0))
    assert multistage_sample(pool, "mus1", seed=0) != multistage_sample(
        pool, "mus1", seed=1
    )


def test_counts_of_a_worked_pool():
    pool = pool_of(np.repeat(np.eye(6)[[0, 2, 5]], [40, 10, 1], axis=0))
    counts = Counter(d.patch.label for d in multistage_sample(pool, "mus1", seed=3))
    assert counts == {0: 10, 2: 10, 5: 8}  # the only patch of 5 in all transforms
    counts = Counter(
        d.patch.label for d in multistage_sample(pool, "mus1", seed=3, repeats=2)
    )
    assert counts == {0: 10, 2: 10, 5: 2}


def test_pixels_get_more_even():
    # Class 2 leads no patch: only the second stage can raise its share.
    rows = [[0.96, 0.04, 0.0]] * 30 + [[0.2, 0.8, 0.0]] * 10 + [[0.7, 0.0, 0.3]] * 2
    pool = pool_of(rows)
    mus1 = multistage_sample(pool, "mus1", seed=0)
    mus2 = multistage_sample(pool, "mus2", seed=0)
    assert pixel_ratio(mus1, pool) > 20
    assert pixel_ratio(mus2, pool) <= 10
    assert mus2[len(mus1)].patch.fractions[2] == 0.3
    # It stops as soon as it is there.
    assert pixel_ratio(mus2[:-1], pool) > 10
    nothing = multistage_sample(pool, "mus2", seed=0, max_ratio=1000)
    assert nothing == mus1


def test_a_step_that_only_widens_the_ratio_is_not_kept():
    # The smallest class is in no patch that may come again.
    pool = pool_of([[0.5, 0.49, 0.01], [0.0, 1.0, 0.0]])
    mus1 = multistage_sample(pool, "mus1", seed=0, repeats=1)
    assert multistage_sample(pool, "mus2", seed=0, repeats=1) == mus1
    more = multistage_sample(pool, "mus2", seed=0, repeats=8, max_ratio=10)
    assert pixel_ratio(more, pool) <= pixel_ratio(mus1, pool)


def test_an_empty_pool():
    assert multistage_sample([], seed=0) == []


def test_from_a_scene_to_examples():
    rng = np.random.default_rng(0)
    mask = np.zeros((64, 96), np.uint8)
    mask[20:40, 30:60] = 2
    mask[50:, 80:] = 1
    image = (60 + 70 * np.repeat(mask[..., None], 3, 2)).astype(np.uint8)
    image += rng.integers(0, 9, image.shape, dtype=np.uint8)
    pool = superpixel_patches("s", image, mask, 3, size=16)
    draws = multistage_sample(pool, "mus2", seed=0)
    assert class_ratio(draws) < class_ratio(multistage_sample(pool, "original", seed=0))
    for patch, transform in draws:
        cut = dihedral(mask[patch.window], transform)
        counts = np.bincount(cut.ravel(), minlength=3) / 16**2
        assert patch.fractions == pytest.approx(counts)


GOOD = Patch("s", 0, 0, 8, 0, (0.5, 0.5))


@pytest.mark.parametrize(
    ("pool", "options", "words"),
    [
        ([GOOD], {"method": "mus3"}, "Did you mean `mus[12]`"),
        ([GOOD], {"repeats": 0}, "`repeats` from 1 to 8"),
        ([GOOD], {"repeats": 9}, "`repeats` from 1 to 8"),
        ([GOOD], {"repeats": 2.5}, "`repeats` from 1 to 8"),
        ([GOOD], {"max_ratio": 0.5}, "`max_ratio` of at least 1"),
        ([GOOD], {"max_ratio": float("nan")}, "`max_ratio` of at least 1"),
        ([GOOD, Patch("t", 3, 4, 8, 0, (1.0,))], {}, "`t` at row 3, column 4"),
        ([Patch("t", 0, 0, 8, 2, (0.5, 0.5))], {}, "one of 2 classes"),
        ([Patch("t", 0, 0, 8, 0, (0.0, 0.0))], {}, "shares"),
        ([Patch("t", 0, 0, 8, 0, (0.8, 0.8))], {}, "shares"),
        ([Patch("t", 0, 0, 8, 0, (1.1, -0.1))], {}, "shares"),
        ([Patch("t", 0, 0, 8, 0, (0.5, float("nan")))], {}, "shares"),
    ],
)
def test_bad_input(pool, options, words):
    with pytest.raises(DataError, match=words) as caught:
        multistage_sample(pool, **({"seed": 0} | options))
    assert "\n" not in str(caught.value)

"""Comparison of two class maps."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.mapping import (
    from_class,
    new_landslides,
    stable,
    transition_matrix,
    vanished,
)
from landslide_tf.mapping.class_changes import Transitions
from landslide_tf.terrain import Grid, cell_size

# The worked example: three dates, six classes, 0 = landslide, 5 = bare ground.
T0 = np.array([[0, 0, 5, 5], [5, 5, 5, 2], [5, 5, 2, 2]], np.uint8)
T1 = np.array([[0, 0, 0, 5], [5, 0, 5, 2], [5, 5, 2, 2]], np.uint8)
T2 = np.array([[0, 0, 0, 0], [0, 0, 5, 2], [255, 5, 2, 0]], np.uint8)

CLASSES = st.sampled_from([0, 1, 2, 3, 255])
PAIRS = st.tuples(st.integers(0, 7), st.integers(0, 7)).flatmap(
    lambda shape: st.tuples(
        npst.arrays(np.uint8, shape, elements=CLASSES),
        npst.arrays(np.uint8, shape, elements=CLASSES),
    )
)


def matrix(**cells):
    expected = np.zeros((6, 6), int)
    for name, count in cells.items():
        expected[int(name[1]), int(name[2])] = count
    return expected


def test_transitions_of_the_worked_example():
    first, second = transition_matrix(T0, T1, 6), transition_matrix(T1, T2, 6)
    assert first.dtype == np.int64
    np.testing.assert_array_equal(first, matrix(m00=2, m50=2, m55=5, m22=3))
    np.testing.assert_array_equal(second, matrix(m00=4, m50=2, m55=2, m22=2, m20=1))
    assert (first.sum(), second.sum()) == (12, 11)


def test_masks_of_the_worked_example():
    assert new_landslides(T0, T1, landslide_class=0).sum() == 2
    new = new_landslides(T1, T2, landslide_class=0)
    expected = [[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(new, np.array(expected, bool))
    previous = from_class(T1, T2, landslide_class=0)
    expected = [[255, 255, 255, 5], [5, 255, 255, 255], [255, 255, 255, 2]]
    np.testing.assert_array_equal(previous, expected)
    assert previous.dtype == np.uint8
    assert stable(T1, T2, landslide_class=0).sum() == 4
    assert not vanished(T1, T2, landslide_class=0).any()
    np.testing.assert_array_equal(vanished(T2, T1, landslide_class=0), new)


def test_the_published_sequences():
    """Bare, then half landslide, then landslide; and bare, bare, landslide."""
    bare, slid = np.full((2, 4), 5), np.zeros((2, 4), int)
    half = bare.copy()
    half[:, :2] = 0
    for series, growth in (((bare, half, slid), (4, 4)), ((bare, bare, slid), (0, 8))):
        pairs = list(itertools.pairwise(series))
        assert (
            tuple(new_landslides(*pair, landslide_class=0).sum() for pair in pairs)
            == growth
        )
        assert transition_matrix(series[0], series[-1], 6)[5, 0] == 8


@settings(deadline=None)
@given(PAIRS, st.integers(0, 3))
def test_masks_and_matrix_agree(pair, landslide):
    before, after = pair
    counts = transition_matrix(before, after, 4)
    valid = (before != 255) & (after != 255)
    for k in range(4):
        assert counts[k].sum() == np.count_nonzero((before == k) & valid)
        assert counts[:, k].sum() == np.count_nonzero((after == k) & valid)
    np.testing.assert_array_equal(counts.T, transition_matrix(after, before, 4))

    options = {"landslide_class": landslide}
    new = new_landslides(before, after, **options)
    assert new.sum() == counts[:, landslide].sum() - counts[landslide, landslide]
    assert stable(before, after, **options).sum() == counts[landslide, landslide]
    gone = vanished(before, after, **options)
    np.testing.assert_array_equal(
        gone, (before == landslide) & (after != landslide) & valid
    )
    previous = from_class(before, after, **options)
    np.testing.assert_array_equal(previous != 255, new)
    for k in range(4):
        if k != landslide:
            assert np.count_nonzero(previous == k) == counts[k, landslide]


@settings(deadline=None, max_examples=30)
@given(PAIRS, st.integers(1, 7))
def test_strips_give_what_the_whole_gives(pair, rows):
    areas = np.linspace(0.1, 0.7, len(pair[0]))
    found = Transitions(4)
    for k in range(0, len(areas), rows):
        before, after = (values[k : k + rows] for values in pair)
        found.add(before, after, areas[k : k + rows])
    np.testing.assert_array_equal(found.pixels, transition_matrix(*pair, 4))
    whole = transition_matrix(*pair, 4, cell_area=areas)
    np.testing.assert_array_equal(found.areas, whole)


def test_areas_of_rows():
    counts = transition_matrix(T1, T2, 6)
    areas = transition_matrix(T1, T2, 6, cell_area=0.25)
    np.testing.assert_allclose(areas, counts * 0.25)
    areas = transition_matrix(T1, T2, 6, cell_area=np.array([1.0, 10.0, 100.0]))
    assert areas[5, 0] == 11  # one pixel of the first row, one of the second
    assert areas[2, 0] == 100
    assert areas[2, 2] == 110


def test_areas_of_a_geographic_grid():
    grid = Grid("EPSG:4326", Affine(0.001, 0, 99, 0, -0.001, 29.944833), 3, 4)
    east, north = cell_size(grid)
    areas = transition_matrix(T0, T0, 6, cell_area=east * north)
    # Metres per degree at 29.943333° N, the latitude of the middle row.
    middle = 96541.051 * 110851.488 * 1e-6
    assert areas.sum() == pytest.approx(12 * middle, rel=1e-7)
    assert areas[0, 0] < 2 * middle  # the row further north


def test_another_ignore_value_and_type():
    before = np.array([[7, 1, 0]], np.int64)
    after = np.array([[1, 1, 1]], np.int32)
    counts = transition_matrix(before, after, 2, ignore=7)
    np.testing.assert_array_equal(counts, [[0, 1], [0, 1]])
    previous = from_class(before, after, landslide_class=1, ignore=7)
    np.testing.assert_array_equal(previous, [[7, 7, 0]])


@pytest.mark.parametrize(
    ("before", "after", "options", "words"),
    [
        (T0, T1[:2], {}, r"`after` of the shape of `before`, \(3, 4\), received \(2"),
        (T0, T1[:, :1], {}, "onto one grid"),
        (T0.astype(float), T1, {}, "`before` to be a class map"),
        (T0, T1 == 0, {}, "`after` to be a class map"),
        (T0[None], T1, {}, r"\(1, 3, 4\)"),
        ([[0], [1, 2]], T1, {}, "`before` to be a class map"),
        (T0.astype(int) - 1, T1, {}, "received -1"),
        (T0, T1.astype(int) + 255, {}, "received 260"),
        (T0, T1, {"classes": 5}, "classes below 5"),
        (T0, T1, {"classes": 0}, "`classes`"),
        (T0, T1, {"classes": 2.5}, "`classes`"),
        (T0, T1, {"ignore": -1}, "`ignore`"),
        (T0, T1, {"cell_area": 0}, "`cell_area` above 0"),
        (T0, T1, {"cell_area": np.nan}, "`cell_area` above 0"),
        (T0, T1, {"cell_area": "large"}, "received 'large'"),
        (T0, T1, {"cell_area": np.ones(4)}, "one for each of the 3 rows"),
        (T0, T1, {"cell_area": np.ones((3, 4))}, r"an array of shape \(3, 4\)"),
    ],
)
def test_bad_input_of_the_matrix(before, after, options, words):
    with pytest.raises(DataError, match=words) as caught:
        transition_matrix(before, after, **({"classes": 6} | options))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("function", [new_landslides, vanished, stable, from_class])
@pytest.mark.parametrize(
    ("after", "options", "words"),
    [
        (T1.T, {}, "onto one grid"),
        (T1, {"landslide_class": 255}, "to differ from `ignore`"),
        (T1, {"landslide_class": "landslide"}, "`landslide_class`"),
        (T1, {"landslide_class": 300}, "from 0 to 255"),
    ],
)
def test_bad_input_of_the_masks(function, after, options, words):
    with pytest.raises(DataError, match=words) as caught:
        function(T0, after, **({"landslide_class": 0} | options))
    assert "\n" not in str(caught.value)

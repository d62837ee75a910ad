"""Landslides in a series of class maps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from skimage import measure

from landslide_tf.errors import DataError
from landslide_tf.mapping import first_step, new_landslides, new_objects

T0 = np.array([[0, 0, 5, 5], [5, 5, 5, 2], [5, 5, 2, 2]], np.uint8)
T1 = np.array([[0, 0, 0, 5], [5, 0, 5, 2], [5, 5, 2, 2]], np.uint8)
T2 = np.array([[0, 0, 0, 0], [0, 0, 5, 2], [255, 5, 2, 0]], np.uint8)
GOLDEN = [[0, 0, 1, 2], [2, 1, -1, -1], [-1, -1, -1, 2]]

SERIES = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda shape: npst.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 255]))
)


def test_first_step_of_the_worked_example():
    steps = first_step([T0, T1, T2], landslide_class=0)
    assert steps.dtype == np.int16
    np.testing.assert_array_equal(steps, GOLDEN)


@settings(deadline=None)
@given(SERIES, st.data())
def test_first_step_pixel_by_pixel(maps, data):
    persist = data.draw(st.integers(1, len(maps)))
    landslide = data.draw(st.integers(0, 2))
    steps = first_step(maps, landslide_class=landslide, persist=persist)
    for index in np.ndindex(steps.shape):
        history = (maps[(slice(None), *index)] == landslide).tolist()
        starts = [
            t
            for t in range(len(history) - persist + 1)
            if history[t : t + persist] == [True] * persist
        ]
        assert steps[index] == (starts[0] if starts else -1)


@settings(deadline=None)
@given(SERIES, st.integers(0, 8))
def test_new_objects_of_the_first_step_are_large(maps, min_area):
    plain, steps = (
        first_step(maps, landslide_class=0),
        first_step(maps, min_area=min_area, landslide_class=0),
    )
    np.testing.assert_array_equal(steps == 0, plain == 0)
    kept = steps >= 0
    assert (steps[kept] >= plain[kept]).all()
    assert (maps[steps[kept], *np.nonzero(kept)] == 0).all()
    for t in range(1, len(maps)):
        objects = measure.regionprops(measure.label(steps == t, connectivity=2))
        assert all(found.area >= min_area for found in objects)
        # Nothing large enough was left waiting.
        waiting = (maps[t] == 0) & ((steps < 0) | (steps > t))
        objects = measure.regionprops(measure.label(waiting, connectivity=2))
        assert all(found.area < min_area for found in objects)


def test_a_landslide_that_grows_slowly_is_found():
    maps = np.full((4, 1, 6), 5, np.uint8)
    for t in range(1, 4):
        maps[t, 0, : 2 * t] = 0
    np.testing.assert_array_equal(
        first_step(maps, landslide_class=0), [[1, 1, 2, 2, 3, 3]]
    )
    np.testing.assert_array_equal(
        first_step(maps, min_area=4, landslide_class=0), [[2, 2, 2, 2, -1, -1]]
    )


def test_persistence_needs_valid_maps_in_a_row():
    series = [[[0, 0, 5, 0]], [[255, 0, 0, 5]], [[0, 5, 0, 0]]]
    np.testing.assert_array_equal(
        first_step(series, persist=2, landslide_class=0), [[-1, 0, 1, -1]]
    )
    np.testing.assert_array_equal(first_step(series, landslide_class=0), [[0, 0, 1, 0]])


def test_objects_of_the_worked_example():
    objects = new_objects([T0, T1, T2], cell_area=4, landslide_class=0)
    rows = [(o.id, o.step, o.area, o.centroid, o.previous) for o in objects]
    assert rows == [
        (1, 1, 8.0, (0.5, 1.5), {5: 1.0}),
        (2, 2, 4.0, (0.0, 3.0), {5: 1.0}),
        (3, 2, 4.0, (1.0, 0.0), {5: 1.0}),
        (4, 2, 4.0, (2.0, 3.0), {2: 1.0}),
    ]
    assert [
        o.step for o in new_objects([T0, T1, T2], min_area=2, landslide_class=0)
    ] == [1]
    assert [
        o.id
        for o in new_objects([T0, T1, T2], min_area=5, cell_area=4, landslide_class=0)
    ] == [1]


def test_previous_classes_and_area_of_an_object():
    before = np.array([[5, 5, 255], [2, 0, 1], [1, 1, 1]])
    after = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 1]])
    (found,) = new_objects([before, after], cell_area=[3, 2, 1], landslide_class=0)
    assert found.area == 8
    assert found.previous == {2: 0.25, 5: 0.75}
    assert found.centroid == pytest.approx((1 / 3, 1 / 3))
    assert found.window == (slice(0, 2), slice(0, 2))
    np.testing.assert_array_equal(found.mask, [[True, True], [True, False]])


def test_what_came_back_is_new_again_and_must_last():
    series = [[[0, 5]], [[5, 0]], [[0, 0]]]
    assert [o.step for o in new_objects(series, landslide_class=0)] == [1, 2]
    assert [o.step for o in new_objects(series, persist=2, landslide_class=0)] == [1]


@settings(deadline=None)
@given(SERIES.filter(lambda maps: len(maps) > 1), st.integers(0, 5))
def test_objects_are_the_components_of_new_landslides(maps, min_area):
    objects = new_objects(maps, min_area=min_area, landslide_class=0)
    assert [o.id for o in objects] == list(range(1, len(objects) + 1))
    for t in range(1, len(maps)):
        expected = {
            (region.area, *np.round(region.centroid, 9))
            for region in measure.regionprops(
                measure.label(
                    new_landslides(maps[t - 1], maps[t], landslide_class=0),
                    connectivity=2,
                )
            )
            if region.area >= min_area
        }
        found = [o for o in objects if o.step == t]
        assert {(o.area, *np.round(o.centroid, 9)) for o in found} == expected
        for o in found:
            assert o.mask.sum() == o.area
            assert sum(o.previous.values()) == pytest.approx(1)
            previous = maps[t - 1][o.window][o.mask]
            for value, share in o.previous.items():
                assert value not in (0, 255)
                assert share == pytest.approx(np.mean(previous == value))


@settings(deadline=None)
@given(SERIES.filter(lambda maps: len(maps) > 1), st.integers(1, 6))
def test_equal_cells_only_scale_the_areas(maps, min_area):
    pixels = new_objects(maps, min_area=min_area, landslide_class=0)
    metres = new_objects(
        maps, min_area=min_area * 0.09, cell_area=0.09, landslide_class=0
    )
    assert len(pixels) == len(metres)
    for a, b in zip(pixels, metres, strict=True):
        assert b.area == pytest.approx(a.area * 0.09)
        assert b.previous == pytest.approx(a.previous)
    np.testing.assert_array_equal(
        first_step(maps, min_area=min_area, landslide_class=0),
        first_step(maps, min_area=min_area * 0.09, cell_area=0.09, landslide_class=0),
    )


def test_areas_may_miss_the_smallest_by_rounding():
    maps = [np.full((1, 10), 5), np.zeros((1, 10), int)]
    # Ten times 0.1, one by one, is less than 1 in floating point.
    assert len(new_objects(maps, min_area=1, cell_area=0.1, landslide_class=0)) == 1
    assert new_objects(maps, min_area=1.01, cell_area=0.1, landslide_class=0) == []


def test_maps_without_pixels():
    empty = np.zeros((0, 3), np.uint8)
    assert first_step([empty, empty], min_area=3, landslide_class=0).shape == (0, 3)
    assert new_objects([empty, empty], cell_area=2.0, landslide_class=0) == []


@pytest.mark.parametrize("function", [first_step, new_objects])
@pytest.mark.parametrize(
    ("maps", "options", "words"),
    [
        ([T0, T1, T2[:2]], {}, r"`maps\[2\]` of the shape of `maps\[0\]`, \(3, 4\)"),
        ([], {}, "at least [12], received 0"),
        (T0, {}, r"`maps\[0\]` to be a class map"),
        ([T0, T1.astype(np.float32)], {}, r"`maps\[1\]` to be a class map"),
        ([T0, T1], {"persist": 3}, "`persist` to be a whole number from 1 to 2"),
        ([T0, T1], {"persist": 0}, "`persist`"),
        ([T0, T1], {"min_area": -1}, "`min_area` of at least 0"),
        ([T0, T1], {"min_area": float("nan")}, "`min_area`"),
        ([T0, T1], {"cell_area": [1, 1]}, "one for each of the 3 rows"),
        ([T0, T1], {"landslide_class": 255}, "to differ from `ignore`"),
    ],
)
def test_bad_input(function, maps, options, words):
    with pytest.raises(DataError, match=words) as caught:
        function(maps, **({"landslide_class": 0} | options))
    assert "\n" not in str(caught.value)


def test_one_map_has_no_new_objects():
    np.testing.assert_array_equal(
        first_step([T0], landslide_class=0), np.where(T0 == 0, 0, -1)
    )
    with pytest.raises(DataError, match="at least 2, received 1"):
        new_objects([T0], landslide_class=0)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from skimage import measure, segmentation

from landslide_tf.errors import DataError
from landslide_tf.objects import boundaries, label_objects

MASKS = npst.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@settings(deadline=None)
@given(MASKS, st.sampled_from([4, 8]), st.integers(0, 6))
def test_components_and_sizes(mask, connectivity, min_area):
    labels, number = label_objects(mask, connectivity=connectivity, min_area=min_area)
    independent = measure.label(mask, connectivity=1 if connectivity == 4 else 2)
    regions = [r for r in measure.regionprops(independent) if r.area >= min_area]
    assert number == len(regions)
    assert labels.dtype == np.int32
    assert sorted(set(labels.ravel()) | {0}) == list(range(number + 1))
    for region in regions:
        rows, columns = region.coords.T
        label = set(labels[rows, columns])
        assert len(label) == 1
        assert np.count_nonzero(labels == label.pop()) == region.area
    assert np.count_nonzero(labels) == sum(region.area for region in regions)


def test_labels_are_numbered_in_reading_order():
    mask = np.zeros((6, 6), np.uint8)
    mask[4, 0] = mask[0, 5] = mask[2, 1:4] = 1
    labels, number = label_objects(mask, min_area=1)
    assert number == 3
    assert (labels[0, 5], labels[2, 2], labels[4, 0]) == (1, 2, 3)
    labels, number = label_objects(mask, min_area=3)
    assert (number, labels[2, 2], labels.sum()) == (1, 1, 3)


def test_corner_contact_joins_with_8_only():
    mask = np.eye(4, dtype=bool)
    assert label_objects(mask, min_area=1)[1] == 1
    assert label_objects(mask, min_area=1, connectivity=4)[1] == 4
    assert label_objects(mask, connectivity=8)[1] == 0  # 4 px, below the default of 16


@pytest.mark.parametrize(
    ("cell_size", "min_area", "number"),
    [
        (None, 6, 1),
        (None, 6.5, 0),
        (10.0, 600.0, 1),
        (10.0, 601.0, 0),
        ((10.0, 5.0), 300.0, 1),
        ((10.0, 5.0), 301.0, 0),
        # 6 × 0.1² is below 0.06 in floating point; it is not a smaller object.
        (0.1, 0.06, 1),
        (0.7, 2.94, 1),
    ],
)
def test_smallest_area_in_pixels_or_square_metres(cell_size, min_area, number):
    mask = np.zeros((5, 5), bool)
    mask[1:3, 1:4] = True
    assert label_objects(mask, min_area=min_area, cell_size=cell_size)[1] == number


def test_empty_masks_have_no_objects():
    for shape in ((0, 0), (0, 5), (3, 3)):
        labels, number = label_objects(np.zeros(shape, bool))
        assert (labels.shape, number) == (shape, 0)


@settings(deadline=None)
@given(MASKS)
def test_boundaries_are_the_inner_outline(mask):
    padded = np.pad(mask, 1)
    expected = segmentation.find_boundaries(padded, connectivity=1, mode="inner")
    np.testing.assert_array_equal(boundaries(mask), expected[1:-1, 1:-1] & mask)


def test_boundaries_of_a_square_are_closed_at_the_rim():
    mask = np.zeros((5, 5), bool)
    mask[:4, :4] = True
    inner = np.zeros_like(mask)
    inner[1:3, 1:3] = True
    np.testing.assert_array_equal(boundaries(mask), mask & ~inner)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((2, 3, 3), bool), r"shape \(H, W\), received \(2, 3, 3\)"),
        (np.array([[0, 255]], np.uint8), "boolean or 0 and 1"),
        (np.array([[0, -1]]), "boolean or 0 and 1"),
        (np.array([[0.0, 1.0]]), "dtype float64"),
    ],
)
def test_what_is_no_mask_is_refused(mask, message):
    for function in (label_objects, boundaries):
        with pytest.raises(DataError, match=message):
            function(mask)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"connectivity": 6}, "`connectivity` 8 or 4, received 6"),
        ({"min_area": -1}, "`min_area`"),
        ({"min_area": np.nan}, "`min_area`"),
        ({"cell_size": 0.0}, "`cell_size` above 0"),
        ({"cell_size": (10.0, -10.0)}, "`cell_size` above 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        label_objects(np.ones((4, 4), bool), **arguments)

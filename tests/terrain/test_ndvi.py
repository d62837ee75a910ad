"""NDVI: wrapping integers, calibration, missing and empty cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from landslide_tf.errors import DataError
from landslide_tf.terrain import ndvi


def test_by_hand():
    got = ndvi(np.array([[3.0, 1.0, 5.0]]), np.array([[1.0, 3.0, 5.0]]))
    np.testing.assert_array_equal(got, np.float32([[0.5, -0.5, 0.0]]))
    assert got.dtype == np.float32


def test_unsigned_differences_do_not_wrap():
    nir, red = np.uint16([[100]]), np.uint16([[300]])
    assert ndvi(nir, red)[0, 0] == -0.5
    assert ndvi(np.uint8([[200]]), np.uint8([[100]]))[0, 0] == pytest.approx(1 / 3)


def test_landsat_collection_2_calibration():
    nir, red = np.uint16([[20000]]), np.uint16([[10000]])
    got = ndvi(nir, red, scale=2.75e-5, offset=-0.2)[0, 0]
    a, b = 20000 * 2.75e-5 - 0.2, 10000 * 2.75e-5 - 0.2
    assert got == pytest.approx((a - b) / (a + b))
    assert got != pytest.approx(ndvi(nir, red)[0, 0], abs=0.1)


def test_missing_and_empty():
    nir = np.array([[0, 7, 7, 0, 9]], np.float32)
    red = np.array([[0, 0, 5, 7, np.nan]], np.float32)
    got = ndvi(nir, red, nodata=7)
    np.testing.assert_array_equal(got, [[0, np.nan, np.nan, np.nan, np.nan]])
    assert np.isnan(ndvi(nir, red, fill=np.nan)[0, 0])
    assert ndvi(nir, red, fill=-0.25)[0, 0] == -0.25


@settings(max_examples=50, deadline=None)
@given(
    bands=hnp.arrays(np.int16, (2, 4, 5)),
    scale=st.sampled_from([1.0, 1e-4]),
    offset=st.sampled_from([0.0, -0.1]),
)
def test_range_and_antisymmetry(bands, scale, offset):
    got = ndvi(*bands, scale=scale, offset=offset)
    assert ((got >= -1) & (got <= 1)).all()
    np.testing.assert_array_equal(got, -ndvi(*bands[::-1], scale=scale, offset=offset))


def test_blocks_do_not_show():
    rng = np.random.default_rng(0)
    nir, red = rng.random((2, 700, 211))
    expected = (nir - red) / (nir + red)
    np.testing.assert_allclose(ndvi(nir, red), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("nir", "red", "words"),
    [
        (np.zeros((2, 2)), np.zeros((2, 3)), r"one shape.*\(2, 3\)"),
        (np.zeros(4), np.zeros(4), "height, width"),
        (np.zeros((2, 2), bool), np.zeros((2, 2)), "bool"),
    ],
)
def test_bad_input_is_one_line(nir, red, words):
    with pytest.raises(DataError, match=words) as caught:
        ndvi(nir, red)
    assert "\n" not in str(caught.value)


def test_result_type_must_hold_nan():
    with pytest.raises(DataError, match="float type"):
        ndvi(np.ones((2, 2)), np.ones((2, 2)), dtype=np.int8)

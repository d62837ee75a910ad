"""Slope, aspect and hillshade: hand-worked values, planes, holes, hostile input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from landslide_tf.errors import DataError
from landslide_tf.terrain import aspect, hillshade, slope
from landslide_tf.terrain import gradient as gradient_module

DEM = np.array(
    [
        [100, 102, 105, 103, 100],
        [101, 104, 108, 106, 102],
        [103, 107, 112, 109, 104],
        [102, 105, 109, 107, 103],
        [100, 102, 104, 104, 101],
    ],
    dtype=np.float32,
)


def table(text):
    return np.array(text.split(), dtype=np.float64).reshape(5, 5)


HORN_SLOPE = table(
    """ 9.0946 17.7528 15.6161 20.3877 15.1318
       18.5420 23.2733 17.9792 23.0076 24.0948
       19.4712 21.9550  6.3794 19.4712 24.3596
       18.5420 23.1499 18.7799 21.2715 23.1322
       13.8323 20.8873 22.4069 19.6946 15.1318"""
)
HORN_ASPECT = table(
    """321.3402 308.6598 349.6952  42.2737  33.6901
       296.5651 305.5377 344.3578  47.3859  63.4349
       278.1301 277.1250 296.5651  81.8699  83.6598
       243.4349 232.1250 197.1027 132.3974 110.5560
       203.9625 211.6075 194.0362 155.2249 146.3099"""
)
ZT_SLOPE = table(
    """ 8.0495 17.7528 16.9165 21.3313 14.0362
       18.5420 23.2733 20.0018 22.9898 24.0948
       21.9550 24.3596  6.3794 21.9550 26.6792
       18.5420 23.2733 22.4069 21.3313 23.1322
       12.6044 19.8270 27.0171 18.5420 14.0362"""
)
ZT_ASPECT = table(
    """315.0000 308.6598 350.5377  39.8056  36.8699
       296.5651 305.5377 344.0546  45.0000  63.4349
       277.1250 276.3402 296.5651  82.8750  84.2894
       243.4349 234.4623 194.0362 129.8056 110.5560
       206.5651 213.6901 191.3099 153.4349 143.1301"""
)
SHADE = table(
    """207 226 214 172 184
       225 236 220 163 142
       218 221 198 134 118
       189 175 144 103 102
       160 154 132 113 128"""
)
SHADE_Z3 = table(
    """240 254 234 127 163
       248 251 239 106  63
       229 225 225  46  17
       168 129  67   1   1
       107  88  42   1  30"""
)
INNER = np.s_[1:-1, 1:-1]


@pytest.fixture(params=[1, 7, 1 << 16], ids=lambda cells: f"block of {cells}")
def block_cells(request, monkeypatch):
    """One row a block, an odd number of rows, and the whole array."""
    monkeypatch.setattr(gradient_module, "BLOCK_CELLS", request.param)


# --- hand-worked values --------------------------------------------------------------


@pytest.mark.usefixtures("block_cells")
@pytest.mark.parametrize(
    ("method", "slopes", "aspects"),
    [
        ("horn", HORN_SLOPE, HORN_ASPECT),
        ("zevenbergen_thorne", ZT_SLOPE, ZT_ASPECT),
    ],
)
def test_golden_model(method, slopes, aspects):
    got = slope(DEM, 10, method=method)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, slopes, atol=5.1e-5)
    np.testing.assert_allclose(aspect(DEM, 10, method=method), aspects, atol=6e-5)
    for function, expected in ((slope, slopes), (aspect, aspects)):
        got = function(DEM, 10, method=method, edges="nodata")
        np.testing.assert_allclose(got[INNER], expected[INNER], atol=6e-5)
        got[INNER] = np.nan
        assert np.isnan(got).all()


@pytest.mark.usefixtures("block_cells")
def test_golden_hillshade():
    np.testing.assert_array_equal(hillshade(DEM, 10), SHADE)
    np.testing.assert_array_equal(hillshade(DEM, 10, z_factor=3), SHADE_Z3)
    ring = hillshade(DEM, 10, edges="nodata")
    assert ring.dtype == np.uint8
    np.testing.assert_array_equal(ring[INNER], SHADE[INNER])
    assert ring.sum() == SHADE[INNER].sum()
    assert (hillshade(np.full((3, 3), 5), 10) == 181).all()  # level, sun at 45 degrees


def test_golden_options():
    percent = slope(DEM, 10, units="percent")
    assert percent[2, 2] == pytest.approx(11.18034, abs=1e-5)
    assert percent[1, 1] == pytest.approx(43.01163, abs=1e-5)
    assert slope(DEM, 10, scale=2)[1, 1] == pytest.approx(12.137064, abs=1e-6)
    oblong = slope(DEM, (10, 20))
    assert oblong[1, 1] == pytest.approx(20.38767, abs=1e-5)
    assert oblong[1, 2] == pytest.approx(10.153011, abs=1e-6)


@pytest.mark.usefixtures("block_cells")
@pytest.mark.parametrize("marker", [-9999, np.nan, np.inf, -np.inf, "masked"])
def test_golden_hole(marker):
    if marker == "masked":
        dem = np.ma.masked_array(DEM, mask=False)
        dem[1, 1] = np.ma.masked
    else:
        dem = DEM.copy()
        dem[1, 1] = marker
    nodata = -9999 if marker == -9999 else None
    ring = slope(dem, 10, edges="nodata", nodata=nodata)
    there = {(1, 3): 23.0076, (2, 3): 19.4712, (3, 1): 23.1499}
    there |= {(3, 2): 18.7799, (3, 3): 21.2715}
    for at, value in there.items():
        assert ring[at] == pytest.approx(value, abs=6e-5)
        ring[at] = np.nan
    assert np.isnan(ring).all()

    full = slope(dem, 10, nodata=nodata, gdal_compat=True)
    expected = HORN_SLOPE.copy()
    expected[0] = (5.1507, 15.0700, 12.7559, 20.3877, 15.1318)
    expected[1] = (11.9767, -9999, 17.3671, 23.0076, 24.0948)
    expected[2] = (15.3763, 21.8400, 2.8624, 19.4712, 24.3596)
    np.testing.assert_allclose(full, expected, atol=6e-5)


# --- planes and invariances ----------------------------------------------------------

SLOPES = st.floats(-3, 3, allow_nan=False).map(lambda v: round(v, 3))
METHODS = st.sampled_from(["horn", "zevenbergen_thorne"])
SIZES = st.tuples(st.floats(0.3, 90), st.floats(0.3, 90))


def angle_distance(a, b):
    return np.abs((a - b + 180) % 360 - 180)


@settings(max_examples=60, deadline=None)
@given(p=SLOPES, q=SLOPES, cell=SIZES, method=METHODS, base=st.floats(-400, 8000))
def test_plane(p, q, cell, method, base):
    """z = p·east + q·north: atan √(p² + q²), facing −(p, q), corners excepted."""
    east = np.arange(7) * cell[0]
    north = -np.arange(6)[:, None] * cell[1]
    dem = base + p * east + q * north
    kwargs = {"method": method, "dtype": np.float64}
    corners = np.zeros(dem.shape, bool)
    corners[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    tilt = np.degrees(np.arctan(np.hypot(p, q)))
    got = slope(dem, cell, **kwargs)
    np.testing.assert_allclose(got[~corners], tilt, atol=1e-8)
    halved = np.degrees(np.arctan(np.hypot(p / 2, q)))
    np.testing.assert_allclose(got[corners], halved, atol=1e-8)
    if np.hypot(p, q) > 1e-2:
        facing = np.degrees(np.arctan2(-p, -q)) % 360
        got = aspect(dem, cell, **kwargs)
        assert angle_distance(got[~corners], facing).max() < 1e-6


RELIEF = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9),
    elements=st.integers(0, 400).map(float),
)


@settings(max_examples=60, deadline=None)
@given(dem=RELIEF, method=METHODS, cell=SIZES, height=st.floats(-1e4, 1e4))
def test_height_above_zero_does_not_matter(dem, method, cell, height):
    kwargs = {"method": method, "dtype": np.float64}
    expected = slope(dem, cell, **kwargs)
    np.testing.assert_allclose(slope(dem + height, cell, **kwargs), expected, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(dem=RELIEF, method=METHODS, cell=SIZES, factor=st.floats(0.01, 100))
def test_one_scale_for_all_axes_does_not_matter(dem, method, cell, factor):
    kwargs = {"method": method, "dtype": np.float64}
    scaled = (dem * factor, (cell[0] * factor, cell[1] * factor))
    np.testing.assert_allclose(
        slope(*scaled, **kwargs), slope(dem, cell, **kwargs), atol=1e-9
    )
    np.testing.assert_allclose(
        slope(dem, cell, z_factor=factor, **kwargs),
        slope(dem, cell, scale=1 / factor, **kwargs),
        atol=1e-9,
    )


@settings(max_examples=60, deadline=None)
@given(
    dem=RELIEF,
    holes=st.integers(0, 2**32 - 1),
    method=METHODS,
    edges=st.sampled_from(["compute", "nodata"]),
)
def test_ranges_and_holes(dem, holes, method, edges):
    dem[np.random.default_rng(holes).random(dem.shape) < 0.2] = np.nan
    how = {"method": method, "edges": edges}
    steep, facing, light = (f(dem, 10, **how) for f in (slope, aspect, hillshade))
    missing = np.isnan(steep)
    np.testing.assert_array_equal(np.isnan(facing), missing)
    np.testing.assert_array_equal(light == 0, missing)
    if edges == "compute":
        np.testing.assert_array_equal(missing, np.isnan(dem))
    else:
        around = np.pad(np.isnan(dem), 1, constant_values=True)
        windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3))
        np.testing.assert_array_equal(missing, windows.any(axis=(2, 3)))
    assert ((steep >= 0) & (steep < 90))[~missing].all()
    assert ((facing == -1) | ((facing >= 0) & (facing < 360)))[~missing].all()
    np.testing.assert_array_equal(facing[~missing] == -1, steep[~missing] == 0)


def test_summing_after_subtracting_keeps_small_slopes():
    """A plane of 2 degrees at 5000 m with cells of 0.3 m, in float64."""
    tilt = np.tan(np.radians(2.0))
    dem = 5000 + tilt * 0.3 * np.arange(50) * np.ones((50, 1))
    got = slope(dem, 0.3, dtype=np.float64)[1:-1]
    np.testing.assert_allclose(got, 2.0, atol=1e-8)
    # Float32 elevations have lost it before we see them.
    coarse = slope(dem.astype(np.float32), 0.3)[1:-1]
    assert 0.005 < np.abs(coarse - 2).max() < 0.06


def test_one_cell_size_a_row():
    dem = np.random.default_rng(5).random((9, 6)) * 50
    east, north = np.linspace(5, 15, 9), np.linspace(20, 8, 9)
    rows = slope(dem, (east, north), dtype=np.float64)
    facing = aspect(dem, (east, 10.0), dtype=np.float64)
    for row in range(9):
        one = slope(dem, (east[row], north[row]), dtype=np.float64)
        np.testing.assert_allclose(rows[row], one[row], rtol=1e-12)
        one = aspect(dem, (east[row], 10.0), dtype=np.float64)
        np.testing.assert_allclose(facing[row], one[row], rtol=1e-12)


def test_aspect_divides_by_the_cell_sizes():
    right = aspect(DEM, (10, 20))
    compat = aspect(DEM, (10, 20), gdal_compat=True)
    np.testing.assert_allclose(compat, HORN_ASPECT, atol=6e-5)
    assert angle_distance(right, compat).max() == pytest.approx(19.4, abs=0.1)


def test_aspect_of_level_ground_and_compass():
    level = np.full((4, 4), 3.0)
    assert (aspect(level, 10) == -1).all()
    assert (aspect(level, 10, flat="zero") == 0).all()
    assert (aspect(level, 10, gdal_compat=True) == -9999).all()
    rows, columns = np.mgrid[:3, :3]
    falls = {0: rows, 90: -columns, 180: -rows, 270: columns}  # north, east, …
    for azimuth, dem in falls.items():
        assert aspect(dem, 10)[1, 1] == azimuth
        assert aspect(dem, 10, trigonometric=True)[1, 1] == (90 - azimuth) % 360


def test_almost_north_stays_below_360():
    rows, columns = np.mgrid[:5, :5]
    dem = rows + 1e-12 * columns
    got = aspect(dem.astype(np.float64), 1)
    assert (got == 0).all()
    assert ((got >= 0) & (got < 360)).all()


# --- hostile input -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
def test_one_row_or_column(shape):
    dem = np.zeros(shape)
    for function in (slope, aspect, hillshade):
        with pytest.raises(DataError, match="2 x 2"):
            function(dem, 10)
        out = function(dem, 10, edges="nodata")
        assert out.shape == shape
        assert (out == 0).all() if function is hillshade else np.isnan(out).all()


def test_two_by_two():
    assert slope([[0, 10], [0, 10]], 10)[0, 0] == pytest.approx(
        np.degrees(np.arctan(0.5))
    )


def test_nodata_only():
    dem = np.full((4, 4), -9999, np.int16)
    assert np.isnan(slope(dem, 10, nodata=-9999)).all()
    assert (slope(dem, 10, nodata=-9999, gdal_compat=True) == -9999).all()
    assert (hillshade(dem, 10, nodata=-9999) == 0).all()


@pytest.mark.parametrize("nodata", [-9999, 70000, -3.4028234663852886e38, 1e300])
def test_nodata_outside_the_dtype(nodata):
    dem = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert np.isfinite(slope(dem, 10, nodata=nodata)).all()
    assert np.isfinite(slope(dem.astype(np.float32), 10, nodata=nodata)).all()


def test_float32_nodata_of_a_float64_header():
    dem = DEM.copy()
    dem[0, 0] = np.float32(-1.1e30)
    assert np.isnan(slope(dem, 10, nodata=-1.1e30)[0, 0])


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int64", "float16", "float64", ">f4"]
)
def test_dtypes(dtype):
    dem = (DEM - 90).astype(dtype)  # unsigned differences would wrap around
    np.testing.assert_allclose(slope(dem, 10), HORN_SLOPE, atol=6e-5)


def test_views_and_readonly_input():
    dem = np.broadcast_to(np.arange(12.0), (9, 12))
    expected = np.degrees(np.arctan(0.1))
    np.testing.assert_allclose(slope(dem, 10)[:, 1:-1], expected, rtol=1e-6)
    wide = np.zeros((10, 10), np.float32)
    wide[::2, ::2] = DEM
    np.testing.assert_allclose(slope(wide[::2, ::2], 10), HORN_SLOPE, atol=6e-5)


def test_absurd_elevations_do_not_warn():
    dem = np.full((4, 4), 1e308)
    dem[1, 1] = -1e308
    out = slope(dem, 10)
    assert ((out >= 0) & (out <= 90) | np.isnan(out)).all()


BAD_CALLS = {
    "three axes": (
        lambda: slope(np.zeros((2, 3, 3)), 1),
        r"height, width.*\(2, 3, 3\)",
    ),
    "empty": (lambda: slope(np.zeros((0, 4)), 1), "at least one cell"),
    "complex": (lambda: slope(np.zeros((3, 3), complex), 1), "complex128"),
    "boolean": (lambda: aspect(np.zeros((3, 3), bool), 1), "bool"),
    "text": (lambda: slope([["a", "b"], ["c", "d"]], 1), "real numbers"),
    "zero cell": (lambda: slope(DEM, 0), "above 0"),
    "negative cell": (lambda: slope(DEM, (10, -10)), "north-south.*northern edge"),
    "nan cell": (lambda: hillshade(DEM, np.nan), "finite"),
    "three cells": (lambda: slope(DEM, (1, 2, 3)), "3 entries"),
    "wrong rows": (lambda: slope(DEM, (np.ones(4), 1)), r"one a row \(5\)"),
    "negative row": (lambda: slope(DEM, (np.arange(5), 1)), "east-west.*`0.0`"),
    "text cell": (lambda: slope(DEM, "10 m"), "finite and above 0"),
    "method": (lambda: slope(DEM, 1, method="Horn"), "Did you mean `horn`"),
    "units": (lambda: slope(DEM, 1, units="degree"), "Did you mean `degrees`"),
    "edges": (lambda: aspect(DEM, 1, edges="zero"), "`compute`"),
    "flat": (lambda: aspect(DEM, 1, flat=0), "minus_one"),
    "scale": (lambda: slope(DEM, 1, scale=0), "`scale`"),
    "z_factor": (lambda: hillshade(DEM, 1, z_factor=-1), "`z_factor`"),
    "altitude": (lambda: hillshade(DEM, 1, altitude=91), "0 to 90"),
    "azimuth": (lambda: hillshade(DEM, 1, azimuth=np.nan), "azimuth"),
    "dtype": (lambda: slope(DEM, 1, dtype=np.int16), "float type"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_input_is_one_line(case):
    call, words = BAD_CALLS[case]
    with pytest.raises(DataError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)

"""Elevation models brought to an image's grid, and the factors there."""

import numpy as np
import pytest
import rasterio
import rasterio.vrt
import rasterio.warp
from rasterio import Affine

from landslide_tf.terrain import (
    FACTORS,
    Grid,
    aspect,
    factors_on_grid,
    slope,
)

UTM = "EPSG:32633"
COARSE = Grid(UTM, Affine(10, 0, 5e5, 0, -10, 5e6), 30, 40)
# 4 x finer, somewhere inside, not aligned with the coarse cells.
FINE = Grid(UTM, Affine(2.5, 0, 500101, 0, -2.5, 4999893), 32, 48)


def centres(grid):
    columns, rows = np.meshgrid(np.arange(grid.width), np.arange(grid.height))
    return grid.transform @ (columns + 0.5, rows + 0.5)


def plane(grid, p=0.3, q=-0.4, base=3000.0):
    """Elevations base + p·east + q·north."""
    x, y = centres(grid)
    return base + p * (x - 5e5) + q * (y - 5e6)


def relief(grid, seed=0):
    rng = np.random.default_rng(seed)
    walk = rng.standard_normal(grid.shape).cumsum(0).cumsum(1)
    return 1000 + 40 * walk / np.abs(walk).max()


def angle_distance(a, b):
    return np.abs((np.asarray(a, np.float64) - b + 180) % 360 - 180)


# --- one grid ------------------------------------------------------------------------


@pytest.mark.parametrize("edges", ["compute", "nodata"])
@pytest.mark.parametrize("derive", ["after", "before"])
def test_on_its_own_grid_nothing_is_resampled(derive, edges):
    dem = relief(COARSE)
    dem[5, 6] = np.nan
    got = factors_on_grid((dem, COARSE, None), COARSE, derive=derive, edges=edges)
    assert got.names == ("slope", "aspect")
    assert got.values.dtype == np.float32
    expected = slope(dem, 10, edges=edges)
    np.testing.assert_array_equal(got.values[..., 0], expected)
    assert np.nanmax(angle_distance(got.values[..., 1], aspect(dem, 10))) < 1e-4
    assert got.covered == 1 - 1 / dem.size
    around = np.ones(dem.shape, bool)
    around[4:7, 5:8] = False
    np.testing.assert_array_equal(got.valid, around)


def test_a_window_copies_the_cells_it_shares():
    dem = relief(COARSE)
    part = COARSE.window(-2, 5, 10, 8)
    got = factors_on_grid((dem, COARSE, None), part, factors=("dem",))
    assert np.isnan(got.values[:2]).all()
    np.testing.assert_array_equal(got.values[2:, :, 0], np.float32(dem[:8, 5:13]))
    assert got.covered == pytest.approx(0.8)
    assert not got.valid[2].any()
    assert got.valid[3:].all()


def test_all_factors_and_their_order():
    dem = relief(COARSE)
    dem[10:16, 10:16] = 990.0  # level
    names = ("aspect_cos", "dem", "aspect", "slope", "aspect_sin")
    got = factors_on_grid((dem, COARSE, None), COARSE, factors=names).values
    by_name = dict(zip(names, np.moveaxis(got, -1, 0), strict=True))
    assert set(names) == set(FACTORS)
    level = by_name["aspect"] == -1
    assert level[11:15, 11:15].all()
    radians = np.radians(by_name["aspect"])
    for name, function in (("aspect_sin", np.sin), ("aspect_cos", np.cos)):
        expected = np.where(level, 0, function(radians))
        np.testing.assert_allclose(by_name[name], expected, atol=1e-6)
    np.testing.assert_allclose(by_name["dem"], dem)
    one = factors_on_grid((dem, COARSE, None), COARSE, factors="slope")
    np.testing.assert_array_equal(one.values[..., 0], by_name["slope"])


@pytest.mark.parametrize("derive", ["after", "before"])
@pytest.mark.parametrize("which", ["image", "dem", "both", "mirrored image"])
def test_orientation_of_the_rows_does_not_matter(derive, which):
    dem = relief(COARSE)
    expected = factors_on_grid((dem, COARSE, None), COARSE, derive=derive)
    south_up = Grid(UTM, COARSE.transform @ Affine(1, 0, 0, 0, -1, 30), 30, 40)
    mirrored = Grid(UTM, COARSE.transform @ Affine(-1, 0, 40, 0, 1, 0), 30, 40)
    source = (dem, COARSE, None)
    if which in ("dem", "both"):
        source = (dem[::-1], south_up, None)
    target, back = COARSE, np.s_[:]
    if which in ("image", "both"):
        target, back = south_up, np.s_[::-1]
    elif which == "mirrored image":
        target, back = mirrored, np.s_[:, ::-1]
    got = factors_on_grid(source, target, derive=derive)
    np.testing.assert_allclose(got.values[back], expected.values, atol=1e-4)
    np.testing.assert_array_equal(got.valid[back], expected.valid)


# --- another grid --------------------------------------------------------------------


def test_kernel_is_keys_cubic_convolution():
    """[0, 0, 1, 0, 0] midway between samples: −1/16, 9/16, 9/16, −1/16."""
    dem = np.tile([0.0, 0, 0, 1, 0, 0, 0], (7, 1))
    source = Grid(UTM, Affine(10, 0, 5e5, 0, -10, 5e6), 7, 7)
    midway = Grid(UTM, Affine(10, 0, 5e5 + 15, 0, -10, 5e6 - 30), 2, 4)
    got = factors_on_grid((dem, source, None), midway, factors=("dem",)).values[0, :, 0]
    np.testing.assert_allclose(got, [-1 / 16, 9 / 16, 9 / 16, -1 / 16], atol=1e-7)


@pytest.mark.parametrize("derive", ["after", "before"])
@pytest.mark.parametrize("resampling", ["cubic", "bilinear"])
def test_a_plane_stays_a_plane(derive, resampling):
    """At 3000 m in cells of 2.5 m: float32 on the way would show."""
    source = (plane(COARSE), COARSE, None)
    got = factors_on_grid(
        source, FINE, derive=derive, resampling=resampling, factors=FACTORS
    )
    dem, steep, facing, s, c = np.moveaxis(got.values, -1, 0)
    np.testing.assert_allclose(dem, plane(FINE), rtol=1e-7)
    inner = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(steep[inner], np.degrees(np.arctan(0.5)), atol=1e-4)
    expected = np.degrees(np.arctan2(-0.3, 0.4)) % 360
    assert angle_distance(facing[inner], expected).max() < 1e-3
    np.testing.assert_allclose(s[inner], -0.6, atol=1e-5)
    np.testing.assert_allclose(c[inner], 0.8, atol=1e-5)
    assert got.covered == 1
    assert got.valid.all()


def test_nearest_gives_terraces():
    got = factors_on_grid((plane(COARSE), COARSE, None), FINE, resampling="nearest")
    assert (got.values[..., 0] == 0).any()


def test_coarser_target_averages():
    """Noise of one cell's width must not alias into a four times coarser grid."""
    noise = np.random.default_rng(0).standard_normal((80, 80))
    fine = Grid(UTM, Affine(1, 0, 5e5, 0, -1, 5e6), 80, 80)
    coarse = Grid(UTM, Affine(4.1, 0, 5e5 + 10, 0, -4.1, 5e6 - 10), 14, 14)
    got = factors_on_grid((noise, fine, None), coarse, factors=("dem",)).values
    assert got.std() < 0.5


@pytest.mark.parametrize("derive", ["after", "before"])
def test_outside_and_holes_are_nan(derive):
    dem = plane(COARSE)
    dem[10:20, 10:20] = -9999
    wide = Grid(UTM, Affine(4, 0, 5e5 - 50, 0, -4, 5e6 + 50), 100, 125)
    got = factors_on_grid((dem, COARSE, -9999), wide, derive=derive, factors=FACTORS)
    x, y = centres(wide)
    columns, rows = ~COARSE.transform @ (x, y)
    outside = (columns < 0) | (columns > 40) | (rows < 0) | (rows > 30)
    hole = (columns > 11) & (columns < 19) & (rows > 11) & (rows < 19)
    assert np.isnan(got.values[outside | hole]).all()
    inside = (columns > 3) & (columns < 37) & (rows > 3) & (rows < 27)
    clear = inside & ~((abs(columns - 15) < 9) & (abs(rows - 15) < 9))
    np.testing.assert_allclose(got.values[clear, 0], plane(wide)[clear], rtol=1e-6)
    np.testing.assert_allclose(got.values[clear, 1], np.degrees(np.arctan(0.5)), 1e-4)
    assert got.covered == pytest.approx(np.isfinite(got.values[..., 0]).mean())
    assert 0.4 < got.covered < 0.6
    assert not got.valid[outside | hole].any()


@pytest.mark.parametrize("derive", ["after", "before"])
def test_level_ground_stays_level(derive):
    got = factors_on_grid(
        (np.full((30, 40), 7, np.int16), COARSE, None), FINE, derive=derive
    )
    assert (got.values == np.float32([0, -1])).all()


# --- other systems and units ---------------------------------------------------------


@pytest.mark.parametrize("derive", ["after", "before"])
def test_north_of_another_projection(derive):
    """A slope that falls to the north in Albers faces the convergence in UTM.

    At 100 W 40 N, 4 degrees west of the meridian of Albers (96 W) and one degree
    west of that of UTM 14 (99 W), the norths differ by some 1.8 degrees.
    """
    x, y = rasterio.warp.transform("EPSG:4326", "EPSG:5070", [-100.0], [40.0])
    albers = Grid("EPSG:5070", Affine(30, 0, x[0] - 3e3, 0, -30, y[0] + 3e3), 200, 200)
    dem = plane(albers, 0, -0.2, 1e6)
    x, y = rasterio.warp.transform("EPSG:4326", "EPSG:32614", [-100.0], [40.0])
    utm = Grid("EPSG:32614", Affine(20, 0, x[0] - 1e3, 0, -20, y[0] + 1e3), 100, 100)
    got = factors_on_grid((dem, albers, None), utm, derive=derive).values[1:-1, 1:-1]

    ahead = rasterio.warp.transform("EPSG:32614", "EPSG:5070", [x[0]], [y[0]])
    ahead = rasterio.warp.transform(
        "EPSG:5070", "EPSG:32614", ahead[0], [ahead[1][0] + 1000]
    )
    turn = np.degrees(np.arctan2(ahead[0][0] - x[0], ahead[1][0] - y[0])) % 360
    assert 1.5 < abs((turn + 180) % 360 - 180) < 3
    # Albers is not conformal: the azimuth differs by up to 0.1 degree with derive.
    assert angle_distance(got[..., 1], turn).max() < 0.2
    np.testing.assert_allclose(got[..., 0], np.degrees(np.arctan(0.2)), atol=0.2)


def test_geographic_image_of_a_projected_model():
    """The plane of UTM seen on a grid in degrees: rows on the ellipsoid."""
    dem = plane(Grid(UTM, Affine(30, 0, 4.98e5, 0, -30, 5.002e6), 150, 150))
    source = Grid(UTM, Affine(30, 0, 4.98e5, 0, -30, 5.002e6), 150, 150)
    x, y = rasterio.warp.transform(UTM, "EPSG:4326", [5e5], [5e6])
    grid = Grid("EPSG:4326", Affine(2e-4, 0, x[0], 0, -1e-4, y[0]), 60, 70)
    for derive in ("after", "before"):
        got = factors_on_grid((dem, source, None), grid, derive=derive).values
        inner = got[1:-1, 1:-1]
        # The scale of UTM on its meridian is 0.9996.
        tilt = np.degrees(np.arctan(0.5))
        np.testing.assert_allclose(inner[..., 0], tilt, atol=0.02)
        facing = np.degrees(np.arctan2(-0.3, 0.4)) % 360
        assert angle_distance(inner[..., 1], facing).max() < 0.1


@pytest.mark.parametrize(
    ("unit", "metres"),
    [("metre", 1), ("foot", 0.3048), ("us_survey_foot", 1200 / 3937), (0.01, 0.01)],
)
@pytest.mark.parametrize("derive", ["after", "before"])
def test_unit_of_height(unit, metres, derive):
    dem = plane(COARSE) / metres
    got = factors_on_grid(
        (dem, COARSE, None), FINE, z_unit=unit, derive=derive, factors=("dem", "slope")
    )
    np.testing.assert_allclose(got.values[..., 0], plane(FINE), rtol=1e-6)
    tilt = np.degrees(np.arctan(0.5))
    np.testing.assert_allclose(got.values[1:-1, 1:-1, 1], tilt, atol=1e-4)


def test_feet_of_the_system_apply_to_the_cell_only():
    feet = Grid("EPSG:3089", Affine(10, 0, 5e6, 0, -10, 4e6), 20, 20)
    dem = plane(feet, 0.3, -0.4) * 1200 / 3937  # in metres
    got = factors_on_grid((dem, feet, None), feet).values[1:-1, 1:-1, 0]
    np.testing.assert_allclose(got, np.degrees(np.arctan(0.5)), atol=1e-4)


def test_image_that_reaches_out_of_the_models_projection():
    """UTM is not defined on the other side of the Earth."""
    utm = Grid(UTM, Affine(5e3, 0, 2e5, 0, -5e3, 5.5e6), 150, 120)
    world = Grid("EPSG:4326", Affine(1, 0, -180, 0, -1, 85), 170, 360)
    for derive in ("after", "before"):
        got = factors_on_grid(
            (plane(utm), utm, None), world, derive=derive, factors=("dem", "aspect")
        )
        known = np.isfinite(got.values[..., 0])
        assert 20 < known.sum() < 100
        assert known[36:42, 193:197].all()  # 49 to 43 N, 13 to 17 E
    wide = Grid(UTM, Affine(1e5, 0, -1e6, 0, -1e5, 9e6), 60, 30)
    globe = (np.ones(world.shape), world, None)
    assert factors_on_grid(globe, wide, derive="before").covered > 0.9


def test_local_systems_have_units():
    feet = Grid('LOCAL_CS["site",UNIT["foot",0.3048]]', COARSE.transform, 30, 40)
    dem = plane(COARSE) * 0.3048
    got = factors_on_grid((dem, feet, None), feet.window(3, 3, 20, 20))
    tilt = np.degrees(np.arctan(0.5))
    np.testing.assert_allclose(got.values[1:-1, 1:-1, 0], tilt, atol=1e-4)

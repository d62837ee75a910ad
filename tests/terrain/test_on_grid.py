"""Elevation models brought to an image's grid, and the factors there."""

import numpy as np
import pytest
import rasterio
import rasterio.warp
from rasterio import Affine

from landslide_tf.errors import DataError
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


def write(path, values, grid, **profile):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=1,
        height=grid.height,
        width=grid.width,
        crs=grid.crs,
        transform=grid.transform,
        dtype=values.dtype,
        **profile,
    ) as dataset:
        dataset.write(values, 1)
    return path


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


# --- files ---------------------------------------------------------------------------


def test_path_dataset_and_array_agree(tmp_path):
    dem = relief(COARSE).astype(np.float32)
    dem[3:6, 30:] = -32767
    path = write(tmp_path / "dem.tif", dem, COARSE, nodata=-32767)
    expected = factors_on_grid((dem, COARSE, -32767), FINE)
    for source in (path, str(path)):
        got = factors_on_grid(source, FINE)
        np.testing.assert_array_equal(got.values, expected.values)
    with rasterio.open(path) as dataset:
        got = factors_on_grid(dataset, FINE)
        assert not dataset.closed
    np.testing.assert_array_equal(got.values, expected.values)


def test_only_the_window_is_read(tmp_path):
    """The part of a large model gives what the whole gives."""
    large = Grid(UTM, Affine(10, 0, 5e5, 0, -10, 5e6), 700, 600)
    dem = relief(large)
    part = Grid(UTM, Affine(3, 0, 503001, 0, -3, 4997002), 40, 30)
    path = write(tmp_path / "dem.tif", dem, large)
    for derive in ("after", "before"):
        whole = factors_on_grid((dem, large, None), part, derive=derive)
        got = factors_on_grid(path, part, derive=derive)
        np.testing.assert_allclose(got.values, whole.values, atol=1e-3)


def test_scale_and_offset_of_the_file(tmp_path):
    stored = np.round((plane(COARSE) - 2000) * 10).astype(np.int16)
    path = write(tmp_path / "dem.tif", stored, COARSE)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.1,), (2000.0,)
    got = factors_on_grid(path, COARSE, factors=("dem",)).values[..., 0]
    np.testing.assert_allclose(got, plane(COARSE), atol=0.06)


def test_mask_of_the_file_counts(tmp_path):
    dem = relief(COARSE)
    path = write(tmp_path / "dem.tif", dem, COARSE)
    mask = np.full(dem.shape, 255, np.uint8)
    mask[:, :4] = 0
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "r+") as dataset,
    ):
        dataset.write_mask(mask)
    got = factors_on_grid(path, COARSE)
    np.testing.assert_array_equal(np.isnan(got.values[..., 0]), mask == 0)


@pytest.mark.parametrize("value", [np.float32(-3.4028235e38), np.inf, np.nan])
def test_nodata_without_a_tag(tmp_path, value):
    dem = relief(COARSE).astype(np.float32)
    dem[0, :5] = value
    path = write(tmp_path / "dem.tif", dem, COARSE)
    got = factors_on_grid(path, COARSE)
    missing = np.zeros(dem.shape, bool)
    missing[0, :5] = True
    np.testing.assert_array_equal(np.isnan(got.values[..., 0]), missing)


def test_nodata_that_the_caller_knows(tmp_path):
    dem = relief(COARSE).astype(np.float32)
    dem[7, 8] = -1
    path = write(tmp_path / "dem.tif", dem, COARSE)
    got = factors_on_grid(path, COARSE, nodata=-1)
    assert np.isnan(got.values[7, 8]).all()
    assert got.covered == 1 - 1 / dem.size


def test_without_any_system_the_cells_must_be_shared():
    bare = Grid(None, Affine(2, 0, 0, 0, -2, 0), 30, 40)
    dem = plane(COARSE) / 5
    got = factors_on_grid((dem, bare, None), bare)
    np.testing.assert_array_equal(got.values[..., 0], slope(dem, 2))
    south_up = Grid(None, Affine(2, 0, 0, 0, 2, -60), 30, 40)
    again = factors_on_grid((dem[::-1], south_up, None), bare)
    np.testing.assert_array_equal(again.values, got.values)


# --- refusals ------------------------------------------------------------------------

SOURCE = (np.zeros((30, 40)), COARSE, None)
NO_CRS = Grid(None, COARSE.transform, 30, 40)
NO_PLACE = Grid(None, Affine.identity(), 30, 40)
ROTATED = Grid(UTM, COARSE.transform @ Affine.rotation(20), 30, 40)
MARS = (
    'GEOGCS["Mars 2000",DATUM["D_Mars_2000",SPHEROID["Mars",3396190,0]],'
    'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]]'
)
ON_MARS = Grid(MARS, Affine(0.01, 0, -80, 0, -0.01, 1), 30, 40)
FAR = Grid(UTM, Affine(10, 0, 7e5, 0, -10, 5e6), 5, 5)
BAD = {
    "no overlap": (SOURCE, FAR, {}, "overlap.*EPSG:32633"),
    "another planet": ((SOURCE[0], ON_MARS, None), COARSE, {}, "Mars 2000.*planet"),
    "nodata only": ((np.zeros((30, 40)), COARSE, 0), COARSE, {}, "nodata only"),
    "dem without crs": ((SOURCE[0], NO_CRS, None), COARSE, {}, "`dem`.*CRS.*rio"),
    "grid without crs": (SOURCE, NO_CRS, {}, "`grid`.*CRS.*rio"),
    "neither has a place": ((SOURCE[0], NO_PLACE, None), NO_PLACE, {}, "georefer"),
    "dem has no place": ((SOURCE[0], NO_PLACE, None), COARSE, {}, "`dem`.*georefer"),
    "cells differ": (
        (SOURCE[0], Grid(None, Affine(3, 0, 0, 0, -3, 0), 30, 40), None),
        NO_CRS,
        {},
        "share their cells",
    ),
    "rotated grid": (SOURCE, ROTATED, {}, "rotated"),
    "rotated dem, before": (
        (SOURCE[0], ROTATED, None),
        COARSE,
        {"derive": "before"},
        "rotated",
    ),
    "shape": ((np.zeros((3, 4)), COARSE, None), COARSE, {}, r"\(30, 40\).*\(3, 4\)"),
    "three axes": ((np.zeros((1, 30, 40)), COARSE, None), COARSE, {}, "height, width"),
    "short tuple": ((SOURCE[0], COARSE), COARSE, {}, r"\(array, grid, nodata\)"),
    "bare array": (SOURCE[0], COARSE, {}, "`ndarray`"),
    "no grid": (SOURCE, COARSE.transform, {}, "Grid.of"),
    "derive": (SOURCE, COARSE, {"derive": "befor"}, "Did you mean `before`"),
    "resampling": (SOURCE, COARSE, {"resampling": "lanczos"}, "`bilinear`"),
    "factor": (SOURCE, COARSE, {"factors": ("slop",)}, "Did you mean `slope`"),
    "twice": (SOURCE, COARSE, {"factors": ("slope", "slope")}, "once"),
    "none": (SOURCE, COARSE, {"factors": ()}, "at least one"),
    "z unit": (SOURCE, COARSE, {"z_unit": "foots"}, "Did you mean `foot`"),
    "z factor": (SOURCE, COARSE, {"z_unit": -1}, "above 0"),
    "method": (SOURCE, COARSE, {"method": "sobel"}, "`horn`"),
    "one row": (SOURCE, COARSE.window(3, 3, 1, 9), {}, "2 x 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(case):
    dem, grid, kwargs, words = BAD[case]
    with pytest.raises(DataError, match=words) as caught:
        factors_on_grid(dem, grid, **kwargs)
    assert "\n" not in str(caught.value)


def test_rotated_model_is_resampled():
    turned = Grid(UTM, COARSE.transform @ Affine.rotation(20), 60, 60)
    inside = Grid(UTM, Affine(5, 0, 500050, 0, -5, 4999780), 20, 20)
    got = factors_on_grid((plane(turned), turned, None), inside)
    tilt = np.degrees(np.arctan(0.5))
    np.testing.assert_allclose(got.values[1:-1, 1:-1, 0], tilt, atol=1e-3)


def test_files_that_cannot_be_read_are_named(tmp_path):
    text = tmp_path / "text.tif"
    text.write_text("no raster")
    cut = write(tmp_path / "cut.tif", relief(COARSE), COARSE)
    cut.write_bytes(cut.read_bytes()[:2000])
    bands = tmp_path / "rgb.tif"
    profile = {"height": 30, "width": 40, "count": 3, "dtype": "uint8"}
    place = {"crs": UTM, "transform": COARSE.transform}
    with rasterio.open(bands, "w", driver="GTiff", **profile, **place) as dataset:
        dataset.write(np.ones((3, 30, 40), np.uint8))
    for path, words in (
        (tmp_path / "absent.tif", "absent.tif"),
        (text, "text.tif"),
        (cut, "cut.tif"),
        (bands, "rgb.tif.*one band.*got 3"),
        (tmp_path, tmp_path.name),
    ):
        with pytest.raises(DataError, match=words) as caught:
            factors_on_grid(path, COARSE)
        assert "\n" not in str(caught.value)


def test_file_without_a_place(tmp_path):
    path = tmp_path / "plain.tif"
    profile = {"height": 30, "width": 40, "count": 1, "dtype": "float32"}
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(path, "w", driver="GTiff", **profile) as dataset,
    ):
        dataset.write(np.ones((1, 30, 40), np.float32))
    with pytest.raises(DataError, match=r"plain.tif.*georeferenced"):
        factors_on_grid(path, COARSE)


# --- real samples --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "count", "mean", "highest", "at"),
    [
        ("utm_storm_lake_nodata", {}, 13816, 23.3037, 55.0202, 10.1819),
        (
            "projected_feet_kentucky",
            {"z_unit": "us_survey_foot"},
            6664,
            12.0259,
            30.9780,
            22.1931,
        ),
        ("geographic_texas", {}, 130305, 1.2792, 11.3911, 1.7049),
    ],
)
def test_golden_slopes_of_real_models(shared, name, options, count, mean, highest, at):
    path = shared / "data" / "dem" / f"{name}.tif"
    with rasterio.open(path) as dataset:
        grid = Grid.of(dataset)
    got = factors_on_grid(path, grid, edges="nodata", **options).values[..., 0]
    assert np.isfinite(got).sum() == count
    assert np.nanmean(got, dtype=np.float64) == pytest.approx(mean, abs=5.1e-5)
    assert np.nanmax(got) == pytest.approx(highest, abs=5.1e-5)
    assert got[50, 60] == pytest.approx(at, abs=5.1e-5)


def test_degrees_are_not_metres(shared):
    with rasterio.open(shared / "data" / "dem" / "geographic_texas.tif") as dataset:
        dem, cell = dataset.read(1), dataset.transform.a
    wrong = slope(dem, cell, edges="nodata", nodata=-32768)
    assert np.nanmean(wrong) == pytest.approx(86.7, abs=0.05)


def test_slope_band_of_mmls_v2(shared):
    """The data set's own slope is ours: Horn on band 3 with cells of 232 m."""
    folder = shared / "data" / "mmlsv2" / "phase1_dataset"
    tiles = sorted(folder.glob("*/images/*.tif"))
    assert len(tiles) == 24
    for tile in tiles:
        with rasterio.open(tile) as dataset:
            theirs, dem = dataset.read([2, 3])
            grid = Grid.of(dataset)
        exact = slope(dem, 232.0, dtype=np.float64)[1:-1, 1:-1]
        inner = theirs[1:-1, 1:-1]
        known = inner > -1  # untagged nodata at the rim of the mosaic
        assert known.mean() > 0.97
        assert np.abs(exact - inner)[known].max() < 2.5e-6
        if tile.stem == "col00032_row00008":
            got = factors_on_grid((dem, grid, None), grid).values
            assert dem[64, 64] == 942
            assert got[64, 64, 0] == pytest.approx(3.90368, abs=5e-6)


def test_real_scene_with_a_model_on_another_grid(shared):
    """Degrees, oblong cells, and a model that covers less than the image."""
    folder = shared / "data" / "scenes" / "rmnp"
    with rasterio.open(folder / "rmnp-rgb.tif") as dataset:
        grid = Grid.of(dataset)
    after = factors_on_grid(folder / "rmnp-dem.tif", grid, factors=FACTORS)
    assert 0.38 < after.covered < 0.42
    dem, steep = after.values[..., 0], after.values[..., 1]
    assert 2000 < np.nanmin(dem) < np.nanmax(dem) < 4400
    assert 10 < np.nanmean(steep) < 20
    before = factors_on_grid(
        folder / "rmnp-dem.tif", grid, derive="before", factors=FACTORS
    )
    assert before.covered == after.covered
    both = np.isfinite(steep) & np.isfinite(before.values[..., 1])
    assert np.corrcoef(steep[both], before.values[..., 1][both])[0, 1] > 0.9


def test_real_scene_on_the_images_grid(shared):
    folder = shared / "data" / "scenes" / "landsat5_para"
    with rasterio.open(folder / "image.tif") as dataset:
        grid = Grid.of(dataset)
    got = factors_on_grid(folder / "dem.tif", grid)
    with rasterio.open(folder / "dem.tif") as dataset:
        dem = dataset.read(1)
    assert got.covered == 1
    np.testing.assert_array_equal(got.values[..., 0], slope(dem, 30))

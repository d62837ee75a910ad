"""Elevation models as files: what is read, and what is refused."""

import numpy as np
import pytest
import rasterio
import rasterio.vrt
from rasterio import Affine
from rasterio.enums import Resampling

from landslide_tf.errors import DataError
from landslide_tf.metadata import Terrain
from landslide_tf.terrain import Grid, factors_on_grid, slope

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


def test_a_warped_dataset_is_a_dataset(tmp_path):
    path = write(tmp_path / "dem.tif", plane(COARSE), COARSE, nodata=-1)
    with (
        rasterio.open(path) as dataset,
        rasterio.vrt.WarpedVRT(
            dataset, crs="EPSG:4326", resampling=Resampling.cubic
        ) as warped,
    ):
        got = factors_on_grid(warped, FINE)
    tilt = np.degrees(np.arctan(0.5))
    np.testing.assert_allclose(got.values[2:-2, 2:-2, 0], tilt, atol=0.5)


def test_arguments_are_those_of_model_json():
    source = (relief(COARSE), COARSE, None)
    terrain = Terrain(derive="before", resampling="bilinear", edges="nodata")
    got = factors_on_grid(source, FINE, **terrain.model_dump())
    expected = factors_on_grid(
        source, FINE, derive="before", resampling="bilinear", edges="nodata"
    )
    np.testing.assert_array_equal(got.values, expected.values)
    default = factors_on_grid(source, FINE, **Terrain().model_dump())
    np.testing.assert_array_equal(default.values, factors_on_grid(source, FINE).values)


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

"""Real elevation models and the slopes that are known of them."""

import numpy as np
import pytest
import rasterio
import rasterio.vrt

from landslide_tf.terrain import FACTORS, Grid, factors_on_grid, slope


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

"""Flat files hold what was written, and GDAL reads it through their views."""

import resource

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from landslide_tf.raster.flat import FlatRaster
from landslide_tf.raster.layer import Layer, created
from landslide_tf.terrain import Grid
from tests.mapping import map_files as files

GRID = Grid(files.CRS, files.NORTH_UP, 50, 30)


def of(dtype, bands=2):
    rng = np.random.default_rng(0)
    return rng.integers(0, 100, (bands, 50, 30)).astype(dtype)


def written(path, values, layer):
    flat = FlatRaster(path, values.shape[1:], layer)
    for row in (20, 0, 40):
        flat.write(row, values[:, row : row + 20])
    return flat


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("upside_down", [False, True])
def test_a_view_has_the_pixels_in_the_order_of_its_grid(tmp_path, dtype, upside_down):
    values, layer = of(dtype), Layer(dtype, 255, ["a", "b"])
    with written(tmp_path / "p.raw", values, layer) as flat:
        np.testing.assert_array_equal(flat.read(13, 30), values[:, 13:43])
        both = flat.view(tmp_path / "both.vrt", GRID, upside_down=upside_down)
        second = flat.view(
            tmp_path / "second.vrt", GRID, upside_down=upside_down, band=2
        )
    expected = values[:, ::-1] if upside_down else values
    with rasterio.open(both) as dataset:
        np.testing.assert_array_equal(dataset.read(), expected)
    with rasterio.open(second) as dataset:
        np.testing.assert_array_equal(dataset.read(), expected[1:])
        assert dataset.descriptions == ("b",)


def test_a_view_says_what_a_geotiff_says(tmp_path):
    grid = Grid("EPSG:4326", Affine(0.1, 0, 15, 0, -0.1, 45), 50, 30)
    layer = Layer(
        "uint8", 7, ["slides & <more>"], 0.5, {1: (9, 8, 7, 255), 7: (0, 0, 0, 0)},
        {"WHAT": "a < b & c", "CLASSES": '["x"]'}, unit="m",
    )  # fmt: skip
    created(tmp_path / "plain.tif", grid, layer).close()
    with written(tmp_path / "p.raw", of("uint8", 1), layer) as flat:
        flat.view(tmp_path / "p.vrt", grid)
    with (
        rasterio.open(tmp_path / "plain.tif") as plain,
        rasterio.open(tmp_path / "p.vrt") as view,
    ):
        for what in (
            "crs", "transform", "shape", "dtypes", "nodatavals", "descriptions",
            "scales", "units", "colorinterp",
        ):  # fmt: skip
            assert getattr(view, what) == getattr(plain, what)
        assert view.tags() == plain.tags()
        assert [view.colormap(1)[k][:3] for k in (1, 7)] == [(9, 8, 7), (0, 0, 0)]


def test_a_full_disk_is_told_before_anything_is_written(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            FlatRaster(tmp_path / "p.raw", (50, 30), Layer("uint8", 0, ["a"]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_is_there_keeps_its_pixels(tmp_path):
    values, layer = of("uint8", 1), Layer("uint8", 0, ["a"])
    written(tmp_path / "p.raw", values, layer).close()
    with FlatRaster(tmp_path / "p.raw", (50, 30), layer) as flat:
        np.testing.assert_array_equal(flat.read(0, 50), values)

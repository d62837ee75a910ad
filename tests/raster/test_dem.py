"""Elevation models of several files, and values that stand for no elevation."""

import warnings

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.raster.dem import DemFiles, open_dem
from landslide_tf.raster.grid import Window
from landslide_tf.raster.ground import check_dem
from landslide_tf.terrain import Grid, factors_on_grid
from tests.mapping import map_files as files

SIZE = 60
NAMES = ("dem", "slope", "aspect")
DEGREES = {"crs": "EPSG:4326", "transform": Affine(1 / 3600, 0, 7, 0, -1 / 3600, 46)}
METRES = {"crs": files.CRS, "transform": files.NORTH_UP}


def relief(seed=0):
    """Elevations (SIZE, SIZE) without a pattern."""
    return np.random.default_rng(seed).normal(800, 30, (SIZE, SIZE))


def cut(folder, values, boxes, *, place=METRES, scale=None, **options):
    """Writes parts of an array, (row, column, end row, end column), as files."""
    paths = []
    for row, column, bottom, right in boxes:
        moved = place["transform"] @ Affine.translation(column, row)
        path = files.write(
            folder / f"part_{row}_{column}_{bottom}_{right}.tif",
            values[None, row:bottom, column:right],
            **(place | {"transform": moved} | options),
        )
        if scale:
            with rasterio.open(path, "r+") as dataset:
                dataset.scales, dataset.offsets = (scale[0],), (scale[1],)
        paths.append(path)
    return paths


WHOLE = [(0, 0, SIZE, SIZE)]
QUARTERS = [(0, 0, 31, 27), (0, 27, 31, 60), (31, 0, 60, 27), (31, 27, 60, 60)]
ONE_ROW_SHARED = [(30, 0, 60, 60), (0, 0, 31, 60)]  # as SRTM's, the southern first


def read(dem, grid, window=None, **options):
    reader = AlignedDem(dem, grid, NAMES, options)
    try:
        return reader.read(window or Window(0, 0, *grid.shape))
    finally:
        reader.close()


@pytest.mark.parametrize("boxes", [QUARTERS, ONE_ROW_SHARED])
@pytest.mark.parametrize(
    ("dtype", "place", "options"),
    [
        ("float64", METRES, {}),
        ("float32", DEGREES, {"nodata": -9999}),
        ("int16", METRES, {"nodata": -32768, "scale": (0.1, 5.0)}),
    ],
)
@pytest.mark.parametrize("derive", ["after", "before"])
def test_tiles_are_the_whole_model(tmp_path, boxes, dtype, place, options, derive):
    """To the last bit, also at their borders and on a grid that is not theirs."""
    values = relief().astype(dtype)
    if "nodata" in options:
        values[20:24, 25:30] = options["nodata"]  # across a border
    (whole,) = cut(tmp_path, values, WHOLE, place=place, **options)
    tiles = cut(tmp_path, values, boxes, place=place, **options)
    own = Grid(place["crs"], place["transform"], SIZE, SIZE)
    other = own.window(7, 5, 40, 44)
    moved = other.transform @ Affine.translation(0.3, 0.4) @ Affine.scale(0.8)
    for grid in (own, Grid(own.crs, moved, 40, 44)):
        expected = factors_on_grid(whole, grid, factors=NAMES, derive=derive)
        found, valid = read(DemFiles(*tiles), grid, derive=derive)
        np.testing.assert_array_equal(found, expected.values)
        np.testing.assert_array_equal(valid, expected.valid)
    window = Window(28, 20, 9, 17)
    part, _ = read(DemFiles(*tiles), own, window, derive=derive)
    whole_part, _ = read(DemFiles(whole), own, window, derive=derive)
    np.testing.assert_array_equal(part, whole_part)


def test_where_tiles_overlap_the_first_with_an_elevation_counts_and_is_named(tmp_path):
    first, second = relief(1), relief(2)
    first[10:20, 35:40] = -32768
    west = cut(tmp_path, first, [(0, 0, 60, 40)], nodata=-32768)
    east = cut(tmp_path, second, [(0, 30, 60, 60)])
    expected = np.where(np.arange(SIZE) < 40, first, second)
    expected[10:20, 35:40] = second[10:20, 35:40]
    opened = open_dem(DemFiles(*west, *east))
    with opened.dataset as dataset:
        np.testing.assert_array_equal(dataset.read(1), expected)
    grid = Grid(files.CRS, files.NORTH_UP, SIZE, SIZE)
    with pytest.warns(UserWarning, match=f"`{west[0]}` and `{east[0]}` overlap"):
        check_dem(DemFiles(*west, *east), grid, {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_dem(DemFiles(*cut(tmp_path, first, QUARTERS, nodata=-32768)), grid, {})


def test_between_tiles_there_are_no_elevations(tmp_path):
    values = relief()
    tiles = cut(tmp_path, values, [(0, 0, 60, 20), (0, 40, 60, 60)])
    grid = Grid(files.CRS, files.NORTH_UP, SIZE, SIZE)
    found, valid = read(DemFiles(*tiles), grid)
    columns = np.isfinite(found[..., 0]).all(axis=0)
    np.testing.assert_array_equal(columns, np.abs(np.arange(SIZE) - 29.5) > 10)
    inside = np.abs(np.arange(SIZE) - 29.5) > 11  # the neighbours are known, too
    np.testing.assert_array_equal(valid, np.tile(inside, (SIZE, 1)))
    with pytest.raises(DataError, match="must overlap the image"):
        check_dem(DemFiles(*tiles), grid.window(0, 25, 10, 10), {})


def test_tiles_that_do_not_fit_are_refused_with_both_names(tmp_path):
    values = relief()
    (west, east) = cut(tmp_path, values, [(0, 0, 60, 30), (0, 30, 60, 60)])
    half = Affine(10, 0, 500_305, 0, -10, 4_600_000)
    feet = files.write(
        tmp_path / "feet.tif",
        values[None],
        transform=half @ Affine.translation(-0.5, 0),
    )
    with rasterio.open(feet, "r+") as dataset:
        dataset.units = ("ft",)
    others = {
        "coordinate system": files.write(
            tmp_path / "zone.tif", values[None], crs="EPSG:32634"
        ),
        "cells that coincide": files.write(
            tmp_path / "moved.tif", values[None], transform=half
        ),
        "cells": files.write(
            tmp_path / "coarse.tif",
            values[None],
            transform=files.NORTH_UP @ Affine.scale(2),
        ),
        "one unit": feet,
    }
    for words, other in others.items():
        with pytest.raises(DataError, match=words) as refused:
            open_dem(DemFiles(west, east, other))
        assert west in str(refused.value) and other in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_tile_far_away_is_not_read(tmp_path):
    """One that is cut short is missed only where it lies."""
    west, east = cut(tmp_path, relief(), [(0, 0, 60, 30), (0, 30, 60, 60)])
    with open(east, "r+b") as file:
        file.truncate(2000)
    grid = Grid(files.CRS, files.NORTH_UP, SIZE, SIZE)
    _, valid = read(DemFiles(west, east), grid, Window(0, 0, 60, 20))
    assert valid.all()
    with pytest.raises(DataError, match="part_0_30"):
        read(DemFiles(west, east), grid, Window(0, 40, 60, 20))


@pytest.mark.parametrize("boxes", [WHOLE, QUARTERS])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_a_value_that_is_given_counts_beside_the_tag(tmp_path, boxes, dtype):
    values = relief().astype(dtype)
    values[5:9, 20:30], values[40:44, 20:30] = -9999, -32768
    tiles = cut(tmp_path, values, boxes, nodata=-32768, scale=(0.5, 1.0))
    grid = Grid(files.CRS, files.NORTH_UP, SIZE, SIZE)
    with pytest.raises(DataError, match=r"with `--dem-nodata -9999`, or tag it"):
        check_dem(DemFiles(*tiles), grid, {})
    dem = DemFiles(*tiles, nodata=-9999)
    check_dem(dem, grid, {})
    found, _ = read(dem, grid)
    expected = np.where(values > -9000, values * 0.5 + 1.0, np.nan)
    np.testing.assert_array_equal(found[..., 0], expected.astype(np.float32))

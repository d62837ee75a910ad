"""Layers of the terrain as files: their numbers, and what they say of themselves."""

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.terrain_layers import TerrainFiles, write_terrain_layers
from landslide_tf.terrain import Grid, aspect, factors_on_grid, hillshade, ndvi, slope
from tests.mapping import map_files as files
from tests.terrain import gdal_reference

RELIEF = ("slope", "aspect", "hillshade")
# More rows and columns than are computed at once.
HEIGHT, WIDTH = 530, 1040


@pytest.fixture(scope="module")
def heights():
    rng = np.random.default_rng(3)
    heights = np.cumsum(rng.normal(0, 3, (HEIGHT, WIDTH)), axis=0)
    # Quarters: GDAL's sums of them lose no digits.
    heights = (np.round(heights * 4) / 4).astype(np.float32)
    heights[500:520, 1000:1030] = -9999  # across the borders of windows
    heights[100:120, 100:120] = 250  # level
    return heights


@pytest.fixture(scope="module")
def dem(heights, tmp_path_factory):
    path = tmp_path_factory.mktemp("dem") / "dem.tif"
    return files.write(path, heights[None], nodata=-9999)


def written(folder, sources, names=RELIEF):
    outputs = {name: folder / f"{name}.tif" for name in names}
    write_terrain_layers(sources, outputs)
    found = []
    for path in outputs.values():
        with rasterio.open(path) as dataset:
            found.append(dataset.read(1))
    return found


@pytest.mark.parametrize("edges", ["compute", "nodata"])
def test_windows_are_the_whole_model(heights, dem, tmp_path, edges):
    sources = TerrainFiles(
        DemFiles(dem), edges=edges, method="zevenbergen_thorne", azimuth=90, altitude=20
    )
    found = written(tmp_path, sources)
    how = {"edges": edges, "method": "zevenbergen_thorne", "nodata": -9999}
    expected = (
        slope(heights, 10, **how),
        aspect(heights, 10, **how),
        hillshade(heights, 10, azimuth=90, altitude=20, **how),
    )
    for one, other in zip(found, expected, strict=True):
        known = np.isfinite(other)
        np.testing.assert_array_equal(one, np.where(known, other, -9999))
        assert 0 < (one == (-9999 if other.dtype.kind == "f" else 0)).sum() < 9000


@pytest.mark.skipif(gdal_reference.library() is None, reason="rasterio without GDAL")
def test_relief_is_that_of_gdaldem(dem, tmp_path):
    found = written(tmp_path, TerrainFiles(DemFiles(dem), edges="nodata"))
    for name, layer in zip(RELIEF, found, strict=True):
        gdal_reference.process(dem, tmp_path / "gdal.tif", name)
        with rasterio.open(tmp_path / "gdal.tif") as dataset:
            expected = dataset.read(1)
        if name == "aspect":  # GDAL writes level ground as nodata
            layer[layer == -1] = -9999
        if name == "hillshade":
            np.testing.assert_allclose(layer, expected, atol=1)
            continue
        assert np.array_equal(layer == -9999, expected == -9999)
        np.testing.assert_allclose(layer, expected, rtol=1e-5, atol=1e-4)


def test_files_say_what_they_hold(dem, tmp_path):
    written(tmp_path, TerrainFiles(DemFiles(dem)))
    said = {
        "slope": ("slope", "degree", -9999.0, "float32"),
        "aspect": ("aspect", "degree", -9999.0, "float32"),
        "hillshade": ("hillshade", None, 0.0, "uint8"),
    }
    for name, (words, unit, nodata, dtype) in said.items():
        with rasterio.open(tmp_path / f"{name}.tif") as dataset:
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert dataset.descriptions[0].startswith(words)
            assert (dataset.units[0], dataset.nodata) == (unit, nodata)
            assert dataset.dtypes == (dtype,) and dataset.overviews(1)
            assert dataset.transform == files.NORTH_UP
            values = dataset.read(1)
            small = dataset.read(1, out_shape=(HEIGHT // 4, WIDTH // 4))
        if name == "aspect":  # the mean of 359 and 1 degree is not 180
            assert np.isin(small, values).all()


def test_layers_lie_on_the_grid_of_an_image(dem, tmp_path):
    """Its index has scale and offset, and holds where the elevations do not."""
    rng = np.random.default_rng(4)
    place = Affine(7, 0, 500_900, 0, -7, 4_597_000)
    stored = rng.integers(1100, 9000, (2, 60, 80)).astype(np.uint16)
    stored[:, :9, :9] = 0
    image = files.write(
        tmp_path / "image.tif", stored, transform=place, nodata=0, names=("red", "nir")
    )
    with rasterio.open(image, "r+") as dataset:
        dataset.scales, dataset.offsets = (1e-4, 1e-4), (-0.1, -0.1)
    sources = TerrainFiles(DemFiles(dem), (image,))
    assert sources.layers == (*RELIEF, "ndvi")
    steep, towards, _, index = written(tmp_path, sources, sources.layers)
    grid = Grid(files.CRS, place, 60, 80)
    expected = factors_on_grid(dem, grid).values
    expected[np.isnan(expected)] = -9999
    np.testing.assert_allclose(steep, expected[..., 0], rtol=1e-5)
    np.testing.assert_allclose(towards, expected[..., 1], rtol=1e-5)
    plain = files.write(tmp_path / "plain.tif", stored[:1], transform=place)
    assert TerrainFiles(DemFiles(dem), (plain,)).layers == RELIEF
    (again,) = written(
        tmp_path / "p", TerrainFiles(DemFiles(dem), (plain,)), ("slope",)
    )
    np.testing.assert_array_equal(again, steep)
    red, nir = stored * 1e-4 - 0.1
    expected = np.where(stored[0] == 0, -9999, ndvi(nir, red))
    np.testing.assert_allclose(index, expected, rtol=1e-5)


def test_tiles_in_another_unit_are_lit_alike(heights, dem, tmp_path):
    (whole,) = written(tmp_path / "a", TerrainFiles(DemFiles(dem)), ("hillshade",))
    paths = []
    for k, columns in enumerate((slice(0, 600), slice(600, WIDTH))):
        part = np.where(heights == -9999, -9999, heights / 0.3048)[None, :, columns]
        moved = files.NORTH_UP @ Affine.translation(columns.start, 0)
        paths.append(files.write(tmp_path / f"{k}.tif", part, transform=moved))
    tiles = DemFiles(*paths, unit="foot", nodata=-9999)
    (lit,) = written(tmp_path / "b", TerrainFiles(tiles), ("hillshade",))
    assert np.abs(lit.astype(int) - whole).max() <= 1 and (lit == whole).mean() > 0.999


def test_distances_can_be_those_on_the_ground(tmp_path):
    """World Mercator at 60° N: a cell of 10 m is one of 5.01 m."""
    place = {"crs": "EPSG:3395", "transform": Affine(10, 0, 0, 0, -10, 8_362_700)}
    plane = np.tile(2 * np.arange(30.0), (1, 20, 1))
    dem = DemFiles(files.write(tmp_path / "plane.tif", plane, **place))
    with pytest.warns(UserWarning, match="one metre on the ground"):
        written(tmp_path / "grid", TerrainFiles(dem))
    sources = TerrainFiles(dem, distances="ground")
    steep, towards, lit = written(tmp_path / "ground", sources)
    np.testing.assert_allclose(steep[1:-1], np.degrees(np.arctan(2 / 5.01)), atol=0.02)
    np.testing.assert_allclose(towards, 270, atol=1e-3)
    expected = hillshade(plane[0], 5.0113)
    assert np.abs(lit.astype(int) - expected).max() <= 1


def test_what_is_in_the_way_stays(dem, tmp_path):
    mine = tmp_path / "slope.tif"
    files.write(mine, np.ones((1, 3, 3), np.float32))
    before = mine.read_bytes()
    sources = TerrainFiles(DemFiles(dem))
    for outputs, words in (
        ({"slope": mine}, "`--overwrite`"),
        ({"slope": dem}, "cannot be written over"),
        ({"slope": tmp_path / "slope.png"}, "must end in .tif"),
        ({"ndvi": tmp_path / "n.tif"}, "needs an image"),
        ({"steepness": tmp_path / "n.tif"}, "`layer` cannot be `steepness`"),
        ({}, "a layer to write"),
    ):
        given = {name: tmp_path / path for name, path in outputs.items()}
        with pytest.raises(DataError, match=words):
            write_terrain_layers(sources, given)
    with pytest.raises(DataError, match="needs elevations"):
        write_terrain_layers(TerrainFiles(image=(dem,)), {"slope": tmp_path / "n.tif"})
    for wrong in ({"method": "Horn"}, {"edges": "none"}, {"altitude": 91}):
        with pytest.raises(DataError):
            TerrainFiles(DemFiles(dem), **wrong)
    assert [p.name for p in tmp_path.iterdir()] == ["slope.tif"]
    assert mine.read_bytes() == before
    for overwrite in (True, False):  # then it is its own result
        write_terrain_layers(sources, {"slope": mine}, overwrite=overwrite)
    assert mine.read_bytes() != before and len(list(tmp_path.iterdir())) == 1

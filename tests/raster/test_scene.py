"""One reader: however files are stored, the same ground gives the same pixels."""

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.enums import ColorInterp

from landslide_tf.errors import DataError
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import Window
from landslide_tf.raster.labels import LabelReader, RasterLabels
from landslide_tf.raster.scene import make_scene
from landslide_tf.raster.scene_reader import SceneReader
from tests.mapping import map_files as files

RGB = ("red", "green", "blue")
NAMES = (*RGB, "nir")
DOWN = Affine(1, 0, 0, 0, -1, 40)
PLAIN = {"photometric": "minisblack", "alpha": "unspecified"}


def colours(seed=0, height=40, width=30, bands=4):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 200, (bands, height, width)).astype(np.uint8)


def read(scene, window=None, **options):
    with SceneReader(scene, **options) as reader:
        return reader.read(window or Window(0, 0, *scene.grid.shape))


def scene_of(path, **options):
    return make_scene("s", path, **({"bands": RGB, "factors": ("ndvi",)} | options))


@pytest.mark.parametrize("window", [Window(0, 0, 40, 30), Window(7, 3, 11, 20)])
def test_a_file_with_the_south_on_top_gives_the_same_pixels(tmp_path, window):
    stored = colours()
    stored[:, 3, 4:9] = 0
    options = {"names": NAMES, "nodata": 0, **PLAIN}
    north = files.write(tmp_path / "n.tif", stored, **options)
    south = files.write(
        tmp_path / "s.tif", stored[:, ::-1], transform=files.NORTH_UP @ DOWN, **options
    )
    expected, found = read(scene_of(north), window), read(scene_of(south), window)
    for one, two in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, two)
    part = stored[:, window.row : window.row + window.height]
    part = part[..., window.column : window.column + window.width]
    np.testing.assert_array_equal(expected.image, np.moveaxis(part[:3], 0, -1))
    np.testing.assert_array_equal(expected.valid, part[0] > 0)
    red, nir = part[0].astype(float), part[3].astype(float)
    index = np.where(part[0] > 0, (nir - red) / np.maximum(nir + red, 1), np.nan)
    np.testing.assert_allclose(expected.factors[..., 0], index, atol=1e-6)


def test_transparent_pixels_hold_no_value_in_files_of_any_number_of_bands(tmp_path):
    """GDAL's masks know of alpha bands of grey and RGB images only."""
    alpha = np.where(np.arange(40)[:, None] < 5, 0, 255) + np.zeros((40, 30))
    stored = np.concatenate([colours(), alpha[None]]).astype(np.uint8)
    path = files.write(tmp_path / "a.tif", stored, names=NAMES, photometric="rgb")
    with rasterio.open(path, "r+") as dataset:
        colour = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        dataset.colorinterp = (*colour, ColorInterp.undefined, ColorInterp.alpha)
    pixels = read(scene_of(path))
    assert not pixels.valid[:5].any() and pixels.valid[5:].all()
    assert (pixels.image[:5] == 0).all() and np.isnan(pixels.factors[:5]).all()


@pytest.mark.parametrize("gsd", [None, 20])
@pytest.mark.parametrize("nodata", [None, 0])
@pytest.mark.parametrize("names", [NAMES, ()])
def test_a_fourth_band_is_data_by_its_name_and_else_transparency(
    tmp_path, names, nodata, gsd
):
    """GDAL takes the fourth band of bytes for alpha, and forgets it beside nodata."""
    stored = colours()
    stored[:, :6] = 0
    stored[3, -6:] = 0
    path = files.write(tmp_path / "a.tif", stored, names=names, nodata=nodata)
    with rasterio.open(path) as dataset:
        assert dataset.colorinterp[3] == ColorInterp.alpha
    pixels = read(scene_of(path, factors=(), gsd=gsd))
    edge = 6 if gsd is None else 3
    assert pixels.valid[edge:-edge].all()
    assert pixels.valid[:edge].all() == (bool(names) and nodata is None)
    assert pixels.valid[-edge:].all() == bool(names)
    # The same bands without a fourth: data gives no weights.
    alone = files.write(tmp_path / "b.tif", stored[:3], names=names[:3], nodata=nodata)
    if names:
        expected = read(scene_of(alone, factors=(), gsd=gsd))
        np.testing.assert_array_equal(pixels.image, expected.image)
        np.testing.assert_array_equal(pixels.valid, expected.valid)


def test_bands_of_several_files_lie_on_the_first_ones_grid(tmp_path):
    stored = colours(bands=3)
    single = [
        files.write(tmp_path / f"{name}.tif", stored[k : k + 1])
        for k, name in enumerate(RGB[:2])
    ]
    # The third has no system, and the rows and columns of the first.
    single.append(files.write(tmp_path / "blue.tif", stored[2:], crs=None))
    scene = scene_of(single, factors=())
    np.testing.assert_array_equal(read(scene).image, np.moveaxis(stored, 0, -1))
    other = files.write(tmp_path / "other_blue.tif", stored[2:, :9], crs=None)
    with pytest.raises(DataError, match=r"must have \(40, 30\) rows and columns"):
        SceneReader(scene_of([*single[:2], other], factors=()))


@pytest.mark.parametrize("asked", [{}, {"calibrated": True}])
def test_the_file_s_scale_and_offset_hold_unless_stored_values_are_asked_for(
    tmp_path, asked
):
    path = files.write(tmp_path / "s.tif", colours(), names=NAMES, **PLAIN)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = [0.01] * 4, [-0.1] * 4
        stored = dataset.read().astype(float)
    assert read(scene_of(path, calibrated=False)).image.dtype == np.uint8
    pixels = read(scene_of(path, **asked))
    expected = stored * 0.01 - 0.1
    np.testing.assert_allclose(pixels.image, np.moveaxis(expected[:3], 0, -1))
    index = (expected[3] - expected[0]) / (expected[3] + expected[0])
    near = np.abs(expected[3] + expected[0]) < 0.02
    np.testing.assert_allclose(
        pixels.factors[..., 0][~near], index[~near].clip(-1, 1), atol=1e-5
    )


def test_the_index_needs_bands_that_the_image_does_not_show(tmp_path):
    """Where near infrared has no value the index has none; the image stays."""
    stored = colours()
    stored[3, 10:20] = 0
    paths = [
        files.write(tmp_path / "rgb.tif", stored[:3], names=RGB, nodata=0),
        files.write(tmp_path / "nir.tif", stored[3:], names=["nir"], nodata=0),
    ]
    pixels = read(scene_of(paths))
    assert pixels.valid.all() and np.isnan(pixels.factors[10:20]).all()
    assert np.isfinite(pixels.factors[:10]).all()
    shown = read(scene_of(paths, bands=NAMES))
    np.testing.assert_array_equal(~shown.valid[:, 0], (stored[3] == 0)[:, 0])
    np.testing.assert_array_equal(
        shown.factors[shown.valid], pixels.factors[shown.valid]
    )


def test_rasters_of_factors_are_on_the_same_ground_or_refused(tmp_path):
    image = files.write(tmp_path / "s.tif", colours(), names=NAMES, **PLAIN)
    moisture = np.linspace(-3, 3, 1200).reshape(1, 40, 30).astype(np.float32)
    given = files.write(tmp_path / "m.tif", moisture)
    options = {"factors": ("moisture", "ndvi"), "rasters": {"moisture": given}}
    pixels = read(scene_of(image, **options))
    np.testing.assert_array_equal(pixels.factors[..., 0], moisture[0])
    index = read(scene_of(image, factors=("ndvi",), rasters={"ndvi": given}))
    np.testing.assert_array_equal(index.factors[..., 0], moisture[0].clip(-1, 1))
    far = files.write(
        tmp_path / "far.tif", moisture, transform=Affine.translation(1e5, 0) @
        files.NORTH_UP,
    )  # fmt: skip
    with pytest.raises(DataError, match=r"moisture `.*far\.tif` must overlap"):
        scene_of(image, factors=("moisture",), rasters={"moisture": far})


def test_windows_without_a_pixel_need_no_factors(tmp_path):
    stored = colours()
    stored[:, :20] = 0
    image = files.write(tmp_path / "s.tif", stored, names=NAMES, nodata=0, **PLAIN)
    heights = np.arange(1200, dtype=np.float32).reshape(1, 40, 30)
    dem = files.write(tmp_path / "dem.tif", heights)
    scene = scene_of(image, factors=("slope",), dem=DemFiles(dem))
    empty = Window(0, 0, 10, 30)
    assert np.isfinite(read(scene, empty).factors[1:-1, 1:-1]).all()
    assert np.isnan(read(scene, empty, skip_empty=True).factors).all()
    half = Window(15, 5, 10, 10)
    one, two = read(scene, half), read(scene, half, skip_empty=True)
    for expected, found in zip(one, two, strict=True):
        np.testing.assert_array_equal(expected, found)


def test_terrain_needs_an_upright_image_with_a_place(tmp_path):
    dem = files.write(tmp_path / "dem.tif", np.ones((1, 40, 30), np.float32))
    rotated = files.NORTH_UP @ Affine.rotation(10)
    for place in ({"crs": None}, {"transform": rotated}):
        image = files.write(
            tmp_path / "s.tif", colours(), names=NAMES, **PLAIN, **place
        )
        arguments = {"factors": ("slope",), "dem": dem, "anywhere": True}
        with pytest.raises(DataError, match="for factors made of elevations"):
            scene_of(image, **arguments)
        assert read(scene_of(image, anywhere=True)).valid.all()
        with pytest.raises(DataError):
            scene_of(image)


def test_labels_are_class_numbers_or_named(tmp_path):
    values = np.array([[0, 7, 255, 3]], np.uint8)
    path = files.write(tmp_path / "l.tif", values[None])
    with rasterio.open(path) as dataset:
        grid = scene_of(
            files.write(tmp_path / "i.tif", colours(height=1, width=4), **PLAIN)
        ).grid
        assert dataset.crs == grid.crs
    window = Window(0, 0, 1, 4)
    reader = LabelReader(RasterLabels(path, {0: 0, 7: 1, 255: 255, 3: 2}), grid)
    assert reader.read(window).tolist() == [[0, 1, 255, 2]]
    reader.close()
    reader = LabelReader(RasterLabels(path, {0: 0, 7: 1, 255: 255}), grid)
    with pytest.raises(DataError, match="hold the values 0, 7, 255, received 3"):
        reader.read(window)
    reader.close()
    assert LabelReader(None, grid).read(window).tolist() == [[255] * 4]


def test_a_band_that_is_not_there_is_named(tmp_path):
    path = files.write(tmp_path / "i.tif", colours(), **PLAIN)
    with pytest.raises(DataError, match="must have a band 5, received 4 bands"):
        AlignedRaster(path, "image", scene_of(path).grid, indexes=(1, 5))

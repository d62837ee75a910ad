"""Which pixels of an image hold data, as GDAL understands it."""

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.enums import ColorInterp

from landslide_tf.errors import DataError
from landslide_tf.raster.grid import Window
from landslide_tf.raster.scene import make_scene
from landslide_tf.raster.scene_reader import SceneReader
from tests.mapping import map_files as files

RGB = ("red", "green", "blue")
NAMES = (*RGB, "nir")


def read(path, bands=RGB, **options):
    scene = make_scene("s", path, bands=bands, factors=(), **options)
    with SceneReader(scene) as reader:
        return reader.read(Window(0, 0, *scene.grid.shape))


def gdal_mask(path):
    with rasterio.open(path) as dataset:
        return dataset.dataset_mask() > 0


def dark(kind, nodata, bands=4):
    """Values among which `nodata` is in any number of bands of a pixel."""
    rng = np.random.default_rng(1)
    stored = rng.integers(1, 200, (bands, 20, 24)).astype(kind)
    stored[rng.random(stored.shape) < 0.6] = nodata
    assert len(np.unique((stored == nodata).sum(axis=0))) == bands + 1
    return stored


@pytest.mark.parametrize(
    ("kind", "nodata"),
    [("uint8", 0), ("uint8", 255), ("uint16", 0), ("float32", 0), ("int16", 0)],
)
@pytest.mark.parametrize("said", [False, True])
def test_a_pixel_has_no_data_where_all_bands_of_the_file_say_so(
    tmp_path, kind, nodata, said
):
    """Also of the bands that are not asked for, as near infrared of a dark pixel."""
    stored = dark(kind, nodata)
    plain = {"photometric": "minisblack", "alpha": "unspecified"}
    tagged = files.write(
        tmp_path / "t.tif", stored, names=NAMES, nodata=nodata, **plain
    )
    if said:
        path = files.write(tmp_path / "s.tif", stored, names=NAMES, **plain)
        pixels = read(path, nodata=nodata)
    else:
        pixels = read(tagged)
    np.testing.assert_array_equal(pixels.valid, gdal_mask(tagged))
    expected = np.where(pixels.valid, stored[:3], 0)
    np.testing.assert_array_equal(pixels.image, np.moveaxis(expected, 0, -1))


@pytest.mark.parametrize("nodata", [-9999, np.nan, -3.4028234663852886e38, 1e20])
def test_a_number_that_is_never_measured_needs_no_second_band(tmp_path, nodata):
    """GDAL's mask keeps the pixel; a model would take the number for a measurement."""
    rng = np.random.default_rng(2)
    stored = rng.uniform(0, 1, (3, 12, 9)).astype(np.float32)
    holes = rng.random(stored.shape) < 0.2
    stored[holes] = nodata
    path = files.write(tmp_path / "s.tif", stored, names=RGB, nodata=nodata)
    pixels = read(path)
    np.testing.assert_array_equal(pixels.valid, ~holes.any(axis=0))
    assert np.isfinite(pixels.image).all() and abs(pixels.image).max() <= 1


def test_a_band_that_is_no_number_leaves_the_pixel_without_data(tmp_path):
    stored = np.ones((3, 4, 5), np.float32)
    stored[1, 2, 3], stored[2, 0, 0], stored[:2, 3, 4] = np.nan, np.inf, 0
    path = files.write(tmp_path / "s.tif", stored, names=RGB, nodata=0)
    expected = np.ones((4, 5), bool)
    expected[2, 3] = expected[0, 0] = False
    np.testing.assert_array_equal(read(path).valid, expected)


def test_transparency_and_the_number_for_no_data_both_count(tmp_path):
    stored = dark("uint8", 0, bands=3)
    alpha = np.full((1, 20, 24), 255, np.uint8)
    alpha[0, 5:9] = 0
    path = tmp_path / "a.tif"
    both = np.concatenate([stored, alpha])
    files.write(path, both, nodata=0, photometric="rgb", alpha="yes")
    with rasterio.open(path) as dataset:
        assert dataset.colorinterp[3] == ColorInterp.alpha
    expected = (stored != 0).any(axis=0) & (alpha[0] > 0)
    np.testing.assert_array_equal(read(path).valid, expected)


@pytest.mark.parametrize("gsd", [None, 20])
@pytest.mark.parametrize(("nodata", "kind"), [(0, "uint8"), (-9999, "float32")])
def test_resampling_mixes_no_number_for_no_data_into_values(
    tmp_path, nodata, kind, gsd
):
    """A second file on other cells; its first band lacks a block, then all bands."""
    stored = np.full((3, 40, 40), 100, kind)
    stored[0, 10:20, 10:20] = nodata
    stored[:, 30:, 30:] = nodata
    moved = files.NORTH_UP @ Affine.translation(0.25, 0.25)
    path = files.write(
        tmp_path / "m.tif", stored, names=NAMES[1:], nodata=nodata, transform=moved
    )
    first = files.write(
        tmp_path / "red.tif", np.full((1, 40, 40), 9, kind), names=["red"]
    )
    pixels = read([first, path], bands=NAMES, gsd=gsd)
    step = 1 if gsd is None else 2
    inner = (slice(12 // step, 18 // step),) * 2
    assert not pixels.valid[32 // step : 38 // step, 32 // step : 38 // step].any()
    assert (pixels.image[..., 2:][pixels.valid] == 100).all()
    if nodata == 0:  # dark in one band
        assert pixels.valid[inner].all() and (pixels.image[inner][..., 1] == 0).all()
    else:
        assert not pixels.valid[inner].any()
        assert (pixels.image[..., 1][pixels.valid] == 100).all()


@pytest.mark.parametrize("nodata", [None, 0, -9999])
def test_beyond_a_file_of_any_number_of_bands_is_no_data(tmp_path, nodata):
    kind = "float32" if nodata == -9999 else "uint8"
    plain = {"photometric": "minisblack", "alpha": "unspecified", "nodata": nodata}
    values = np.full((4, 20, 20), 7, kind)
    east = files.NORTH_UP @ Affine.translation(10, 0)
    first = files.write(tmp_path / "a.tif", values[:1], names=["first"])
    second = files.write(
        tmp_path / "b.tif", values, names=NAMES, transform=east, **plain
    )
    pixels = read([first, second], bands=("first", *NAMES))
    assert pixels.valid[:, 10:].all() and not pixels.valid[:, :10].any()


def test_what_the_user_says_replaces_the_tag(tmp_path):
    stored = np.array([[[7, 8, 0, 7]]] * 3, np.uint8)
    path = files.write(tmp_path / "s.tif", stored, names=RGB, nodata=0)
    assert read(path, nodata=7).valid.tolist() == [[False, True, True, False]]


@pytest.mark.parametrize("value", [-9999, 0.5, 256])
def test_a_number_that_no_value_can_be_is_refused(tmp_path, value):
    path = files.write(tmp_path / "s.tif", np.ones((3, 4, 4), np.uint8), names=RGB)
    with pytest.raises(DataError, match=r"s\.tif.* for `--nodata`, received uint8"):
        read(path, nodata=value)

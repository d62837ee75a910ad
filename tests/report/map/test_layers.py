"""Overview pictures of a map's rasters, against arrays that are plain to see."""

import base64
import io
import json

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.report.map import layers
from landslide_tf.report.map.probability import Histogram, probability_layer
from tests.report.map.scenes import NORTH_UP, raster


def decoded(uri):
    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.array(Image.open(io.BytesIO(content))).astype(int)


@pytest.fixture
def overview(tmp_path):
    return layers.Overview.of(raster(tmp_path / "m.tif", np.zeros((8, 12), "u1")), 100)


def test_an_overview_covers_the_ground_of_its_map(tmp_path):
    path = raster(tmp_path / "m.tif", np.zeros((60, 100), "u1"))
    overview = layers.Overview.of(path, 25)
    assert overview.grid.shape == (15, 25) and overview.shrinks == 4
    corner = overview.grid.transform @ (25, 15)
    assert corner == pytest.approx(NORTH_UP @ (100, 60))


def test_classes_have_the_file_s_colours_where_it_has_any(tmp_path):
    values = np.array([[0, 1, 2, 255]], "u1")
    path = raster(
        tmp_path / "m.tif", values, tags={"CLASSES": json.dumps(["water", "landslide"])}
    )
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {1: (1, 2, 3, 255), 200: (9, 9, 9, 255)})
    uri, legend = layers.class_layer(layers.Overview.of(path, 100), path)
    drawn = decoded(uri)[0]
    assert drawn[1].tolist() == [1, 2, 3, 255] and drawn[3, 3] == 0
    assert [name for name, _ in legend] == ["water", "landslide", "class 2"]
    for (_, colour), pixel in zip(legend, drawn, strict=False):
        assert pixel.tolist() == [*colour, 255]


def test_classes_without_a_palette_have_the_usual_colours(tmp_path):
    tags = {"CLASSES": json.dumps(["water", "landslide"])}
    path = raster(tmp_path / "m.tif", np.array([[1, 1, 0]], "u1"), tags=tags)
    _, legend = layers.class_layer(layers.Overview.of(path, 9), path)
    assert legend == [("water", (0, 77, 168)), ("landslide", (230, 0, 0))]


def test_the_landslide_s_band_is_drawn_of_many(tmp_path, overview):
    bands = np.zeros((3, 8, 12), "u1")
    bands[2, :, 6:] = 250
    tags = {"LANDSLIDE_CLASS": "2"}
    path = raster(tmp_path / "p.tif", bands, nodata=255, tags=tags)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = [1 / 250] * 3
    uri, histogram = probability_layer(overview, path)
    drawn = decoded(uri)
    assert drawn[:, :6, :3].max() < 10  # 0 is all but black
    assert drawn[:, 6:, :3].mean() > 200
    assert histogram.counts == (48, *[0] * 99, 48)


def test_an_image_is_stretched_band_by_band(tmp_path, overview):
    ramp = np.arange(96, dtype="u2").reshape(8, 12)
    image = np.stack([ramp * 3, 5000 - ramp, np.full_like(ramp, 7)])
    image[:, 0, 0] = 0
    path = str(raster(tmp_path / "i.tif", image, nodata=0))
    drawn = decoded(layers.image_layer(overview, [(path, n) for n in (1, 2, 3)]))
    assert drawn[0, 0, 3] == 0 and (drawn[..., 3] > 0).sum() == 95
    red, green, blue = (drawn[..., k].ravel()[1:] for k in range(3))
    assert (np.diff(red) >= 0).all() and (red[0], red[-1]) == (0, 255)
    assert (np.diff(green) <= 0).all() and (green[0], green[-1]) == (255, 0)
    assert np.ptp(blue) == 0
    grey = decoded(layers.image_layer(overview, [(path, 1)]))
    assert (grey[..., 0] == grey[..., 1]).all() and (
        grey[..., 0] == drawn[..., 0]
    ).all()
    with pytest.raises(DataError, match="one or three bands, received 2"):
        layers.image_layer(overview, [(path, 1), (path, 2)])


def test_files_of_other_grids_are_brought_onto_the_map(tmp_path, overview):
    fine = np.kron(np.arange(96).reshape(8, 12), np.ones((4, 4))).astype("u1")
    path = raster(tmp_path / "f.tif", fine, transform=NORTH_UP @ Affine.scale(0.25))
    values, valid = overview.read(path, "image", 1, rasterio.enums.Resampling.average)
    assert valid.all()
    np.testing.assert_array_equal(values, np.arange(96).reshape(8, 12))
    away = NORTH_UP @ Affine.translation(6, 0)
    path = raster(tmp_path / "a.tif", np.full((8, 12), 9, "u1"), transform=away)
    values, valid = overview.read(path, "image", 1, rasterio.enums.Resampling.nearest)
    assert (values[:, 6:] == 9).all()
    assert valid[:, 6:].all() and not valid[:, :6].any()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_file_without_a_place_must_have_the_map_s_shape(tmp_path, overview):
    nowhere = {"crs": None, "transform": Affine.identity()}
    same = raster(tmp_path / "s.tif", np.full((8, 12), 5, "u1"), **nowhere)
    values, _ = overview.read(same, "image", 1, rasterio.enums.Resampling.nearest)
    assert (values == 5).all()
    other = raster(tmp_path / "o.tif", np.zeros((9, 12), "u1"), **nowhere)
    with pytest.raises(DataError, match=r"rows and columns, \(8, 12\).*\(9, 12\)"):
        overview.read(other, "image", 1, rasterio.enums.Resampling.nearest)


def test_a_moved_overview_reads_the_same_ground(tmp_path, overview):
    """The other file lies 2 rows below and 3 columns left of the map."""
    rng = np.random.default_rng(0)
    ground = rng.integers(1, 255, (20, 30), "u1")
    first, second = ground[4:12, 8:20], ground[6:14, 5:17]
    values, valid = overview.moved(-2, 3).read(
        raster(tmp_path / "s.tif", second),
        "image",
        1,
        rasterio.enums.Resampling.nearest,
    )
    assert valid[2:, :9].all() and not valid[:2].any() and not valid[:, 9:].any()
    np.testing.assert_array_equal(values[2:, :9], first[2:, :9])


def test_a_probability_is_counted_in_the_bin_that_it_begins():
    """As many lie from a step of the threshold upwards as NumPy counts."""
    values = np.arange(251) / 250
    counts = np.array(Histogram.of([*values, np.nan]).counts)
    assert counts.sum() == 251
    for step in range(101):
        assert counts[step:].sum() == (values >= step / 100).sum()
    assert Histogram.of([]).heights() == [0] * 100
    heights = Histogram.of([0.5] * 99 + [0.2]).heights(log=True)
    assert (heights[50], heights[20]) == (
        1,
        pytest.approx(np.log(2) / np.log(100), abs=1e-3),
    )


def test_a_large_photograph_takes_little(overview):
    """A picture like a photograph: as WebP, near the original; classes stay exact."""
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (40, 40, 3), "u1")
    picture = np.array(Image.fromarray(smooth).resize((400, 400), Image.BICUBIC))
    noisy = np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype("u1")
    known = np.ones((400, 400), bool)
    known[:50] = False
    exact, near = (
        layers.picture_uri(noisy, known, lossy=lossy) for lossy in (False, True)
    )
    assert len(near) < len(exact) / 4
    content = base64.b64decode(near.removeprefix("data:image/webp;base64,"))
    drawn = np.array(Image.open(io.BytesIO(content))).astype(int)
    assert ((drawn[..., 3] > 0) == known).all()
    away = np.abs(drawn[known][:, :3] - noisy[known]).mean()
    assert away < 8
    assert np.array_equal(decoded(exact)[known][:, :3], noisy[known])

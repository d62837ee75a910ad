"""Which pixels count, by masks of any grid, against rasterio and shapely."""

import json
import warnings

import numpy as np
import pytest
import shapely
from rasterio import Affine
from rasterio.features import geometry_mask
from rasterio.warp import Resampling, reproject, transform_bounds, transform_geom

from landslide_tf.errors import DataError
from landslide_tf.mapping import Mask, MaskFiles
from landslide_tf.raster.grid import Window
from landslide_tf.raster.masks import MaskReader, read_masks
from landslide_tf.raster.scene import make_scene
from landslide_tf.raster.scene_reader import SceneReader
from landslide_tf.terrain import Grid
from tests.mapping import map_files as files

HEIGHT, WIDTH = 40, 30
GRID = Grid(files.CRS, files.NORTH_UP, HEIGHT, WIDTH)
WHOLE = Window(0, 0, HEIGHT, WIDTH)


def polygons(path, *shapes, crs="EPSG:4326"):
    """Writes shapes of the scene's system as GeoJSON, in degrees."""
    features = [
        {
            "type": "Feature",
            "properties": {},
            "geometry": transform_geom(files.CRS, crs, shapely.geometry.mapping(one)),
        }
        for one in shapes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def kept(files_of_masks, grid=GRID, stored=None, window=None):
    masks = read_masks(files_of_masks, grid, stored or grid)
    with MaskReader(masks, grid) as reader:
        return reader.read(window or Window(0, 0, *grid.shape))


def noise(shape, seed=0):
    return np.random.default_rng(seed).choice([0, 3, 4, 8, 9], shape).astype(np.uint8)


@pytest.mark.parametrize("nodata", [None, 0, 8])
@pytest.mark.parametrize(("values", "text"), [((), ""), ((3, 8), ":3,8")])
def test_stored_values_decide_whatever_a_file_tags(tmp_path, nodata, values, text):
    stored = noise((1, HEIGHT, WIDTH))
    path = files.write(tmp_path / "m.tif", stored, nodata=nodata)
    mask = Mask.parse(path + text)
    assert mask == Mask(path, tuple(map(float, values))) and str(mask) == "m.tif" + text
    hidden = np.isin(stored[0], values) if values else stored[0] > 0
    found = kept(MaskFiles(masks=(mask,)))
    np.testing.assert_array_equal(found.counts, ~hidden)
    part = kept(MaskFiles(masks=(mask,)), window=Window(7, 3, 20, 11))
    np.testing.assert_array_equal(part.clear, ~hidden[7:27, 3:14])


PLACES = {
    "finer": (files.CRS, Affine(4, 0, 499_990, 0, -4, 4_600_010), (110, 85)),
    "coarser": (files.CRS, Affine(60, 0, 499_977, 0, -60, 4_600_031), (9, 7)),
    "south-up": (files.CRS, Affine(10, 0, 500_000, 0, 10, 4_599_600), (40, 30)),
    "degrees": (
        "EPSG:4326", Affine(1.1e-4, 0, 14.9995, 0, -1.1e-4, 41.5522), (60, 60),
    ),
    "next zone": ("EPSG:32634", Affine(13, 0, -500, 0, -13, 4_621_000), (80, 50)),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_masks_of_other_grids_and_systems_are_taken_by_the_nearest_cell(
    tmp_path, place
):
    crs, transform, shape = PLACES[place]
    if place == "next zone":  # where the scene lies there
        west, _, _, north = transform_bounds(
            files.CRS, crs, 500_000, 4_599_600, 500_300, 4_600_000
        )
        transform = Affine(13, 0, west - 40, 0, -13, north + 40)
    stored = noise((1, *shape), 3)
    path = files.write(tmp_path / "m.tif", stored, crs=crs, transform=transform)
    expected = np.full((HEIGHT, WIDTH), 255, np.uint8)
    reproject(
        stored[0], expected, src_transform=transform, src_crs=crs, src_nodata=None,
        dst_transform=GRID.transform, dst_crs=GRID.crs, dst_nodata=255,
        resampling=Resampling.nearest, init_dest_nodata=True,
    )  # fmt: skip
    assert (expected != 255).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it covers all of the scene
        found = kept(MaskFiles(masks=(Mask(path, (3, 8, 9)),)))
    np.testing.assert_array_equal(found.clear, ~np.isin(expected, (3, 8, 9)))


def test_beyond_a_mask_nothing_counts_and_a_line_says_so(tmp_path):
    stored = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    east = files.NORTH_UP @ Affine.translation(12, 0)
    path = files.write(tmp_path / "m.tif", stored, transform=east)
    with pytest.warns(UserWarning, match=r"m\.tif` covers 60\.0% of the image"):
        found = kept(MaskFiles(masks=(Mask(path),)))
    assert found.clear[:, 12:].all() and not found.clear[:, :12].any()
    far = files.write(
        tmp_path / "far.tif", stored, transform=Affine(10, 0, 7e5, 0, -10, 46e5)
    )
    with pytest.raises(DataError, match=r"mask `.*far\.tif` must overlap"):
        kept(MaskFiles(masks=(Mask(far),)))


def test_a_mask_without_a_place_has_the_rows_and_columns_of_the_image(tmp_path):
    stored = noise((1, HEIGHT, WIDTH))
    path = files.write(tmp_path / "m.png", stored, crs=None)
    np.testing.assert_array_equal(
        kept(MaskFiles(masks=(Mask(path),))).clear, stored[0] == 0
    )
    south = Grid(files.CRS, Affine(10, 0, 5e5, 0, 10, 45e5), HEIGHT, WIDTH)
    found = kept(MaskFiles(masks=(Mask(path),)), south.upright()[0], south)
    np.testing.assert_array_equal(found.clear, stored[0, ::-1] == 0)
    other = files.write(tmp_path / "o.tif", stored[:, 1:], crs=None)
    with pytest.raises(DataError, match=r"must have the image's \(40, 30\) rows"):
        kept(MaskFiles(masks=(Mask(other),)))


SHAPES = (
    shapely.Point(500_100, 4_599_800).buffer(90),
    shapely.box(500_205, 4_599_895, 500_400, 4_599_990),
)


@pytest.mark.parametrize("rotated", [False, True])
def test_an_area_holds_the_pixels_whose_centres_lie_in_it(tmp_path, rotated):
    grid = GRID
    if rotated:
        turned = files.NORTH_UP @ Affine.rotation(25)
        grid = Grid(files.CRS, turned, HEIGHT, WIDTH)
    path = polygons(tmp_path / "a.geojson", *SHAPES)
    found = kept(MaskFiles(path), grid)
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    x, y = grid.transform @ (columns.ravel(), rows.ravel())
    expected = shapely.contains_xy(shapely.union_all(SHAPES), x, y)
    wrong = found.inside.ravel() != expected
    edge = shapely.boundary(shapely.union_all(SHAPES))
    near = shapely.distance(edge, shapely.points(x, y)) < 0.5  # degrees of 8 digits
    assert 0.1 < expected.mean() < 0.5 and not (wrong & ~near).any()
    for window in (Window(0, 0, 10, 10), Window(13, 9, 20, 17), Window(39, 29, 1, 1)):
        row, column, height, width = window
        part = kept(MaskFiles(path), grid, window=window).inside
        whole = found.inside[row : row + height, column : column + width]
        np.testing.assert_array_equal(part, whole)


def test_all_masks_count_together(tmp_path):
    one, two = noise((1, HEIGHT, WIDTH), 1), noise((1, HEIGHT, WIDTH), 2)
    masks = (
        Mask(files.write(tmp_path / "1.tif", one), (3,)),
        Mask(files.write(tmp_path / "2.tif", two), (8, 9)),
    )
    area = polygons(tmp_path / "a.geojson", SHAPES[0])
    found = kept(MaskFiles(area, masks=masks))
    inside = geometry_mask([SHAPES[0]], (HEIGHT, WIDTH), files.NORTH_UP, invert=True)
    hidden = (one[0] == 3) | np.isin(two[0], (8, 9))
    np.testing.assert_array_equal(found.counts, inside & ~hidden)


@pytest.mark.parametrize(
    ("write", "text", "message"),
    [
        (lambda p: files.write(p, np.ones((1, 40, 30), np.uint8)), "", "VALUE"),
        (lambda p: files.write(p, np.ones((1, 40, 30), np.uint8)), ":1", "leave none"),
        (lambda p: files.write(p, np.ones((3, 40, 30), np.uint8)), "", "one band"),
        (lambda p: files.write(p, np.ones((1, 40, 30), np.uint8)), ":300", "be 300"),
        (lambda p: files.write(p, np.ones((1, 40, 30), np.uint8)), ":x", "numbers"),
        (lambda p: p, "", "must be a raster"),
    ],
)
def test_what_masks_nothing_that_makes_sense_is_refused(tmp_path, write, text, message):
    path = tmp_path / "m.tif"
    write(path)
    with pytest.raises(DataError, match=message) as refused:
        kept(MaskFiles(masks=(Mask.parse(f"{path}{text}"),)))
    assert "\n" not in str(refused.value)


def test_a_name_with_a_colon_is_the_file_that_is_there(tmp_path):
    path = tmp_path / "m:3"
    path.write_bytes(b"")
    assert Mask.parse(str(path)) == Mask(str(path))


def test_a_masked_pixel_is_one_without_data_and_one_outside_is_only_not_judged(
    tmp_path,
):
    names = ("red", "green", "blue")
    stored = np.random.default_rng(0).integers(1, 255, (3, HEIGHT, WIDTH))
    stored = stored.astype(np.uint8)
    hidden = noise((HEIGHT, WIDTH)) == 8
    image = files.write(tmp_path / "i.tif", stored, names=names)
    blank = np.where(hidden, 0, stored).astype(np.uint8)
    tagged = files.write(tmp_path / "t.tif", blank, names=names, nodata=0)
    files.write(tmp_path / "l.tif", np.ones((1, HEIGHT, WIDTH), np.uint8))
    mask = files.write(tmp_path / "m.tif", hidden[None].astype(np.uint8))
    area = polygons(tmp_path / "a.geojson", SHAPES[0])
    plain = {"bands": names, "factors": (), "labels": tmp_path / "l.tif"}

    def read(path, masks):
        with SceneReader(make_scene("s", path, masks=masks, **plain)) as reader:
            return reader.read(WHOLE)

    found = read(image, MaskFiles(masks=(Mask(mask),)))
    for one, other in zip(found, read(tagged, None), strict=True):
        np.testing.assert_array_equal(one, other)
    within = read(image, MaskFiles(area))
    inside = geometry_mask([SHAPES[0]], (HEIGHT, WIDTH), files.NORTH_UP, invert=True)
    np.testing.assert_array_equal(within.valid, inside)
    np.testing.assert_array_equal(within.mask, np.where(inside, 1, 255))
    np.testing.assert_array_equal(within.image, np.moveaxis(stored, 0, -1))


@pytest.mark.parametrize("turn", [-360, 0])
def test_a_mask_may_lie_a_turn_of_longitude_away(tmp_path, turn):
    """A scene from 179.98 to 180.01 degrees; the mask says from -180.02 on."""
    cell = 0.001
    grid = Grid("EPSG:4326", Affine(cell, 0, 179.98, 0, -cell, 1), HEIGHT, WIDTH)
    stored = noise((1, HEIGHT, WIDTH))
    place = Affine.translation(turn, 0) @ grid.transform
    path = files.write(tmp_path / "m.tif", stored, crs="EPSG:4326", transform=place)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = kept(MaskFiles(masks=(Mask(path, (3, 8)),)), grid)
    np.testing.assert_array_equal(found.clear, ~np.isin(stored[0], (3, 8)))

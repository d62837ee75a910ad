"""The builder of landslide_scenes, on scenes written by a script."""

import json
import pickle
import re
import shutil
from typing import ClassVar

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import tensorflow_datasets as tfds
from rasterio import Affine

from landslide_tf.datasets import IncompleteDataWarning, landslide_scenes
from landslide_tf.datasets.landslide_scenes import zones
from landslide_tf.datasets.landslide_scenes.plan import find_scenes, plan_of_folder
from landslide_tf.datasets.landslide_scenes.tiles import (
    Tile,
    examples_of,
    grid_tiles,
    make_example,
    starts,
)
from landslide_tf.errors import DataError
from landslide_tf.raster.bands import find_bands
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import Window
from landslide_tf.raster.labels import LabelOptions
from landslide_tf.raster.scene import make_scene
from landslide_tf.raster.scene_reader import SceneReader
from landslide_tf.raster.vector import read_shapes
from landslide_tf.terrain import DIHEDRAL, Grid, factors_on_grid
from tests.contracts import dataset_builder
from tests.datasets import scene_files as files

RGB = ("red", "green", "blue")
TERRAIN = ("dem", "slope", "aspect", "aspect_sin", "aspect_cos")
FOUR_WORKERS = ["--direct_num_workers=4", "--direct_running_mode=multi_processing"]
SMALL = landslide_scenes.Config(
    name="small", description="For tests.", size=32, stride=32, workers=2
)
FLOATS = landslide_scenes.Config(
    name="floats", description="For tests.", bands=(*RGB, "nir"), dtype="float32",
    factors=(*TERRAIN, "ndvi"), size=32, stride=20,
)  # fmt: skip


class ScenesTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = landslide_scenes.Builder
    CONFIG = SMALL
    # Four tiles of each of six scenes: four, one and one.
    SPLITS: ClassVar = {"train": 16, "validation": 4, "test": 4}

    @classmethod
    def write_dummy_data(cls, folder):
        files.write_scenes(folder / "landslide_scenes")


class OneSceneTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = landslide_scenes.Builder
    CONFIG = FLOATS
    SPLITS: ClassVar = {"train": 15, "validation": 3, "test": 9}

    @classmethod
    def write_dummy_data(cls, folder):
        scene = files.write_scene(folder / "one", size=(300, 72), bands=4)
        (scene / "dem.tif").unlink()  # then the terrain is unknown


def build(manual, tmp_path, config=SMALL, **options):
    builder = landslide_scenes.Builder(data_dir=tmp_path / "data", config=config)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual, **options)
    )
    return builder


def read(scene, window=None):
    with SceneReader(scene) as reader:
        return reader.read(window or Window(0, 0, *scene.grid.shape))


def scene_of(folder, **options):
    arguments = {"bands": RGB, "factors": TERRAIN, "dem": DemFiles(folder / "dem.tif"),
                 "labels": folder / "polygons.geojson"}  # fmt: skip
    return make_scene("s", folder / "image.tif", **{**arguments, **options})


@pytest.fixture
def folder(tmp_path):
    return files.write_scene(tmp_path / "s")


def test_default_configuration(tmp_path):
    builder = tfds.builder("landslide_scenes", data_dir=tmp_path)
    assert builder.builder_config.name == "rgb"
    assert builder.info.features["image"].shape == (256, 256, 3)


def test_a_window_is_that_part_of_the_whole(folder):
    scene = scene_of(folder)
    whole, window = read(scene), Window(20, 9, 30, 41)
    part = read(scene, window)
    inside = (slice(20, 50), slice(9, 50))
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_allclose(a[inside], b, rtol=1e-5, atol=1e-4)


def test_elevations_come_as_tiles_with_what_they_do_not_say(folder):
    with rasterio.open(folder / "dem.tif") as dataset:
        heights, place = dataset.read(1), dataset.transform
    expected = read(scene_of(folder)).factors
    (folder / "dem.tif").unlink()
    feet = np.where(heights == -9999, heights, heights / 0.3048)
    files.write(folder / "dem" / "north.tif", feet[:20], place)
    below = place @ Affine.translation(0, 20)
    files.write(folder / "dem" / "south.tif", feet[20:], below)
    stated = folder / "scene.json"
    stated.write_text('{"dem_unit": "foot", "dem_nodata": -9999}')
    scenes, _ = find_scenes(folder.parent, bands=RGB, factors=TERRAIN)
    found = read(scenes[folder.name]).factors
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    for wrong in ('{"dem_nodata": "-9999"}', '{"dem_unit": "feet"}'):
        stated.write_text(wrong)
        with pytest.raises(DataError, match=r"`(dem_nodata|dem_unit)`"):
            find_scenes(folder.parent, bands=RGB, factors=TERRAIN)


def planned(root):
    return plan_of_folder(root, bands=RGB, factors=TERRAIN, size=32, stride=32)


@pytest.mark.parametrize("fault", ["layers", "mask", "DEM", "bands"])
def test_errors_name_keys_of_the_scene_and_no_options(folder, fault):
    """What `prepare` alone can be told is said to be an option of that command."""
    words = {
        "layers": "`layer: NAME` in `scene.json`",
        "mask": "`positive_classes: 255` in `scene.json`",
        "DEM": "`dem_nodata: -9999` in `scene.json`",
        "bands": "`--bands red=1,…` of `landslide-tf prepare`",
    }
    if fault == "layers":
        (folder / "polygons.geojson").unlink()
        box = np.array([shapely.to_wkb(shapely.box(500_060, 4_999_800, 5e5, 5e6))])
        for layer in ("a", "b"):
            pyogrio.raw.write(
                folder / "polygons.gpkg", box, field_data=[], fields=[], layer=layer,
                crs=files.CRS, geometry_type="Polygon",
                append=layer == "b",
            )  # fmt: skip
    if fault == "mask":
        (folder / "polygons.geojson").unlink()
        mask = np.full((64, 64), 255, np.uint8)
        mask[:30] = 0
        files.write(folder / "labels.tif", mask)
    if fault == "DEM":
        with rasterio.open(folder / "dem.tif") as dataset:
            heights, place = dataset.read(1), dataset.transform
        files.write(folder / "dem.tif", heights, place)
    if fault == "bands":
        files.write(folder / "image.tif", files.picture(64, 64)[:2])
    with pytest.raises(DataError) as caught:
        planned(folder.parent)
    assert words[fault] in str(caught.value), caught.value
    assert len(re.findall("`--", str(caught.value))) == (fault == "bands")


def test_terrain_is_that_of_the_package(folder):
    scene = scene_of(folder)
    expected = factors_on_grid(folder / "dem.tif", scene.grid, factors=TERRAIN)
    pixels = read(scene)
    np.testing.assert_allclose(pixels.factors, expected.values, rtol=1e-5, atol=1e-4)
    image_valid = rasterio.open(folder / "image.tif").dataset_mask() > 0
    np.testing.assert_array_equal(pixels.valid, expected.valid & image_valid)
    assert not image_valid[:3, :5].any() and expected.valid.mean() < 1


def test_labels_outside_of_valid_pixels_are_unknown(folder):
    pixels = read(scene_of(folder))
    assert (pixels.mask[~pixels.valid] == 255).all()
    assert (pixels.mask[pixels.valid] < 2).all()
    assert (pixels.image[:3, :5] == 0).all()
    assert (pixels.mask[6:16, 6:20] > 0).all() and pixels.mask[17, 10] == 0
    assert (pixels.mask[6:16, 6:20] == 1).sum() > 70  # but for a hole in the DEM


def test_polygons_burn_pixels_whose_centres_they_cover(folder):
    path = folder / "polygons.geojson"
    files.write_geojson(path, [files.square(10.4, 10.4, 20.6, 12.6)])
    burnt = read(scene_of(folder, dem=None)).mask == 1
    assert burnt.sum() == 11 * 3 and burnt[10:13, 10:21].all()
    touched = LabelOptions(all_touched=True)
    files.write_geojson(path, [files.square(10.6, 10.6, 20.4, 12.4)])
    assert (read(scene_of(folder, dem=None)).mask == 1).sum() == 9
    assert (read(scene_of(folder, dem=None, options=touched)).mask == 1).sum() == 33


def test_threads_share_no_index_of_geos(folder):
    scene = scene_of(folder, dem=None)
    whole = read(scene)
    # Of prepared geometries GEOS builds an index when they are first asked, and
    # crashes where two threads ask at a time.
    assert not shapely.is_prepared(scene.labels.geometries).any()
    count = sum(t.counts[1] for t in grid_tiles(scene, 16, 16, 2, workers=8))
    assert count == (whole.mask == 1).sum()


def test_the_landslide_wins_where_polygons_overlap(folder):
    features = [
        files.square(10, 10, 20, 20, **{"class": "scar"}),
        files.square(10, 10, 30, 20, **{"class": "forest"}),
        {"type": "Feature", "properties": {"class": "scar"}, "geometry": None},
    ]
    path = files.write_geojson(folder / "polygons.geojson", features)
    options = LabelOptions(positive=("scar",), outside="ignore")
    mask = read(scene_of(folder, dem=None, options=options)).mask
    assert (mask[10:20, 10:20] == 1).all() and (mask[10:20, 20:30] == 0).all()
    assert mask[30, 30] == 255
    options = LabelOptions(
        ("forest", "landslide"), positive=("scar",), outside="ignore"
    )
    mask = read(scene_of(folder, dem=None, options=options)).mask
    assert (mask[10:20, 20:30] == 0).all() and (mask[10:20, 10:20] == 1).all()
    with pytest.raises(DataError, match="known classes, received `forest`"):
        scene_of(
            folder, options=LabelOptions(("background", "landslide", "x"), ("scar",))
        )
    shapes = read_shapes(path, Grid.of(rasterio.open(folder / "image.tif")))
    assert (len(shapes), shapes.empty) == (2, 1)


@pytest.mark.parametrize("kind", ["same grid", "no place", "other grid", "tagged"])
def test_raster_labels_of_any_grid(folder, kind):
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 1
    mask[50:, 50:] = 255
    path, options = folder / "labels.tif", {}
    if kind == "no place":
        path = folder / "labels.png"
        files.write_png(path, mask)
    elif kind == "other grid":
        bigger = np.pad(mask, 16).repeat(2, 0).repeat(2, 1)
        files.write(path, bigger, files.place(-16, -16, 5.0))
    else:
        # A tag says that background is "no value"; the labels say that it is 0.
        options = {"nodata": 0} if kind == "tagged" else {}
        files.write(path, mask, **options)
    found = read(scene_of(folder, dem=None, labels=path)).mask
    found[:3, :5] = 0  # where the image has no value
    np.testing.assert_array_equal(found, mask)


def test_labels_that_end_before_the_image_leave_the_rest_unknown(folder):
    mask = np.ones((64, 32), np.uint8)
    files.write(folder / "labels.tif", mask, nodata=0)
    found = read(scene_of(folder, dem=None, labels=folder / "labels.tif")).mask
    assert (found[5:, :32] == 1).all() and (found[:, 32:] == 255).all()


def test_values_of_a_raster_may_be_named(folder):
    mask = np.zeros((64, 64), np.uint8)
    mask[:32], mask[32:40] = 255, 7
    path = files.write(folder / "labels.tif", mask)
    options = LabelOptions(positive=("255",))
    found = read(scene_of(folder, dem=None, labels=path, options=options)).mask
    assert (found[5:32] == 1).all() and (found[32:] == 0).all()
    with pytest.raises(DataError, match=r"labels.tif.*received 7; name"):
        read(scene_of(folder, dem=None, labels=path))


def test_labelme_polygons_lie_on_the_pixels_they_were_drawn_on(folder):
    shapes = [
        ("landslide", "polygon", [[10, 20], [30, 20], [30, 28], [10, 28]]),
        ("landslide", "rectangle", [[50, 60], [40, 50]]),
        ("forest", "circle", [[50, 10], [50, 14]]),
    ]
    path = files.write_labelme(folder / "labels.json", (64, 64), shapes)
    mask = read(scene_of(folder, dem=None, labels=path)).mask
    expected = np.zeros((64, 64), bool)
    expected[20:28, 10:30] = expected[50:60, 40:50] = True
    np.testing.assert_array_equal(mask == 1, expected)


def test_another_cell_size_brings_everything_along(folder):
    scene = scene_of(folder, gsd=20.0)
    assert scene.grid.shape == (32, 32)
    fine, coarse = read(scene_of(folder)), read(scene)
    mean = fine.image[8:, 8:].reshape(28, 2, 28, 2, 3).mean(axis=(1, 3))
    assert np.abs(coarse.image[4:, 4:] - mean).max() <= 1
    expected = factors_on_grid(folder / "dem.tif", scene.grid, factors=TERRAIN)
    np.testing.assert_allclose(coarse.factors, expected.values, rtol=1e-5, atol=1e-4)
    with pytest.raises(DataError, match="smaller than the image"):
        scene_of(folder, gsd=5000)


def test_ndvi_of_bands_or_of_its_own_raster(folder):
    image = files.picture(64, 64, 4)
    files.write(folder / "image.tif", image)
    red, nir = image[0].astype(float), image[3].astype(float)
    arguments = {"factors": ("ndvi",), "dem": None}
    pixels = read(scene_of(folder, **arguments))
    expected = (nir - red) / (nir + red)
    np.testing.assert_allclose(pixels.factors[..., 0], expected, atol=1e-6)
    assert pixels.image.shape[-1] == 3
    index = np.linspace(-2, 1, 64 * 64).reshape(64, 64).astype(np.float32)
    path = files.write(folder / "ndvi.tif", index)
    pixels = read(scene_of(folder, rasters={"ndvi": path}, **arguments))
    np.testing.assert_allclose(pixels.factors[..., 0], index.clip(-1, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("count", "descriptions", "expected"),
    [
        (3, None, {"red": 1, "green": 2, "blue": 3}),
        (4, None, {"red": 1, "green": 2, "blue": 3, "nir": 4}),
        (5, ("B1_blue", "B2 Green", "red", "B8_NIR", "swir"),
         {"red": 3, "green": 2, "blue": 1, "nir": 4}),
    ],
)  # fmt: skip
def test_bands_are_found_by_name_or_order(tmp_path, count, descriptions, expected):
    path = files.write(
        tmp_path / "image.tif", files.picture(32, 32, count), descriptions=descriptions
    )
    found = find_bands([path], list(expected))
    assert {band.name: band.number for band in found} == expected


def test_bands_may_be_numbered_or_lie_in_files_of_their_own(folder):
    image = files.picture(64, 64, 3)
    scene = scene_of(folder, choice={"red": 3, "green": 2, "blue": 1})
    with rasterio.open(folder / "image.tif") as dataset:
        stored = dataset.read()
    np.testing.assert_array_equal(
        read(scene).image[5:], np.moveaxis(stored[::-1], 0, -1)[5:]
    )
    root = folder.parent / "split"
    lines = ["name,path"]
    for name, band in zip(RGB, image, strict=True):
        files.write(root / "one" / f"{name}.tif", band)
        lines.append(f"{name},{name}.tif")
    (root / "one" / "bands.csv").write_text("\n".join(lines))
    scenes, _ = find_scenes(root, bands=RGB, factors=())
    np.testing.assert_array_equal(read(scenes["one"]).image, np.moveaxis(image, 0, -1))


def test_turned_examples_know_where_their_pixels_lie(folder):
    scene = scene_of(folder)
    tiles = [Tile("s", 8, 16, 32, turn) for turn in DIHEDRAL]
    pixels = read(scene)
    for tile, (_, example) in zip(
        tiles, examples_of({"s": scene}, tiles, "uint8"), strict=True
    ):
        transform = Affine(*example["transform"])
        rows, columns = np.mgrid[:32:7, :32:5]
        x, y = transform @ (columns + 0.5, rows + 0.5)
        there = ~scene.grid.transform @ (x, y)
        expected = pixels.image[np.floor(there[1]).astype(int),
                                np.floor(there[0]).astype(int)]  # fmt: skip
        np.testing.assert_array_equal(example["image"][rows, columns], expected)
        assert example["id"] == tile.id


def test_zones_of_one_scene_keep_a_tile_apart(tmp_path):
    folder = files.write_scene(tmp_path / "s", size=(96, 512))
    scene = scene_of(folder)
    tiles = grid_tiles(scene, 32, 16, 2)
    cut = zones.zones_of({"s": scene}, tiles, 1, gap=32)
    parts, in_gaps = zones.assign({"s": scene}, cut, tiles)
    assert in_gaps + sum(map(len, parts.values())) == len(tiles)
    assert all(any(t.counts[1] for t in part) for part in parts.values())
    assert len(parts["train"]) > len(parts["test"]) > len(parts["validation"])
    for a, b in (("train", "test"), ("train", "validation"), ("validation", "test")):
        for one in parts[a]:
            for other in parts[b]:
                away = max(abs(one.row - other.row), abs(one.column - other.column))
                assert away >= 64  # a tile, and a gap as wide as it


def test_scenes_that_share_ground_are_cut_along_one_line(tmp_path):
    scenes = {}
    for name, shift in (("a", 0), ("b", 7)):
        image = files.picture(320, 64, seed=shift)
        files.write(tmp_path / name / "image.tif", image, files.place(shift, shift))
        mask = (np.indices((320, 64)).sum(axis=0) % 32 == 0).astype(np.uint8)
        labels = files.write(tmp_path / name / "l.tif", mask, files.place(shift, shift))
        scenes[name] = make_scene(
            name, tmp_path / name / "image.tif", bands=RGB, factors=(), labels=labels
        )
    tiles = [t for s in scenes.values() for t in grid_tiles(s, 32, 32, 2)]
    cut = zones.zones_of(scenes, tiles, 1, gap=32)
    parts, _ = zones.assign(scenes, cut, tiles)
    tops = {
        split: [t.row + (7 if t.scene == "b" else 0) for t in part]
        for split, part in parts.items()
    }
    for a, b in (("train", "test"), ("train", "validation"), ("validation", "test")):
        assert min(abs(i - j) for i in tops[a] for j in tops[b]) >= 64


def test_starts_reach_both_ends():
    assert starts(100, 32, 32) == [0, 32, 64, 68]
    assert starts(64, 32, 32) == [0, 32]
    assert starts(32, 32, 32) == [0]


def test_what_is_left_out_is_counted(tmp_path):
    manual = tmp_path / "manual"
    files.write_scenes(manual, count=5)
    (manual / "notes.txt").write_text("hello")
    scene = {"outside": "ignore", "sensor": "drone"}
    (manual / "s0" / "scene.json").write_text(json.dumps(scene))
    (manual / "s1" / "polygons.geojson").unlink()
    with pytest.warns(IncompleteDataWarning, match="notes.txt"):
        builder = build(manual, tmp_path)
    report = builder.info.metadata["files"]
    assert report["ignored"] == ["notes.txt"]
    assert report["without_labels"] == ["s1"]
    assert report["scenes"] == [f"s{k}" for k in range(5)]
    total = sum(report[split]["examples"] for split in zones.SPLITS)
    assert total + report["tiles_without_label"] + report["tiles_in_gaps"] == 20


def written(builder):
    return {
        split: {
            example["id"]: example
            for example in tfds.as_numpy(builder.as_dataset(split=split))
        }
        for split in builder.info.splits
    }


def assert_equal_examples(one, two):
    assert {s: set(e) for s, e in one.items()} == {s: set(e) for s, e in two.items()}
    for split, found in one.items():
        for name, example in found.items():
            for key, value in example.items():
                np.testing.assert_array_equal(value, two[split][name][key])


def test_one_by_one_the_examples_are_the_same(tmp_path):
    manual = tmp_path / "manual"
    files.write_scenes(manual, count=6)
    scenes, _ = find_scenes(manual, bands=RGB, factors=TERRAIN)
    # As a worker of Apache Beam gets them, and in its order.
    scenes = pickle.loads(pickle.dumps(scenes))
    tiles = [Tile(name, row, 16, 32) for row in (0, 16) for name in scenes]
    expected = dict(examples_of(scenes, sorted(tiles), "uint8"))
    for tile in tiles:
        name, example = make_example(scenes, "uint8", tile)
        for key, value in example.items():
            np.testing.assert_array_equal(value, expected[name][key])


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")  # Beam's own, about many things
@pytest.mark.parametrize("options", [[], FOUR_WORKERS], ids=["one", "four"])
def test_workers_of_beam_make_the_same_data_set(options, tmp_path):
    pipeline_options = pytest.importorskip(
        "apache_beam.options.pipeline_options", reason="Apache Beam is not installed"
    )
    manual = tmp_path / "manual"
    files.write_scenes(manual, count=6)
    plain = build(manual, tmp_path / "plain")
    beam = build(
        manual,
        tmp_path / "beam",
        beam_runner="DirectRunner",
        beam_options=pipeline_options.PipelineOptions(options),
    )
    assert dict(beam.info.metadata) == dict(plain.info.metadata)
    counts = [
        {k: v.num_examples for k, v in b.info.splits.items()} for b in (plain, beam)
    ]
    assert counts[0] == counts[1]
    assert_equal_examples(written(plain), written(beam))


def broken(folder, fault):
    """Breaks a scene and returns words that the error must hold."""
    image, dem = folder / "image.tif", folder / "dem.tif"
    labels = folder / "polygons.geojson"
    picture = files.picture(64, 64)
    if fault == "truncated image":
        image.write_bytes(image.read_bytes()[:9000])
        return "image.tif"
    if fault == "no CRS":
        files.write(image, picture, crs=None)
        return "image.tif` must have a coordinate reference system"
    if fault == "16 bit":
        files.write(image, files.picture(64, 64, dtype=np.uint16, top=4000))
        return "must hold uint8 values, received uint16"
    if fault == "tagged scale":
        with rasterio.open(image, "r+") as dataset:
            dataset.scales = (1 / 255,) * 3
        return "received float64 by the scale and offset of its tags"
    if fault == "two bands":
        files.write(image, picture[:2])
        return "`red` is not found among its 2 bands"
    if fault == "tiny":
        files.write(image, picture[:, :20])
        return "tiles of at most 20 pixels"
    if fault == "rotated":
        files.write(image, picture, files.place() @ Affine.rotation(30))
        return "image.tif`: `transform` must have rows along"
    if fault == "DEM elsewhere":
        files.write(dem, files.hills(64, 64), files.place(9000, 0))
        return "dem.tif` must overlap the image"
    if fault == "DEM without CRS":
        files.write(dem, files.hills(64, 64), crs=None)
        return "dem.tif` must have a coordinate reference system"
    if fault == "DEM of three bands":
        files.write(dem, picture)
        return "dem.tif` must have one band"
    if fault == "truncated DEM":
        dem.write_bytes(dem.read_bytes()[:3000])
        return "dem.tif"
    if fault == "polygons elsewhere":
        files.write_geojson(labels, [files.square(900, 0, 910, 10)])
        return "polygons.geojson` must overlap the image"
    if fault == "points":
        point = {"type": "Point", "coordinates": [500100, 4999900]}
        feature = {"type": "Feature", "properties": {}, "geometry": point}
        files.write_geojson(labels, [feature])
        return "received `Point`"
    if fault == "broken polygons":
        labels.write_text('{"type": "Feat')
        return "polygons.geojson` must be a vector file"
    if fault == "unnamed landslide":
        features = [files.square(1, 1, 9, 9, **{"class": "scar"})]
        files.write_geojson(labels, features)
        return "must hold a class `landslide`, received scar"
    labels.unlink()
    if fault == "mask of another size":
        files.write_png(folder / "labels.png", np.zeros((64, 60), np.uint8))
        return "labels.png` must have a coordinate system or the image's (64, 64)"
    if fault == "colours":
        files.write(folder / "labels.tif", picture)
        return "labels.tif` must have one band"
    if fault == "labelme of another size":
        files.write_labelme(folder / "labels.json", (10, 10), [])
        return "labels.json` must have been drawn on an image of (64, 64)"
    if fault == "labelme line":
        shapes = [("x", "line", [[1, 1], [2, 2]])]
        files.write_labelme(folder / "labels.json", (64, 64), shapes)
        return "received the line `x`"
    (folder / "scene.json").write_text(
        "[1" if fault == "bad json" else '{"positive": []}'
    )
    return "scene.json"


@pytest.mark.parametrize(
    "fault",
    [
        "truncated image", "no CRS", "16 bit", "tagged scale", "two bands", "tiny",
        "rotated",
        "DEM elsewhere", "DEM without CRS", "DEM of three bands", "truncated DEM",
        "polygons elsewhere", "points", "broken polygons",
        "unnamed landslide", "mask of another size", "colours",
        "labelme of another size", "labelme line", "bad json", "unknown key",
    ],
)  # fmt: skip
def test_bad_files_are_named_and_nothing_is_built(tmp_path, fault):
    manual = tmp_path / "manual"
    # What is seen when the examples are made needs scenes enough for a split.
    late = fault in ("16 bit", "tagged scale", "truncated DEM")
    files.write_scenes(manual, count=5 if late else 1)
    words = broken(manual / "s0", fault)
    with pytest.raises(DataError) as caught:
        build(manual, tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "data").glob("landslide_scenes/small/[!.]*"))


def test_an_empty_folder_says_what_is_expected(tmp_path):
    (tmp_path / "manual").mkdir()
    with pytest.raises(DataError, match=r"one folder a scene with `image.tif`"):
        build(tmp_path / "manual", tmp_path)


def test_a_small_scene_cannot_be_split(tmp_path):
    files.write_scene(tmp_path / "manual" / "s", size=(64, 64))
    with pytest.raises(DataError, match="none is left for"):
        build(tmp_path / "manual", tmp_path)


def test_the_real_landsat_scene(shared, tmp_path):
    source = shared / "data" / "scenes" / "landsat5_para"
    scene = tmp_path / "manual" / "para"
    shutil.copytree(source, scene)
    (scene / "scene.json").write_text('{"positive_classes": ["cleared"]}')
    bands = (*RGB, "nir")
    scenes, _ = find_scenes(tmp_path / "manual", bands=bands, factors=("slope", "ndvi"))
    pixels = read(scenes["para"])
    assert pixels.image.shape == (310, 287, 4)
    assert (pixels.mask == 1).sum() == 1124
    by_class = {"cleared": 78.5, "fallen_dry": 46.45, "forest": 77.0, "water": 11.1}
    burnt = {"cleared": 1124, "fallen_dry": 220, "forest": 2270, "water": 795}
    for name, mean in by_class.items():
        options = LabelOptions(positive=(name,))
        labels = scene / "polygons.geojson"
        one = make_scene(
            "x", scene / "image.tif", bands=bands, factors=(), labels=labels,
            options=options,
        )  # fmt: skip
        there = read(one).mask == 1
        assert there.sum() == burnt[name]
        assert pixels.image[there, 3].mean() == pytest.approx(mean, abs=0.051)


def test_the_real_scene_in_degrees_has_a_dem_of_another_grid(shared):
    folder = shared / "data" / "scenes" / "rmnp"
    scene = make_scene(
        "rmnp", folder / "rmnp-rgb.tif", bands=RGB, factors=("dem", "slope", "aspect"),
        dem=DemFiles(folder / "rmnp-dem.tif"), labels=folder / "rmnp.shp",
    )  # fmt: skip
    pixels = read(scene)
    assert pixels.image.shape == (373, 485, 3)
    with rasterio.open(folder / "rmnp-rgb.tif") as dataset:
        frame = dataset.dataset_mask() == 0
    assert frame.mean() == pytest.approx(0.062, abs=0.001)
    assert not pixels.valid[frame].any() and (pixels.mask[frame] == 255).all()
    known = np.isfinite(pixels.factors[..., 0])
    assert 0 < known.mean() < 1
    assert 2000 < np.nanmin(pixels.factors[..., 0]) < 4400
    assert 5 < np.nanmean(pixels.factors[..., 1]) < 40  # degrees as metres: near 90
    assert set(np.unique(pixels.mask)) == {0, 1, 255}

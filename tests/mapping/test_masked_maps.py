"""Maps of what counts: fewer windows, the same pixels, no data elsewhere."""

import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.features import geometry_mask
from scipy.ndimage import uniform_filter

from landslide_tf.errors import DataError
from landslide_tf.mapping import (
    MapOptions,
    Mask,
    MaskFiles,
    Member,
    Outputs,
    SceneFiles,
    map_scene,
    window_inputs,
)
from landslide_tf.raster.dem import DemFiles
from tests.mapping import killable
from tests.mapping import map_files as files
from tests.mapping.test_kill import stopped_after
from tests.raster.test_masks import polygons

NAMES = ("stable", "slide")
SMALL = {"window": 16, "overlap": 4, "float32": True, "min_area": 0.0}
SIZE = (96, 80)


class Counting:
    """A model that looks around, and counts the windows it sees."""

    def __init__(self):
        self.windows = 0

    def __call__(self, inputs):
        self.windows += len(inputs["image"])
        return uniform_filter(inputs["image"], (0, 5, 5, 0))


def run(image, folder, masks=None, predict=None, **scene):
    folder.mkdir(exist_ok=True)
    outputs = Outputs(
        folder / "map.tif", folder / "p.tif", folder / "u.tif", (folder / "v.gpkg",),
        overwrite=True,
    )  # fmt: skip
    member = Member(predict or Counting(), files.metadata())
    given = SceneFiles((image,), masks=masks or MaskFiles(), **scene)
    made = map_scene([member], given, outputs, MapOptions(**SMALL))
    layers = []
    for path in (outputs.out, outputs.probabilities, outputs.uncertainty):
        with rasterio.open(path) as dataset:
            layers.append(dataset.read(1))
            tags = dataset.tags()
    return made, layers, tags


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    values = files.chances(*SIZE)
    return files.write(folder / "s.tif", values, names=NAMES), values


def hidden_part():
    """Three fifths of the scene: all but two blocks."""
    hidden = np.ones(SIZE, bool)
    hidden[:40, :40] = hidden[60:, 36:] = False
    assert 0.58 < hidden.mean() < 0.62
    return hidden


def holes(hidden, layers):
    classes, chances, unsure = layers
    np.testing.assert_array_equal(classes == 255, hidden)
    np.testing.assert_array_equal(np.isnan(chances), hidden)
    np.testing.assert_array_equal(np.isnan(unsure), hidden)


def check_polygons(folder, classes):
    """Polygons hold the landslide pixels of the map and no others."""
    meta, _, shapes, columns = pyogrio.raw.read(folder / "v.gpkg")
    pixels = dict(zip(meta["fields"], columns, strict=True))["area_px"]
    burnt = geometry_mask(shapely.from_wkb(shapes), SIZE, files.NORTH_UP, invert=True)
    np.testing.assert_array_equal(burnt, classes == 1)
    assert sum(pixels) == (classes == 1).sum()


def test_a_mask_of_three_fifths_saves_windows_and_changes_no_pixel(scene, tmp_path):
    image, _ = scene
    hidden = hidden_part()
    mask = files.write(
        tmp_path / "clouds.tif", np.where(hidden, 9, 4)[None].astype("u1")
    )
    calm = Member(lambda inputs: inputs["image"], files.metadata())
    counted = Counting()
    _, whole, _ = run(image, tmp_path / "whole", predict=calm.predict)
    run(image, tmp_path / "counted", predict=counted)

    def predict(inputs):
        few(inputs)
        return inputs["image"]

    few = Counting()
    masks = MaskFiles(masks=(Mask(mask, (9,)),))
    made, layers, tags = run(image, tmp_path / "masked", masks, predict)
    needed = [
        (~hidden[row : row + 16, column : column + 16]).any()
        for row in range(0, 96 - 4, 12)
        for column in range(0, 80 - 4, 12)
    ]
    assert (counted.windows, few.windows) == (len(needed), sum(needed)) == (56, 36)
    holes(hidden, layers)
    for one, other in zip(layers, whole, strict=True):
        np.testing.assert_array_equal(one[~hidden], other[~hidden])
    assert made.valid == (~hidden).sum()
    assert made.landslide == (whole[0][~hidden] == 1).sum()
    assert json.loads(tags["MASK"]) == ["clouds.tif:9"] and "WITHIN" not in tags
    check_polygons(tmp_path / "masked", layers[0])


def test_a_masked_scene_is_one_whose_masked_pixels_have_no_data(scene, tmp_path):
    """For a model that looks around, too; as an image with the mask of GDAL."""
    image, values = scene
    hidden = hidden_part()
    mask = files.write(tmp_path / "m.tif", hidden[None].astype("u1"))
    blank = np.where(hidden, -9999, values)
    tagged = files.write(tmp_path / "s.tif", blank, names=NAMES, nodata=-9999)
    _, expected, _ = run(tagged, tmp_path / "one")
    _, found, _ = run(image, tmp_path / "two", MaskFiles(masks=(Mask(mask),)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_map_of_an_area_is_that_part_of_the_whole_map(scene, tmp_path):
    """For a model that looks around, too: ground beside the area is seen."""
    image, _ = scene
    circle = shapely.Point(500_300, 4_599_600).buffer(203)
    area = polygons(tmp_path / "area.geojson", circle)
    _, whole, _ = run(image, tmp_path / "whole")
    few = Counting()
    made, layers, tags = run(image, tmp_path / "part", MaskFiles(area), few)
    inside = geometry_mask([circle], SIZE, files.NORTH_UP, invert=True)
    holes(~inside, layers)
    for one, other in zip(layers, whole, strict=True):
        np.testing.assert_array_equal(one[inside], other[inside])
    assert made.valid == inside.sum() and few.windows < 24
    assert tags["WITHIN"] == "area.geojson" and "layer `area`" in made.taken
    check_polygons(tmp_path / "part", layers[0])


def test_the_scale_is_that_of_what_counts(tmp_path):
    """A corner that no window of the usual sample meets; beyond it are clouds."""
    values = np.full((2, 1500, 40), 4.0, np.float32)
    values[:, 300:310, 20:30] = 0.5
    image = files.write(tmp_path / "s.tif", values, names=NAMES)
    hidden = (values[:1] > 1).astype("u1")
    mask = files.write(tmp_path / "m.tif", hidden)
    bands = [{"name": name, "range": (0, 1)} for name in NAMES]
    member = Member(lambda inputs: inputs["image"], files.metadata(inputs=bands))
    outputs = Outputs(tmp_path / "map.tif")
    with pytest.raises(DataError, match="received 4 to 4"):
        map_scene([member], SceneFiles((image,)), outputs)
    given = SceneFiles((image,), scale="auto", masks=MaskFiles(masks=(Mask(mask),)))
    made = map_scene([member], given, outputs)
    assert made.scale == 2 and made.valid == 100


@pytest.mark.parametrize("change", ["values", "file", "area", "nodata"])
def test_another_mask_starts_a_stopped_job_anew(tmp_path, change, monkeypatch):
    values = files.chances(200, 40)
    image = files.write(tmp_path / "s.tif", values, names=NAMES)
    classes = np.random.default_rng(0).choice([0, 3, 8], (1, 200, 40)).astype("u1")
    mask = files.write(tmp_path / "m.tif", classes)
    before = MaskFiles(masks=(Mask(mask, (3,)),))
    after, scene = before, {}
    calls = []

    def stop(inputs):
        calls.append(1)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return inputs["image"]

    out = Outputs(tmp_path / "map.tif")
    options = MapOptions(window=16, overlap=4, batch=1)

    def job(predict, masks, **scene):
        member = Member(predict, files.metadata())
        return map_scene(
            [member], SceneFiles((image,), masks=masks, **scene), out, options
        )

    with pytest.raises(KeyboardInterrupt):
        job(stop, before)
    if change == "values":
        after = MaskFiles(masks=(Mask(mask, (3, 8)),))
    elif change == "file":
        classes[:, :4] = 3
        files.write(tmp_path / "m.tif", classes)
    elif change == "area":
        box = shapely.box(500_000, 4_598_000, 500_200, 4_600_000)
        after = MaskFiles(polygons(tmp_path / "a.geojson", box), masks=before.masks)
    else:
        scene = {"nodata": -1.0}
    made = job(lambda inputs: inputs["image"], after, **scene)
    assert made.resumed == 0
    hidden = np.isin(classes[0], after.masks[0].values)
    hidden[:, 20:] |= change == "area"
    with rasterio.open(tmp_path / "map.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1) == 255, hidden)


def test_a_killed_job_with_a_mask_goes_on(tmp_path):
    values = files.chances(200, 40)
    image = files.write(tmp_path / "s.tif", values, names=NAMES)
    classes = np.random.default_rng(0).choice([0, 3], (1, 100, 20)).astype("u1")
    coarse = files.NORTH_UP @ rasterio.Affine.scale(2)
    mask = files.write(tmp_path / "m.tif", classes, transform=coarse)
    text = f"{mask}:3"
    folders = tmp_path / "whole", tmp_path / "killed"
    stopped_after(image, folders[1], 3, mask=text)
    made = [
        killable.run(image, folder, lambda inputs: inputs["image"], text)
        for folder in folders
    ]
    assert made[0].resumed == 0 and made[1].resumed >= 3
    for name in ("map.tif", "chances.tif"):
        one, other = ((folder / name).read_bytes() for folder in folders)
        assert one == other
    hidden = classes[0].repeat(2, 0).repeat(2, 1) == 3
    with rasterio.open(folders[1] / "map.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1) == 255, hidden)


def test_masks_are_read_and_never_written(scene, tmp_path):
    image, _ = scene
    mask = files.write(tmp_path / "m.tif", hidden_part()[None].astype("u1"))
    given = SceneFiles((image,), masks=MaskFiles(masks=(Mask(mask),)))
    with pytest.raises(DataError, match="is read and cannot be written over"):
        map_scene([files.identity()], given, Outputs(tmp_path / "m.tif"))


def hillside(folder, degrees=20.0):
    """Level in the west, steep in the east; returns the DEM and its slopes."""
    across = np.maximum(np.arange(SIZE[1]) - 44, 0) * 10 * np.tan(np.radians(degrees))
    heights = np.tile(across, (SIZE[0], 1)).astype(np.float32)
    slopes = np.degrees(np.arctan(np.gradient(heights, 10, axis=1)))
    slopes[[0, -1], -1] = 0  # at corners GDAL's way sees half of the fall
    return files.write(folder / "dem.tif", heights[None]), slopes


def test_ground_that_is_flatter_than_wanted_is_not_mapped(scene, tmp_path):
    """Seen by a model that looks around, and not predicted where a window is level."""
    image, _ = scene
    dem, slopes = hillside(tmp_path)
    few, every = Counting(), Counting()
    _, whole, _ = run(image, tmp_path / "whole", predict=every, dem=DemFiles(dem))
    made, layers, tags = run(
        image, tmp_path / "steep", predict=few, dem=DemFiles(dem), min_slope=15.0
    )
    flat = slopes < 15
    assert 0.5 < flat.mean() < 0.6
    holes(flat, layers)
    for one, other in zip(layers, whole, strict=True):
        np.testing.assert_array_equal(one[~flat], other[~flat])
    needed = [
        (~flat[row : row + 16, column : column + 16]).any()
        for row in range(0, 96 - 4, 12)
        for column in range(0, 80 - 4, 12)
    ]
    assert (every.windows, few.windows) == (len(needed), sum(needed))
    assert few.windows < 0.7 * every.windows
    assert made.valid == (~flat).sum() and tags["MIN_SLOPE"] == "15"
    check_polygons(tmp_path / "steep", layers[0])


def test_a_model_that_takes_slopes_is_given_those_of_level_ground(scene, tmp_path):
    image, _ = scene
    dem, slopes = hillside(tmp_path)

    def around(factors):
        return uniform_filter(factors[..., 0], (0, 5, 5)) / 90

    made = []
    for name, least in (("whole", None), ("steep", 19.9)):
        outputs = Outputs(tmp_path / f"{name}.tif", tmp_path / f"{name}_p.tif")
        member = files.of_factors(around, (files.SLOPE,))
        given = SceneFiles((image,), dem=DemFiles(dem), min_slope=least)
        map_scene([member], given, outputs, MapOptions(**SMALL))
        with rasterio.open(outputs.probabilities) as dataset:
            made.append(dataset.read(1))
    steep = slopes > 19.9
    np.testing.assert_array_equal(made[1][steep], made[0][steep])
    assert np.isnan(made[1][~steep]).all()


@pytest.mark.parametrize(
    ("least", "dem", "message"),
    [
        (5.0, False, "`--dem FILE`"),
        (0.0, True, "above 0 and below 90 degrees, received 0"),
        (90.0, True, "received 90"),
        (float("nan"), True, "received nan"),
        (45.0, True, "must leave pixels of the image, received 45"),
    ],
)
def test_a_smallest_slope_that_cannot_be(scene, tmp_path, least, dem, message):
    image, _ = scene
    path = hillside(tmp_path)[0]
    given = SceneFiles((image,), dem=DemFiles(path) if dem else None, min_slope=least)
    with pytest.raises(DataError, match=message):
        map_scene([files.identity()], given, Outputs(tmp_path / "map.tif"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["dem.tif"]


@pytest.mark.parametrize("size", [(8, 12), (40, 16), (512, 1024)])
def test_blocks_of_any_size_make_the_same_map(tmp_path, monkeypatch, size):
    """Blocks in which nothing counts are read where a window reaches into them."""
    values = files.chances(*SIZE)
    values[:, 50:80, 20:50] = -9999
    image = files.write(tmp_path / "s.tif", values, names=NAMES, nodata=-9999)
    dem, _ = hillside(tmp_path)
    hidden = np.zeros(SIZE, "u1")
    hidden[:33, 50:] = 1
    mask = files.write(tmp_path / "m.tif", hidden[None])
    circle = shapely.Point(500_400, 4_599_600).buffer(353)
    area = polygons(tmp_path / "area.geojson", circle)

    def around(factors):
        return uniform_filter(np.abs(factors[..., 0]), (0, 5, 5)) / 90

    def mapped(name):
        outputs = Outputs(tmp_path / f"{name}.tif", tmp_path / f"{name}_p.tif")
        given = SceneFiles(
            (image,), dem=DemFiles(dem), min_slope=3.0,
            masks=MaskFiles(area, masks=(Mask(mask),)),
        )  # fmt: skip
        seen = files.of_factors(around, (files.SLOPE,))

        def predict(inputs):
            found = seen.predict(inputs)
            colours = uniform_filter(inputs["image"], (0, 5, 5, 0))
            return (found + colours) / (found + colours).sum(-1, keepdims=True)

        member = Member(predict, seen.metadata)
        map_scene([member], given, outputs, MapOptions(**SMALL))
        with rasterio.open(outputs.probabilities) as dataset:
            return dataset.read(1)

    monkeypatch.setattr(window_inputs, "_ROWS", SIZE[0])
    monkeypatch.setattr(window_inputs, "_COLUMNS", SIZE[1])
    expected = mapped("one")
    assert 0.1 < np.isfinite(expected).mean() < 0.5
    monkeypatch.setattr(window_inputs, "_ROWS", size[0])
    monkeypatch.setattr(window_inputs, "_COLUMNS", size[1])
    np.testing.assert_array_equal(mapped("other"), expected)

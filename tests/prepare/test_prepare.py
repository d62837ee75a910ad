"""From a user's files to a data set, a recipe and the next command."""

import dataclasses
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tensorflow_datasets as tfds
from rasterio.enums import ColorInterp

from landslide_tf.datasets.landslide_scenes.tiles import Tile, grid_tiles
from landslide_tf.errors import DataError
from landslide_tf.mapping import SceneFiles
from landslide_tf.mapping.scene import open_scene
from landslide_tf.prepare import (
    Inputs,
    Mask,
    MaskFiles,
    Options,
    pool,
    prepare,
    superpixel_patches,
)
from landslide_tf.prepare.plan import find_inputs, taken_of
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import Window
from landslide_tf.raster.labels import LabelOptions
from landslide_tf.raster.scene import make_scene
from landslide_tf.raster.scene_reader import SceneReader
from landslide_tf.raster.vector import Burner, read_shapes
from landslide_tf.terrain import DIHEDRAL, dihedral, dihedral_factors
from landslide_tf.train import load_recipe
from tests.datasets import scene_files as files
from tests.datasets.test_landslide_scenes_builder import RGB, read, scene_of
from tests.mapping import map_files

COLOURS = {"red": 1, "green": 2, "blue": 3}  # else NDVI is made of near infrared


def inputs(folder, **changes):
    given = {"image": "image.tif", "labels": "polygons.geojson", "dem": "dem.tif"}
    found = {name: folder / file for name, file in {**given, **changes}.items()}
    return Inputs(**(found | {"dem": DemFiles(found["dem"])}))


@pytest.fixture(scope="module")
def strip(tmp_path_factory):
    """A long scene with few landslides, red to near infrared."""
    folder = tmp_path_factory.mktemp("strip")
    files.write_scene(folder, size=(420, 72), bands=4)
    squares = [files.square(6, y, 16, y + 9) for y in range(10, 400, 60)]
    files.write_geojson(folder / "polygons.geojson", squares)
    return folder


def examples(prepared, split):
    builder = tfds.builder_from_directory(prepared.dataset)
    return list(tfds.as_numpy(builder.as_dataset(split=split)))


def test_a_set_of_other_files_or_options_is_replaced_when_told(strip, tmp_path):
    given, out, small = [inputs(strip)], tmp_path / "out", Options(tile=32)
    made = prepare(given, out, small)
    recipe = made.recipe.read_text()
    with pytest.raises(DataError, match=r"other inputs or options.*`--overwrite`"):
        prepare(given, out, Options(tile=36))
    made.recipe.write_text(recipe + "# mine\n")
    with pytest.raises(DataError, match="`--overwrite`"):
        prepare(given, out, small)
    assert made.recipe.read_text().endswith("# mine\n")
    again = prepare(given, out, small, overwrite=True)
    assert made.recipe.read_text() == recipe and again.counts == made.counts
    # Threads change nothing: it is the same command, and replaces its own result.
    made.dataset.joinpath("features.json").unlink()
    assert prepare(given, out, Options(tile=32, workers=1)).counts == made.counts
    assert made.dataset.joinpath("features.json").is_file()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"`notes\.txt` is there"):
        prepare(given, out, small, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"


def test_a_scene_becomes_a_data_set_and_a_recipe(strip, tmp_path):
    made = prepare([inputs(strip)], tmp_path / "out", Options(tile=32))
    assert sorted(p.name for p in made.folder.iterdir()) == [
        "ground", "landslide_scenes", "prepared.json", "recipe.yaml",
    ]  # fmt: skip
    builder = tfds.builder_from_directory(made.dataset)
    assert dict(made.counts) == {
        name: split.num_examples for name, split in builder.info.splits.items()
    }
    metadata = builder.info.metadata
    assert [b["name"] for b in metadata["bands"]] == [*RGB, "nir"]
    assert [f["name"] for f in metadata["factors"]] == ["slope", "aspect", "ndvi"]
    assert metadata["gsd"] == pytest.approx(10.0)
    assert metadata["classes"] == ["background", "landslide"]
    example = examples(made, "train")[0]
    assert example["image"].dtype == np.uint8 and example["image"].shape == (32, 32, 4)
    scene = scene_of(strip, bands=(*RGB, "nir"), factors=("slope", "aspect", "ndvi"))
    whole = read(scene)
    rows = slice(example["y0"], example["y0"] + 32)
    columns = slice(example["x0"], example["x0"] + 32)
    np.testing.assert_array_equal(example["image"], whole.image[rows, columns])
    np.testing.assert_array_equal(example["mask"][..., 0], whole.mask[rows, columns])
    np.testing.assert_allclose(
        example["factors"], whole.factors[rows, columns], rtol=1e-5, atol=1e-4
    )
    recipe = load_recipe(made.recipe)
    assert recipe.model.name == "fstf_net"
    assert recipe.data.factors == ["slope", "aspect", "ndvi"]
    assert made.train_command == (
        f"landslide-tf train {made.recipe} --data-dir {made.folder} --out runs/out"
    )


def test_masked_pixels_are_no_data_in_examples_and_shares(strip, tmp_path):
    """Clouds of cells of 20 m by value, and an area that leaves out the last third."""
    grid = scene_of(strip).grid
    clouds = np.random.default_rng(0).choice([4, 8, 9], (210, 36), p=[0.7, 0.2, 0.1])
    coarse = grid.transform @ rasterio.Affine.scale(2)
    mask = files.write(tmp_path / "scl.tif", clouds.astype(np.uint8), coarse)
    square = files.square(0, 0, 72, 280)
    area = files.write_geojson(tmp_path / "area.geojson", [square])
    masks = MaskFiles(area, masks=(Mask(str(mask), (8, 9)),))
    given = dataclasses.replace(inputs(strip), masks=masks)
    made = prepare([given], tmp_path / "out", Options(tile=16))
    hidden = (clouds != 4).repeat(2, 0).repeat(2, 1)
    outside = np.zeros(grid.shape, bool)
    outside[280:] = True
    whole = read(scene_of(strip, bands=(*RGB, "nir")))
    counts = np.zeros(2, int)
    for split in made.counts:
        for example in examples(made, split):
            place = (slice(example["y0"], None), slice(example["x0"], None))
            cut = (slice(16), slice(16))
            dark, beyond = hidden[place][cut], outside[place][cut]
            valid = whole.valid[place][cut] & ~dark & ~beyond
            np.testing.assert_array_equal(example["valid"][..., 0], valid)
            label = np.where(valid, whole.mask[place][cut], 255)
            np.testing.assert_array_equal(example["mask"][..., 0], label)
            image = np.where(dark[..., None], 0, whole.image[place][cut])
            np.testing.assert_array_equal(example["image"], image)
            assert valid.any()
            counts += np.bincount(label[valid], minlength=2) * (split == "test")
    shares = made.report["test"]["class_shares"]
    assert shares["landslide"] == pytest.approx(counts[1] / counts.sum())
    told = {"WITHIN": "area.geojson", "MASK": '["scl.tif:8,9"]'}
    (scene,) = made.report["masked"].values()
    assert scene == told and f"polygons `{area}`: layer `area`" in made.taken[1]


def test_the_ground_of_each_split_is_that_of_its_tiles(strip, tmp_path):
    made = prepare([inputs(strip)], tmp_path / "out", Options(tile=32, stride=16))
    grid = scene_of(strip).grid
    for split in ("train", "validation", "test"):
        tiles = np.zeros(grid.shape, bool)
        for example in examples(made, split):
            tiles[example["y0"] :, example["x0"] :][:32, :32] = True
        shapes = read_shapes(made.folder / "ground" / f"{split}.geojson", grid)
        ones = np.ones(len(shapes), np.uint8)
        burner = Burner(grid, shapes.geometries, ones, outside=0)
        inside = burner.read(Window(0, 0, *grid.shape))
        np.testing.assert_array_equal(inside == 1, tiles)


def test_the_registered_builder_finds_what_was_prepared(strip, tmp_path):
    made = prepare([inputs(strip)], tmp_path / "out", Options(tile=32))
    by_name = tfds.builder("landslide_scenes/prepared", data_dir=made.folder)
    from_folder = tfds.builder_from_directory(made.dataset)
    assert by_name.is_prepared()
    assert dict(by_name.info.metadata) == dict(from_folder.info.metadata)
    for one, two in zip(
        tfds.as_numpy(by_name.as_dataset(split="test")),
        tfds.as_numpy(from_folder.as_dataset(split="test")),
        strict=True,
    ):
        assert one.keys() == two.keys()
        np.testing.assert_array_equal(one["image"], two["image"])
    with pytest.raises(DataError, match="name its `--out` as `--data-dir`"):
        tfds.builder(
            "landslide_scenes/prepared", data_dir=tmp_path
        ).download_and_prepare()


def test_equal_arguments_give_equal_files(strip, tmp_path):
    options = Options(tile=32, patches="superpixels", sampling="mus2", seed=3)
    one, two = (
        prepare([inputs(strip)], tmp_path / name, options) for name in ("a", "b")
    )
    for path in sorted(one.dataset.glob("*.tfrecord*")):
        assert path.read_bytes() == (two.dataset / path.name).read_bytes()
    assert one.recipe.read_text() == two.recipe.read_text()


@pytest.mark.integration
@pytest.mark.parametrize("cutting", ["grid", "superpixels"])
def test_sampling_evens_out_classes_of_training_only(strip, tmp_path, cutting):
    shares, counts = {}, {}
    # A superpixel takes the class of most of its pixels.
    squares = [files.square(4, y, 34, y + 30) for y in range(10, 400, 70)]
    large = files.write_geojson(tmp_path / "large.geojson", squares)
    for method in ("original", "mus1", "mus2"):
        options = Options(tile=32, stride=16, patches=cutting, sampling=method)
        made = prepare([inputs(strip, labels=large)], tmp_path / method, options)
        counts[method] = made.counts
        report = made.report["train"]
        shares[method] = report["class_shares"]["landslide"]
        drawn = examples(made, "train")
        turned = {e["id"].decode().count("_") for e in drawn}
        assert (turned == {2}) == (method == "original")
        # Training draws landslides more often only where few tiles show one.
        few = np.mean([np.any(e["mask"] == 1) for e in drawn]) < 0.5
        fraction = load_recipe(made.recipe).training.positive_fraction
        assert fraction == (0.5 if few else None)
    assert shares["original"] < shares["mus1"] <= shares["mus2"] * 1.0001
    for split in ("validation", "test"):
        assert len({count[split] for count in counts.values()}) == 1


def test_turned_examples_are_turned_as_a_whole(strip, tmp_path):
    options = Options(tile=32, stride=16, sampling="mus1")
    made = prepare([inputs(strip)], tmp_path / "out", options)
    names = ("slope", "aspect", "ndvi")
    whole = read(scene_of(strip, factors=names))
    seen = set()
    for example in examples(made, "train"):
        turn = example["id"].decode().split("_", 3)[3:]
        turn = turn[0] if turn else "identity"
        seen.add(turn)
        place = (slice(example["y0"], example["y0"] + 32),
                 slice(example["x0"], example["x0"] + 32))  # fmt: skip
        image = dihedral(whole.image[place], turn)
        np.testing.assert_array_equal(example["image"][..., :3], image)
        factors = dihedral_factors(whole.factors[place], names, turn)
        np.testing.assert_allclose(example["factors"], factors, rtol=1e-4, atol=1e-3)
    assert len(seen) > 2 and seen <= set(DIHEDRAL)


def test_no_ground_is_shared_between_splits(strip, tmp_path):
    options = Options(tile=32, stride=8, patches="superpixels")
    made = prepare([inputs(strip)], tmp_path / "out", options)
    places = {
        split: [(int(e["y0"]), int(e["x0"])) for e in examples(made, split)]
        for split in made.counts
    }
    for a, b in (("train", "test"), ("train", "validation"), ("validation", "test")):
        apart = min(
            max(abs(r - s), abs(c - d)) for r, c in places[a] for s, d in places[b]
        )
        assert apart >= 64


def test_scenes_of_more_than_8_bits_are_scaled_by_the_recipe(strip, tmp_path):
    image = files.picture(420, 72, 3, dtype=np.uint16, top=3000)
    path = files.write(tmp_path / "wide.tif", image)
    made = prepare([Inputs(path, strip / "polygons.geojson")], tmp_path / "out",
                   Options(tile=32))  # fmt: skip
    assert examples(made, "test")[0]["image"].dtype == np.uint16
    recipe = load_recipe(made.recipe)
    assert recipe.model.name == "unet" and recipe.data.factors == []
    assert 0.06 < recipe.data.image_scale < 0.13


def test_the_recipe_starts_from_imagenet_where_it_is_installed(
    strip, tmp_path, with_imagenet
):
    scene = Inputs(strip / "image.tif", strip / "polygons.geojson")
    made = prepare([scene], tmp_path / "colours", Options(COLOURS, tile=32))
    recipe, tiles = load_recipe(made.recipe), made.counts["train"]
    assert made.advice is None
    assert recipe.model.name == "unet" and recipe.model.stem is None
    arguments = recipe.model.arguments
    assert arguments["backbone"] == "efficientnet_lite0"
    assert arguments["backbone_weights"] == "imagenet"
    assert "normalization" not in arguments  # the encoder's own
    assert recipe.loss.name == "cross_entropy_dice"
    assert recipe.loss.class_weights is None
    # Few tiles are drawn often enough.
    assert recipe.training.steps == max(16, -(-tiles // 4))
    assert recipe.decision.threshold and recipe.training.monitor == "val_loss"
    assert recipe.training.positive_fraction in (None, 0.5)
    assert recipe.training.patch == 32 and recipe.augmentation.factor_jitter == 0
    with_terrain = prepare([inputs(strip)], tmp_path / "terrain", Options(tile=32))
    recipe = load_recipe(with_terrain.recipe)
    assert recipe.model.name == "fstf_net"
    assert recipe.data.factors == ["slope", "aspect", "ndvi"]
    assert recipe.augmentation.factor_jitter > 0
    infrared = Options({"nir": 4, "green": 2}, tile=32)
    recipe = load_recipe(prepare([scene], tmp_path / "two", infrared).recipe)
    assert recipe.model.stem == "repeat" and recipe.augmentation.brightness > 0
    infrared = Options({"nir": 4}, tile=32)
    recipe = load_recipe(prepare([scene], tmp_path / "one", infrared).recipe)
    assert recipe.augmentation.brightness == recipe.augmentation.contrast == 0


def test_the_recipe_starts_from_scratch_where_nothing_is_installed(
    strip, tmp_path, without_imagenet
):
    scene = Inputs(strip / "image.tif", strip / "polygons.geojson")
    made = prepare([scene], tmp_path / "out", Options(COLOURS, tile=32))
    assert "landslide_tf[imagenet]" in made.advice and "\n" not in made.advice
    recipe = load_recipe(made.recipe)
    assert recipe.model.arguments == {
        "backbone": "efficientnet_lite0", "decoder_width": 0.25, "dropout": 0.1,
    }  # fmt: skip
    assert "ImageNet" not in recipe.description
    # Own statistics bring other bands to mean 0 and variance 1; nothing else changes.
    made = prepare(
        [scene], tmp_path / "two", Options({"swir1": 4, "green": 2}, tile=32)
    )
    other = load_recipe(made.recipe)
    assert other.model.stem is None
    mean, deviation, scale = other.model.arguments["normalization"]
    tiles = examples(made, "train")
    pixels = np.concatenate([e["image"][e["valid"][..., 0]] for e in tiles]) / scale
    brought = (pixels - mean) / deviation
    np.testing.assert_allclose(brought.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(brought.std(axis=0), 1, atol=0.1)
    assert other.training == recipe.training and other.loss == recipe.loss


def test_several_scenes_share_one_dem_and_keep_their_names(tmp_path):
    files.write_scenes(tmp_path, count=6)
    dem = files.write(tmp_path / "all.tif", files.hills(80, 760), files.place(-8, -8))
    options = Options(tile=32)
    made = prepare(
        [inputs(tmp_path / f"s{k}", dem="../all.tif") for k in range(6)],
        tmp_path / "out", options,
    )  # fmt: skip
    assert dem.exists()
    assert made.report["scenes"] == [f"s{k}" for k in range(6)]
    assert dict(made.counts) == {"train": 16, "validation": 4, "test": 4}


def test_the_bands_that_are_taken_are_named(tmp_path):
    """GDAL takes a fourth band of bytes without a name for transparency."""
    files.write_scene(tmp_path, size=(40, 40), bands=4)
    with rasterio.open(tmp_path / "image.tif", "r+") as dataset:
        dataset.colorinterp = [ColorInterp[name] for name in (*RGB, "alpha")]
    found = find_inputs([inputs(tmp_path)], Options(tile=16))
    assert taken_of(found)[-1] == (
        "bands: red=1, green=2, blue=3; factors: slope, aspect; band 4 is read as "
        "transparency (alpha): if it is near infrared, give "
        "`--bands red=1,green=2,blue=3,nir=4`"
    )


def test_a_scene_of_an_empty_inventory_shows_background(tmp_path):
    files.write_scenes(tmp_path, count=6)
    empty = '{"type": "FeatureCollection", "features": []}'
    (tmp_path / "s2" / "polygons.geojson").write_text(empty)
    (tmp_path / "empty.geojson").write_text(empty)
    given = [inputs(tmp_path / f"s{k}", points="../empty.geojson") for k in range(6)]
    made = prepare(given, tmp_path / "out", Options(tile=32))
    assert f"points `{given[0].points}`: layer `empty`, which is empty" in made.taken
    seen = [
        example
        for split in ("train", "validation", "test")
        for example in examples(made, split)
        if example["scene"] == b"s2"
    ]
    assert len(seen) == 4
    for example in seen:
        assert (example["mask"][example["valid"]] == 0).all()


def test_the_size_of_tiles_that_fits_is_named(tmp_path):
    """The size of a real scene at the default tile: neither three zones nor a gap."""
    files.write_scene(tmp_path, size=(310, 287))
    with pytest.raises(DataError, match=r"none is left .* `--tile 56` fits\.$"):
        prepare([inputs(tmp_path)], tmp_path / "out")
    made = prepare([inputs(tmp_path)], tmp_path / "out", Options(tile=56))
    assert min(made.counts.values()) > 0
    # One landslide is in one place, whatever the size of tiles.
    single = [files.square(4, 4, 9, 9)]
    files.write_geojson(tmp_path / "polygons.geojson", single)
    with (
        warnings.catch_warnings(),
        pytest.raises(DataError, match=r"give more scenes\.$|label more\.$"),
    ):
        warnings.simplefilter("ignore")
        prepare([inputs(tmp_path)], tmp_path / "two", Options(tile=200))


def test_points_guide_where_training_tiles_lie(strip, tmp_path):
    features = [
        {
            "type": "Feature", "properties": {},
            "geometry": {"type": "Point", "coordinates": [500000 + 10 * x,
                                                          5000000 - 10 * y]},
        }
        for x, y in ((11, 374), (60, 390), (900, 374))
    ]  # fmt: skip
    path = files.write_geojson(tmp_path / "points.geojson", features)
    plain = prepare([inputs(strip)], tmp_path / "plain", Options(tile=32))
    guided = prepare(
        [inputs(strip, points=path)], tmp_path / "guided", Options(tile=32)
    )
    ids = [{e["id"] for e in examples(made, "train")} for made in (plain, guided)]
    added = {name.decode().split("_", 1)[1] for name in ids[1] - ids[0]}
    inside = {"00358_00000", "00374_00040"}
    # The third point lies outside of the scene; those of other zones are not used.
    assert added and added <= inside


def test_small_blocks_give_true_fractions_inside_of_them(strip, monkeypatch):
    monkeypatch.setattr(pool, "BLOCK", 100)
    scene = scene_of(strip, dem=None)
    whole = read(scene)
    windows = list(pool.blocks(scene, 32))
    assert [w.row for w in windows] == [0, 100, 200, 300]
    assert windows[-1].height == 120  # the last 20 rows are no block of their own
    patches = pool.superpixel_pool(scene, 32, 2)
    assert len(patches) > 40
    for patch in patches:
        mask = whole.mask[patch.window]
        shares = [(mask == k).mean() for k in (0, 1)]
        np.testing.assert_allclose(patch.fractions, shares)
        block = min(patch.row // 100, 3)
        end = windows[block].row + windows[block].height
        assert patch.row + 32 <= end
    monkeypatch.setattr(pool, "BLOCK", 2048)
    expected = superpixel_patches("s", whole.image, whole.mask, 2, size=32)
    assert pool.superpixel_pool(scene, 32, 2) == expected


def test_the_class_of_a_tile_is_what_it_shows_more_than_others(strip):
    tiles = [
        Tile("s", 0, 0, 10, counts=(100, 0)),
        Tile("s", 10, 0, 10, counts=(90, 10)),
        Tile("s", 20, 0, 10, counts=(0, 0)),
    ]
    patches = pool.patches_of(tiles)
    assert [p.label for p in patches] == [0, 1]
    assert patches[1].fractions == (0.9, 0.1)


def test_labels_of_other_kinds(strip, tmp_path):
    scene = scene_of(strip, dem=None)
    mask = read(scene).mask
    raster = files.write(tmp_path / "labels.tif", mask)
    shapes = [
        ("landslide", "polygon", [[6, y], [16, y], [16, y + 9], [6, y + 9]])
        for y in range(10, 400, 60)
    ]
    labelme = files.write_labelme(tmp_path / "labels.json", (420, 72), shapes)
    image = strip / "image.tif"
    results = [
        prepare([Inputs(image, path)], tmp_path / f"out{k}", Options(tile=32))
        for k, path in enumerate((strip / "polygons.geojson", raster, labelme))
    ]
    for made in results[1:]:
        assert dict(made.counts) == dict(results[0].counts)
        for path in sorted(made.dataset.glob("*.tfrecord*")):
            assert path.read_bytes() == (results[0].dataset / path.name).read_bytes()


@pytest.mark.parametrize(("name", "called"), [("scar", "scar"), ("landslide", None)])
def test_more_classes_than_two(strip, tmp_path, name, called):
    features = [
        files.square(6, y, 16, y + 9, **{"class": text})
        for text, shift in ((name, 0), ("forest", 20))
        for y in range(10 + shift, 400, 60)
    ]
    path = files.write_geojson(tmp_path / "labels.geojson", features)
    labels = LabelOptions(("background", "landslide", "forest"), positive=(name,))
    made = prepare(
        [Inputs(strip / "image.tif", path)], tmp_path / "out",
        Options(tile=32, labels=labels, gsd=20 / 2),
    )  # fmt: skip
    metadata = tfds.builder_from_directory(made.dataset).info.metadata
    assert metadata["classes"] == ["background", "landslide", "forest"]
    assert metadata["landslide_class"] == 1
    assert metadata.get("landslide_name") == called
    shares = made.report["train"]["class_shares"]
    assert 0 < shares["landslide"] < 0.3 and 0 < shares["forest"] < 0.3


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"image": "no.tif"}, {}, "image `"),
        ({"labels": "no.geojson"}, {}, "do not exist"),
        ({"dem": "no.tif"}, {}, "DEM `"),
        ({}, {"tile": 100}, "tiles of at most 72 pixels"),
        ({}, {"tile": 32, "stride": 33}, "`stride` from 1 to the tile's 32"),
        ({}, {"patches": "superpixel"}, "`superpixels`"),
        ({}, {"sampling": "mus3"}, "`mus2`"),
        ({}, {"gsd": -1.0}, "`gsd` above 0"),
        (
            {},
            {"bands": {"red": 9, "green": 1, "blue": 2}},
            "`red` is not found as `9` among",
        ),
        ({"points": "polygons.geojson"}, {}, "must hold points"),
    ],
)
def test_what_does_not_fit_is_refused(strip, tmp_path, changes, options, words):
    out = tmp_path / "out"
    with pytest.raises(DataError) as caught:
        prepare([inputs(strip, **changes)], out, Options(**options))
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_label_options_that_contradict_each_other():
    with pytest.raises(DataError, match="`landslide` among them"):
        LabelOptions(("background", "scar"))
    with pytest.raises(DataError, match="`outside` cannot be `nothing`"):
        LabelOptions(outside="nothing")
    with pytest.raises(DataError, match="beyond all polygons need a class"):
        LabelOptions(("landslide", "forest"))


@pytest.mark.parametrize(
    ("positive", "words"),
    [((), "landslides among the"), (("scar",), "polygons of `scar` among the")],
)
def test_scenes_without_landslides(strip, tmp_path, positive, words):
    (name,) = positive or ("landslide",)
    path = files.write_geojson(
        tmp_path / "labels.geojson", [files.square(6, 200, 10, 204, **{"class": name})]
    )
    options = Options(tile=32, labels=LabelOptions(positive=positive))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((DataError, UserWarning), match=words):
            prepare([Inputs(strip / "image.tif", path)], tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_masks_of_0_and_255(strip, tmp_path):
    """255 is the landslide where that is said; a file that tags it has none."""
    mask = (read(scene_of(strip, dem=None)).mask == 1).astype(np.uint8)
    right = files.write(tmp_path / "right.tif", mask)
    wrong = files.write(tmp_path / "wrong.tif", mask * np.uint8(255))
    out, image = tmp_path / "out", strip / "image.tif"
    with pytest.raises(DataError, match=r"only 0 and 255 .* `--positive 255`"):
        prepare([Inputs(image, wrong)], out, Options(tile=32))
    tagged = files.write(tmp_path / "tagged.tif", mask * np.uint8(255), nodata=255)
    with pytest.raises(DataError, match="in any tile: check what the labels hold"):
        prepare([Inputs(image, tagged)], out, Options(tile=32))
    assert not out.exists()
    positive = Options(tile=32, labels=LabelOptions(positive=("255",)))
    made = prepare([Inputs(image, wrong)], out, positive)
    expected = prepare([Inputs(image, right)], tmp_path / "other", Options(tile=32))
    for path in sorted(made.dataset.glob("*.tfrecord*")):
        assert path.read_bytes() == (expected.dataset / path.name).read_bytes()


def tagged(folder, scale=1e-4, offset=-0.1):
    """A scene of reflectances, as numbers of which files tag scale and offset."""
    files.write_scene(folder, size=(420, 72))
    with rasterio.open(folder / "image.tif") as dataset:
        stored, place = dataset.read().astype(np.uint16), dataset.transform
    path = files.write(folder / "image.tif", 1000 + stored * 20, place)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (scale,) * 3, (offset,) * 3
    return inputs(folder)


def test_values_are_what_the_tags_of_files_make_of_them(tmp_path):
    """In the examples as in a map of the same scene."""
    given = tagged(tmp_path / "scene")
    made = prepare([given], tmp_path / "out", Options(tile=32))
    builder = tfds.builder_from_directory(made.dataset)
    bands = builder.info.metadata["bands"]
    assert {band["unit"] for band in bands} == {"calibrated"}
    factor = load_recipe(made.recipe).data.image_scale
    metadata = map_files.metadata(
        inputs=[
            {
                "name": band["name"], "unit": band["unit"], "scale": factor,
                "range": [end * factor for end in band["range"]],
            }
            for band in bands
        ]
    )  # fmt: skip
    scene = open_scene(SceneFiles((str(given.image),)), metadata)
    with rasterio.open(given.image) as dataset:
        values = np.moveaxis(dataset.read() * 1e-4 - 0.1, 0, -1)
    examples = list(tfds.as_numpy(builder.as_dataset(split="train")))
    with SceneReader(scene.scene) as reader:
        for example in examples[:3]:
            row, column = example["y0"], example["x0"]
            expected = values[row : row + 32, column : column + 32]
            np.testing.assert_allclose(example["image"], expected, rtol=1e-6)
            pixels = reader.read(Window(row, column, 32, 32))
            mapped = scene.inputs(pixels.image, pixels.factors)["image"]
            np.testing.assert_allclose(mapped, example["image"] * factor, rtol=1e-6)
    assert examples[0]["image"].max() > 0


def test_one_bright_spot_does_not_keep_the_recipe_from_training(tmp_path):
    """Its values times the scale stay within what the networks' constants allow."""
    given = tagged(tmp_path / "scene")
    with rasterio.open(given.image, "r+") as dataset:
        stored = dataset.read()
        stored[1, 30:34, 30:34] = 40_000
        dataset.write(stored)
    made = prepare([given], tmp_path / "out", Options(tile=32))
    factor = load_recipe(made.recipe).data.image_scale
    assert (40_000 * 1e-4 - 0.1) * factor == pytest.approx(500, rel=1e-3)


def test_images_without_tags_beside_others_are_told(tmp_path):
    plain = files.write_scene(tmp_path / "plain", size=(420, 72))
    given = [tagged(tmp_path / "scene", 1e-4), inputs(plain)]
    with pytest.warns(
        UserWarning, match="`scene` tag scale or offset and .* `plain` do"
    ):
        found = find_inputs(given, Options())
    assert found["scene"][0].calibrated and not found["plain"][0].calibrated
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # other tags than the first
        find_inputs([given[0], tagged(tmp_path / "other", 2e-4, 0)], Options())


def test_an_own_folder_is_not_overwritten(strip, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="new or an empty folder"):
        prepare([inputs(strip)], tmp_path, Options(tile=32))
    assert [p.name for p in Path(tmp_path).iterdir()] == ["mine.txt"]


def test_the_grid_of_tiles_is_counted(strip):
    scene = make_scene(
        "s", strip / "image.tif", bands=RGB, factors=(),
        labels=strip / "polygons.geojson",
    )  # fmt: skip
    mask = read(scene).mask
    tiles = grid_tiles(scene, 32, 32, 2, workers=3)
    assert len(tiles) == 14 * 3
    for tile in tiles:
        part = mask[tile.row : tile.row + 32, tile.column : tile.column + 32]
        assert tile.counts == ((part == 0).sum(), (part == 1).sum())
    assert json.dumps(tiles[0].counts)  # plain numbers

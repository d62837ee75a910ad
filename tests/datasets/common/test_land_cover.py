"""The builders of mangkam and jiuzhaigou, on folders written by a script."""

import shutil
import sys
from typing import ClassVar

import numpy as np
import pytest
import rasterio
import tensorflow_datasets as tfds
from rasterio import Affine

from landslide_tf.datasets import jiuzhaigou, mangkam
from landslide_tf.datasets.common.info import LAND_COVER
from landslide_tf.datasets.common.land_cover_files import COLOURS
from landslide_tf.datasets.common.reading import from_colours
from landslide_tf.datasets.common.splits import SharedGroundWarning
from landslide_tf.errors import DataError
from landslide_tf.terrain import Grid, factors_on_grid
from tests.benchmarks import land_cover_scenes
from tests.contracts import dataset_builder
from tests.datasets import scene_files as files
from tests.datasets.building import drawn
from tests.datasets.land_cover_pairs import land_cover, write_pairs


class MangkamTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = mangkam.Builder
    CONFIG = "pairs"
    # A fifth and a tenth of six, rounded half up.
    SPLITS: ClassVar = {"train": 4, "validation": 1, "test": 1}

    @classmethod
    def write_dummy_data(cls, folder):
        write_pairs(folder / "mangkam")


class JiuzhaigouTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = jiuzhaigou.Builder
    CONFIG = "binary"
    SPLITS: ClassVar = {"train": 2, "validation": 1, "test": 1}

    @classmethod
    def write_dummy_data(cls, folder):
        write_pairs(folder, 4, split=True, polygons=True)


def build(builder_class, manual, tmp_path, config="pairs"):
    builder = builder_class(data_dir=tmp_path / "data", config=config)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual)
    )
    return builder


def examples(builder):
    return {
        e["id"].decode(): e
        for split in builder.info.splits
        for e in tfds.as_numpy(builder.as_dataset(split=split))
    }


def test_pairs_hold_what_their_files_hold(tmp_path):
    manual = tmp_path / "manual"
    write_pairs(manual, 4, split=True)
    found = examples(build(mangkam.Builder, manual, tmp_path))
    for k in range(4):
        example = found[f"wv3-{k}"]
        with rasterio.open(manual / "images" / f"wv3-{k}.tif") as dataset:
            image, grid = dataset.read(), Grid.of(dataset)
        np.testing.assert_array_equal(example["image"], np.moveaxis(image, 0, -1))
        # Every second label is drawn in colours.
        np.testing.assert_array_equal(example["mask"][..., 0], land_cover(*grid.shape))
        terrain = factors_on_grid(manual / "dem" / f"wv3-{k}.tif", grid)
        np.testing.assert_allclose(
            example["factors"][..., :2], terrain.values, rtol=1e-5, atol=1e-4
        )
        assert np.abs(example["factors"][..., 2]).max() <= 1
        assert example["satellite"] == b"WorldView-3"
        assert example["resolution_m"] == np.float32(0.3)


def test_labels_may_be_pictures_without_a_place(tmp_path):
    manual = tmp_path / "manual"
    write_pairs(manual, 3, split=True, labels="png")
    builder = build(jiuzhaigou.Builder, manual, tmp_path, "binary")
    assert builder.info.metadata["classes"] == ["background", "landslide"]
    mask = examples(builder)["wv3-0"]["mask"][..., 0]
    cover = land_cover(40, 48)
    np.testing.assert_array_equal(mask == 1, cover == 0)
    np.testing.assert_array_equal(mask == 255, cover == 255)


def test_slope_and_aspect_of_ones_own_are_taken(tmp_path):
    manual = tmp_path / "manual"
    write_pairs(manual, 4, split=True)
    slope = np.full((40, 48), 12.5, np.float32)
    aspect = np.tile(np.array([359.0, 1.0], np.float32), (40, 24))
    for kind, values in (("slope", slope), ("aspect", aspect)):
        files.write(manual / kind / "wv3-0.tif", values)
    (manual / "dem" / "wv3-0.tif").unlink()
    with rasterio.open(manual / "slope" / "wv3-0.tif", "r+") as dataset:
        dataset.scales, dataset.offsets = (0.5,), (3.0,)
    example = examples(build(mangkam.Builder, manual, tmp_path))["wv3-0"]
    np.testing.assert_array_equal(example["factors"][..., 0], slope * 0.5 + 3)
    np.testing.assert_array_equal(example["factors"][..., 1], aspect)


def test_aspect_on_another_grid_keeps_its_directions(tmp_path):
    manual = tmp_path / "manual"
    write_pairs(manual, 4, split=True)
    aspect = np.tile(np.array([359.0, 1.0], np.float32), (40, 24))
    files.write(manual / "aspect" / "wv3-0.tif", aspect, files.place(0, 0, 20.0))
    example = examples(build(mangkam.Builder, manual, tmp_path))["wv3-0"]
    assert set(np.unique(example["factors"][..., 1])) == {1.0, 359.0}


def test_one_scene_of_polygons_is_all_test_and_background_beyond(tmp_path):
    manual = tmp_path / "manual"
    write_pairs(manual, 1, polygons=True)
    builder = tfds.builder("jiuzhaigou", data_dir=tmp_path / "data")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual)
    )
    assert {s: i.num_examples for s, i in builder.info.splits.items()} == {"test": 1}
    assert builder.info.metadata["classes"] == ["background", "landslide"]
    expected = np.full((40, 48), 255, np.uint8)
    expected[5:15, 5:25] = 0
    mask = examples(builder)["wv3-0"]["mask"]
    np.testing.assert_array_equal(mask[..., 0], expected == 0)
    with pytest.raises(DataError, match="build `jiuzhaigou/binary`"):
        build(jiuzhaigou.Builder, manual, tmp_path)
    bare = jiuzhaigou.Config(name="bare", description="For tests.", background="bare")
    mask = examples(build(jiuzhaigou.Builder, manual, tmp_path, bare))["wv3-0"]["mask"]
    expected[expected == 255] = LAND_COVER.index("bare")
    np.testing.assert_array_equal(mask[..., 0], expected)
    with pytest.raises(DataError, match="`background` cannot be `bear`"):
        jiuzhaigou.Config(name="x", background="bear")


def test_the_split_of_the_table_is_kept_and_checked(tmp_path):
    manual = tmp_path / "manual"
    write_pairs(manual, 4, split=True)
    for kind in ("images", "dem", "ndvi", "labels"):
        shutil.copy(manual / kind / "wv3-0.tif", manual / kind / "again.tif")
    with (manual / "pairs.csv").open("a") as table:
        table.write("again,WorldView-3,2018-01,0.3,train\n")
    (manual / "images" / "spare.tif").write_bytes(b"")
    with pytest.warns(SharedGroundWarning, match=r"again.*wv3-0"):
        builder = build(mangkam.Builder, manual, tmp_path)
    report = builder.info.metadata["files"]
    assert report["images_not_in_table"] == ["spare"]
    assert report["train"]["pairs"] == 3 and report["test"]["pairs"] == 1
    shares = report["test"]["class_shares"]
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) == set(LAND_COVER)


def test_pairs_of_one_place_stay_together_in_the_split_by_hash(tmp_path):
    manual = tmp_path / "manual"
    write_pairs(manual, 10)
    for kind in ("images", "dem", "ndvi", "labels"):
        for k in range(10):
            shutil.copy(manual / kind / f"wv3-{k}.tif", manual / kind / f"bj2-{k}.tif")
    with (manual / "pairs.csv").open("a") as table:
        table.writelines(f"bj2-{k},Beijing-2,2018-01,0.8\n" for k in range(10))
    builder = build(mangkam.Builder, manual, tmp_path)
    places = [
        {e["id"][4:] for e in tfds.as_numpy(builder.as_dataset(split=split))}
        for split in ("train", "validation", "test")
    ]
    assert sum(map(len, places)) == 10
    assert builder.info.splits["test"].num_examples == 4


def test_colours_become_classes():
    mask = land_cover(5, 50)
    picture = drawn(mask, COLOURS)
    assert tuple(picture[0, 0]) == (230, 0, 0)
    np.testing.assert_array_equal(from_colours(picture, COLOURS, "x.tif"), mask)
    picture[2, 3] = (229, 0, 0)
    with pytest.raises(DataError, match=r"x.tif.*1 pixel of.*\(229, 0, 0\)"):
        from_colours(picture, COLOURS, "x.tif")
    near = from_colours(picture, COLOURS, "x.tif", tolerated=0.01)
    np.testing.assert_array_equal(near, mask)


def broken(manual, fault):
    """Breaks a folder and returns words that the error must hold."""
    image, table = manual / "images" / "wv3-1.tif", manual / "pairs.csv"
    label = manual / "labels" / "wv3-1.tif"
    place = files.place(200)
    if fault in ("images", "labels", "ndvi", "dem"):
        (manual / fault / "wv3-1.tif").unlink()
        return f"Pair `wv3-1` must have `{manual / fault / 'wv3-1.tif'}`"
    if fault == "truncated image":
        image.write_bytes(image.read_bytes()[:4000])
        return "wv3-1.tif"
    if fault == "16 bit":
        files.write(image, files.picture(44, 48, dtype=np.uint16, top=999), place)
        return "of 8 bits, received uint16"
    if fault == "one band":
        files.write(image, files.picture(44, 48, 1), place)
        return "wv3-1.tif` must have a band 3"
    if fault == "no CRS":
        files.write(image, files.picture(44, 48), crs=None)
        return "wv3-1.tif` must have a coordinate reference system"
    if fault == "unknown colour":
        files.write(label, np.full((3, 44, 48), 9, np.uint8), place)
        return "wv3-1.tif` must hold the colours"
    if fault == "unknown class":
        files.write(label, np.full((44, 48), 6, np.uint8), place)
        return "class numbers from 0 to 5 or 255, received 6"
    if fault == "label of another size":
        label.unlink()
        files.write_png(label.with_suffix(".png"), np.zeros((9, 9), np.uint8))
        return "wv3-1.png` must have a coordinate system or the image's (44, 48)"
    if fault == "DEM elsewhere":
        dem = manual / "dem" / "wv3-1.tif"
        files.write(dem, files.hills(40, 40), files.place(9000))
        return "wv3-1.tif` must overlap the image"
    text = table.read_text()
    if fault == "no table":
        table.unlink()
        return "expects `pairs.csv`"
    if fault == "columns":
        table.write_text(text.replace("date", "day"))
        return "pairs.csv` must have the columns"
    if fault == "twice":
        table.write_text(text + text.splitlines()[1])
        return "received `wv3-0` again"
    if fault == "resolution":
        table.write_text(text.replace("0.3", "fine", 1))
        return "`resolution_m` in metres, received `fine`"
    if fault == "split":
        table.write_text(text.replace(",val", ",valid"))
        return "received `valid` for `wv3-1`"
    table.write_text(text.replace(",val", ",test"))
    return "none goes to validation"


@pytest.mark.parametrize(
    "fault",
    [
        "images", "labels", "ndvi", "dem", "truncated image", "16 bit", "one band",
        "no CRS", "unknown colour", "unknown class", "label of another size",
        "DEM elsewhere", "no table", "columns", "twice", "resolution", "split",
        "no validation",
    ],
)  # fmt: skip
def test_bad_files_are_named_and_nothing_is_built(tmp_path, fault):
    manual = tmp_path / "manual"
    write_pairs(manual, 3, split=True)
    words = broken(manual, fault)
    with pytest.raises(DataError) as caught:
        build(mangkam.Builder, manual, tmp_path)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not list((tmp_path / "data").glob("mangkam/pairs/[!.]*"))


def test_training_patches_are_cut_around_superpixels_and_sampled(tmp_path):
    manual = tmp_path / "manual"
    write_pairs(manual, 4, split=True)
    config = mangkam.Config(name="small", description="For tests.", patch=16)
    builder = build(mangkam.Builder, manual, tmp_path, config)
    whole = examples(build(mangkam.Builder, manual, tmp_path))
    found = list(tfds.as_numpy(builder.as_dataset(split="train")))
    assert builder.info.metadata["files"]["train"] == {
        **builder.info.metadata["files"]["train"], "pairs": 2, "patches": len(found),
    }  # fmt: skip
    assert len({e["id"] for e in found}) == len(found) > 20
    turned, counts = 0, np.zeros(6)
    for example in found:
        name, *place = example["id"].decode().split("_", 3)
        pair = whole[name]
        # Where each pixel of the patch lies in its pair, by the georeference alone.
        rows, columns = np.mgrid[:16, :16] + 0.5
        x, y = Affine(*example["transform"]) @ (columns, rows)
        columns, rows = ~Affine(*pair["transform"]) @ (x, y)
        rows, columns = np.floor(rows).astype(int), np.floor(columns).astype(int)
        assert (rows.min(), columns.min()) == (int(place[0]), int(place[1]))
        for key in ("image", "mask"):
            np.testing.assert_array_equal(example[key], pair[key][rows, columns])
        np.testing.assert_array_equal(
            example["factors"][..., [0, 2]], pair["factors"][rows, columns][..., [0, 2]]
        )
        turned += len(place) == 3
        counts += np.bincount(example["mask"].ravel(), minlength=256)[:6]
    assert turned and counts.max() <= 10 * counts.min()
    for split in ("validation", "test"):
        (example,) = tfds.as_numpy(builder.as_dataset(split=split))
        assert example["image"].shape == whole[example["id"].decode()]["image"].shape


def test_generated_scenes_have_both_layouts(tmp_path, monkeypatch):
    manual = tmp_path / "manual"
    sizes = ("--size", "128", "--mangkam", "5", "--jiuzhaigou", "6")
    monkeypatch.setattr(sys, "argv", ["scenes", "--out", str(manual), *sizes])
    land_cover_scenes.main()
    source = build(mangkam.Builder, manual, tmp_path)
    counts = {name: split.num_examples for name, split in source.info.splits.items()}
    assert counts == {"train": 3, "validation": 1, "test": 1}
    polygons = examples(build(jiuzhaigou.Builder, manual, tmp_path, "binary"))
    labelled = examples(build(jiuzhaigou.Builder, manual / "labelled", tmp_path))
    assert len(polygons) == 2 and len(labelled) == 6
    slopes = []
    for name, example in polygons.items():
        other = labelled[name]
        np.testing.assert_array_equal(example["image"], other["image"])
        np.testing.assert_array_equal(example["factors"], other["factors"])
        # 0 is landslide among six classes, 1 among two.
        np.testing.assert_array_equal(example["mask"] == 1, other["mask"] == 0)
        slopes += example["factors"][..., 0][example["mask"][..., 0] == 1].tolist()
    assert np.median(slopes) > 20

"""The builder of mmls, on folders written by a script."""

import shutil
import zipfile
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tifffile
from etils import epath

from landslide_tf.datasets import IncompleteDataWarning, find_manual, mmls
from landslide_tf.datasets.common.splits import SPLITS
from landslide_tf.datasets.common.tile_grid import near
from landslide_tf.datasets.mmls import mmls_dataset_builder as module
from landslide_tf.datasets.mmls import rasters
from landslide_tf.errors import DataError
from tests.contracts import dataset_builder
from tests.datasets import mmls_files

pytestmark = pytest.mark.filterwarnings(
    # The dummy folders hold a few tiles only; the test that counts them asks for it.
    "ignore::landslide_tf.datasets.IncompleteDataWarning"
)


class PublishedTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = mmls.Builder
    CONFIG = "published"
    SPLITS: ClassVar = {"train": 5, "validation": 2, "test": 3}

    @classmethod
    def write_dummy_data(cls, folder):
        mmls_files.write_mmls(folder / "mmls" / "dataset")


class CleanTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = mmls.Builder
    CONFIG = "clean"
    SPLITS: ClassVar = {"train": 3, "validation": 2, "test": 3}

    @classmethod
    def write_dummy_data(cls, folder):
        mmls_files.write_mmls(folder / "dataset")


@pytest.fixture
def manual(tmp_path):
    folder = tmp_path / "manual"
    mmls_files.write_mmls(folder / "mmls" / "dataset")
    return folder


def build(manual, tmp_path, config="published", **arguments):
    builder = tfds.builder(f"mmls/{config}", data_dir=tmp_path / "data")
    configuration = tfds.download.DownloadConfig(manual_dir=manual, **arguments)
    builder.download_and_prepare(download_config=configuration)
    return builder


def part(manual, name, kind):
    return manual / "mmls" / "dataset" / f"{name}_partition" / kind


def test_default_configuration(tmp_path):
    assert tfds.builder("mmls", data_dir=tmp_path).builder_config.name == "clean"


def test_bands_are_described(tmp_path):
    metadata = tfds.builder("mmls", data_dir=tmp_path).info.metadata
    names = [band["name"] for band in metadata["bands"]]
    assert names == ["blue", "green", "red", "dem", "thermal", "slope", "gray"]
    assert metadata["bands"][4]["nodata"] == 0.0
    assert all(band["unit"] == "1" for band in metadata["bands"])
    assert metadata["licence"] == "MIT"
    assert metadata["landslide_class"] == 1


def test_pixels_are_stored_as_they_are(manual, tmp_path):
    builder = build(manual, tmp_path)
    examples = {e["id"]: e for e in tfds.as_numpy(builder.as_dataset(split="train"))}
    assert sorted(examples) == [
        b"train_10_1", b"train_13_5", b"train_13_6", b"train_14_24", b"train_15_24",
    ]  # fmt: skip
    example = examples[b"train_10_1"]
    np.testing.assert_array_equal(example["image"], tifffile.imread(
        part(manual, "train", "images") / "Image_patch_10_1.tif"
    ))  # fmt: skip
    assert (example["image"][:12, :, 4] == 0).all()  # no thermal value: not altered
    assert (example["row"], example["col"]) == (10, 1)
    assert examples[b"train_13_6"]["mask"].all()


def test_files_are_counted_and_missing_ones_warned_of(manual, tmp_path):
    (part(manual, "test", "masks") / "MaskT_patch_9_33.tif").write_bytes(
        (part(manual, "test", "masks") / "MaskT_patch_9_29.tif").read_bytes()
    )
    with pytest.warns(IncompleteDataWarning) as caught:
        builder = build(manual, tmp_path, "clean")
    messages = " ".join(str(w.message) for w in caught)
    assert "train 5 of 275, validation 2 of 31, test 3 of 256" in messages
    assert "1 mask without an image, the first `MaskT_patch_9_33.tif`" in messages
    files = tfds.builder_from_directory(builder.data_dir).info.metadata["files"]
    assert files["train"]["found"] == 5
    assert files["train"]["dropped"] == 2
    assert files["train"]["ignored"] == ["images/test", "masks/test"]
    assert files["test"]["masks_without_image"] == ["MaskT_patch_9_33.tif"]
    assert files["validation"]["landslide_share"] == pytest.approx(30 * 30 / 128**2)


def test_shared_tiles_are_dropped_from_train_only(manual, tmp_path):
    builder = build(manual, tmp_path, "clean")
    names = {
        split: {e["id"] for e in tfds.as_numpy(builder.as_dataset(split=split))}
        for split in ("train", "test")
    }
    assert names["train"] == {b"train_10_1", b"train_13_5", b"train_13_6"}
    assert {b"test_14_24", b"test_15_24"} < names["test"]


def test_ground_counts_and_not_the_files_at_hand(tmp_path):
    # The test tile that 14_24 shares its ground with is not here: dropped all the same.
    folder = tmp_path / "manual"
    mmls_files.write_mmls(folder, test=[(9, 29)])
    builder = build(folder, tmp_path, "clean")
    assert builder.info.splits["train"].num_examples == 3


def test_grid_of_the_whole_set():
    positions = module.published(mmls.Builder.pkg_dir_path)
    train, test = positions["train"], positions["test"]
    assert [len(positions[p]) for p in SPLITS] == [275, 31, 256]
    shared = {(14, 24), (15, 24), (19, 23), (21, 44), (24, 44), (25, 42)}
    assert train & test == shared
    assert len(train & near(test)) == 23
    assert len(train & near(positions["validation"])) == 18
    assert not positions["validation"] & near(test)


@pytest.mark.parametrize(("config", "train"), [("clean", 252), ("clean-strict", 234)])
def test_train_tiles_left_of_the_whole_set(tmp_path, config, train):
    builder = tfds.builder(f"mmls/{config}", data_dir=tmp_path)
    positions = module.published(builder.pkg_dir_path)
    kept = positions["train"] - builder._shared_ground(positions)
    assert len(kept) == train
    assert not kept & near(positions["test"])
    apart = not kept & near(positions["validation"])
    assert apart == (config == "clean-strict")


def test_tiles_are_sorted_as_numbers(manual):
    known = set(mmls_files.TEST)
    found = module.find_part(epath.Path(manual) / "mmls" / "dataset", "test", known)
    assert [pair.key for pair in found.pairs] == [(9, 29), (14, 24), (15, 24)]


def broken(manual, fault):
    """Breaks a folder and returns the name that the error must hold."""
    images, masks = part(manual, "train", "images"), part(manual, "train", "masks")
    image, mask = images / "Image_patch_13_5.tif", masks / "Mask_patch_13_5.tif"
    good = mmls_files.image(1)
    name = image.name
    if fault == "truncated":
        image.write_bytes(image.read_bytes()[:300_000])
    elif fault == "garbage":
        image.write_bytes(b"II*\x00" + bytes(range(256)) * 20)
    elif fault == "empty":
        image.write_bytes(b"")
    elif fault == "huge":
        image.write_bytes(bytes(17 * 2**20))
    elif fault == "one page":
        tifffile.imwrite(image, good, photometric="minisblack", planarconfig="contig")
    elif fault == "few bands":
        tifffile.imwrite(image, good[..., :4], photometric="minisblack")
    elif fault == "float64":
        mmls_files.write_tiff(image, good.astype(np.float64))
    elif fault == "not a number":
        good[3, 4, 5] = np.nan
        mmls_files.write_tiff(image, good)
    elif fault == "metres":
        good[..., 3] *= 12831
        mmls_files.write_tiff(image, good)
    else:
        name = mask.name
        if fault == "mask size":
            mmls_files.write_tiff(mask, np.zeros((128, 64), np.float32))
        elif fault == "mask value":
            mmls_files.write_tiff(mask, np.full((128, 128), 2, np.float32))
        elif fault == "mask not a number":
            mmls_files.write_tiff(mask, np.full((128, 128), np.nan, np.float32))
        elif fault == "mask garbage":
            mask.write_bytes(b"no TIFF")
        elif fault == "mask missing":
            mask.unlink()
        elif fault == "unknown tile":
            name = "Image_patch_99_99.tif"
            shutil.copy(image, images / name)
        elif fault == "test name in train":
            name = "ImageT_patch_13_5.tif"
            image.rename(images / name)
        elif fault == "no part":
            name = "validation_partition"
            shutil.rmtree(manual / "mmls" / "dataset" / name)
        elif fault == "no images":
            name = "train_partition"
            shutil.rmtree(images)
        elif fault == "bands of version 2":
            name = "version 2"
            for path in images.glob("*.tif"):
                mmls_files.write_tiff(path, good[..., [0, 1, 2, 3, 5, 4, 6]])
    return name


@pytest.mark.parametrize(
    "fault",
    [
        "truncated", "garbage", "empty", "huge", "one page", "few bands", "float64",
        "not a number", "metres", "mask size", "mask value", "mask not a number",
        "mask garbage", "mask missing", "unknown tile", "test name in train",
        "no part", "no images", "bands of version 2",
    ],
)  # fmt: skip
def test_broken_files_are_named_and_nothing_is_built(manual, tmp_path, caplog, fault):
    name = broken(manual, fault)
    with pytest.raises(DataError) as caught:
        build(manual, tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "data").glob("mmls/published/[!.]*"))
    assert not [r for r in caplog.records if r.name == "tifffile"]


@pytest.mark.parametrize(
    "layout",
    [
        "mmls/dataset",
        "mmls",
        "mmls/Multimodal-Martian-Landslides-Dataset/dataset",
        "dataset",
        ".",
        "Multimodal-Martian-Landslides-Dataset/dataset",
    ],
)
def test_every_place_of_the_files_is_looked_in(tmp_path, layout):
    train = tmp_path / layout / "train_partition"
    train.mkdir(parents=True)
    found = find_manual(tmp_path, "mmls", module.PATTERNS, module.LAYOUT)
    assert found.resolve() == train.resolve()


def test_nothing_there_says_what_is_expected_and_where(tmp_path):
    for manual in (tmp_path / "absent", tmp_path / "empty", tmp_path / "other"):
        if manual.name != "absent":
            manual.mkdir()
        if manual.name == "other":
            (manual / "notes.txt").write_text("something else")
        with pytest.raises(DataError) as caught:
            build(manual, tmp_path)
        message = str(caught.value)
        assert "\n" not in message
        assert "train_partition" in message or "{train,validation,test}" in message
        assert f"`{manual / 'mmls'}`" in message
        assert "LANDSLIDE_TF_MANUAL_DIR" in message


def test_the_environment_names_the_manual_folder(manual, tmp_path, monkeypatch):
    monkeypatch.setenv("LANDSLIDE_TF_MANUAL_DIR", str(manual))
    data = tfds.load("mmls/published", split="test", data_dir=tmp_path / "data")
    assert len(data) == 3


def zipped(manual, folder):
    """The folder as a repository's archive."""
    path = folder / "Multimodal-Martian-Landslides-Dataset-main.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((manual / "mmls").rglob("*")):
            if file.is_file():
                inside = file.relative_to(manual / "mmls")
                archive.write(file, f"{path.stem}/{inside}")
    return path


def test_an_archive_is_as_good_as_a_folder(manual, tmp_path):
    packed = tmp_path / "packed"
    packed.mkdir()
    zipped(manual, packed)
    one = build(manual, tmp_path / "one")
    two = build(packed, tmp_path / "two")
    for file in one.data_path.glob("*.tfrecord*"):
        assert file.read_bytes() == (two.data_path / file.name).read_bytes()


@pytest.mark.parametrize("fault", ["harmful", "another", "broken"])
def test_a_bad_archive_is_refused(manual, tmp_path, fault):
    packed = tmp_path / "packed"
    packed.mkdir()
    path = zipped(manual, packed)
    if fault == "harmful":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("../../evil.tif", b"x")
    elif fault == "another":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", b"x")
    else:
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=path.name):
        build(packed, tmp_path)
    assert not (tmp_path / "evil.tif").exists()


def test_few_tiles_may_follow_their_dem_less():
    check = rasters.SlopeCheck()
    check.finish("train")  # nothing seen, nothing to say
    rng = np.random.default_rng(0)
    for seed in range(25):
        tile = mmls_files.image(seed)
        noise = rng.random((128, 128)).astype(np.float32)
        tile[..., 5] = 0.7 * tile[..., 5] + 0.35 * noise
        check.add(tile)
        if seed == 3:
            check.finish("train")
    with pytest.raises(DataError, match=r"correlation 0\.[78]"):
        check.finish("train")

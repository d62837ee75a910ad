"""The builder of isprs_semantic, on folders written by a script."""

import hashlib
import zipfile
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tifffile

from landslide_tf.datasets import IncompleteDataWarning, isprs_semantic
from landslide_tf.datasets.isprs_semantic.images import (
    COLOURS,
    POTSDAM,
    VAIHINGEN,
    find_images,
)
from landslide_tf.errors import DataError
from tests.contracts import dataset_builder
from tests.datasets.building import drawn

pytestmark = pytest.mark.filterwarnings(
    # The dummy folders hold a few images only; the test that counts them asks for it.
    "ignore::landslide_tf.datasets.IncompleteDataWarning"
)


def mask_of(seed, size=(40, 56)):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 6, size).astype(np.uint8)


def image_of(seed, bands, size=(40, 56)):
    return np.random.default_rng(seed + 99).integers(0, 256, (*size, bands), np.uint8)


def write_tif(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    rgb = array.shape[2] == 3
    tifffile.imwrite(path, array, photometric="rgb" if rgb else "minisblack",
                     planarconfig="contig")  # fmt: skip


def write_vaihingen(root, names=(*VAIHINGEN.train, "2", "38"), eroded=False):
    end = "_noBoundary" if eroded else ""
    for name in names:
        mask = mask_of(int(name))
        if eroded:
            mask[:3] = 255
        file = f"top_mosaic_09cm_area{name}"
        write_tif(root / "top" / f"{file}.tif", image_of(int(name), 3))
        label = drawn(mask, COLOURS)
        write_tif(root / "gts_for_participants" / f"{file}{end}.tif", label)


def write_potsdam(root, names=(*POTSDAM.train, "2_13"), product="RGBIR", bands=4):
    for k, name in enumerate(names):
        file = f"top_potsdam_{name}"
        image = image_of(k, bands)
        write_tif(root / f"4_Ortho_{product}" / f"{file}_{product}.tif", image)
        label = drawn(mask_of(k), COLOURS)
        write_tif(root / "5_Labels_all" / f"{file}_label.tif", label)


def small(name, **options):
    return isprs_semantic.Config(
        name=f"small_{name}", description="For tests.", size=32, **options
    )


class _Contract:
    """There is no landslide here: `building` stands for it."""

    def test_metadata_describes_the_features(self):
        metadata = self.built.info.metadata
        self.assertEqual(metadata["classes"][metadata["landslide_class"]], "building")
        self.assertEqual(metadata["classes"], self.built.info.features["mask"].names)
        bands = self.built.info.features["image"].shape[-1]
        self.assertLen(metadata["bands"], bands)


class VaihingenTest(_Contract, dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = isprs_semantic.Builder
    CONFIG = small("vaihingen")
    SPLITS: ClassVar = {"train": 14 * 4, "validation": 2 * 4, "test": 2 * 4}

    @classmethod
    def write_dummy_data(cls, folder):
        write_vaihingen(folder / "isprs_semantic")


class PotsdamTest(_Contract, dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = isprs_semantic.Builder
    CONFIG = small("potsdam", area="potsdam", product="rgbir", validation=False)
    SPLITS: ClassVar = {"train": 3 * 4, "test": 4}

    @classmethod
    def write_dummy_data(cls, folder):
        write_potsdam(folder, (*POTSDAM.train[:3], "2_13"))


def build(manual, tmp_path, config):
    builder = isprs_semantic.Builder(data_dir=tmp_path / "data", config=config)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual)
    )
    return builder


def examples(builder):
    return [
        example
        for split in builder.info.splits
        for example in tfds.as_numpy(builder.as_dataset(split=split))
    ]


def test_the_published_lists():
    assert (len(VAIHINGEN.train), len(VAIHINGEN.test)) == (16, 17)
    assert (len(POTSDAM.train), len(POTSDAM.test)) == (24, 14)
    for area in (VAIHINGEN, POTSDAM):
        assert not set(area.train) & set(area.test)
    assert {"7_10", "2_12", "6_7"} <= set(POTSDAM.train)
    assert {"4_15", "7_13"} <= set(POTSDAM.test)


def test_tiles_hold_the_pixels_of_their_place(tmp_path):
    manual = tmp_path / "manual"
    write_vaihingen(manual)
    for example in examples(build(manual, tmp_path, small("v"))):
        name = int(example["region"])
        place = (slice(example["y0"], example["y0"] + 32),
                 slice(example["x0"], example["x0"] + 32))  # fmt: skip
        np.testing.assert_array_equal(example["image"], image_of(name, 3)[place])
        np.testing.assert_array_equal(example["mask"][..., 0], mask_of(name)[place])


def test_eroded_borders_have_no_label(tmp_path):
    write_vaihingen(tmp_path / "manual", eroded=True)
    config = small("e", eroded=True)
    found = examples(build(tmp_path / "manual", tmp_path, config))
    assert all((e["mask"][:3] == 255).all() for e in found if e["y0"] == 0)


def test_other_products_of_potsdam(tmp_path):
    names = (*POTSDAM.train, "2_13")
    write_potsdam(tmp_path / "manual", names, "IRRG", 3)
    config = small("irrg", area="potsdam", product="irrg", exclude=("7_10",))
    builder = build(tmp_path / "manual", tmp_path, config)
    assert [b["name"] for b in builder.info.metadata["bands"]] == [
        "nir",
        "red",
        "green",
    ]
    report = builder.info.metadata["files"]
    assert "7_10" not in report["images"] and report["excluded"] == ["7_10"]
    assert report["train"]["images"] + report["validation"]["images"] == 23


def test_missing_images_are_warned_of(tmp_path):
    write_vaihingen(tmp_path / "manual")
    label = tmp_path / "manual" / "gts_for_participants"
    write_tif(label / "top_mosaic_09cm_area4.tif", image_of(0, 3))
    with pytest.warns(IncompleteDataWarning, match="from 18 images, without 4, 6, 8"):
        builder = build(tmp_path / "manual", tmp_path, small("v"))
    report = builder.info.metadata["files"]
    assert report["labels_without_image"] == ["4"]
    assert len(report["missing"]) == 15


def test_few_stray_colours_become_the_nearest_class(tmp_path):
    manual = tmp_path / "manual"
    write_vaihingen(manual)
    path = manual / "gts_for_participants" / "top_mosaic_09cm_area2.tif"
    big = (200, 200)
    label = drawn(np.ones(big, np.uint8), COLOURS)
    label[7, 9] = (3, 0, 250)
    write_tif(path, label)
    write_tif(manual / "top" / path.name, image_of(2, 3, big))
    found = examples(build(manual, tmp_path, small("v")))
    assert all((e["mask"] == 1).all() for e in found if e["region"] == b"2")
    label[:, 9] = (3, 0, 250)
    write_tif(path, label)
    with pytest.raises(DataError, match=r"area2.tif.*200 pixels of others"):
        build(manual, tmp_path / "again", small("v"))


def archives(manual):
    """The files as the two archives of Vaihingen."""
    write_vaihingen(manual / "loose")
    names = isprs_semantic.isprs_semantic_dataset_builder.ARCHIVES["vaihingen"]
    folders = {"irrg": ("top", "top/"), "label": ("gts_for_participants", "")}
    sums = {}
    for kind, (folder, prefix) in folders.items():
        path = manual / names[kind]
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted((manual / "loose" / folder).iterdir()):
                archive.write(file, prefix + file.name)
                file.unlink()
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        sums[path.name] = f"md5:{digest}"
    return sums


def test_archives_are_verified_and_unpacked(tmp_path, monkeypatch):
    manual = tmp_path / "manual"
    sums = archives(manual)
    with pytest.raises(DataError, match=r"Vaihingen.zip` must have the md5 checksum"):
        build(manual, tmp_path, small("v"))
    monkeypatch.setattr(isprs_semantic.Builder, "CHECKSUMS", sums)
    builder = build(manual, tmp_path, small("v"))
    assert builder.info.splits["train"].num_examples == 14 * 4


def test_images_and_labels_of_one_name_are_told_apart(tmp_path):
    write_vaihingen(tmp_path, ("1",))
    found, lone = find_images([tmp_path], VAIHINGEN, "irrg", eroded=False)
    assert found["1"].image.parent.name == "top" and lone == []
    assert found["1"].label.parent.name == "gts_for_participants"


def broken(manual, fault):
    image = manual / "top" / "top_mosaic_09cm_area5.tif"
    label = manual / "gts_for_participants" / image.name
    if fault == "empty folder":
        for path in (*image.parent.iterdir(), *label.parent.iterdir()):
            path.unlink()
        return "ISPRS_semantic_labeling_Vaihingen.zip"
    if fault == "truncated image":
        image.write_bytes(image.read_bytes()[:3000])
        return str(image)
    if fault == "truncated label":
        label.write_bytes(label.read_bytes()[:3000])
        return str(label)
    if fault == "label of another size":
        write_tif(label, image_of(0, 3, (40, 50)))
        return f"`{label}` must hold colours of (40, 56) pixels"
    if fault == "unknown colour":
        write_tif(label, np.full((40, 56, 3), 77, np.uint8))
        return f"`{label}` must hold the colours"
    if fault == "four bands":
        write_tif(image, image_of(0, 4))
        return f"`{image}` must hold 3 bands"
    if fault == "no label":
        label.unlink()
        return f"`{image}` has no label"
    if fault == "unknown image":
        image.rename(image.with_name("top_mosaic_09cm_area99.tif"))
        return "must be one of the 33 published images, received `99`"
    if fault == "small":
        for path in (image, label):
            write_tif(path, np.full((20, 56, 3), 255, np.uint8))
        return f"`{image}` must have at least 32 rows"
    for path in (*manual.glob("*/top_mosaic_09cm_area2.tif"),
                 *manual.glob("*/top_mosaic_09cm_area38.tif")):  # fmt: skip
        path.unlink()
    return "must have images for test"


@pytest.mark.parametrize(
    "fault",
    [
        "empty folder", "truncated image", "truncated label", "label of another size",
        "unknown colour", "four bands", "no label", "unknown image", "small", "no test",
    ],
)  # fmt: skip
def test_bad_files_are_named_and_nothing_is_built(tmp_path, fault):
    manual = tmp_path / "manual"
    write_vaihingen(manual)
    words = broken(manual, fault)
    with pytest.raises(DataError) as caught:
        build(manual, tmp_path, small("v"))
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not list((tmp_path / "data").glob("isprs_semantic/small_v/[!.]*"))

"""The builder of mmls on the real sample, where it is."""

import csv
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tifffile
from etils import epath

from landslide_tf.datasets import IncompleteDataWarning, mmls
from landslide_tf.datasets.common.reading import read_mask
from landslide_tf.datasets.mmls import mmls_dataset_builder as module
from landslide_tf.datasets.mmls import rasters

pytestmark = pytest.mark.integration  # the whole sample is built

# Means and standard deviations of the bands, as measured on the published files.
TRAIN = (
    [0.34459, 0.35712, 0.46417, 0.51892, 0.89283, 0.20685, 0.51046],
    [0.23449, 0.21046, 0.17461, 0.24228, 0.04081, 0.16448, 0.18293],
)
VALIDATION = (
    [0.36207, 0.34073, 0.39501, 0.50587, 0.89963, 0.19070, 0.47799],
    [0.22878, 0.21737, 0.20578, 0.24643, 0.00898, 0.16465, 0.13857],
)


@pytest.fixture(scope="module")
def manual(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("manual")
    script = shared / "tools" / "unpack_mmls.py"
    subprocess.run(
        [sys.executable, script, folder], check=True, capture_output=True, timeout=300
    )
    return folder


@pytest.fixture(scope="module")
def built(manual, tmp_path_factory):
    builder = tfds.builder("mmls", data_dir=tmp_path_factory.mktemp("tfds"))
    config = tfds.download.DownloadConfig(manual_dir=manual)
    with pytest.warns(IncompleteDataWarning, match="test 62 of 256 tiles"):
        builder.download_and_prepare(download_config=config)
    return builder


@pytest.fixture(scope="module")
def examples(built):
    return {
        split: {
            (int(e["row"]), int(e["col"])): e
            for e in tfds.as_numpy(built.as_dataset(split=split))
        }
        for split in built.info.splits
    }


@pytest.fixture(scope="module")
def train_files(manual):
    known = module.published(mmls.Builder.pkg_dir_path)["train"]
    return module.find_part(epath.Path(manual) / "dataset", "train", known).pairs


def moments(images):
    pixels = np.stack(images).reshape(-1, 7)
    return pixels.mean(0, dtype=np.float64), pixels.std(0, dtype=np.float64)


def test_counts(examples, built):
    assert {k: len(v) for k, v in examples.items()} == {
        "train": 252,
        "validation": 31,
        "test": 62,
    }
    files = built.info.metadata["files"]
    assert files["train"]["found"] == 275
    assert files["train"]["dropped"] == 23
    assert files["test"]["published"] == 256


def test_no_train_tile_touches_the_published_test_part(examples, shared):
    with (shared / "data" / "mmls" / "index.csv").open() as file:
        index = [
            (r["part"], int(r["row"]), int(r["col"])) for r in csv.DictReader(file)
        ]
    test = np.array([(r, c) for part, r, c in index if part == "test"])
    for position in examples["train"]:
        assert np.abs(test - position).max(axis=1).min() > 1
    shipped = module.published(mmls.Builder.pkg_dir_path)
    assert sorted(index) == sorted((p, *rc) for p in shipped for rc in shipped[p])


def test_examples_equal_the_files(examples, manual):
    for part, found in examples.items():
        folder = manual / "dataset" / f"{part}_partition"
        infix = "T" * (part == "test")
        for (row, col), example in found.items():
            name = f"{infix}_patch_{row}_{col}.tif"
            image = tifffile.imread(folder / "images" / f"Image{name}")
            np.testing.assert_array_equal(example["image"], image)
            mask = tifffile.imread(folder / "masks" / f"Mask{name}")
            np.testing.assert_array_equal(example["mask"][..., 0], mask)


def test_byte_identical_originals_are_read_alike(examples, shared):
    folder = shared / "data" / "mmls" / "dataset"
    originals = sorted(folder.glob("*/images/*.tif"))
    assert len(originals) == 3
    for path in originals:
        part = path.parent.parent.name.removesuffix("_partition")
        # The array lies in one piece behind the first page's offset.
        raw = np.fromfile(path, "<f4", 128 * 128 * 7, offset=272).reshape(128, 128, 7)
        position = tuple(int(n) for n in path.stem.split("_")[-2:])
        np.testing.assert_array_equal(examples[part][position]["image"], raw)
        np.testing.assert_array_equal(rasters.read_image(epath.Path(path)), raw)
        mask_name = path.name.replace("Image", "Mask")
        mask = read_mask(path.parent.parent / "masks" / mask_name, (128, 128))
        np.testing.assert_array_equal(examples[part][position]["mask"][..., 0], mask)


def test_validation_statistics(examples):
    mean, std = moments([e["image"] for e in examples["validation"].values()])
    np.testing.assert_allclose(mean, VALIDATION[0], atol=6e-6)
    np.testing.assert_allclose(std, VALIDATION[1], atol=6e-6)
    masks = np.stack([e["mask"] for e in examples["validation"].values()])
    assert masks.mean() == pytest.approx(0.4044, abs=5e-5)


def test_train_statistics(train_files):
    assert len(train_files) == 275
    mean, std = moments([rasters.read_image(tile.image) for tile in train_files])
    np.testing.assert_allclose(mean, TRAIN[0], atol=6e-6)
    np.testing.assert_allclose(std, TRAIN[1], atol=6e-6)
    masks = np.stack([read_mask(tile.mask, (128, 128)) for tile in train_files])
    assert masks.mean() == pytest.approx(0.4781, abs=5e-5)


def test_shared_tiles_contradict_each_other(train_files, examples):
    shared = [tile for tile in train_files if tile.key in examples["test"]]
    assert len(shared) == 6
    for tile in shared:
        twin = examples["test"][tile.key]
        np.testing.assert_array_equal(rasters.read_image(tile.image), twin["image"])
        both = read_mask(tile.mask, (128, 128)) & twin["mask"][..., 0]
        assert not both.any()


def test_missing_thermal_values_stay(examples):
    with_holes = {
        position: (example["image"][..., 4] == 0).mean()
        for position, example in examples["train"].items()
        if (example["image"][..., 4] == 0).any()
    }
    assert set(with_holes) == {(r, 1) for r in range(10, 15)} | {(14, 2)}
    assert with_holes.pop((14, 2)) == pytest.approx(0.002, abs=5e-4)
    # 9 to 12 percent, rounded.
    assert min(with_holes.values()) >= 0.085
    assert max(with_holes.values()) < 0.125


def test_red_is_the_brightest_colour(examples, built):
    names = [band["name"] for band in built.info.metadata["bands"]]
    mean, _ = moments([e["image"] for e in examples["train"].values()])
    assert names[int(mean[:3].argmax())] == "red"


def test_values_lie_in_the_described_ranges(examples, built):
    for part in examples.values():
        images = np.stack([e["image"] for e in part.values()]).reshape(-1, 7)
        for band, values in zip(built.info.metadata["bands"], images.T, strict=True):
            if "nodata" in band:
                values = values[values != band["nodata"]]
            low, high = band["range"]
            assert low - 5e-5 <= values.min()
            assert values.max() <= high + 5e-5

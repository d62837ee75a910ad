"""The builder of bijie_landslide on the real sample, where it is."""

import csv

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from landslide_tf.datasets import IncompleteDataWarning
from landslide_tf.datasets.common.overlaps import find_overlaps


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "data" / "bijie"


@pytest.fixture(scope="module")
def examples(folder, tmp_path_factory):
    data = tmp_path_factory.mktemp("tfds")
    builder = tfds.builder("bijie_landslide", data_dir=data)
    config = tfds.download.DownloadConfig(manual_dir=folder)
    with pytest.warns(IncompleteDataWarning, match="landslide 81 of 770"):
        builder.download_and_prepare(download_config=config)
    return {
        split: {
            e["id"].decode(): e for e in tfds.as_numpy(builder.as_dataset(split=split))
        }
        for split in builder.info.splits
    }


def rows(folder, name):
    with (folder / name).open() as file:
        return list(csv.DictReader(file))


def test_the_parts_are_those_of_the_list(examples, folder):
    part = {"train": "train", "val": "validation", "test": "test"}
    wanted = {split: set() for split in examples}
    for row in rows(folder, "split.csv"):
        wanted[part[row["part"]]].add(row["file"].removesuffix(".png"))
    assert {split: set(found) for split, found in examples.items()} == wanted
    assert {s: len(e) for s, e in examples.items()} == {
        "train": 79, "validation": 18, "test": 32,
    }  # fmt: skip


def test_sizes_and_regions_are_those_of_the_list(examples, folder):
    every = {name: e for found in examples.values() for name, e in found.items()}
    for row in rows(folder, "split.csv"):
        example = every[row["file"].removesuffix(".png")]
        size = (int(row["height"]), int(row["width"]))
        assert example["image"].shape == (*size, 3)
        assert example["mask"].shape == (*size, 1)
        if row["kind"] == "landslide":
            assert example["region"].decode() == row["prefix"]
            assert 0.005 <= example["mask"].mean() < 0.5
        else:
            assert not example["mask"].any()
        assert np.isnan(example["factors"]).all()  # no elevation in this copy


def test_pixels_equal_the_files(examples, folder):
    for found in examples.values():
        for name, example in found.items():
            (path,) = folder.glob(f"Bijie-landslide-dataset/*/image/{name}.png")
            np.testing.assert_array_equal(example["image"], Image.open(path))
            mask = path.parent.parent / "mask" / path.name
            if mask.exists():
                labels = np.asarray(Image.open(mask))
                assert set(np.unique(labels)) == {0, 255}
                np.testing.assert_array_equal(example["mask"][..., 0], labels == 255)


def test_landslide_share_of_the_parts(examples):
    # F1 of "everything is landslide" on the quick benchmark, images of equal weight.
    for part, f1 in (("validation", 0.116), ("test", 0.132)):
        share = np.mean([e["mask"].mean() for e in examples[part].values()])
        assert 2 * share / (1 + share) == pytest.approx(f1, abs=6e-4)


def test_overlaps_are_those_of_the_list_and_no_others(examples, folder):
    green = {
        name: example["image"][..., 1]
        for found in examples.values()
        for name, example in found.items()
    }
    found = {(o.first, o.second): o for o in find_overlaps(green)}
    wanted = {}
    for row in rows(folder, "overlap_pairs.csv"):
        pair = tuple(row[k].removesuffix(".png") for k in ("file_a", "file_b"))
        if set(pair) <= green.keys():
            wanted[pair] = row
    assert set(found) == set(wanted)
    assert len(wanted) == 3
    for pair, row in wanted.items():
        share = float(row["overlap_share_of_smaller"])
        assert found[pair].overlap_share == pytest.approx(share, abs=5e-4)
        assert found[pair].equal_share == float(row["equal_share"])


def test_counties_do_not_cut_a_group(folder):
    groups = {}
    for row in rows(folder, "overlap_groups.csv"):
        groups.setdefault(row["group"], set()).add(row["file"].rstrip(".png0123456789"))
    assert len(groups) == 91
    assert all(len(prefixes) == 1 for prefixes in groups.values())

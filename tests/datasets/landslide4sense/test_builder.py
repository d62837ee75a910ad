"""The builder of landslide4sense, on written folders and on the real sample."""

import shutil
from typing import ClassVar

import h5py
import numpy as np
import pytest

from landslide_tf.datasets import IncompleteDataWarning, landslide4sense
from landslide_tf.datasets.landslide4sense import (
    landslide4sense_dataset_builder as module,
)
from landslide_tf.errors import DataError
from tests.contracts import dataset_builder
from tests.datasets.building import build, examples, nothing_visible

pytestmark = pytest.mark.filterwarnings(
    # The dummy folders hold a few patches only; the tests that count them ask for it.
    "ignore::landslide_tf.datasets.IncompleteDataWarning"
)
NUMBERS = {"train": (2, 10, 201, 451), "validation": (1, 2), "test": (1, 3)}


def write(path, key, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file[key] = values


def patch(number):
    rng = np.random.default_rng(number)
    image = rng.uniform(0, 4, (128, 128, 14))
    image[..., 9] *= 12
    return image


def zenodo(root, masks=("train",)):
    """The layout of the competition, which kept the masks of two parts."""
    names = {"train": "TrainData", "validation": "ValidData", "test": "TestData"}
    for part, numbers in NUMBERS.items():
        for number in numbers:
            folder = root / names[part]
            write(folder / "img" / f"image_{number}.h5", "img", patch(number))
            if part in masks:
                mask = np.zeros((128, 128), np.uint8)
                mask[:number, :64] = 1
                write(folder / "mask" / f"mask_{number}.h5", "mask", mask)
    (root / "TrainData" / "img" / ".DS_Store").touch()


def hugging_face(root):
    zenodo(root / "other", masks=NUMBERS)
    for part, name in zip(NUMBERS, ("TrainData", "ValidData", "TestData"), strict=True):
        for old, new in (("img", "images"), ("mask", "annotations")):
            (root / new).mkdir(exist_ok=True)
            (root / "other" / name / old).rename(root / new / part)
    shutil.rmtree(root / "other")


class PublishedTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = landslide4sense.Builder
    CONFIG = "published"
    SPLITS: ClassVar = {"train": 4, "validation": 2, "test": 2}

    @classmethod
    def write_dummy_data(cls, folder):
        zenodo(folder / "landslide4sense")


@pytest.fixture
def manual(tmp_path):
    zenodo(tmp_path / "manual" / "landslide4sense")
    return tmp_path / "manual"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The dummy patches as they are, built; not to be changed."""
    folder = tmp_path_factory.mktemp("landslide4sense")
    zenodo(folder / "manual" / "landslide4sense")
    with pytest.warns(IncompleteDataWarning) as caught:
        builder = build("landslide4sense", folder / "manual", folder)
    return builder, " ".join(str(w.message) for w in caught)


def test_bands_are_those_of_sentinel_2_without_b8a(built):
    builder, _ = built
    bands = builder.info.metadata["bands"]
    assert builder.builder_config.name == "published"
    assert [b["name"] for b in bands][7:11] == [
        "nir", "water_vapour", "cirrus", "swir_1",
    ]  # fmt: skip
    assert bands[9]["range"][1] > 40  # read from the pixels
    assert bands[8]["range"][1] < 5
    example = examples(builder, "train")["train_10"]
    np.testing.assert_array_equal(example["image"], patch(10).astype(np.float32))
    assert example["mask"].sum() == 640
    assert example["number"] == 10


def test_parts_without_masks_are_unlabelled_and_warned_of(built):
    builder, messages = built
    assert "no masks for validation and test" in messages
    assert "train 4 of 3799, validation 2 of 245, test 2 of 800" in messages
    for part in ("validation", "test"):
        for example in examples(builder, part).values():
            assert (example["mask"] == 255).all()
    files = builder.info.metadata["files"]
    assert files["test"]["unlabelled"] == 2
    assert files["test"]["landslide_share"] is None
    assert files["train"]["ignored"] == ["img/.DS_Store"]
    assert files["train"]["landslide_share"] == pytest.approx(
        (2 + 10 + 128 + 128) * 64 / (4 * 128**2)
    )


def test_layouts_give_the_same_examples(built, tmp_path):
    hugging_face(tmp_path / "mirror" / "landslide4sense")
    one, _ = built
    two = build("landslide4sense", tmp_path / "mirror", tmp_path / "two")
    first, second = (examples(builder, "train") for builder in (one, two))
    assert first.keys() == second.keys()
    for name, example in first.items():
        for feature in ("image", "mask"):
            np.testing.assert_array_equal(example[feature], second[name][feature])
    # Later releases label all parts.
    assert examples(two, "test")["test_3"]["mask"].sum() == 3 * 64


def test_runs_of_numbers_stay_together(manual, tmp_path):
    builder = build("landslide4sense/holdout", manual, tmp_path)
    splits = {split: set(examples(builder, split)) for split in builder.info.splits}
    assert splits == {
        "train": {"train_2", "train_10"},
        "validation": {"validation_201"},
        "test": {"test_451"},
    }


def test_the_whole_train_part_is_held_out_by_runs():
    pairs = [module.Pair(n, None, "mask") for n in range(1, 3800)]
    splits = module._held_out({"train": module.Found(pairs)}, "root")
    sizes = {split: len(members) for split, members in splits.items()}
    assert sizes == {"train": 3049, "validation": 400, "test": 350}
    for members in splits.values():
        numbers = [pair.key for pair in members]
        runs = {(n - 1) // 50 for n in numbers}
        assert sum(min(50, 3799 - 50 * run) for run in runs) == len(numbers)


def test_holding_out_needs_labels(manual, tmp_path):
    shutil.rmtree(manual / "landslide4sense" / "TrainData")
    with pytest.raises(DataError, match="labelled train part"):
        build("landslide4sense/holdout", manual, tmp_path)


def broken(root, fault):
    image = root / "TrainData" / "img" / "image_10.h5"
    mask = root / "TrainData" / "mask" / "mask_10.h5"
    good = patch(10)
    if fault == "truncated":
        image.write_bytes(image.read_bytes()[:100_000])
    elif fault == "garbage":
        image.write_bytes(b"no HDF5")
    elif fault == "empty":
        image.write_bytes(b"")
    elif fault == "key":
        write(image, "image", good)
    elif fault == "bands":
        write(image, "img", good[..., :13])
    elif fault == "text":
        write(image, "img", np.full((128, 128, 14), b"x"))
    elif fault == "not a number":
        good[4, 5, 6] = np.inf
        write(image, "img", good)
    elif fault == "mask size":
        write(mask, "mask", np.zeros((64, 128)))
        return mask.name
    elif fault == "mask value":
        write(mask, "mask", np.full((128, 128), 255))
        return mask.name
    elif fault == "mask missing":
        mask.unlink()
    elif fault == "no images":
        shutil.rmtree(image.parent)
        image.parent.mkdir()
        return "TrainData/img"
    return image.name


@pytest.mark.parametrize(
    "fault",
    ["truncated", "garbage", "empty", "key", "bands", "text", "not a number",
     "mask size", "mask value", "mask missing", "no images"],
)  # fmt: skip
def test_broken_files_are_named_and_nothing_is_built(manual, tmp_path, fault):
    name = broken(manual / "landslide4sense", fault)
    with pytest.raises(DataError) as caught:
        build("landslide4sense", manual, tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert nothing_visible(tmp_path)


def test_nothing_there_shows_the_layout(tmp_path):
    (tmp_path / "manual" / "train" / "other").mkdir(parents=True)
    with pytest.raises(DataError, match=r"TrainData,ValidData.*MANUAL_DIR"):
        build("landslide4sense", tmp_path / "manual", tmp_path)


@pytest.fixture(scope="module")
def sample(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("landslide4sense")
    with pytest.warns(IncompleteDataWarning, match="no masks for test"):
        return build("landslide4sense", shared / "data", folder)


def test_sample_equals_its_files(sample, shared):
    folder = shared / "data" / "landslide4sense" / "TestData" / "img"
    stored = examples(sample, "test")
    assert list(sample.info.splits) == ["test"]
    numbers = {int(example["number"]) for example in stored.values()}
    assert numbers == {31, 37, 39, 52, 63, 68, 81, 90}
    for example in stored.values():
        with h5py.File(folder / f"image_{example['number']}.h5") as file:
            np.testing.assert_array_equal(
                example["image"], file["img"][...].astype(np.float32)
            )
        assert (example["mask"] == 255).all()


def test_sample_resolutions_tell_the_bands(sample):
    # Bands of 60 and 20 m repeat their pixels on the grid of 10 m: 9 and 10 are the
    # water vapour and the cirrus band, 8 the one of 10 m and not B8A.
    images = np.stack([e["image"] for e in examples(sample, "test").values()])
    equal = (np.diff(images, axis=2) == 0).mean(axis=(0, 1, 2))
    by_cell = {60: (0, 8, 9), 20: (4, 5, 6, 10, 11), 10: (1, 2, 3, 7)}
    limits = {60: (0.82, 0.86), 20: (0.47, 0.52), 10: (0.07, 0.11)}
    for cell, bands in by_cell.items():
        low, high = limits[cell]
        assert (equal[list(bands)] > low).all(), (cell, equal)
        assert (equal[list(bands)] < high).all(), (cell, equal)


def test_sample_slope_follows_its_elevations(sample):
    for example in examples(sample, "test").values():
        slope, dem = example["image"][..., 12], example["image"][..., 13]
        steepness = np.hypot(*np.gradient(dem.astype(float)))
        assert 0.7 < np.corrcoef(steepness.ravel(), slope.ravel())[0, 1] < 0.96


def test_sample_ranges(sample):
    bands = sample.info.metadata["bands"]
    assert bands[9]["range"][1] == pytest.approx(49.29, abs=0.01)
    assert all(band["range"][0] >= 0 for band in bands)

"""The builder of hr_gldd, on arrays written by a script."""

import zipfile
from typing import ClassVar

import numpy as np
import pytest

from landslide_tf.datasets import IncompleteDataWarning, hr_gldd
from landslide_tf.errors import DataError
from tests.contracts import dataset_builder
from tests.datasets.building import build, examples, nothing_visible

COUNTS = {"train": 5, "val": 2, "test": 3}


def patches(count, seed):
    """Reflectances with more infrared than red, as over vegetation."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(0.02, 0.1, (count, 128, 128, 4))
    images[..., 3] += 0.3
    masks = np.zeros((count, 128, 128, 1))
    for k in range(count):
        masks[k, : 10 * k] = 1
    images[masks[..., 0] == 1] = [0.3, 0.25, 0.2, 0.3]
    return images, masks


def write(folder, dtype=np.float64):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (part, count) in enumerate(COUNTS.items()):
        images, masks = patches(count, seed)
        np.save(folder / f"{part}X.npy", images.astype(dtype))
        np.save(folder / f"{part}Y.npy", masks)


class PublishedTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = hr_gldd.Builder
    CONFIG = "published"
    SPLITS: ClassVar = {"train": 5, "validation": 2, "test": 3}

    @classmethod
    def write_dummy_data(cls, folder):
        write(folder / "hr_gldd")


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "manual" / "hr_gldd")
    return tmp_path / "manual" / "hr_gldd"


def test_patches_are_stored_as_they_are(root, tmp_path):
    np.save(root / "testY.npy", np.load(root / "testY.npy")[..., 0].astype(bool))
    builder = build("hr_gldd", root.parent, tmp_path)
    assert [b["name"] for b in builder.info.metadata["bands"]] == [
        "red", "green", "blue", "nir",
    ]  # fmt: skip
    found = examples(builder, "test")
    images, masks = patches(3, 2)
    for k in range(3):
        example = found[f"test_{k}"]
        np.testing.assert_array_equal(example["image"], images[k].astype(np.float32))
        np.testing.assert_array_equal(example["mask"], masks[k])
    report = builder.info.metadata["files"]
    assert report["train"]["background_ndvi"] == pytest.approx(0.71, abs=0.05)
    assert report["train"]["landslide_share"] == pytest.approx(20 / 128)
    assert builder.info.metadata["bands"][0]["range"][1] == pytest.approx(0.3)


@pytest.mark.filterwarnings("ignore:.*more blue than red")  # of rising numbers
def test_archives_and_integers_are_read(root, tmp_path):
    np.save(root / "trainX.npy", np.arange(5 * 128 * 128 * 4, dtype=np.uint16).reshape(
        5, 128, 128, 4))  # fmt: skip
    packed = tmp_path / "packed"
    packed.mkdir()
    with zipfile.ZipFile(packed / "HR-GLDD.zip", "w") as archive:
        for path in root.iterdir():
            archive.write(path, f"HR-GLDD/{path.name}")
    builder = build("hr_gldd", packed, tmp_path)
    assert examples(builder, "train")["train_0"]["image"][0, 1, 0] == 4


def test_a_missing_part_is_warned_of(root, tmp_path):
    for name in ("testX.npy", "testY.npy"):
        (root / name).unlink()
    with pytest.warns(IncompleteDataWarning, match=r"without test: .*`testX\.npy`"):
        builder = build("hr_gldd", root.parent, tmp_path)
    assert set(builder.info.splits) == {"train", "validation"}


def test_arrays_in_the_order_of_the_satellite(root, tmp_path):
    """Blue first: the other configuration gives the same examples."""
    expected = examples(build("hr_gldd", root.parent, tmp_path / "a"), "test")
    for path in root.glob("*X.npy"):
        np.save(path, np.load(path)[..., [2, 1, 0, 3]])
    builder = build("hr_gldd/published-bgrn", root.parent, tmp_path / "b")
    metadata = builder.info.metadata
    assert list(metadata["array_order"]) == ["blue", "green", "red", "nir"]
    assert [b["name"] for b in metadata["bands"]] == ["red", "green", "blue", "nir"]
    found = examples(builder, "test")
    assert found.keys() == expected.keys()
    for name, example in found.items():
        np.testing.assert_array_equal(example["image"], expected[name]["image"])
    index = (0.3 - 0.2) / (0.3 + 0.2)
    assert metadata["files"]["train"]["landslide_red_blue"] == pytest.approx(index)


@pytest.mark.parametrize(
    ("config", "swapped", "other"),
    [("published", True, "published-bgrn"), ("published-bgrn", False, "published")],
)
def test_swapped_colours_are_warned_of_with_the_other_order(
    root, tmp_path, config, swapped, other
):
    if swapped:
        for path in root.glob("*X.npy"):
            np.save(path, np.load(path)[..., [2, 1, 0, 3]])
    warned = rf"more blue than red \(index -0\.20\).* build `hr_gldd/{other}`"
    with pytest.warns(UserWarning, match=warned):
        builder = build(f"hr_gldd/{config}", root.parent, tmp_path)
    # The vegetation index does not see it.
    assert builder.info.metadata["files"]["train"]["background_ndvi"] > 0.5


def broken(root, fault):
    images, masks = patches(2, 1)
    if fault == "truncated":
        (root / "valX.npy").write_bytes((root / "valX.npy").read_bytes()[:90_000])
    elif fault == "pickle":
        np.save(root / "valX.npy", np.array([{}]), allow_pickle=True)
    elif fault == "bands":
        np.save(root / "valX.npy", images[..., :3])
    elif fault == "no patch":
        np.save(root / "valX.npy", images[:0])
    elif fault == "text":
        np.save(root / "valX.npy", images.astype("S4"))
    elif fault == "scalar":
        np.save(root / "valX.npy", np.float32(1))
    elif fault == "not a number":
        images[1, 5, 6, 2] = np.nan
        np.save(root / "valX.npy", images)
    elif fault == "order":
        np.save(root / "trainX.npy", np.load(root / "trainX.npy")[..., ::-1])
        return "trainX.npy"
    elif fault == "no masks":
        (root / "valY.npy").unlink()
        return "valY.npy"
    elif fault == "mask count":
        np.save(root / "valY.npy", masks[:1])
        return "valY.npy"
    elif fault == "mask value":
        np.save(root / "valY.npy", 255 * masks)
        return "valY.npy"
    return "valX.npy"


@pytest.mark.parametrize(
    "fault",
    ["truncated", "pickle", "bands", "no patch", "text", "scalar", "not a number",
     "order", "no masks", "mask count", "mask value"],
)  # fmt: skip
def test_broken_files_are_named_and_nothing_is_built(root, tmp_path, fault):
    name = broken(root, fault)
    with pytest.raises(DataError) as caught:
        build("hr_gldd", root.parent, tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert nothing_visible(tmp_path)


def test_nothing_there_shows_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"trainX\.npy.*MANUAL_DIR"):
        build("hr_gldd", tmp_path / "absent", tmp_path)

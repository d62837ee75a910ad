"""The builder of bijie_landslide, on folders written by a script."""

import hashlib
import json
import random
import shutil
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tifffile
from etils import epath
from PIL import Image

from landslide_tf.datasets import IncompleteDataWarning, bijie_landslide
from landslide_tf.datasets.bijie_landslide import files, partition
from landslide_tf.errors import DataError
from tests.contracts import dataset_builder
from tests.datasets import bijie_files

pytestmark = pytest.mark.filterwarnings(
    # The dummy folders hold a few images only; the tests that count them ask for it.
    "ignore::landslide_tf.datasets.IncompleteDataWarning"
)


class SegmentationTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = bijie_landslide.Builder
    CONFIG = "segmentation"
    SPLITS: ClassVar = {"train": 9, "validation": 3, "test": 4}

    @classmethod
    def write_dummy_data(cls, folder):
        bijie_files.write_bijie(folder / "bijie_landslide")


class ClassificationTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = bijie_landslide.Builder
    CONFIG = "classification-grouped"
    TARGET = "label"
    SPLITS: ClassVar = {"train": 12, "validation": 2, "test": 2}

    @classmethod
    def write_dummy_data(cls, folder):
        bijie_files.write_classes(folder / "bijie_landslide")


@pytest.fixture
def manual(tmp_path):
    folder = tmp_path / "manual"
    bijie_files.write_bijie(folder)
    return folder


def build(manual, tmp_path, config="segmentation"):
    builder = tfds.builder(f"bijie_landslide/{config}", data_dir=tmp_path / "data")
    configuration = tfds.download.DownloadConfig(manual_dir=manual)
    builder.download_and_prepare(download_config=configuration)
    return builder


def examples(builder):
    return {
        split: {
            e["id"].decode(): e for e in tfds.as_numpy(builder.as_dataset(split=split))
        }
        for split in builder.info.splits
    }


def scenes(manual):
    place = epath.Path(manual) / "Bijie-landslide-dataset" / "landslide"
    return files.list_scenes(place).scenes


def test_configurations():
    names = [config.name for config in bijie_landslide.Builder.BUILDER_CONFIGS]
    schemes = ["", "-grouped", "-random", "-released"]
    assert names == [
        task + scheme
        for task in ("segmentation", "classification")
        for scheme in schemes
    ]


def test_counties_names_sizes_and_elevations(manual, tmp_path):
    found = examples(build(manual, tmp_path))
    slides = set(bijie_files.LANDSLIDE)
    assert {split: sorted(slides & set(part)) for split, part in found.items()} == {
        "train": ["df002", "qx007", "qx010", "qxg001"],
        "validation": ["js003", "js010"],
        "test": ["hz001", "wn012"],
    }
    # Runs of 64, 16 and 20 % of eight names, sorted as text.
    others = sorted(bijie_files.NON_LANDSLIDE)
    assert set(others[:5]) < set(found["train"])
    assert others[5] in found["validation"]
    assert set(others[6:]) < set(found["test"])
    assert found["test"]["zb#dzj002"]["region"] == b"zb#dzj"
    for part in found.values():
        for name, example in part.items():
            np.testing.assert_array_equal(example["image"], bijie_files.picture(name))
            wanted = bijie_files.mask(name) == 255 if name in slides else 0
            np.testing.assert_array_equal(example["mask"][..., 0], wanted)
    dem = found["test"]["hz001"]["factors"][..., 0]
    np.testing.assert_array_equal(dem.ravel(), np.arange(dem.size))
    assert (found["validation"]["js003"]["factors"] == 200).all()
    assert np.isnan(found["train"]["df002"]["factors"]).all()


def test_elevations_are_resampled_bilinearly_onto_the_image(manual, tmp_path):
    path = manual / "Bijie-landslide-dataset" / "landslide" / "dem" / "hz001.png"
    height, width = bijie_files.picture("hz001").shape[:2]
    # A plane stays a plane: pixel (r, c) of the double grid lies at (r + 0.5) / 2.
    rows, columns = np.mgrid[: 2 * height, : 2 * width]
    plane = (10 * rows + 20 * columns).astype(np.uint16)
    Image.fromarray(plane).save(path)
    example = examples(build(manual, tmp_path))["test"]["hz001"]
    rows, columns = np.mgrid[:height, :width]
    wanted = 10 * (2 * rows + 0.5) + 20 * (2 * columns + 0.5)
    inside = (slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(example["factors"][..., 0][inside], wanted[inside])


def test_files_are_counted_and_leftovers_named(manual, tmp_path):
    masks = manual / "Bijie-landslide-dataset" / "landslide" / "mask"
    shutil.copy(masks / "df002.png", masks / "df999.png")
    (masks / "wn012.png").unlink()
    with pytest.warns(IncompleteDataWarning) as caught:
        builder = build(manual, tmp_path)
    messages = " ".join(str(w.message) for w in caught)
    assert "landslide 8 of 770, non-landslide 8 of 2003" in messages
    assert "1 mask without an image, the first `df999.png`" in messages
    assert "1 landslide image without a mask, the first `wn012.png`" in messages
    report = tfds.builder_from_directory(builder.data_dir).info.metadata["files"]
    assert report["landslide"]["found"] == 8
    assert report["landslide"]["masks_without_image"] == ["df999.png"]
    assert report["landslide"]["images_without_mask"] == ["wn012.png"]
    assert report["landslide"]["ignored"] == ["image/Thumbs.db"]
    assert report["validation"]["dem"] == {"none": 2, "uint8 tif of another size": 1}
    assert report["validation"]["landslide_share"] == pytest.approx(
        2 * 120 / sum(
            bijie_files.picture(n)[..., 0].size
            for n in ("js003", "js010", sorted(bijie_files.NON_LANDSLIDE)[5])
        )
    )  # fmt: skip
    # Images without a mask can be classified all the same.
    classified = examples(build(manual, tmp_path, "classification"))
    assert "wn012" in classified["test"]
    assert classified["test"]["wn012"]["label"] == 1


def test_images_that_share_pixels_stay_together(manual):
    parts = partition.by_group(scenes(manual))
    of = {name: part for part, names in parts.items() for name in names}
    assert of["qx007"] == of["qx010"]
    assert sum(map(len, parts.values())) == 16
    loose = partition.at_random(scenes(manual))
    assert {part: len(names) for part, names in loose.items()} == {
        "train": 12, "validation": 2, "test": 2,
    }  # fmt: skip


def test_the_released_rule(manual):
    with pytest.warns(IncompleteDataWarning, match="are not the 8 of the released"):
        parts = partition.released(scenes(manual))
    draw = random.Random(0)
    wanted = set()
    for names in (bijie_files.LANDSLIDE, bijie_files.NON_LANDSLIDE):
        wanted |= {sorted(names)[place] for place in draw.sample(range(8), 1)}
    assert parts["test"] == wanted
    assert parts.keys() == {"train", "test"}


def test_the_released_lists_of_the_whole_set(shared):
    golden = json.loads(
        (shared / "specs" / "golden" / "evidential_fusion.json").read_text()
    )["released_split"]
    places = {
        kind: [
            files.Scene(str(n), kind, epath.Path(f"{n}.png"), position=n)
            for n in range(files.PUBLISHED[kind])
        ]
        for kind in files.KINDS
    }
    parts = partition.released(places)  # all numbered: nothing to warn of
    draw = random.Random(0)
    for kind in files.KINDS:
        test = draw.sample(range(len(places[kind])), golden[kind]["test"])
        assert {str(place) for place in test} <= parts["test"]
        assert partition._NAMES[kind] == golden[kind]["sha256_all"]
    assert len(parts["test"]) <= 554


def test_names_of_the_released_lists_are_known_by_their_digest():
    names = ["b.png", "a.png"]
    digest = hashlib.sha256(b"a.png\nb.png").hexdigest()
    listed = [files.Scene(n, "landslide", epath.Path(n)) for n in names]
    assert partition._digest(listed) == digest


def test_numbered_images_keep_their_place(tmp_path):
    bijie_files.write_flat(tmp_path / "manual")
    found = examples(build(tmp_path / "manual", tmp_path))
    # 35 images of df come first, then 102 of hz and 75 of js; the last one is of zj.
    assert set(found["train"]) == {"ls_0000", "ls_0769", "nls_0000"}
    assert set(found["validation"]) == {"ls_0140", "nls_1300"}
    assert set(found["test"]) == {"ls_0040", "nls_1602", "nls_2002"}


def broken(root, fault):
    """Breaks a folder and returns what the error must name."""
    image = root / "landslide" / "image" / "qx007.png"
    mask = root / "landslide" / "mask" / "qx007.png"
    dem = root / "landslide" / "dem" / "hz001.png"
    labels = bijie_files.mask("qx007")
    if fault == "truncated":
        image.write_bytes(image.read_bytes()[:2000])
        return "image/qx007.png"
    if fault == "grey image":
        bijie_files.save(image, labels)
        return "image/qx007.png"
    if fault == "empty image":
        image.write_bytes(b"")
        return "image/qx007.png"
    if fault == "mask size":
        bijie_files.save(mask, labels[:-1])
        return "mask/qx007.png"
    if fault == "mask value":
        labels[0, 0] = 7
        bijie_files.save(mask, labels)
        return "mask/qx007.png"
    if fault == "coloured mask":
        bijie_files.save(mask, np.repeat(labels[..., None], 3, axis=2))
        return "mask/qx007.png"
    if fault == "landslide without one":
        name = "fyb1"
        path = root / "non-landslide" / "mask" / f"{name}.png"
        bijie_files.save(path, bijie_files.mask(name))
        return "non-landslide/mask/fyb1.png"
    if fault == "float elevation":
        tifffile.imwrite(dem.with_suffix(".tif"), np.zeros((4, 4), np.float32))
        dem.unlink()
        return "hz001.tif"
    if fault == "two elevations":
        shutil.copy(dem, dem.with_suffix(".tif"))
        return "hz001"
    if fault == "no masks":
        shutil.rmtree(mask.parent)
        return "must hold masks"
    if fault == "no images":
        shutil.rmtree(root / "non-landslide")
        return "non-landslide"
    if fault == "unknown county":
        image.rename(image.with_name("ab001.png"))
        mask.rename(mask.with_name("ab001.png"))
        return "ab001.png"
    assert fault == "one name twice"
    shutil.copy(image, root / "non-landslide" / "image")
    return "qx007"


@pytest.mark.parametrize(
    "fault",
    [
        "truncated", "grey image", "empty image", "mask size", "mask value",
        "coloured mask", "landslide without one", "float elevation", "two elevations",
        "no masks", "no images", "unknown county", "one name twice",
    ],
)  # fmt: skip
def test_broken_files_are_named_and_nothing_is_built(manual, tmp_path, fault):
    named = broken(manual / "Bijie-landslide-dataset", fault)
    with pytest.raises(DataError) as caught:
        build(manual, tmp_path)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "data").glob("bijie_landslide/segmentation/[!.]*"))


def test_nothing_there_says_what_is_expected(tmp_path):
    (tmp_path / "manual").mkdir()
    with pytest.raises(DataError, match=r"Bijie-landslide-dataset/landslide/\{image"):
        build(tmp_path / "manual", tmp_path)


def test_an_archive_is_as_good_as_a_folder(manual, tmp_path):
    packed = tmp_path / "packed"
    packed.mkdir()
    shutil.make_archive(str(packed / "bijie-landslide-dataset"), "zip", manual)
    one = build(manual, tmp_path / "one", "classification")
    two = build(packed, tmp_path / "two", "classification")
    for file in one.data_path.glob("*.tfrecord*"):
        assert file.read_bytes() == (two.data_path / file.name).read_bytes()

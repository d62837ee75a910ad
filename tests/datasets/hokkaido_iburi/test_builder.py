"""The builder of hokkaido_iburi, on written folders and on the real sample."""

import shutil
from typing import ClassVar

import numpy as np
import pytest
import rasterio
import tifffile
from PIL import Image

from landslide_tf.datasets import IncompleteDataWarning, hokkaido_iburi
from landslide_tf.datasets.hokkaido_iburi import (
    hokkaido_iburi_dataset_builder as module,
)
from landslide_tf.errors import DataError
from tests.contracts import dataset_builder
from tests.datasets.building import build, examples, nothing_visible

pytestmark = pytest.mark.filterwarnings(
    "ignore::landslide_tf.datasets.IncompleteDataWarning"
)
TILES = (370, 375, 672, 742, 949)
CROPS = (1, 2, 17, 40)


def picture(path, seed, bands=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (256, 256, bands), np.uint8)
    values[..., 3:] = 255
    Image.fromarray(values).save(path)
    return values


def palette_mask(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((256, 256), np.uint8)
    mask[:rows] = 1
    image = Image.fromarray(mask)
    image.putpalette([0, 0, 0, 128, 0, 0])
    image.save(path)


def write(images, masks, crops):
    for tile in TILES:
        picture(images / f"{tile}.tif", tile, 4 if tile == 742 else 3)
        palette_mask(masks / f"{tile}.png", tile // 10)
    picture(images / "370_rotated.tif", 1)  # copies of the release
    palette_mask(masks / "370_rotated.png", 1)
    (images / "370.json").write_text("{}")
    palette_mask(masks / "371.png", 9)  # its image is missing
    for crop in CROPS:
        picture(crops / f"{crop}.tif", crop)


class CleanTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = hokkaido_iburi.Builder
    CONFIG = "clean"
    SPLITS: ClassVar = {"train": 2, "validation": 1, "test": 2, "unlabelled": 2}

    @classmethod
    def write_dummy_data(cls, folder):
        root = folder / "hokkaido_iburi"
        write(root / "Images", root / "Masks", root / "unlabelled")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "manual" / "hokkaido_iburi"
    write(folder / "Images", folder / "Masks", folder / "unlabelled")
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The dummy tiles as they are, built; not to be changed."""
    folder = tmp_path_factory.mktemp("hokkaido")
    root = folder / "manual" / "hokkaido_iburi"
    write(root / "Images", root / "Masks", root / "unlabelled")
    with pytest.warns(IncompleteDataWarning) as caught:
        builder = build("hokkaido_iburi", root.parent, folder)
    return builder, " ".join(str(w.message) for w in caught)


def test_copies_and_leftovers_are_counted(built):
    builder, messages = built
    assert "train 2 of 12, validation 1 of 2, test 2 of 6, unlabelled 4" in messages
    assert "1 mask without an image, the first `371.png`" in messages
    assert builder.builder_config.name == "clean"
    files = builder.info.metadata["files"]
    assert files["train"]["ignored"] == [
        "Images/370.json", "Images/370_rotated.tif", "Masks/370_rotated.png",
    ]  # fmt: skip
    assert files["unlabelled"]["dropped"] == [2, 17]
    assert files["train"]["landslide_share"] == pytest.approx(37 / 256)


def test_alpha_is_left_out_and_palettes_are_indices(built, tmp_path):
    builder, _ = built
    example = examples(builder, "test")["742"]
    np.testing.assert_array_equal(
        example["image"], picture(tmp_path / "again.tif", 742, 4)[..., :3]
    )
    assert example["mask"].sum() == 74 * 256
    crops = examples(builder, "unlabelled")
    assert crops.keys() == {"crop_1", "crop_40"}
    assert all((crop["mask"] == 255).all() for crop in crops.values())


def test_folders_of_the_repository_are_found(tmp_path):
    data = tmp_path / "manual" / "Coseismic-landslide-detection-master" / "data"
    write(data / "train/Images", data / "train/Masks", data / "test")
    builder = build("hokkaido_iburi/all-crops", tmp_path / "manual", tmp_path)
    sizes = {k: v.num_examples for k, v in builder.info.splits.items()}
    assert sizes == {"train": 2, "validation": 1, "test": 2, "unlabelled": 4}


def test_crops_may_be_absent(root, tmp_path):
    shutil.rmtree(root / "unlabelled")
    builder = build("hokkaido_iburi", root.parent, tmp_path)
    assert set(builder.info.splits) == {"train", "validation", "test"}


@pytest.mark.parametrize(
    "fault",
    ["truncated", "size", "grey", "mask size", "mask value", "mask colours",
     "mask truncated", "mask missing", "no images", "empty crops"],
)  # fmt: skip
def test_broken_files_are_named_and_nothing_is_built(root, tmp_path, fault):
    image, mask = root / "Images" / "375.tif", root / "Masks" / "375.png"
    name = image.name
    if fault.startswith("mask") and fault != "mask missing":
        name = mask.name
    grey = Image.fromarray(np.full((256, 256), 2, np.uint8))
    if fault == "truncated":
        image.write_bytes(image.read_bytes()[:50_000])
    elif fault == "size":
        Image.open(image).resize((128, 256)).save(image)
    elif fault == "grey":
        grey.save(image)
    elif fault == "mask size":
        grey.resize((128, 256)).save(mask)
    elif fault == "mask value":
        grey.save(mask)
    elif fault == "mask colours":
        Image.open(mask).convert("RGB").save(mask)
    elif fault == "mask truncated":
        mask.write_bytes(mask.read_bytes()[:-30])
    elif fault == "mask missing":
        mask.unlink()
    elif fault == "no images":
        shutil.rmtree(root / "Images")
        (root / "Images").mkdir()
        name = "Images"
    else:
        shutil.rmtree(root / "unlabelled")
        (root / "unlabelled").mkdir()
        name = "unlabelled"
    with pytest.raises(DataError) as caught:
        build("hokkaido_iburi", root.parent, tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert nothing_visible(tmp_path)


def test_nothing_there_shows_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"Images/N\.tif.*MANUAL_DIR"):
        build("hokkaido_iburi", tmp_path / "absent", tmp_path)


@pytest.fixture(scope="module")
def sample(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hokkaido_iburi")
    with pytest.warns(IncompleteDataWarning, match="unlabelled 4 of 40"):
        return build("hokkaido_iburi/all-crops", shared / "data", folder)


def test_sample_splits_and_shares(sample):
    found = {split: examples(sample, split) for split in sample.info.splits}
    for split, numbers in module.SPLITS.items():
        assert found[split].keys() == set(map(str, numbers))
    assert found["unlabelled"].keys() == {"crop_3", "crop_6", "crop_17", "crop_38"}
    shares = [
        example["mask"].mean()
        for split in module.SPLITS
        for example in found[split].values()
    ]
    assert min(shares) == pytest.approx(0.126, abs=5e-4)
    assert max(shares) == pytest.approx(0.564, abs=5e-4)
    assert np.mean(shares) == pytest.approx(0.3085, abs=5e-5)


def test_sample_equals_its_files(sample, shared):
    root = shared / "data" / "hokkaido_iburi"
    for split in module.SPLITS:
        for name, example in examples(sample, split).items():
            image = tifffile.imread(root / "Images" / f"{name}.tif")
            if image.shape[0] < 5:  # bands first
                image = np.moveaxis(image, 0, -1)
            assert image.shape[-1] == (4 if name == "742" else 3)
            np.testing.assert_array_equal(example["image"], image[..., :3])
            mask = Image.open(root / "Masks" / f"{name}.png")
            assert mask.mode == "P"
            np.testing.assert_array_equal(example["mask"][..., 0], np.array(mask))


def test_sample_crops_show_ground_of_tiles(sample):
    tiles = examples(sample, "validation") | examples(sample, "test")
    crops = examples(sample, "unlabelled")
    for tile, crop in (("672", 3), ("675", 6), ("742", 17)):
        assert crop in module.SHARED_CROPS
        one, two = tiles[tile]["image"], crops[f"crop_{crop}"]["image"]
        assert shared_part(one, two) > 0.5
    assert all(shared_part(t["image"], crops["crop_38"]["image"]) < 0.1
               for t in tiles.values())  # fmt: skip


def shared_part(one, two):
    """Largest share of equal pixels over the shifts by (±51, ±23) and tile sizes."""
    best = 0.0
    for down in (51, -51, 205, -205):
        for right in (23, -23, 233, -233):
            a = one[
                max(down, 0) : 256 + min(down, 0), max(right, 0) : 256 + min(right, 0)
            ]
            b = two[
                max(-down, 0) : 256 + min(-down, 0),
                max(-right, 0) : 256 + min(-right, 0),
            ]
            best = max(best, (a == b).all(-1).mean())
    return best


def test_sample_crops_have_a_false_georeference(sample, shared):
    path = shared / "data" / "hokkaido_iburi" / "unlabelled" / "3.tif"
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 32654
        assert file.transform.a == 1
        assert abs(file.transform.f) < 10_000  # pixels: Hokkaido lies at 4.7 million m
    assert not {"crs", "transform"} & set(sample.info.features)

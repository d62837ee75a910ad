"""The builder of mmlsv2, on written folders and on the real sample."""

import re
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import rasterio
import tifffile
from etils import epath

from landslide_tf.datasets import IncompleteDataWarning, mmlsv2
from landslide_tf.datasets.common.pairing import Found, Pair
from landslide_tf.datasets.common.tile_grid import near
from landslide_tf.datasets.mmlsv2 import mmlsv2_dataset_builder as module
from landslide_tf.datasets.mmlsv2 import rasters
from landslide_tf.errors import DataError
from landslide_tf.terrain import slope
from tests.contracts import dataset_builder
from tests.datasets import mmls_files
from tests.datasets.building import build, examples, nothing_visible

pytestmark = pytest.mark.filterwarnings(
    "ignore::landslide_tf.datasets.IncompleteDataWarning"
)
ROOT = Path(__file__).parents[3]
MARS = rasterio.CRS.from_proj4("+proj=eqc +R=3396190 +units=m")
# Row and column; block (0, 0) is test, (0, 1) validation, (0, 2) train.
TRAIN = [(1, 1), (2, 13), (3, 15)]
VALIDATION = [(2, 8)]
TEST, ISOLATED = [(2, 14)], [(1, 1)]


def raw_tile(seed):
    """Bands in the challenge's order and units."""
    unit = mmls_files.image(seed)
    dem = np.round(unit[..., 3] * 8000 - 2000)
    bands = np.round(unit * 255)
    steep = slope(np.pad(dem.astype(float), 1, "edge"), 232.0)[1:-1, 1:-1]
    return np.stack(
        [bands[..., 4], steep, dem, bands[..., 6],
         bands[..., 2], bands[..., 1], bands[..., 0]], -1,
    ).astype(np.float32)  # fmt: skip


def geotiff(path, values, position, nodata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = values if values.ndim == 3 else values[..., None]
    row, col = position
    transform = rasterio.Affine(232, 0, col * 29696.0, 0, -232, -row * 29696.0)
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1],
        count=values.shape[2], dtype=values.dtype, crs=MARS, transform=transform,
        nodata=nodata,
    ) as file:  # fmt: skip
        file.write(np.moveaxis(values, -1, 0))


def mask_of(position):
    mask = np.zeros((128, 128), np.uint8)
    mask[: 10 * sum(position)] = 1
    return mask


def challenge(root):
    parts = {
        "phase1_dataset/train": TRAIN, "phase1_dataset/val": VALIDATION,
        "phase1_dataset/test": TEST, "phase2_dataset/test": ISOLATED,
    }  # fmt: skip
    for part, positions in parts.items():
        for row, col in positions:
            name = f"col{col:05d}_row{row:05d}.tif"
            values = raw_tile(100 * row + col)
            if (row, col) == (2, 13):
                values[0, :, 1] = np.finfo(np.float32).min  # the mosaic's rim, untagged
            geotiff(root / part / "images" / name, values, (row, col))
            if "test" not in part:
                geotiff(
                    root / part / "masks" / name, mask_of((row, col)), (row, col), 0
                )


def arrays(root, suffix="npy"):
    parts = {"train": TRAIN, "val": VALIDATION, "test": TEST, "isolated_test": ISOLATED}
    for part, positions in parts.items():
        for row, col in positions:
            unit = mmls_files.image(100 * row + col)[..., [2, 1, 0, 3, 5, 4, 6]]
            path = root / part / "images" / f"Image_{row}_{col}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if suffix == "npy":
                np.save(path, unit)
            else:
                tifffile.imwrite(path, unit)  # pages are rows, as in version 1
            path = root / part / "masks" / f"Mask_{row}_{col}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, mask_of((row, col)))


class PublishedTest(dataset_builder.DatasetBuilderContract):
    DATASET_CLASS = mmlsv2.Builder
    CONFIG = "published"
    SPLITS: ClassVar = {"train": 3, "validation": 1, "test": 1, "test_isolated": 1}

    @classmethod
    def write_dummy_data(cls, folder):
        challenge(folder / "mmlsv2")


@pytest.fixture
def root(tmp_path):
    challenge(tmp_path / "manual" / "mmlsv2")
    return tmp_path / "manual" / "mmlsv2"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A manual folder with the challenge's tiles; not to be changed."""
    folder = tmp_path_factory.mktemp("mmlsv2") / "manual"
    challenge(folder / "mmlsv2")
    return folder


@pytest.fixture(scope="module")
def built(written, tmp_path_factory):
    return build("mmlsv2/published", written, tmp_path_factory.mktemp("mmlsv2"))


def test_bands_have_one_order_and_their_units(built):
    names = [band["name"] for band in built.info.metadata["bands"]]
    assert names == ["red", "green", "blue", "dem", "slope", "thermal", "gray"]
    assert built.info.metadata["bands"][3]["unit"] == "metre"
    example = examples(built, "train")["train_1_1"]
    stored = raw_tile(101)
    np.testing.assert_array_equal(example["image"], stored[..., [4, 5, 6, 2, 1, 0, 3]])
    assert example["transform"].tolist() == [232, 0, 29696, 0, -232, -29696]
    assert b"3396190" in example["crs"]
    assert example["mask"].sum() == 20 * 128  # background is tagged as nodata


def test_the_rim_gets_the_slope_of_repeated_elevations(built):
    image = examples(built, "train")["train_2_13"]["image"]
    np.testing.assert_allclose(image[..., 4], raw_tile(213)[..., 1], atol=1e-4)
    assert built.info.metadata["files"]["train"]["slope_pixels_filled"] == 128
    assert built.info.metadata["bands"][4]["range"][0] >= 0


def test_scaled_tiles_are_divided_by_the_ranges(built, written, tmp_path):
    unit = build("mmlsv2/published-unit", written, tmp_path)
    one, two = (examples(b, "validation")["validation_2_8"] for b in (built, unit))
    np.testing.assert_array_equal(
        two["image"],
        one["image"] / np.float32([255, 255, 255, 12822, 90, 255, 255]),
    )
    assert {band["unit"] for band in unit.info.metadata["bands"]} == {"1"}


@pytest.mark.parametrize("suffix", ["npy", "tif"])
def test_arrays_are_stored_as_they_are(tmp_path, suffix):
    arrays(tmp_path / "manual" / "mmlsv2", suffix)
    builder = build("mmlsv2/published-unit", tmp_path / "manual", tmp_path)
    example = examples(builder, "test")["test_2_14"]
    unit = mmls_files.image(214)[..., [2, 1, 0, 3, 5, 4, 6]]
    np.testing.assert_array_equal(example["image"], unit)
    assert example["mask"].sum() == 128 * 128
    assert np.isnan(example["transform"]).all()
    assert example["crs"] == b""
    with pytest.raises(DataError, match="build `mmlsv2/published-unit`"):
        build("mmlsv2/published", tmp_path / "manual", tmp_path)


def test_parts_are_counted(root, tmp_path):
    shutil.rmtree(root / "phase2_dataset")
    with pytest.warns(IncompleteDataWarning) as caught:
        builder = build("mmlsv2/published", root.parent, tmp_path)
    message = " ".join(str(w.message) for w in caught)
    assert "train 3 of 465, validation 1 of 66, test 1 of 133" in message
    assert "test_isolated 0 of 276" in message
    assert set(builder.info.splits) == {"train", "validation", "test"}
    assert builder.info.metadata["files"]["test"]["unlabelled"] == 1
    assert (examples(builder, "test")["test_2_14"]["mask"] == 255).all()


def test_regrouped_parts_do_not_touch():
    rng = np.random.default_rng(0)
    cells = [divmod(int(k), 80) for k in rng.choice(40 * 80, 1200, replace=False)]
    pairs = [Pair(cell, epath.Path(f"{cell}"), epath.Path("m")) for cell in cells]
    splits, dropped = module.regroup(
        {"train": Found(pairs[:1000]), "validation": Found(pairs[1000:])}
    )
    places = {split: {pair.key for pair in found} for split, found in splits.items()}
    assert not places["train"] & near(places["validation"] | places["test"])
    assert not places["validation"] & near(places["test"])
    assert sum(map(len, [*places.values(), *dropped.values()])) == 1200
    assert 0.1 < len(places["test"]) / 1200 < 0.3
    # A tile's split does not depend on the other files that are here.
    few, _ = module.regroup({"train": Found(pairs[:10])})
    for split in ("train", "validation"):
        allowed = places[split] | {
            pair.key for pair in pairs if pair.image.name in dropped[split]
        }
        assert {pair.key for pair in few[split]} <= allowed


def test_drawn_tiles_are_each_in_one_part_and_validation_in_none():
    train = [
        Pair(divmod(k, 40), epath.Path(f"{k}"), epath.Path("m")) for k in range(1600)
    ]
    held_out = [Pair((50, k), epath.Path(f"v{k}"), epath.Path("m")) for k in range(100)]
    splits = module.draw({"train": Found(train), "validation": Found(held_out)})
    places = {split: {pair.key for pair in found} for split, found in splits.items()}
    assert sum(map(len, places.values())) == len(set().union(*places.values())) == 1600
    assert set().union(*places.values()) == {pair.key for pair in train}
    shares = {split: len(found) / 1600 for split, found in places.items()}
    assert shares == pytest.approx(
        {"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.04
    )
    # Neighbours touch, as in the published split.
    touching = [place for place in places["test"] if near([place]) & places["train"]]
    assert len(touching) > 0.95 * len(places["test"])
    # A tile's split does not depend on the other files that are here.
    few = module.draw({"train": Found(train[::7])})
    assert all({p.key for p in few[split]} <= places[split] for split in places)


@pytest.mark.parametrize(
    ("config", "lacking"),
    [
        ("published", "validation 0 of 66"),
        ("random", "published: train 3 of 465 images"),  # it takes no other part
        ("clean", "validation 0 of 66"),
    ],
)
def test_a_train_part_alone_is_built(root, tmp_path, config, lacking):
    for part in ("phase1_dataset/val", "phase1_dataset/test", "phase2_dataset"):
        shutil.rmtree(root / part)
    with pytest.warns(IncompleteDataWarning, match=lacking):
        builder = build(f"mmlsv2/{config}", root.parent, tmp_path)
    report = builder.info.metadata["files"]
    dropped = sum(len(entry.get("dropped", ())) for entry in report.values())
    stored = sum(split.num_examples for split in builder.info.splits.values())
    assert stored + dropped == len(TRAIN)


def test_a_validation_part_alone_is_built(root, tmp_path):
    for part in ("phase1_dataset/train", "phase1_dataset/test", "phase2_dataset"):
        shutil.rmtree(root / part)
    with pytest.warns(
        IncompleteDataWarning, match="train 0 of 465, validation 1 of 66"
    ):
        builder = build("mmlsv2/published", root.parent, tmp_path)
    assert set(builder.info.splits) == {"validation"}
    example = examples(builder, "validation")["validation_2_8"]
    np.testing.assert_array_equal(example["mask"][..., 0], mask_of((2, 8)))
    with pytest.raises(DataError, match="build `mmlsv2/published`"):
        build("mmlsv2/random", root.parent, tmp_path)


def test_one_place_in_two_parts_is_refused(root, tmp_path):
    part = root / "phase1_dataset"
    for kind in ("images", "masks"):
        name = f"{kind}/col00001_row00001.tif"
        shutil.copy(part / "train" / name, part / "val" / name)
    with pytest.raises(DataError, match=r"col00001_row00001\.tif` shows the place of"):
        build("mmlsv2/clean", root.parent, tmp_path)


def broken(root, fault):
    part = root / "phase1_dataset" / "train"
    image = part / "images" / "col00015_row00003.tif"
    mask = part / "masks" / image.name
    good = raw_tile(315)
    where = (3, 15)
    if fault == "truncated":
        image.write_bytes(image.read_bytes()[:200_000])
    elif fault == "garbage":
        image.write_bytes(b"II*\x00")
    elif fault == "bands":
        geotiff(image, good[..., :4], where)
    elif fault == "type":
        geotiff(image, good.astype(np.float64), where)
    elif fault == "size":
        geotiff(image, good[:64], where)
    elif fault == "not a number":
        good[3, 4, 6] = np.nan
        geotiff(image, good, where)
    elif fault == "order":
        geotiff(image, good[..., ::-1].copy(), where)
    elif fault == "mask size":
        geotiff(mask, np.zeros((64, 128), np.uint8), where)
    elif fault == "mask value":
        geotiff(mask, np.full((128, 128), 3, np.uint8), where)
    elif fault == "mask missing":
        mask.unlink()
    elif fault == "no images":
        shutil.rmtree(image.parent)
        image.parent.mkdir()
        return "train/images"
    return image.name


@pytest.mark.parametrize(
    "fault",
    ["truncated", "garbage", "bands", "type", "size", "not a number", "order",
     "mask size", "mask value", "mask missing", "no images"],
)  # fmt: skip
def test_broken_files_are_named_and_nothing_is_built(root, tmp_path, fault):
    name = broken(root, fault)
    with pytest.raises(DataError) as caught:
        build("mmlsv2/published", root.parent, tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert nothing_visible(tmp_path)


@pytest.mark.parametrize("content", ["truncated", "pickle", "swapped"])
def test_broken_arrays_are_named(tmp_path, content):
    arrays(tmp_path / "manual" / "mmlsv2")
    path = tmp_path / "manual" / "mmlsv2" / "val" / "images" / "Image_2_8.npy"
    if content == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif content == "pickle":
        np.save(path, np.array([{}]), allow_pickle=True)
    else:  # slope and thermal inertia, as in version 1
        np.save(path, np.load(path)[..., [0, 1, 2, 3, 5, 4, 6]])
    with pytest.raises(DataError, match=r"Image_2_8\.npy"):
        build("mmlsv2/published-unit", tmp_path / "manual", tmp_path)


def test_nothing_there_shows_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"phase1_dataset/.*MANUAL_DIR"):
        build("mmlsv2", tmp_path / "absent", tmp_path)


@pytest.fixture(scope="module")
def sample(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mmlsv2")
    with pytest.warns(IncompleteDataWarning, match="train 16 of 465, validation 4 of"):
        return build("mmlsv2/published", shared / "data", folder)


def test_sample_slope_is_horns_slope_of_its_elevations(sample):
    found = examples(sample, "train") | examples(sample, "test")
    for example in found.values():
        horn = slope(example["image"][..., 3].astype(float), 232.0)
        np.testing.assert_allclose(
            example["image"][1:-1, 1:-1, 4], horn[1:-1, 1:-1], atol=5e-6
        )
    pixel = found["train_8_32"]["image"][64, 64]
    assert pixel[3] == 942
    assert pixel[4] == pytest.approx(3.90368, abs=1e-5)


def test_sample_rim_is_filled(sample, shared):
    folder = shared / "data" / "mmlsv2" / "phase1_dataset" / "train" / "images"
    with rasterio.open(folder / "col00078_row00028.tif") as file:
        stored = file.read(2)
        assert file.nodata is None
    missing = stored < -1e38
    report = sample.info.metadata["files"]
    assert report["train"]["slope_pixels_filled"] == missing.sum() == 128
    filled = examples(sample, "train")["train_28_78"]["image"][..., 4]
    np.testing.assert_array_equal(filled[~missing], stored[~missing])
    assert filled[missing].min() >= 0
    assert filled[missing].max() < 63


def test_sample_values_lie_in_the_measured_ranges(sample):
    limits = [
        (18, 207),
        (18, 231),
        (18, 255),
        (-5834, 6988),
        (0, 62.8),
        (0, 254),
        (0, 254),
    ]
    for band, (low, high) in zip(sample.info.metadata["bands"], limits, strict=True):
        assert low <= band["range"][0] <= band["range"][1] <= high
    for example in examples(sample, "train").values():
        whole = np.delete(example["image"], 4, axis=-1)
        np.testing.assert_array_equal(whole, np.round(whole))


def test_sample_masks_are_read_whole(sample, shared):
    folder = shared / "data" / "mmlsv2" / "phase1_dataset" / "train" / "masks"
    for example in examples(sample, "train").values():
        name = f"col{example['col']:05d}_row{example['row']:05d}.tif"
        with rasterio.open(folder / name) as file:
            assert file.nodata == 0
            mask = file.read(1)
        np.testing.assert_array_equal(example["mask"][..., 0], mask)
        assert set(np.unique(mask)) == {0, 1}


def test_sample_test_tile_shows_ground_of_a_train_tile(sample):
    # Row 28 was shifted inwards: 12 rows down instead of 128.
    one = examples(sample, "test")["test_27_78"]
    two = examples(sample, "train")["train_28_78"]
    assert (one["transform"][5] - two["transform"][5]) / 232 == pytest.approx(12)
    assert one["transform"][2] == -3197670.3444039035
    np.testing.assert_array_equal(one["image"][12:, :, 3], two["image"][:116, :, 3])


def test_sample_builds_clean(shared, tmp_path):
    builder = build("mmlsv2/clean", shared / "data", tmp_path)
    report = builder.info.metadata["files"]
    stored = sum(split.num_examples for split in builder.info.splits.values())
    dropped = sum(len(report[s].get("dropped", ())) for s in report)
    assert stored + dropped == 20
    assert rasters.BANDS[rasters.SLOPE] == "slope"


@pytest.mark.integration
def test_the_block_of_the_guide_builds_shows_and_trains(shared, tmp_path, monkeypatch):
    guide = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    (code,) = (block for block in blocks if "mmlsv2" in block)
    for old, new in {
        '"landslide_downloads"': repr(str(shared / "data")),
        "with_info=True,": f"with_info=True, data_dir={str(tmp_path)!r},",
        "epochs=2": "epochs=1, verbose=0",
    }.items():
        assert code.count(old) == 1
        code = code.replace(old, new)
    monkeypatch.chdir(tmp_path)
    said = {}
    exec(code, said)
    assert said["model"].input_shape == (None, None, None, 7)
    assert np.isfinite(said["model"].history.history["loss"]).all()
    assert (tmp_path / "tile.png").is_file()

"""What a check of a built data set reports."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from landslide_tf.datasets import check_dataset
from landslide_tf.errors import DataError
from tests.datasets import bijie_files

pytestmark = pytest.mark.filterwarnings(
    "ignore::landslide_tf.datasets.IncompleteDataWarning"
)

ids = iter(range(10**6))


def example(image, mask=0, **more):
    shape = image.shape[:2]
    found = {"image": image, "mask": np.full((*shape, 1), mask, np.uint8)}
    return found | {"id": f"e{next(ids):06}".encode()} | more


class Built:
    """As much of a built TFDS builder as a check reads."""

    def __init__(self, metadata=None, half_tiles=False, **splits):
        self._splits = splits
        self.HALF_TILES = half_tiles
        first = next(iter(splits.values()))[0]
        self.info = SimpleNamespace(
            full_name="built/one/1.0.0",
            features=dict.fromkeys(first),
            metadata={"classes": ["background", "landslide"], **(metadata or {})},
            splits={
                split: SimpleNamespace(num_examples=len(examples))
                for split, examples in splits.items()
            },
        )

    def as_dataset(self, split, read_config):
        columns = {
            key: [e[key] for e in self._splits[split]] for key in self.info.features
        }
        return tf.data.Dataset.from_tensor_slices(columns)


def noise(seed, size=64):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (size, size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def bijie(tmp_path_factory):
    """The dummy images, built at random: qx007 and qx010 are in different parts."""
    folder = tmp_path_factory.mktemp("bijie")
    bijie_files.write_bijie(folder / "manual")
    builder = tfds.builder(
        "bijie_landslide/segmentation-random", data_dir=folder / "data"
    )
    config = tfds.download.DownloadConfig(manual_dir=folder / "manual")
    builder.download_and_prepare(download_config=config)
    return builder


def test_a_built_data_set(bijie):
    found = check_dataset(bijie)
    (pair,) = found.shared
    assert (pair.first, pair.second, pair.how) == ("qx007", "qx010", "pixels")
    assert pair.splits == ("train", "validation")
    assert pair.share == pytest.approx(70 * 70 / (80 * 90))
    assert found.left_out == {"landslide ignored": ["image/Thumbs.db"]}
    assert found.examples == {"train": 12, "validation": 2, "test": 2}
    for split in found.examples:
        shares = found.shares[split]
        assert sum(shares.values()) == pytest.approx(1)
        reported = bijie.info.metadata["files"][split]["landslide_share"]
        assert shares["landslide"] == pytest.approx(reported)


def test_equal_images_are_shared_ground_whatever_their_size():
    image, black = noise(0, 8), np.zeros((8, 8, 3), np.uint8)
    train = [example(image), example(noise(1, 8)), example(black)]
    found = check_dataset(Built(train=train, test=[example(image, 1), example(black)]))
    assert len(found.duplicates) == 2
    (pair,) = found.leaks  # black ground lies everywhere
    assert pair.splits == ("train", "test") and pair.share == 1
    text = "\n".join(found.lines())
    assert "test            2 examples: background 50.00 %, landslide 50.00 %" in text
    assert "equal images: 2 groups" in text
    assert "shared ground between parts: 1 pair\n" in text
    assert f"{pair.first} (train) and {pair.second} (test): 100 %, by pixels" in text


def test_ground_shared_inside_of_a_part_is_no_leak():
    image = noise(0)
    train = [example(image[:, :48]), example(image[:, 16:])]
    found = check_dataset(Built(train=train, test=[example(noise(1)[:, :48])]))
    assert len(found.shared) == 1 and found.leaks == []


def test_footprints_of_one_coordinate_system():
    def placed(seed, left, crs=b"EPSG:32633", cell=10.0):
        # Rows go west, as in a turned tile.
        transform = np.array([0, cell, left, cell, 0, 0])
        return example(noise(seed), transform=transform, crs=crs)

    train = [placed(0, 0.0), placed(1, 640.0), placed(2, 5000.0)]
    test = [placed(3, 320.0), placed(4, 0.0, b"EPSG:32634"), placed(5, np.nan)]
    found = check_dataset(Built(train=train, test=test))
    assert [(p.first, p.second) for p in found.leaks] == [
        (train[k]["id"].decode(), test[0]["id"].decode()) for k in (0, 1)
    ]
    assert all(p.how == "footprints" and p.share == 0.5 for p in found.leaks)


def test_half_tiles():
    whole = noise(0, 96)
    train = [example(whole[:64, :64])]
    test = [example(whole[32:, 32:]), example(noise(1))]
    found = check_dataset(Built(half_tiles=True, train=train, test=test))
    (pair,) = found.leaks
    assert (pair.how, pair.share) == ("half tiles", 0.25)


def test_the_green_band_counts_and_single_bands_as_they_are():
    picture = noise(0, 100)[..., 1:2]

    def bands(part, *others):
        return np.concatenate([noise(k, 80)[..., :1] for k in others] + [part], -1)

    one, other = picture[:80, :80], picture[20:, 20:]
    names = {"bands": [{"name": n} for n in ("nir", "red", "green")]}
    train, test = [example(bands(one, 1, 2))], [example(bands(other, 3, 4))]
    assert len(check_dataset(Built(names, train=train, test=test)).leaks) == 1
    assert check_dataset(Built(train=train, test=test)).leaks == []  # the second band
    grey = Built(train=[example(one)], test=[example(other)])
    assert len(check_dataset(grey).leaks) == 1


def test_labels_of_whole_images_and_unlabelled_pixels():
    def labelled(seed, label):
        return {"image": noise(seed), "label": label, "id": f"l{seed}".encode()}

    found = check_dataset(Built(train=[labelled(k, int(k > 2)) for k in range(4)]))
    assert found.shares["train"] == {"background": 0.75, "landslide": 0.25}
    parts = {"train": [example(noise(1), 1), example(noise(2), 255)]}
    found = check_dataset(Built(**parts))
    assert found.shares["train"] == {
        "background": 0.0, "landslide": 1.0, "unlabelled": 0.5,
    }  # fmt: skip


def test_left_out_files_are_listed_up_to_five():
    report = {"train": {"found": 3, "masks_without_image": [f"m{k}" for k in range(7)]}}
    found = check_dataset(Built({"files": report}, train=[example(noise(0))]))
    assert (
        "  left out, train masks without image: 7 (m0, m1, m2, m3, m4 and 2 more)"
    ) in list(found.lines())


def test_what_cannot_be_checked():
    one = example(noise(0))
    with pytest.raises(DataError, match=f"`{one['id'].decode()}` in train and test"):
        check_dataset(Built(train=[one], test=[one]))
    with pytest.raises(DataError, match="`image` and `id`"):
        check_dataset(Built(train=[{"mask": np.zeros((4, 4, 1), np.uint8)}]))

"""Pairing images with masks by name, and what a build reports of them."""

import numpy as np
import pytest
from etils import epath

from landslide_tf.datasets import IncompleteDataWarning
from landslide_tf.datasets.common.pairing import by_key, pair_files
from landslide_tf.datasets.common.report import Tally, report_files, unlabelled
from landslide_tf.errors import DataError


def number(stem):
    return int(stem) if stem.isdigit() else None


@pytest.fixture
def folders(tmp_path):
    for name in ("images/10.png", "images/9.PNG", "images/Thumbs.db",
                 "images/.9.png", "images/copy.png", "masks/9.png",
                 "masks/10.png", "masks/11.png", "masks/readme.txt"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return epath.Path(tmp_path)


def pairs_of(folders, masks="masks"):
    masks = folders / masks if masks else None
    return pair_files(folders / "images", masks, key=number, suffixes=(".png",))


def test_pairs_follow_numbers_and_leftovers_are_listed(folders):
    found = pairs_of(folders)
    assert [pair.key for pair in found.pairs] == [9, 10]
    assert [pair.mask.name for pair in found.pairs] == ["9.png", "10.png"]
    assert found.lone_masks == ["11.png"]
    assert found.ignored == [
        "images/.9.png", "images/Thumbs.db", "images/copy.png", "masks/readme.txt",
    ]  # fmt: skip
    assert all(pair.mask is None for pair in pairs_of(folders, None).pairs)


def test_images_without_masks_are_refused(folders):
    (folders / "masks" / "9.png").unlink()
    with pytest.raises(DataError, match=r"9\.PNG` has no mask in"):
        pairs_of(folders)


def test_two_files_of_one_key_are_refused(folders):
    (folders / "images" / "010.png").touch()
    with pytest.raises(DataError, match=r"10\.png.*only file of `10`"):
        pairs_of(folders)


@pytest.mark.parametrize("there", ["empty", "absent", "masks"])
def test_folders_without_images_are_refused(tmp_path, folders, there):
    if there == "empty":
        (tmp_path / there).mkdir()
    with pytest.raises(DataError, match=rf"{there}` must hold images"):
        pair_files(epath.Path(tmp_path, there), None, key=number, suffixes=(".tif",))
    assert by_key(folders / "absent", number, (".png",)) == ({}, [])


def test_what_is_missing_or_left_over_is_warned_of(folders):
    with pytest.warns(IncompleteDataWarning) as caught:
        report = report_files(
            "set", {"train": pairs_of(folders)}, {"train": 3, "test": 2},
            dropped={"train": 1},
        )  # fmt: skip
    messages = " ".join(str(w.message) for w in caught)
    assert "train 2 of 3, test 0 of 2 images" in messages
    assert "1 mask without an image, the first `11.png`" in messages
    assert report["train"]["found"] == 2
    assert report["train"]["dropped"] == 1
    assert len(report["train"]["ignored"]) == 4


def test_shares_and_ranges_are_those_of_the_pixels():
    metadata = {"files": {}, "bands": [{"name": "a"}, {"name": "b"}]}
    tally = Tally(metadata, ranges=True)
    tally.add("train", np.array([[[1, 5.0]]]), np.array([[1]]))
    tally.add("train", np.array([[[-2, 5.5]]]), np.array([[0]]))
    tally.add("test", np.array([[[3, 7]]]), unlabelled((1, 1)))
    assert metadata["files"]["train"] == {"landslide_share": 0.5, "examples": 2}
    assert metadata["files"]["test"] == {"landslide_share": None, "examples": 1}
    assert [band["range"] for band in metadata["bands"]] == [[-2, 3], [5, 7]]

"""Unpacking archives, and checking them against published sums."""

import hashlib
import stat
import warnings
import zipfile
from pathlib import Path

import pytest
from etils import epath

from landslide_tf.datasets.common.archives import unpack, verify
from landslide_tf.errors import DataError

FILES = {"img/a.tif": b"first", "img/b.tif": bytes(2**20), "mask/a.TIF": b"second"}


def pack(path, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return epath.Path(path)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def test_what_is_unpacked_is_used_again(tmp_path):
    archive = pack(tmp_path / "set.zip")
    first = unpack(archive, tmp_path / "out" / "extracted")
    assert contents(first) == FILES
    (first / "seen").write_text("once")
    again = unpack(archive, tmp_path / "out" / "extracted")
    assert again == first and (again / "seen").exists()


def test_another_archive_of_the_same_name_is_another_folder(tmp_path):
    first = unpack(pack(tmp_path / "set.zip"), tmp_path / "out")
    changed = {"img/a.tif": b"changed"}
    second = unpack(pack(tmp_path / "set.zip", changed), tmp_path / "out")
    assert contents(second) == changed
    assert contents(first) == FILES


@pytest.mark.parametrize("fault", ["truncated", "bit", "text"])
def test_a_broken_archive_leaves_nothing(tmp_path, fault):
    archive = pack(tmp_path / "set.zip")
    content = bytearray(archive.read_bytes())
    if fault == "truncated":
        del content[-40:]
    elif fault == "bit":
        content[45] ^= 0xFF  # of the first file's content
    else:
        content = b"an error page"
    archive.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"set\.zip.*download it again") as caught:
        unpack(archive, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("../evil", stat.S_IFREG),
        ("a/../../evil", stat.S_IFREG),
        ("/tmp/evil", stat.S_IFREG),
        ("C:/evil", stat.S_IFREG),
        ("..\\evil", stat.S_IFREG),
        ("link", stat.S_IFLNK),
    ],
)
def test_nothing_is_written_outside_of_the_folder(tmp_path, name, mode):
    archive = pack(tmp_path / "set.zip")
    info = zipfile.ZipInfo()
    info.filename, info.external_attr = name, (mode | 0o777) << 16
    with warnings.catch_warnings(), zipfile.ZipFile(archive, "a") as opened:
        warnings.simplefilter("ignore")
        opened.writestr(info, b"../evil")
    before = contents(tmp_path)
    with pytest.raises(DataError, match=r"`.*set\.zip` must hold plain files only"):
        unpack(archive, tmp_path / "out")
    assert contents(tmp_path) == before


def test_checksums(tmp_path):
    archive = pack(tmp_path / "set.zip")
    for algorithm in ("md5", "sha256"):
        right = hashlib.new(algorithm, archive.read_bytes()).hexdigest()
        verify(archive, {"set.zip": f"{algorithm}:{right.upper()}"})
        verify(archive, {"other.zip": f"{algorithm}:00"})  # not known for this one
        with pytest.raises(
            DataError, match=rf"{algorithm} checksum .*received {right}"
        ):
            verify(archive, {"set.zip": f"{algorithm}:{'0' * len(right)}"})

"""Where data is looked for, which archives are refused, and unpacking them."""

import hashlib
import stat
import warnings
import zipfile
from pathlib import Path

import pytest
from etils import epath

from landslide_tf.datasets import data_dir, find_manual, manual_dir
from landslide_tf.datasets.common.files import check_archive, unpack, verify
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


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("TFDS_DATA_DIR", "LANDSLIDE_TF_MANUAL_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_data_dir(monkeypatch):
    assert data_dir() == Path.home() / "tensorflow_datasets"
    monkeypatch.setenv("TFDS_DATA_DIR", "~/sets")
    assert data_dir() == Path.home() / "sets"
    assert data_dir("/given") == Path("/given")


def test_manual_dir(monkeypatch):
    assert manual_dir() == Path.home() / "tensorflow_datasets/downloads/manual"
    monkeypatch.setenv("TFDS_DATA_DIR", "/sets")
    assert manual_dir() == Path("/sets/downloads/manual")
    assert manual_dir(download_dir="/down") == Path("/down/manual")
    monkeypatch.setenv("LANDSLIDE_TF_MANUAL_DIR", "/manual")
    assert manual_dir(download_dir="/down") == Path("/manual")
    assert manual_dir("~/mine") == Path.home() / "mine"


def test_the_folder_of_the_set_comes_first(tmp_path):
    (tmp_path / "data").mkdir()
    assert Path(find_manual(tmp_path, "set", ["data"], "x")) == tmp_path / "data"
    (tmp_path / "set" / "deep" / "data").mkdir(parents=True)
    found = find_manual(tmp_path, "set", ["data", "*/data"], "x")
    assert Path(found) == tmp_path / "set" / "deep" / "data"


def test_nothing_found_says_what_and_where(tmp_path):
    with pytest.raises(DataError) as caught:
        find_manual(tmp_path, "set", ["data"], "`data/*.tif`")
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "`data/*.tif`",
        f"`{tmp_path / 'set'}`",
        f"`{tmp_path}`",
        "MANUAL_DIR",
    ):
        assert part in message


def archive(path, name, content=b"x", mode=stat.S_IFREG | 0o644, **how):
    with zipfile.ZipFile(path, "w", **how) as file:
        info = zipfile.ZipInfo()
        info.filename = name  # as it is: the constructor would mend it
        info.external_attr = mode << 16
        info.compress_type = file.compression
        file.writestr(info, content)
    return path


def test_plain_archive_is_accepted(tmp_path):
    check_archive(archive(tmp_path / "a.zip", "folder/image.tif"))
    check_archive(archive(tmp_path / "b.zip", "folder/", b"", stat.S_IFDIR | 0o755))


@pytest.mark.parametrize(
    ("name", "mode", "fault"),
    [
        ("../evil.tif", stat.S_IFREG, "leads out"),
        ("a/../../evil.tif", stat.S_IFREG, "leads out"),
        ("/etc/passwd", stat.S_IFREG, "leads out"),
        ("..\\evil.tif", stat.S_IFREG, "leads out"),
        ("C:\\evil.tif", stat.S_IFREG, "leads out"),
        ("link.tif", stat.S_IFLNK, "link"),
        ("device", stat.S_IFCHR, "link or a device"),
    ],
)
def test_harmful_members_are_refused(tmp_path, name, mode, fault):
    path = archive(tmp_path / "bad.zip", name, mode=mode)
    with pytest.raises(DataError, match=fault) as caught:
        check_archive(path)
    assert "bad.zip" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_masks_of_one_value_are_no_bomb(tmp_path):
    mask = bytes(2**22)
    check_archive(
        archive(tmp_path / "masks.zip", "a", mask, compression=zipfile.ZIP_DEFLATED)
    )


def test_bomb_is_refused(tmp_path):
    path = archive(
        tmp_path / "bomb.zip", "a", bytes(2**25), compression=zipfile.ZIP_DEFLATED
    )
    with pytest.raises(DataError, match="compressed more than"):
        check_archive(path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 truncated"])
def test_broken_archive_is_refused(tmp_path, content):
    path = tmp_path / "broken.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.zip.*zip archive"):
        check_archive(path)

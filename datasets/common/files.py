"""Where data sets are built, where users' files are found, and unpacking archives."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.errors import DataError
from landslide_tf.files import atomic_folder

DATA_DIR_VARIABLE = "TFDS_DATA_DIR"
MANUAL_DIR_VARIABLE = "LANDSLIDE_TF_MANUAL_DIR"

# An archive may not claim to hold more than this, nor shrink its files further:
# rasters of 8-bit or float values never do, but masks of one value.
MAX_ARCHIVE_BYTES = 64 * 2**30
MAX_COMPRESSION = 200
_LARGEST_MASK = 2**24  # bytes
_CHUNK = 2**22  # bytes read at a time


def data_dir(given: str | os.PathLike[str] | None = None) -> Path:
    """Returns the folder in which data sets are built.

    Args:
        given: What the user named; None = not named.

    Returns:
        `given`, else the environment's `TFDS_DATA_DIR`, else
        `~/tensorflow_datasets`.
    """
    found = given or os.environ.get(DATA_DIR_VARIABLE) or "~/tensorflow_datasets"
    return Path(found).expanduser()


def manual_dir(
    given: str | os.PathLike[str] | None = None,
    *,
    download_dir: str | os.PathLike[str] | None = None,
) -> Path:
    """Returns the folder of the files that users download themselves.

    Args:
        given: What the user named; None = not named.
        download_dir: TFDS's download folder; None = `downloads` in `data_dir()`.

    Returns:
        `given`, else the environment's `LANDSLIDE_TF_MANUAL_DIR`, else `manual` in
        the download folder, as everywhere in TFDS.
    """
    if found := given or os.environ.get(MANUAL_DIR_VARIABLE):
        return Path(found).expanduser()
    return Path(download_dir or data_dir() / "downloads").expanduser() / "manual"


def find_manual(
    root: str | os.PathLike[str], name: str, patterns: Sequence[str], layout: str
) -> epath.Path:
    """Finds a data set's files in `<root>/<name>/`, then in `<root>/`.

    Args:
        root: The manual folder.
        name: The data set's name.
        patterns: Globs, best first, of which the wanted path fits one.
        layout: What the files should look like, for the error message.

    Returns:
        The first path that fits.

    Raises:
        DataError: If nothing fits.
    """
    folders = [epath.Path(root) / name, epath.Path(root)]
    found = (
        path
        for folder in folders
        if folder.is_dir()
        for pattern in patterns
        for path in sorted(folder.glob(pattern))
    )
    if first := next(found, None):
        return first
    looked = " and ".join(f"`{folder}`" for folder in folders)
    raise DataError(
        f"`{name}` expects {layout}; looked in {looked} and found nothing that fits; "
        f"put the files there, or name their folder in the environment variable "
        f"`{MANUAL_DIR_VARIABLE}` (on the command line: `--manual-dir`)."
    )


def check_archive(path: str | os.PathLike[str]) -> None:
    """Refuses a zip archive that is broken or made to do harm.

    Args:
        path: The archive.

    Raises:
        DataError: If it is no zip archive, or a member leads out of the folder, is
            a link or a device, is encrypted, or unpacks to far more than it holds.
    """
    try:
        with epath.Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise DataError(
            f"`{path}` must be a zip archive, received: {error}; download it again."
        ) from error
    for member in members:
        if fault := _fault(member):
            raise DataError(
                f"`{path}` must hold plain files only, received `{member.filename}`, "
                f"which {fault}; unpack the archive by hand if you trust it."
            )
    if sum(member.file_size for member in members) > MAX_ARCHIVE_BYTES:
        raise DataError(
            f"`{path}` must unpack to at most {MAX_ARCHIVE_BYTES} bytes; unpack the "
            "archive by hand if you trust it."
        )


def _fault(member: zipfile.ZipInfo) -> str | None:
    """Says what is wrong with a member of an archive, or None."""
    parts = member.filename.replace("\\", "/").split("/")
    kind = stat.S_IFMT(member.external_attr >> 16)
    most = MAX_COMPRESSION * member.compress_size + _LARGEST_MASK
    faults = {
        "leads out of the folder": ".." in parts or not parts[0] or ":" in parts[0],
        "is a link or a device": kind not in (0, stat.S_IFREG, stat.S_IFDIR),
        "is encrypted": member.flag_bits & 1,
        f"is compressed more than {MAX_COMPRESSION} times": member.file_size > most,
    }
    return next((words for words, applies in faults.items() if applies), None)


def verify(path: epath.Path, checksums: Mapping[str, str]) -> None:
    """Compares a file with its published checksum, where there is one.

    Args:
        path: The file.
        checksums: "algorithm:hexadecimal" by file name, for instance `md5:462b...`.

    Raises:
        DataError: If the checksum is another one.
    """
    if path.name not in checksums:
        return
    algorithm, _, wanted = checksums[path.name].partition(":")
    found = _digest(path, algorithm)
    if found != wanted.lower():
        raise DataError(
            f"`{path}` must have the {algorithm} checksum {wanted}, received {found}: "
            "the file is truncated or another one; download it again."
        )


def unpack(archive: epath.Path, folder: Path) -> epath.Path:
    """Unpacks a zip archive into a folder that is named by its content.

    What is unpacked already is used again, and an archive of the same name with other
    content goes elsewhere. The folder appears complete or not at all.

    Args:
        archive: The archive.
        folder: Where to unpack archives; made where missing.

    Returns:
        The folder of this archive's files.

    Raises:
        DataError: If the archive is broken, or holds anything but files that lie in
            its folder.
    """
    check_archive(archive)
    target = folder / f"{archive.stem}-{_digest(archive, 'sha256')[:16]}"
    if target.is_dir():
        return epath.Path(target)
    with atomic_folder(target) as unpacked, archive.open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as opened:
                for member in tfds.core.utils.tqdm(
                    opened.infolist(),
                    desc=f"Unpacking {archive.name}",
                    leave=False,
                    disable=None,  # where nobody watches
                ):
                    opened.extract(member, unpacked)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(
                f"`{archive}` cannot be unpacked: {error}; download it again."
            ) from error
    return epath.Path(target)


def _digest(path: epath.Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()

"""Unpacking archives that users bring: verified, once, and inside of their folder."""

from __future__ import annotations

import hashlib
import sys
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from etils import epath

from landslide_tf.datasets.common.folders import check_archive
from landslide_tf.errors import DataError
from landslide_tf.files import atomic_folder

_CHUNK = 2**22  # bytes


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
                for member in _shown(opened.infolist(), archive.name):
                    opened.extract(member, unpacked)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(
                f"`{archive}` cannot be unpacked: {error}; download it again."
            ) from error
    return epath.Path(target)


def _shown(members: list[zipfile.ZipInfo], name: str) -> Iterable[zipfile.ZipInfo]:
    """Shows progress on a terminal while the members are gone through."""
    if not sys.stderr.isatty():
        return members
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(members, f"unpacking {name}", console=console)


def _digest(path: epath.Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()

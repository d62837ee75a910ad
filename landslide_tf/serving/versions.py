"""The folder of a model: numbered versions, of which TensorFlow Serving takes the last.

Apart from writing and loading them, which both ask it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from landslide_tf.errors import RunError
from landslide_tf.outputs import check_apart, check_own_folder


def versions(folder: Path) -> list[int]:
    """Lists the numbered folders in a model's folder, unordered."""
    if not folder.is_dir():
        return []
    names = (path.name for path in folder.iterdir() if path.is_dir())
    return [int(n) for n in names if n.isdecimal() and n == str(int(n))]


def check_export(folder: str | Path, read: Iterable[str | Path | None] = ()) -> None:
    """Refuses a folder for the versions of a model that is read or something else.

    Args:
        folder: The model's folder.
        read: Files and folders that are read.

    Raises:
        DataError: If it is read, or holds anything but versions.

    >>> from landslide_tf import serving
    >>> serving.check_export("new")
    """
    check_apart([folder], read)
    check_own_folder(folder, "versions of a model", _is_version)


def _is_version(path: Path) -> bool:
    return path.is_dir() and int(path.name) in versions(path.parent)


def free_version(folder: Path, version: int | None) -> int:
    """Returns the number of a new version.

    Args:
        folder: The model's folder.
        version: What the user wants; None is the next.

    Raises:
        RunError: If it is no whole number >= 1, or is there.
    """
    if version is None:
        return max(versions(folder), default=0) + 1
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise RunError(
            f"`version` must be a whole number >= 1, received `{version}`: TensorFlow "
            "Serving serves numbered folders; leave it out for the next number."
        )
    if (folder / str(version)).exists():
        raise RunError(
            f"`{folder / str(version)}` exists and a version is never overwritten: "
            "leave `version` out for the next number."
        )
    return version

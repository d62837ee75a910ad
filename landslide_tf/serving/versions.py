"""The folder of a model: numbered versions, of which TensorFlow Serving takes the last.

Apart from writing and loading them, which both ask it. A folder is local, or one that
`tf.io.gfile` opens, such as `gs://bucket/model`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from landslide_tf.errors import DataError, RunError, first_line
from landslide_tf.outputs import check_apart, check_own_folder

GRAPH_FILE = "saved_model.pb"
WEIGHTS_FILE = "model.weights.h5"
STAC_ITEM = "model.stac.json"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # two letters: `C:/` is a drive


def is_remote(folder: str | Path) -> bool:
    """Says whether a folder is one of another file system, such as `gs://b/m`.

    Raises:
        DataError: If such an address has become a `Path`, which loses a slash.
    """
    text = str(folder)
    if "://" in text:
        return True
    if isinstance(folder, Path) and _SCHEME.match(text):
        address = text.replace(":/", "://", 1)
        raise DataError(
            f"`{text}` must be an address as text, received a `Path`, which has lost a "
            f'slash: write "{address}".'
        )
    return False


@contextmanager
def told(folder: str | Path, doing: str) -> Iterator[None]:
    """Turns what `tf.io.gfile` raises into one line.

    Args:
        folder: The folder, for the message.
        doing: What failed, as `written`.

    Raises:
        RunError: In place of an error of TensorFlow.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        raise RunError(
            f"`{folder}` cannot be {doing} ({first_line(error)}): check the address, "
            "the rights and that TensorFlow has its file system, or name another "
            "folder."
        ) from error


def versions(folder: str | Path) -> list[int]:
    """Lists the versions of a model, unordered; empty if the folder does not exist.

    Args:
        folder: The model's folder, local or an address as text.

    Raises:
        RunError: If its file system cannot be reached.

    Example:
        >>> from landslide_tf import saved_models, serving
        >>> serving.versions(saved_models.path("fstf_net_synthetic"))
        [1]
    """
    if is_remote(folder):
        names = _names(str(folder))
    elif Path(folder).is_dir():
        names = [path.name for path in Path(folder).iterdir() if path.is_dir()]
    else:
        names = []
    return [int(name) for name in names if _is_number(name)]


def _names(address: str) -> list[str]:
    import tensorflow as tf

    with told(address, "read"):
        if not tf.io.gfile.exists(address):
            return []
        return [name.rstrip("/") for name in tf.io.gfile.listdir(address)]


def _is_number(name: str) -> bool:
    return name.isdecimal() and name == str(int(name))


def upload(written: Path, address: str) -> None:
    """Copies a version to another file system, its graph last.

    A store of objects renames no folder at once; a server takes no version without its
    graph.

    Args:
        written: The complete version.
        address: Where it goes; nothing is there yet.

    Raises:
        RunError: If it cannot be written; what was copied is removed.
    """
    import tensorflow as tf

    files = [path for path in written.rglob("*") if path.is_file()]
    with told(address, "written"):
        try:
            for path in sorted(files, key=lambda path: path.name == GRAPH_FILE):
                name = f"{address}/{path.relative_to(written).as_posix()}"
                tf.io.gfile.makedirs(name.rpartition("/")[0])
                tf.io.gfile.copy(str(path), name)
        except BaseException:
            if tf.io.gfile.exists(address):
                tf.io.gfile.rmtree(address)
            raise


def check_export(folder: str | Path, read: Iterable[str | Path | None] = ()) -> None:
    """Checks that a folder for versions of a model holds no input or unrelated file.

    Args:
        folder: The model's folder.
        read: Files and folders that are read.

    Raises:
        DataError: If it is read, or holds anything but versions.
        RunError: If its file system cannot be reached.

    Example:
        >>> from landslide_tf import serving
        >>> serving.check_export("new")
    """
    if is_remote(folder):
        for name in _names(str(folder)):
            if not _is_number(name):
                raise DataError(
                    f"`{folder}` must be a new or an empty folder, or one of versions "
                    f"of a model alone, and `{name}` is there: name another folder."
                )
        return
    check_apart([folder], read)
    check_own_folder(folder, "versions of a model", _is_version)


def _is_version(path: Path) -> bool:
    return path.is_dir() and _is_number(path.name)


def free_version(folder: str | Path, version: int | None) -> int:
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
    if version in versions(folder) or (
        not is_remote(folder) and (Path(folder) / str(version)).exists()
    ):
        raise RunError(
            f"`{folder}/{version}` exists and a version is never overwritten: "
            "leave `version` out for the next number."
        )
    return version

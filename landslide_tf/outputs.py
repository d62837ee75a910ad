"""What a command may write: nothing that it reads, and nothing that is not its own.

Asked before anything expensive. What stands behind the name of a raster or a vector is
known to `landslide_tf.raster.outputs`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from landslide_tf.errors import DataError
from landslide_tf.files import LOCK, TEMPORARY_PREFIX

# What the readers of JSON values, rasters and vectors raise where there are none.
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, RuntimeError)


def check_apart(
    written: Iterable[str | Path | None],
    read: Iterable[str | Path | None],
    *,
    of: str | Path | None = None,
) -> None:
    """Refuses outputs that are what is read, or hold it.

    Files are compared as the file system sees them: links, relative paths and other
    spellings of one file are one file.

    Args:
        written: Files and folders to write; None among them is no output.
        read: Files and folders; None is no input.
        of: What the files that are read are parts of, for the message.

    Raises:
        DataError: If an output is read, holds what is read, or is named twice.

    >>> from landslide_tf.outputs import check_apart
    >>> check_apart(["runs/second", None], ["runs/first"])
    >>> check_apart(["runs/first"], ["./runs/first"])
    Traceback (most recent call last):
    landslide_tf.errors.DataError: `runs/first` is read and cannot be written over: \
name another output.
    """
    outputs = [Path(path) for path in written if path is not None]
    for number, path in enumerate(outputs):
        if any(same_file(path, other) for other in outputs[:number]):
            raise DataError(
                f"Expected outputs with different names, received `{path}` twice."
            )
    for path in (Path(name) for name in read if name is not None):
        through = "" if of is None or path == Path(of) else f", as a part of `{of}`,"
        for output in outputs:
            if same_file(output, path):
                raise DataError(
                    f"`{output}` is read{through} and cannot be written over: name "
                    "another output."
                )
            if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(output)):
                raise DataError(
                    f"`{output}` holds `{path}`, which is read: name another output."
                )


def same_file(one: Path, other: Path) -> bool:
    """Returns whether two paths are one file or folder, there or not.

    >>> from pathlib import Path
    >>> from landslide_tf.outputs import same_file
    >>> same_file(Path("a/../map.tif"), Path("map.tif"))
    True
    """
    with contextlib.suppress(OSError):
        return os.path.samefile(one, other)
    return os.path.realpath(one) == os.path.realpath(other)


def check_own(
    path: str | Path | None,
    what: str,
    own: Callable[[Path], bool],
    *,
    overwrite: bool = False,
) -> None:
    """Refuses a file that is there and is not what the same command wrote before.

    Args:
        path: The file to write; None is no output.
        what: What the command writes there, for the message: `"class map"`.
        own: Returns whether a file that is there is such a result; where it cannot
            read the file, it is not.
        overwrite: Whether the user wants any file there replaced.

    Raises:
        DataError: If it is a folder, or something else and not to be replaced.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.outputs import check_own
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     notes = Path(folder, "notes.txt")
    ...     _ = notes.write_text("mine")
    ...     check_own(notes, "class map", lambda path: False, overwrite=True)
    """
    if path is None or not os.path.lexists(path):
        return
    path = Path(path)
    if path.is_dir():
        raise DataError(f"`{path}` must be a file, received a folder: name a file.")
    if overwrite or not path.exists():
        return
    if not _holds(own, path):
        raise DataError(
            f"`{path}` is there and is not the {what} of the same command before: name "
            "another file, or replace it with `--overwrite`."
        )


def check_own_folder(
    folder: str | Path,
    what: str,
    own: Callable[[Path], bool],
    same: Callable[[Path], bool] = lambda folder: True,
    *,
    overwrite: bool = False,
) -> None:
    """Refuses a folder that holds anything but what the same command wrote before.

    Args:
        folder: The folder to write; missing or empty is well.
        what: What the command writes there, for the message: `"exported arrays"`.
        own: Returns whether an entry of the folder is one of such a result.
        same: Returns whether the folder is that of the same inputs and options.
        overwrite: Whether the user wants such a result of other inputs replaced.

    Raises:
        DataError: If it is a file, holds something else, or is of other inputs and not
            to be replaced.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.outputs import check_own_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "1").mkdir()
    ...     check_own_folder(folder, "versions", lambda path: path.name.isdigit())
    """
    path = Path(folder)
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise DataError(f"`{path}` must be a folder, received a file: name a folder.")
    found = [
        entry
        for entry in sorted(path.iterdir())
        if entry.name != LOCK and not entry.name.startswith(TEMPORARY_PREFIX)
    ]
    for entry in found:
        if not _holds(own, entry):
            raise DataError(
                f"`{path}` must be a new or an empty folder, or one of {what} alone, "
                f"and `{entry.name}` is there: remove it or name another folder."
            )
    if found and not overwrite and not _holds(same, path):
        raise DataError(
            f"`{path}` holds {what} of other inputs or options: name another folder, "
            "or replace what is there with `--overwrite`."
        )


def _holds(own: Callable[[Path], bool], path: Path) -> bool:
    """Whether a question has the answer yes, which what cannot be read has not."""
    try:
        return own(path)
    except _UNREADABLE:
        return False

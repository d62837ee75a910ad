"""Files and folders that appear under their name complete or not at all."""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import secrets
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from landslide_tf.errors import DataError, RunError

TEMPORARY_PREFIX = ".tmp-"
LOCK = ".lock"

# A temporary name holds host, process and session, so that what a killed process
# left can be told from what a living one is writing. The session tells apart two
# processes that had one number, as the first process of a container always has.
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_SESSION = secrets.token_hex(4)
_COUNTER = itertools.count()


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path whose file takes the wanted name when complete.

    The temporary file lies in the same folder and ends in the same name, so that
    writers which look at the suffix work. After the block its bytes are flushed to
    disk and it is renamed over `path`; when the block raises it is removed and
    `path` is as it was. What killed processes left for this `path` is removed first.

    Args:
        path: The wanted file; its folder is made when missing; a symbolic link is
            followed.

    Yields:
        The path to write to.

    Raises:
        DataError: If `path` is a folder or its folder cannot be written.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise DataError(f"`{path}` must be a file, received a folder: name a file.")
    temporary = _prepare(target)
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush(target.parent)


def write_text(path: str | Path, text: str) -> None:
    """Writes a file in UTF-8, complete or not at all.

    Args:
        path: As of `atomic_path`.
        text: All of its content.

    Raises:
        DataError: As of `atomic_path`.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(path: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Gives a temporary folder that takes the wanted name when complete.

    As `atomic_path`, for a folder and everything in it.

    Args:
        path: The wanted folder: missing, or there and empty.
        replace: Also takes the place of a folder that holds something, whose last
            state is gone then.

    Yields:
        The folder to write into; it exists.

    Raises:
        DataError: If `path` holds something already or cannot be written.
    """
    target = Path(os.path.realpath(path))
    full = target.exists() and not (target.is_dir() and not any(target.iterdir()))
    if full and not (replace and target.is_dir()):
        raise DataError(
            f"`{path}` must be a new or an empty folder, and something is there: "
            "remove it or name another folder."
        )
    temporary = _prepare(target)
    temporary.mkdir()
    try:
        yield temporary
        for folder, _, names in os.walk(temporary):
            for name in names:
                _flush(Path(folder, name))
            _flush(Path(folder))
        if full:
            # A folder cannot be renamed over one that holds something.
            os.replace(target, earlier := _prepare(target))
            try:
                os.replace(temporary, target)
            except OSError:
                os.replace(earlier, target)
                raise
            shutil.rmtree(earlier, ignore_errors=True)
        else:
            os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _flush(target.parent)


@contextmanager
def file_in_passing(path: str | Path) -> Iterator[Path]:
    """Makes an empty file for the time of a block, so that others can look for it.

    Args:
        path: How its name ends; its folder is made when missing.

    Yields:
        The file, of a temporary name, which is gone after the block.

    Raises:
        DataError: If its folder cannot be written.
    """
    temporary = _prepare(Path(os.path.realpath(path)))
    temporary.touch()
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: str | Path, name: str = "*") -> list[Path]:
    """Removes what killed processes of this machine left unfinished in a folder.

    Args:
        folder: The folder to look in, not below it.
        name: Only leftovers of this file or folder name.

    Returns:
        The removed temporary paths.
    """
    pattern = (
        "*" if name == "*" else "".join(f"[{c}]" if c in "*?[" else c for c in name)
    )
    removed = []
    for found in Path(folder).glob(f"{TEMPORARY_PREFIX}{_HOST}-*-{pattern}"):
        process, session = found.name.removeprefix(TEMPORARY_PREFIX).split("-")[1:3]
        if _is_writing(int(process), session):
            continue
        if found.is_dir():
            shutil.rmtree(found, ignore_errors=True)
        else:
            found.unlink(missing_ok=True)
        removed.append(found)
    return removed


@contextmanager
def locked(
    folder: str | Path, message: str | None = None, patience: float = 0
) -> Iterator[None]:
    """Keeps other processes out of a folder while the block runs.

    The lock ends with the process that holds it, in whatever way; its empty file
    `.lock` stays in the folder.

    Args:
        folder: The folder; it is made when missing.
        message: What to say where another process holds the lock; None waits for it.
        patience: Seconds to wait before it is said.

    Yields:
        Nothing, while the lock is held.

    Raises:
        RunError: If another process holds the lock and there is a message.
    """
    import filelock  # 45 ms, and few commands take a lock

    Path(folder).mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(Path(folder) / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=-1 if message is None else patience)
    except filelock.Timeout as error:
        raise RunError(str(message)) from error
    try:
        yield
    finally:
        lock.release()


def check_exist(*paths: Path | None) -> None:
    """Refuses names of files and folders that do not exist.

    Args:
        paths: What will be read; None for what was not given.

    Raises:
        DataError: If one does not exist.
    """
    for path in paths:
        if path is not None and not path.exists():
            raise DataError(
                f"Expected a file or folder, received `{path}`, which does not exist."
            )


def sha256(path: str | Path) -> str:
    """Returns the SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_states(paths: Iterable[str | Path]) -> list[list[str | int]]:
    """Returns what tells that files have changed, without reading them.

    Args:
        paths: Files; others, such as names of parts of a file that GDAL opens, have no
            state but their name.

    Returns:
        Path, bytes and time of change (nanoseconds) of each file, as JSON values.
    """
    found: list[list[str | int]] = []
    for path in paths:
        found.append([str(path)])
        with suppress(OSError):
            state = os.stat(path)
            found[-1] += [state.st_size, state.st_mtime_ns]
    return found


def _prepare(target: Path) -> Path:
    """Makes the folder of a target and returns a temporary path in it."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"`{target.parent}` cannot be made a folder: {error.strerror}; name "
            "another place."
        ) from error
    if not os.access(target.parent, os.W_OK):
        raise DataError(
            f"`{target.parent}` must be a writable folder: change its permissions or "
            "name another place."
        )
    remove_leftovers(target.parent, target.name)
    mark = f"{_HOST}-{os.getpid()}-{_SESSION}-{next(_COUNTER)}"
    return target.with_name(f"{TEMPORARY_PREFIX}{mark}-{target.name}")


def _is_writing(process: int, session: str) -> bool:
    """Whether a temporary name belongs to a process that still runs."""
    if process == os.getpid():
        return session == _SESSION
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush(path: Path) -> None:
    """Flushes a file's bytes, or a folder's names, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

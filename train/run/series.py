"""Runs of one folder that are made one after the other, each once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from landslide_tf.errors import RunError
from landslide_tf.files import locked, remove_leftovers, write_text

Run = TypeVar("Run")
Kept = TypeVar("Kept")


def run_missing(
    planned: Iterable[Run],
    folder: str | Path,
    read: Callable[[Run], Kept | None],
    make: Callable[[Run], Kept],
) -> Iterator[tuple[Run, Kept, bool]]:
    """Makes what of a series of runs is not yet kept, while no other process does.

    Args:
        planned: The runs, in their order.
        folder: Folder of the series; may hold what an earlier call has made.
        read: Returns what is kept of a run that has ended, None of any other.
        make: Trains a run, or resumes it, and keeps what `read` returns.

    Yields:
        Each run, what is kept of it, and whether that was so before.

    Raises:
        RunError: If another process works in the folder.
    """
    message = f"Another process works in `{folder}`: wait, or choose another `--out`."
    with locked(folder, message):
        remove_leftovers(folder)
        for run in planned:
            kept = read(run)
            yield run, make(run) if kept is None else kept, kept is not None


def read_record(path: Path, otherwise: str) -> Any:  # noqa: ANN401 - JSON values
    """Returns the JSON values of a file, None where there is none.

    Args:
        path: The file.
        otherwise: What happens once a damaged file is removed, for the message.

    Raises:
        RunError: If the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise RunError(f"`{path}` is damaged: remove it, and {otherwise}.") from error


def write_record(
    path: Path, record: Mapping[str, Any], indent: int | None = None
) -> None:
    """Writes JSON values into a file, whole or not at all; its folder is made."""
    text = json.dumps(record, indent=indent, allow_nan=False)
    write_text(path, text + "\n")


def digest(content: object) -> str:
    """Returns 12 hexadecimal digits that JSON values have in common with no others."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]

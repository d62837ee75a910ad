"""Finished strips of a map on disk, from which a stopped job goes on."""

from __future__ import annotations

import fcntl
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import RunError
from landslide_tf.files import atomic_path

Arrays = dict[str, NDArray[Any]]


class FinishedStrips:
    """The strips of one job, in a folder beside its result.

    A folder of another job, or of other files and options, is emptied first. One
    process works in it at a time.

    Args:
        folder: The folder; made when missing.
        job: What the strips depend on; JSON values.

    Raises:
        RunError: If another process is at work there.
    """

    def __init__(self, folder: Path, job: Mapping[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise RunError(
                f"`{folder}` is in use: another process is making this map; wait for "
                "it or name another `--out`."
            ) from error
        text = json.dumps(job, sort_keys=True, indent=1)
        description = folder / "job.json"
        if not description.is_file() or description.read_text() != text:
            for path in folder.iterdir():
                if path.name != "lock":
                    path.unlink()
            with atomic_path(description) as temporary:
                temporary.write_text(text)

    def path(self, number: int) -> Path:
        """Returns the file of a strip."""
        return self.folder / f"strip_{number:06d}.npz"

    def count(self) -> int:
        """Returns how many strips, from the first on, are finished."""
        number = 0
        while self.path(number).is_file():
            number += 1
        return number

    def write(self, number: int, arrays: Arrays) -> None:
        """Writes a strip, complete or not at all."""
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        with atomic_path(self.path(number)) as temporary:
            temporary.write_bytes(buffer.getbuffer())

    def read(self, number: int) -> Arrays:
        """Reads a finished strip."""
        with np.load(self.path(number)) as found:
            return dict(found)

    def remove(self) -> None:
        """Removes the folder, when the map is there or never will be."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> FinishedStrips:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.close()

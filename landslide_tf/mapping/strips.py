"""The finished strips of a map, on disk, from which a stopped job goes on.

A strip goes straight into the flat files of the rasters that it belongs to, at the
place that it has there, and a line about it behind those of a journal: its number, a
checksum of what it has in each raster, and its counts. The line comes last, so that of
a job that was stopped at whatever moment a strip with a line was written, and what was
written of another is written again. Whether the disk still holds it (a file system may
lose what it had not flushed when the power went) the checksums say when the job is run
again; until then nothing is read back.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landslide_tf.files import LOCK, TEMPORARY_PREFIX, locked, write_text
from landslide_tf.mapping.windows import Axis
from landslide_tf.raster.flat import FlatRaster
from landslide_tf.raster.layer import Layer
from landslide_tf.terrain import Grid

CLASSES, CHANCES, UNCERTAINTY, MASK = "classes", "chances", "uncertainty", "mask"
"""Names of the rasters; the mask is that of the polygons."""

_JOB, _JOURNAL = "job.json", "journal"
_NAMES = re.compile(
    rf"{re.escape(LOCK)}|{_JOB}|{_JOURNAL}|{re.escape(TEMPORARY_PREFIX)}.+"
    rf"|({CLASSES}|{CHANCES}|{UNCERTAINTY}|{MASK})\d*\.(raw|vrt)"
)


class Finished(NamedTuple):
    """A finished strip.

    Attributes:
        layers: Values (bands, h, W) by the names of the rasters.
        valid: Pixels with a class.
        landslide: Pixels that are landslide.
        area: Their area, m²; NaN where cells have none.
    """

    layers: Mapping[str, NDArray[Any]]
    valid: int
    landslide: int
    area: float


class FinishedStrips:
    """The strips of one job, in a folder beside its result.

    A stopped job goes on from them. A folder of another job, or of other files and
    options, is emptied first. One process works in it at a time.

    Args:
        folder: The folder; made when missing.
        job: What the strips depend on; JSON values.
        rows: Windows from top to bottom, which are the strips.
        width: Columns of the scene.
        layers: The rasters by name.
        patience: Seconds to wait for another process that is at work there.

    Raises:
        RunError: When entered, if another process goes on to be at work there.
        OSError: When entered, if the disk has no place for the rasters.
    """

    def __init__(
        self,
        folder: Path,
        job: Mapping[str, Any],
        rows: Axis,
        width: int,
        layers: Mapping[str, Layer],
        *,
        patience: float = 0,
    ) -> None:
        self.folder, self._rows, self._layers = folder, rows, layers
        self._patience = patience
        self._shape = (rows.size, width)
        names = {"rasters": {name: list(layers[name].names) for name in layers}}
        self._job = json.dumps({**job, **names}, sort_keys=True, indent=1)
        self._open = contextlib.ExitStack()
        self._rasters: dict[str, FlatRaster] = {}
        self._lines: list[list[Any]] = []

    def __enter__(self) -> FinishedStrips:
        in_use = (
            f"`{self.folder}` is in use: another process is making this map; wait for "
            "it or name another `--out`."
        )
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(self.folder, in_use, self._patience))
            self._empty_of_others()
            for name, layer in self._layers.items():
                path = self.folder / f"{name}.raw"
                flat = FlatRaster(path, self._shape, layer)
                self._rasters[name] = stack.enter_context(flat)
            self._lines = self._known()
            write_text(self.folder / _JOURNAL, "".join(map(_line, self._lines)))
            journal = (self.folder / _JOURNAL).open("a", encoding="utf-8")
            self._journal: IO[str] = stack.enter_context(journal)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _empty_of_others(self) -> None:
        """Removes what other jobs, and killed ones, left in the folder."""
        description = self.folder / _JOB
        other = not description.is_file() or description.read_text("utf-8") != self._job
        for path in self.folder.iterdir():
            if path.name != LOCK and (other or path.name.startswith(TEMPORARY_PREFIX)):
                path.unlink()
        if other:
            write_text(description, self._job)

    def _known(self) -> list[list[Any]]:
        """Returns the lines of the strips, from the first on, that are on the disk."""
        journal = self.folder / _JOURNAL
        lines = journal.read_bytes().splitlines() if journal.is_file() else []
        known: list[list[Any]] = []
        for number, text in enumerate(lines):
            try:
                line = json.loads(text)
            except ValueError:  # the process ended within the line
                break
            if not isinstance(line, list) or line[:2] != [
                number,
                self._sums_on_disk(number),
            ]:
                break
            known.append(line)
        return known

    def _sums_on_disk(self, number: int) -> list[int]:
        row = self._rows.offsets[number]
        height = self._rows.finished(number) - row
        return [_checksum(flat.read(row, height)) for flat in self._rasters.values()]

    def count(self) -> int:
        """Returns how many strips, from the first on, are finished."""
        return len(self._lines)

    def write(self, number: int, strip: Finished) -> None:
        """Writes the next strip.

        Args:
            number: Counted from 0 at the top.
            strip: What is in it.

        Raises:
            OSError: If the disk does not take it.
        """
        sums = []
        for name, flat in self._rasters.items():
            values = np.ascontiguousarray(strip.layers[name])
            flat.write(self._rows.offsets[number], values)
            sums.append(_checksum(values))
        line = [number, sums, *strip[1:]]
        self._journal.write(_line(line))
        self._journal.flush()
        self._lines.append(line)

    def totals(self) -> tuple[int, int, float]:
        """Returns pixels with a class, pixels that are landslide, and their area."""
        valid, landslide, area = 0, 0, 0.0
        for line in self._lines:
            valid, landslide, area = (
                valid + line[2],
                landslide + line[3],
                area + line[4],
            )
        return valid, landslide, area

    def view(
        self, name: str, grid: Grid, *, upside_down: bool = False, band: int = 0
    ) -> Path:
        """Returns what GDAL reads a raster through, as `FlatRaster.view`."""
        path = self.folder / f"{name}{band or ''}.vrt"
        flat = self._rasters[name]
        return flat.view(path, grid, upside_down=upside_down, band=band)

    def remove(self) -> None:
        """Removes the folder, when the map is there or never will be."""
        shutil.rmtree(self.folder, ignore_errors=True)


def holds_strips(folder: Path) -> bool:
    """Whether a folder holds nothing but what strips are kept in."""
    return folder.is_dir() and all(
        _NAMES.fullmatch(path.name) for path in folder.iterdir()
    )


def _line(line: list[Any]) -> str:
    return json.dumps(line) + "\n"


def _checksum(values: NDArray[Any]) -> int:
    return zlib.crc32(values.data)

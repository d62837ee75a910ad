"""What is done for a scene of a region, in this process or in one of a cluster.

A scene below the size of a unit is mapped at once. A larger one is cut: several
processes predict some of its strips each, and a last step makes the map of them. All
of it lies in the folder of the scene, on storage that every process sees, and appears
there complete or not at all; the item of the catalogue comes last.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from landslide_tf.errors import LandslideTFError, first_line
from landslide_tf.files import file_states
from landslide_tf.mapping import Member, Outputs, SceneFiles, map_scene
from landslide_tf.mapping.rows import map_rows, read_rows, size_of
from landslide_tf.region.job import RegionJob
from landslide_tf.region.results import (
    is_whole,
    read_item,
    scene_folder,
    scene_outputs,
    write_item,
)
from landslide_tf.region.scenes import RegionScene
from landslide_tf.version import __version__

Progress = Callable[[int, int], None]
_ROWS = "rows"  # folder of the strips of a scene that was cut


class Unit(NamedTuple):
    """A unit of work.

    Attributes:
        scene: The scene.
        strips: First strip and the one behind the last; None = what there is to do
            first: the whole map, or finding out how the scene is cut.
        cuts: All units of the scene, whose map is made now.
    """

    scene: RegionScene
    strips: tuple[int, int] | None = None
    cuts: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a unit of work.

    Attributes:
        pixels: Pixels of the scene that were finished by it.
        total: Pixels of the scene; 0 = not known.
        seconds: How long it took.
        kept: Whether the scene was mapped before and nothing was done.
        cuts: Strips of each unit that the scene is cut into.
        waiting: Those of them that are not finished.
        done: Whether the scene is mapped now.
        error: Why the scene cannot be mapped, in one line; empty where nothing failed.
        notes: Warnings, a line each.
    """

    pixels: int = 0
    total: int = 0
    seconds: float = 0.0
    kept: bool = False
    cuts: tuple[tuple[int, int], ...] = ()
    waiting: tuple[tuple[int, int], ...] = ()
    done: bool = False
    error: str = ""
    notes: tuple[str, ...] = ()


class Mapper:
    """Maps scenes of a region with models that are loaded once.

    Args:
        job: The region.
        members: Its models.
    """

    def __init__(self, job: RegionJob, members: Sequence[Member]) -> None:
        self._job, self._members = job, members

    def run(self, unit: Unit, progress: Progress | None = None) -> Outcome:
        """Does a unit of work.

        Args:
            unit: The unit.
            progress: Called with pixels of the scene that are done, and all its pixels.

        Returns:
            What came of it. Whatever is wrong with a scene is a line of it.
        """
        start = time.monotonic()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = self._run(unit, progress)
            except LandslideTFError as error:
                found = Outcome(error=" ".join(str(error).split()))
            except Exception as error:  # one scene must not end the others
                found = Outcome(error=f"{type(error).__name__}: {first_line(error)}")
        notes = dict.fromkeys(" ".join(str(w.message).split()) for w in caught)
        facts = {"seconds": time.monotonic() - start, "notes": tuple(notes)}
        return Outcome(**{**vars(found), **facts})

    def _run(self, unit: Unit, progress: Progress | None) -> Outcome:
        job, scene = self._job, unit.scene
        files = scene.files(job.files, self._members[0].metadata)
        key = self._key(files)
        outputs = scene_outputs(job, scene.id)
        if unit.strips is not None:
            path, strips = self._part(scene, key, unit.strips), range(*unit.strips)
            pixels = map_rows(self._members, files, outputs, job.options, strips, path)
            return Outcome(pixels=pixels)
        parts = [self._part(scene, key, cut) for cut in unit.cuts]
        if not parts:
            item = read_item(job, scene.id)
            if item is not None and item.key == key and is_whole(job, item):
                return Outcome(pixels=item.summary["pixels"], kept=True, done=True)
            cuts, pixels = self._cuts(files, outputs)
            if cuts:
                self._forget_others(scene, key)
                parts = [self._part(scene, key, cut) for cut in cuts]
                waiting = tuple(
                    cut
                    for cut, part in zip(cuts, parts, strict=True)
                    if not part.is_file()
                )
                return Outcome(total=pixels, cuts=cuts, waiting=waiting)
        made = map_scene(
            self._members, files, outputs, job.options, progress=progress,
            made=(lambda start: read_rows(parts, start)) if parts else None,
            patience=job.patience,
        )  # fmt: skip
        write_item(job, scene, key, self._members[0].metadata, made)
        shutil.rmtree(scene_folder(job.out, scene.id) / _ROWS, ignore_errors=True)
        pixels = 0 if parts else made.pixels
        return Outcome(pixels=pixels, total=made.pixels, done=True)

    def _cuts(
        self, files: SceneFiles, outputs: Outputs
    ) -> tuple[tuple[tuple[int, int], ...], int]:
        """Returns the strips of each unit of a scene, none where it is one unit."""
        unit = self._job.unit
        if unit is None:
            return (), 0
        size = size_of(self._members, files, outputs, self._job.options)
        number = min(size.strips, -(-size.pixels // unit))
        if number <= 1:
            return (), size.pixels
        ends = [size.strips * k // number for k in range(number + 1)]
        return tuple(itertools.pairwise(ends)), size.pixels

    def _key(self, files: SceneFiles) -> str:
        """Returns what tells that a scene was mapped of the same, in the same way."""
        job = self._job
        models = [[m.identity, m.metadata.model_dump_json()] for m in self._members]
        content = {
            "version": __version__,
            "models": models,
            "files": file_states(files.read),
            "how": [asdict(files), asdict(job.options), job.probabilities],
        }
        text = json.dumps(content, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _part(self, scene: RegionScene, key: str, strips: Iterable[int]) -> Path:
        folder = scene_folder(self._job.out, scene.id) / _ROWS
        first, stop = strips
        return folder / f"{key[:12]}-{first:06}-{stop:06}.npz"

    def _forget_others(self, scene: RegionScene, key: str) -> None:
        """Removes the strips of a scene that were made in another way."""
        folder = scene_folder(self._job.out, scene.id) / _ROWS
        for path in folder.glob("*.npz"):
            if not path.name.startswith(key[:12]):
                path.unlink()

"""Some strips of a large scene, predicted apart from the others.

Several processes predict what they are given, each into a file of its own, and
`job.map_scene` makes the map of the files. Windows that reach into the first strip of
a file from above are predicted again, so that its pixels are what they would have been.
"""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from landslide_tf.errors import DataError
from landslide_tf.files import atomic_path
from landslide_tf.mapping.output import MapOptions, Outputs
from landslide_tf.mapping.predict import Member
from landslide_tf.mapping.scene import SceneFiles
from landslide_tf.mapping.scene_job import Decide, open_job
from landslide_tf.mapping.strips import Finished

_COUNTS = "counts"
_CACHE_MB = 64


@dataclass(frozen=True)
class Size:
    """How large a scene is.

    Attributes:
        rows: Its rows.
        columns: Its columns.
        strips: Number of its strips.
    """

    rows: int
    columns: int
    strips: int

    @property
    def pixels(self) -> int:
        """Pixels of the scene."""
        return self.rows * self.columns


def size_of(
    members: Sequence[Member], files: SceneFiles, outputs: Outputs, options: MapOptions
) -> Size:
    """Returns how large a scene is that fits its models; else as `map_scene`."""
    job = open_job(members, files, outputs, options)
    return Size(job.rows.size, job.columns.size, len(job.rows.offsets))


def map_rows(
    members: Sequence[Member],
    files: SceneFiles,
    outputs: Outputs,
    options: MapOptions,
    strips: range,
    path: Path,
) -> int:
    """Predicts some strips of a scene into a file.

    Args:
        members: The models.
        files: The scene.
        outputs: What of the scene will be written.
        options: How.
        strips: Numbers of the strips.
        path: The file; it appears when all are there.

    Returns:
        The pixels of the strips.

    Raises:
        DataError: As `map_scene`.
        ModelError: As `map_scene`.
    """
    job = open_job(members, files, outputs, options)
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):
        wanted = itertools.islice(job.strips(strips.start), len(strips))
        made = [decide() for decide in wanted]
    layers = {
        name: np.concatenate([strip.layers[name] for strip in made], axis=1)
        for name in made[0].layers
    }
    heights = [next(iter(strip.layers.values())).shape[1] for strip in made]
    counts = [(height, *strip[1:]) for height, strip in zip(heights, made, strict=True)]
    held: dict[str, Any] = {**layers, _COUNTS: np.array(counts, float)}
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **held)
    return sum(heights) * job.columns.size


def read_rows(paths: Sequence[Path], start: int = 0) -> Generator[Decide, None, None]:
    """Reads the strips of files, for `map_scene`.

    Args:
        paths: The files, from the top of the scene to its bottom.
        start: Number of the first strip that is wanted.

    Yields:
        The strips.

    Raises:
        DataError: If a file is not whole.
    """
    number = 0
    for path in paths:
        try:
            with np.load(path) as held:
                layers = {name: held[name] for name in held.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(
                f"`{path}` must hold rows of a map, and cannot be read ({error}): "
                "remove it and run the same command again."
            ) from error
        row = 0
        for height, valid, landslide, area in layers.pop(_COUNTS):
            stop = row + int(height)
            if number >= start:
                of_strip = {name: layers[name][:, row:stop] for name in layers}
                counted = int(valid), int(landslide), float(area)
                yield partial(Finished, of_strip, *counted)
            row, number = stop, number + 1

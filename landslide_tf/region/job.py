"""What is the same for all scenes of a region, and what a scene may be cut into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from landslide_tf.mapping import MapOptions, Member, SceneFiles

Load = Callable[[], Sequence[Member]]

UNIT = 1 << 24
"""Pixels from which a scene is cut for a cluster: a square of 4096."""


@dataclass(frozen=True)
class RegionJob:
    """What is the same for all scenes of a region.

    Attributes:
        load: Loads the models; a function that other processes can import.
        out: Folder of the results.
        files: What holds for all scenes: elevations, bands, masks; no image.
        options: How scenes are mapped.
        probabilities: Whether the probabilities of landslide are written.
        overwrite: Replaces files that are there and are not an earlier result.
        unit: Pixels from which a scene is cut; None cuts none.
        patience: Seconds to wait for a process that is ending and still holds a scene.

    >>> from pathlib import Path
    >>> from landslide_tf.region import RegionJob
    >>> RegionJob(load=list, out=Path("region")).unit is None
    True
    """

    load: Load
    out: Path
    files: SceneFiles = field(default_factory=lambda: SceneFiles(()))
    options: MapOptions = field(default_factory=MapOptions)
    probabilities: bool = False
    overwrite: bool = False
    unit: int | None = None
    patience: float = 0

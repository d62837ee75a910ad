"""Maps all scenes of a region and makes one result of them."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from landslide_tf.choices import Overlaps
from landslide_tf.errors import DataError
from landslide_tf.files import locked
from landslide_tf.mapping.polygons import LAYER
from landslide_tf.outputs import check_apart, check_own_folder
from landslide_tf.raster.polygons import write_polygons
from landslide_tf.raster.vector_layer import read_layer
from landslide_tf.region.job import RegionJob
from landslide_tf.region.join import (
    Joined,
    Mapped,
    by_priority,
    join_landslides,
)
from landslide_tf.region.mosaic import write_mosaic
from landslide_tf.region.page import PAGE, write_region_page
from landslide_tf.region.results import (
    COLLECTION,
    LANDSLIDES,
    MOSAIC,
    SCENES,
    Item,
    map_of,
    polygons_of_scene,
    read_item,
    write_collection,
)
from landslide_tf.region.scenes import RegionScene
from landslide_tf.region.work import Mapper, Outcome, Unit
from landslide_tf.report.tables import write_texts

TABLE, WARPED = "scenes.csv", "warped"
PROBE = "probe-"
_OWN = re.compile(
    rf"{re.escape(COLLECTION)}|{re.escape(LANDSLIDES)}|{re.escape(MOSAIC)}"
    rf"|{re.escape(TABLE)}|{WARPED}|{SCENES}|{re.escape(PAGE)}|{PROBE}.+"
)


class Watch(Protocol):
    """Is told how far the mapping of a region is."""

    def moved(self, scene: str, done: int, pixels: int) -> None:
        """A scene has come further: pixels that are done, and all of them."""

    def ended(self, scene: str, outcome: Outcome) -> None:
        """A scene is mapped, or failed."""


class Engine(Protocol):
    """Does units of work, here or elsewhere."""

    def run(
        self, scenes: Sequence[RegionScene], watch: Watch
    ) -> Iterator[tuple[RegionScene, Outcome]]:
        """Yields each scene with what came of it, in any order."""


@dataclass(frozen=True)
class Region:
    """A region that was mapped.

    Attributes:
        out: Its folder.
        mapped: Items of the scenes that were mapped, in the order of the list.
        failed: The others, each with the line that says why.
        kept: How many of the mapped ones were mapped before.
        pixels: Pixels that were mapped now.
        joined: The landslides of all scenes; None where no scene was mapped.

    >>> from pathlib import Path
    >>> from landslide_tf.region import Region
    >>> Region(Path("alps"), (), {"a": "not there"}, 0, 0, None).failed
    {'a': 'not there'}
    """

    out: Path
    mapped: tuple[Item, ...]
    failed: Mapping[str, str]
    kept: int
    pixels: int
    joined: Joined | None


class SceneFailed(DataError):
    """A scene of a region cannot be mapped, and no other is wanted then.

    >>> from landslide_tf.region import SceneFailed
    >>> str(SceneFailed("scene `a`: it is not there"))
    'scene `a`: it is not there'
    """


class Quiet:
    """Looks at nothing, where nobody wants to see how far the mapping is."""

    def moved(self, scene: str, done: int, pixels: int) -> None:
        """See `Watch`."""

    def ended(self, scene: str, outcome: Outcome) -> None:
        """See `Watch`."""


class Here:
    """Maps one scene after the other in this process.

    Args:
        job: The region.
    """

    def __init__(self, job: RegionJob) -> None:
        self._job = job

    def run(
        self, scenes: Sequence[RegionScene], watch: Watch
    ) -> Iterator[tuple[RegionScene, Outcome]]:
        """See `Engine`."""
        mapper = Mapper(replace(self._job, unit=None), self._job.load())
        for scene in scenes:
            name = scene.id

            def show(done: int, pixels: int, name: str = name) -> None:
                watch.moved(name, done, pixels)

            yield scene, mapper.run(Unit(scene), show)


def check_region(
    out: Path, scenes: Sequence[RegionScene], read: Sequence[str | Path | None]
) -> None:
    """Refuses a folder that holds what is read, or what is no region.

    Args:
        out: The folder.
        scenes: The scenes.
        read: What else is read: the list, models, elevations.

    Raises:
        DataError: If it is so.

    >>> from pathlib import Path
    >>> from landslide_tf.region import check_region
    >>> check_region(Path("region"), [], ["scenes.csv"])
    """
    images = [name for scene in scenes for name in scene.read]
    check_apart([out], [*read, *images])
    check_own_folder(
        out,
        "a mapped region",
        lambda entry: bool(_OWN.fullmatch(entry.name)),
        overwrite=True,  # scenes decide themselves whether they are the same
    )


def map_region(
    job: RegionJob,
    scenes: Sequence[RegionScene],
    *,
    engine: Engine | None = None,
    overlaps: Overlaps = "latest",
    fail_fast: bool = False,
    watch: Watch | None = None,
) -> Region:
    """Maps all scenes of a region and joins what is in them.

    Run again after a stop it goes on; scenes that were mapped of the same files, with
    the same models and options, are kept.

    Args:
        job: The region.
        scenes: Its scenes.
        engine: What maps; None = this process, one scene after the other.
        overlaps: Which of two scenes decides ground that both show, as in
            `region.join.join_landslides`.
        fail_fast: Ends with the first scene that fails, without a result.
        watch: Is told how far it is.

    Returns:
        What was mapped. Scenes that failed are named in it.

    Raises:
        DataError: If the folder holds something else or cannot be written.
        SceneFailed: If a scene fails, with `fail_fast`.
        RunError: If another process is mapping the region.
    """
    watch = watch or Quiet()
    check_region(job.out, scenes, ())
    in_use = (
        f"`{job.out}` is in use: another process is mapping this region; wait for it "
        "or name another folder."
    )
    outcomes: dict[str, Outcome] = {}
    with locked(job.out, in_use, job.patience):
        for probe in job.out.glob(f"{PROBE}*"):  # of a run that was killed
            probe.unlink(missing_ok=True)
        found = (engine or Here(job)).run(scenes, watch)
        with contextlib.closing(found):  # type: ignore[type-var]
            for scene, outcome in found:
                watch.ended(scene.id, outcome)
                outcomes[scene.id] = outcome
                if outcome.error and fail_fast:
                    raise SceneFailed(f"scene `{scene.id}`: {outcome.error}")
        return _together(job, scenes, outcomes, overlaps)


def read_region(folder: Path) -> list[Mapped]:
    """Returns the scenes of a region that were mapped.

    Args:
        folder: Its folder.

    Returns:
        The scenes in the order of the list.

    Raises:
        DataError: If it is no folder of a region.

    >>> from pathlib import Path
    >>> from landslide_tf.region import read_region
    >>> read_region(Path("missing"))
    Traceback (most recent call last):
    landslide_tf.errors.DataError: `missing` must be a folder that `map-region` wrote...
    """
    try:
        content = json.loads((folder / COLLECTION).read_text(encoding="utf-8"))
        names = [link["title"] for link in content["links"] if link["rel"] == "item"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(
            f"`{folder}` must be a folder that `map-region` wrote, with its "
            f"`{COLLECTION}`."
        ) from error
    job = RegionJob(load=tuple, out=folder)
    found = []
    for name in names:
        item = read_item(job, name)
        if item is None:
            raise DataError(
                f"`{folder}` lacks the item of the scene `{name}`: run the same "
                "`map-region` again."
            )
        found.append(_mapped(folder, item))
    return found


def landslides_by_scene(folder: Path, temporary: Path) -> Iterator[Mapped]:
    """Parts the landslides of a region by their scenes, each in one of them alone.

    One that lies in several scenes is with that which has most of it.

    Args:
        folder: A folder of a region.
        temporary: Where the polygons are written, a file a scene.

    Yields:
        The scenes that were mapped, with the polygons of the region that are theirs.

    Raises:
        DataError: If it is no folder of a region.

    >>> from pathlib import Path
    >>> from landslide_tf.region import landslides_by_scene
    >>> list(landslides_by_scene(Path("missing"), Path("temporary")))
    Traceback (most recent call last):
    landslide_tf.errors.DataError: `missing` must be a folder that `map-region` wrote...
    """
    scenes = read_region(folder)
    if not scenes:
        return
    layer = read_layer("landslides", folder / LANDSLIDES, LAYER)
    for scene in scenes:
        own = layer.columns["scene"] == scene.id
        path = temporary / f"{scene.id}.gpkg"
        table = {name: values[own] for name, values in layer.columns.items()}
        write_polygons(
            path, "GPKG", layer.geometries[own], table, layer.crs, layer=LAYER
        )
        yield replace(scene, polygons=path)


def _mapped(out: Path, item: Item) -> Mapped:
    return Mapped(
        item.id, item.date, map_of(out, item.id), polygons_of_scene(out, item.id)
    )


def _together(
    job: RegionJob,
    scenes: Sequence[RegionScene],
    outcomes: Mapping[str, Outcome],
    overlaps: Overlaps,
) -> Region:
    """Makes the results of all scenes."""
    items, failed = [], {}
    for scene in scenes:
        outcome = outcomes[scene.id]
        item = None if outcome.error else read_item(job, scene.id)
        if item is None:
            failed[scene.id] = outcome.error or "its item cannot be read"
        else:
            items.append(item)
    joined = None
    if items:
        mapped = [_mapped(job.out, item) for item in items]
        joined = join_landslides(mapped, job.out / LANDSLIDES, overlaps=overlaps)
        order = reversed(by_priority(mapped))
        maps = [mapped[k].map for k in order]
        write_mosaic(job.out / MOSAIC, maps, job.out / WARPED)
    _write_table(job, scenes, outcomes, {item.id: item for item in items})
    write_collection(job, items)
    write_region_page(job.out, items, list(failed.items()), joined)
    now = [o for o in outcomes.values() if not o.kept and not o.error]
    kept = sum(outcomes[item.id].kept for item in items)
    pixels = sum(outcome.pixels for outcome in now)
    return Region(job.out, tuple(items), failed, kept, pixels, joined)


def _write_table(
    job: RegionJob,
    scenes: Sequence[RegionScene],
    outcomes: Mapping[str, Outcome],
    items: Mapping[str, Item],
) -> None:
    """Writes the table of all scenes, failed ones too."""
    names = ("pixels", "valid", "landslide", "area_m2", "polygons")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "date", "status", *names, "error"))
    for scene in scenes:
        outcome, item = outcomes[scene.id], items.get(scene.id)
        values = [item.summary[name] if item else "" for name in names]
        status = "mapped" if item else "failed"
        writer.writerow((scene.id, scene.date, status, *values, outcome.error))
    write_texts(job.out, table=(TABLE, text.getvalue()))

"""What `inventory add` takes: a map, or all scenes of a region.

Apart from the command, whose options fill its module.
"""

from __future__ import annotations

import contextlib
import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from landslide_tf.errors import DataError

Map = Annotated[
    Path,
    typer.Option(
        "--map", help="Class map that `map` wrote, or folder that `map-region` wrote."
    ),
]
Vector = Annotated[
    Path | None,
    typer.Option(
        help="Polygons that `map` wrote with it.", show_default="those of the folder"
    ),
]
Date = Annotated[
    str | None,
    typer.Option(
        metavar="DATE",
        help="Date of the image, e.g. 2024-05-31.",
        show_default="those of the folder",
    ),
]


@contextlib.contextmanager
def mapped_scenes(
    database: str,
    map_file: Path,
    vector: Path | None,
    given: datetime.date | None,
    name: str | None,
) -> Iterator[Iterator[dict[str, Any]]]:
    """Gives maps with their polygons, dates and names: one, or all of a region.

    Args:
        database: The inventory, which may be nothing of what is read.
        map_file: The class map, or the folder of a region.
        vector: Polygons of a single map.
        given: Date of a single map's image, or of those of a region that have none.
        name: Name of a single map.

    Yields:
        What `inventory.MappedScene` takes of each.

    Raises:
        DataError: If something is missing, or is not for a region.
    """
    if not map_file.is_dir():
        if vector is None or given is None:
            raise DataError(
                "A map needs its polygons (`--vector`) and the date of its image "
                "(`--date`); a folder of `map-region` has both."
            )
        yield iter([{"map": map_file, "polygons": vector, "date": given, "name": name}])
        return
    if vector is not None or name is not None:
        raise DataError(
            f"`{map_file}` is a folder of `map-region`, which has its own polygons and "
            "names: leave out `--vector` and `--scene`."
        )
    from landslide_tf.inventory.update import is_remote
    from landslide_tf.raster.outputs import check_outputs
    from landslide_tf.region import landslides_by_scene

    # Nothing in the folder is an inventory.
    check_outputs([None if is_remote(database) else database], [map_file])
    with tempfile.TemporaryDirectory(prefix="landslide-tf-") as folder:
        yield (
            {
                "map": scene.map,
                "polygons": scene.polygons,
                "date": _day(scene.id, scene.date, given),
                "name": scene.id,
            }
            for scene in landslides_by_scene(map_file, Path(folder))
        )


def _day(scene: str, date: str, given: datetime.date | None) -> datetime.date:
    """Returns the date of a scene of a region, else the given one."""
    if date:
        return datetime.date.fromisoformat(date)
    if given is None:
        raise DataError(
            f"scene `{scene}` has no date in its region: give one with `--date`, or "
            "map the region by a list with dates."
        )
    return given

"""The one way into an inventory: open it, add a mapped scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from landslide_tf.inventory.entry import MappedScene, read_entry
from landslide_tf.inventory.geopackage import GeoPackage
from landslide_tf.inventory.postgis import SCHEMES, PostGIS
from landslide_tf.inventory.schema import Scene, Settings
from landslide_tf.inventory.store import NoInventory, Store
from landslide_tf.raster.names import FilePath
from landslide_tf.raster.outputs import check_outputs


@dataclass(frozen=True)
class AddedScene:
    """Result of adding a scene.

    Attributes:
        scene: The scene.
        changed: Whether anything is new; the same content again changes nothing.
        landslides: Its landslides.

    >>> import shapely
    >>> from landslide_tf.inventory import AddedScene, Scene
    >>> AddedScene(Scene({"id": "a"}, shapely.MultiPolygon()), False, 0).changed
    False
    """

    scene: Scene
    changed: bool
    landslides: int


def open_inventory(
    database: str | Path, *, create: bool = False, settings: Settings | None = None
) -> Store:
    """Opens an inventory.

    Args:
        database: A GeoPackage, or a database of PostGIS as `postgresql://…`.
        create: Whether an inventory is made where there is none.
        settings: Of a new inventory, or those that an old one must have.

    Returns:
        The open inventory, to be closed or used as a context.

    Raises:
        DataError: If there is none, or it is of another version.
        RunError: If another process is changing it.

    >>> from landslide_tf.inventory import open_inventory
    >>> open_inventory("missing.gpkg")
    Traceback (most recent call last):
    landslide_tf.inventory.store.NoInventory: `missing.gpkg` must be an inventory, ...
    """
    if is_remote(database):
        return PostGIS(str(database), create=create, settings=settings)
    return GeoPackage(Path(database), create=create, settings=settings)


def is_remote(database: str | Path) -> bool:
    """Returns whether an inventory is in a database of PostGIS, not in a file.

    >>> from landslide_tf.inventory.update import is_remote
    >>> is_remote("postgresql://localhost/alps"), is_remote("alps.gpkg")
    (True, False)
    """
    return str(database).startswith(SCHEMES)


def add_scene(
    database: str | Path,
    mapped: MappedScene,
    *,
    settings: Settings | None = None,
    replace: bool = False,
) -> AddedScene:
    """Adds a mapped scene to an inventory, creating the inventory if necessary.

    The scene is known by its images, date and ground. Whatever happens in between, the
    inventory holds all of it or is as it was.

    Args:
        database: As `open_inventory` takes it.
        mapped: The scene.
        settings: Of a new inventory; None = the defaults. An old one keeps its own and
            refuses others.
        replace: Whether another content of the same scene, as of a newer model, takes
            the place of the former one.

    Returns:
        What was done.

    Raises:
        DataError: If a file cannot be read or does not fit, or the scene is there with
            other content and is not to be replaced.
        RunError: If another process is changing the inventory.

    >>> import datetime
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.inventory import MappedScene, add_scene
    >>> from landslide_tf.mapping.polygons import find_landslides, write_landslides
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 8, 8)
    >>> values = np.zeros((1, 8, 8), np.uint8)
    >>> values[0, 2:6, 1:6] = 1
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     map_file, polygons = Path(folder, "map.tif"), Path(folder, "map.gpkg")
    ...     write_plain(map_file, grid, Layer("uint8", 255, ["class"]), [(0, values)])
    ...     write_landslides(find_landslides(map_file, grid), polygons, "GPKG")
    ...     mapped = MappedScene(
    ...         map=map_file, polygons=polygons, date=datetime.date(2024, 5, 1),
    ...         region="Alps", name="valley",
    ...     )
    ...     first = add_scene(Path(folder, "alps.gpkg"), mapped)
    ...     again = add_scene(Path(folder, "alps.gpkg"), mapped)
    >>> first.landslides, first.changed, again.changed
    (1, True, False)
    """
    read: list[FilePath | None] = [
        mapped.map,
        mapped.polygons,
        mapped.area,
        mapped.regions,
    ]
    read += [mapped.probabilities, *(mapped.dem.paths if mapped.dem else ())]
    check_outputs([None if is_remote(database) else database], read)
    try:
        with open_inventory(database, settings=settings) as store:
            known = store.settings
    except NoInventory:
        known = settings or Settings()
    scene, landslides = read_entry(mapped, known)
    with open_inventory(database, create=True, settings=settings) as store:
        changed = store.add(scene, landslides, replace=replace)
    return AddedScene(scene, changed, len(landslides))

"""Vector files under any name, and their layers as they are stored."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FieldError, GeometryError

from landslide_tf.errors import LISTED, DataError, first_line
from landslide_tf.raster.antimeridian import Geometries
from landslide_tf.raster.names import full_text, is_remote, set_up_gdal

_PYOGRIO = (DataSourceError, DataLayerError, FieldError, GeometryError)


@dataclass(frozen=True)
class VectorLayer:
    """A layer of a vector file as it is stored, without entries that have no geometry.

    Attributes:
        layer: Its name.
        crs: Its coordinate reference system as the file says it.
        geometries: Shapely geometries.
        columns: Attributes (N,) by name.
        empty: How many entries have no geometry.
        kind: Kind of geometries that it says to hold; may be `"Unknown"`.

    >>> import numpy as np
    >>> from landslide_tf.raster.vector_layer import VectorLayer
    >>> VectorLayer("a", "EPSG:4326", np.array([]), {}).empty
    0
    """

    layer: str
    crs: str
    geometries: Geometries
    columns: dict[str, NDArray[Any]]
    empty: int = 0
    kind: str = "Unknown"

    def is_free_of(self, kind: str) -> bool:
        """Returns whether it may hold a kind of geometries and has no entry."""
        some = len(self.geometries) or self.empty
        return not some and (kind in self.kind or self.kind == "Unknown")


def read_layer(
    what: str,
    path: str | os.PathLike[str],
    layer: str | None = None,
    *,
    option: str = "--layer",
    empty: str = "",
) -> VectorLayer:
    """Reads a layer of a vector file.

    Args:
        what: What the file is, for messages.
        path: The file.
        layer: Its layer, whatever its case; None = the only one with geometries.
        option: What the user calls `layer`.
        empty: Kind of geometries of which a layer may have none, and no system then.

    Returns:
        The layer.

    Raises:
        DataError: If the file cannot be read, has several layers and none is named,
            lacks the layer, or has no system.

    >>> from landslide_tf.raster.vector_layer import read_layer
    >>> read_layer("polygons", "missing.gpkg")
    Traceback (most recent call last):
    landslide_tf.errors.DataError: polygons must be a vector file that can be read, ...
    """
    set_up_gdal()
    try:
        name = _layer(what, path, layer, option)
        meta, _, wkb, columns = pyogrio.raw.read(vector_path(path), layer=name)
    except _PYOGRIO as error:
        raise DataError(
            f"{what} must be a vector file that can be read, received: "
            f"{first_line(error)}; check that the file is there and whole."
        ) from error
    kind, missing = str(meta["geometry_type"]), wkb is None  # a table has none
    geometries = np.atleast_1d(shapely.from_wkb([] if missing else wkb, "ignore"))
    there = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    table = {
        str(field): column[: len(there)][there]
        for field, column in zip(meta["fields"], columns, strict=True)
    }
    found = shapely.force_2d(geometries[there])
    lost = int((~there).sum())
    read = VectorLayer(name, meta["crs"] or "", found, table, lost, kind)
    if not read.crs and not (empty and not missing and read.is_free_of(empty)):
        raise DataError(
            f"{what} must have a coordinate reference system, received none; assign it "
            "(`ogr2ogr -a_srs EPSG:…`)."
        )
    return read


def vector_path(path: str | os.PathLike[str]) -> str:
    """Returns what pyogrio opens as exactly this file.

    It takes `!` for the way into an archive, and drops what follows `;`.

    >>> from landslide_tf.raster.vector_layer import vector_path
    >>> vector_path("a.gpkg"), vector_path("/tmp/new!.gpkg")
    ('a.gpkg', '/vsisubfile/0,/tmp/new!.gpkg')
    """
    name = full_text(path)
    plain = name.startswith("/vsi") or is_remote(name) or not set("!;") & set(name)
    return name if plain else f"/vsisubfile/0,{os.path.abspath(name)}"


@contextlib.contextmanager
def plain_name(path: Path) -> Iterator[Path]:
    """Yields where pyogrio can write what is to be in a file of any name.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.raster.vector_layer import plain_name
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with plain_name(Path(folder, "new!.geojson")) as plain:
    ...         _ = plain.write_text("{}")
    ...     plain.name, Path(folder, "new!.geojson").read_text()
    ('plain.geojson', '{}')
    """
    if vector_path(path) == os.fspath(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "plain").with_suffix(path.suffix)
        if path.exists():
            shutil.copyfile(path, plain)
        yield plain
        shutil.copyfile(plain, path)


def _layer(
    what: str, path: str | os.PathLike[str], wanted: str | None, option: str
) -> str:
    """Returns the name of the layer to read."""
    listed = pyogrio.list_layers(vector_path(path))
    every = [str(name) for name, _ in listed]
    # Tables without geometries, as of QGIS's styles, are nothing to choose from.
    placed = [str(name) for name, geometry in listed if geometry is not None] or every
    if wanted is not None:
        return found_name(what, "layer", every, wanted)
    if len(placed) != 1:
        raise DataError(
            f"{what} must have one layer, or a choice of it, received "
            f"{len(placed)}: {', '.join(f'`{name}`' for name in placed)}; say which "
            f"with `{option}{' ' * (not option.endswith(':'))}NAME`."
        )
    return placed[0]


def found_name(what: str, kind: str, names: list[str], wanted: str) -> str:
    """Returns the one of some names that is wanted, whatever its case.

    Args:
        what: What has the names, for messages.
        kind: What the names are of: `"layer"` or `"field"`.
        names: The names that are there.
        wanted: What the user calls it.

    Returns:
        The name as it is there.

    Raises:
        DataError: If there is none, or several differ in case alone.

    >>> from landslide_tf.raster.vector_layer import found_name
    >>> found_name("polygons", "field", ["Class"], "class")
    'Class'
    """
    alike = [name for name in names if name.casefold() == wanted.casefold()]
    if wanted in alike:
        return wanted
    if len(alike) != 1:
        listed = ", ".join(f"`{name}`" for name in names[:LISTED]) or "none"
        raise DataError(
            f"{what} must have the {kind} `{wanted}`, received the {kind}s {listed}."
        )
    return alike[0]

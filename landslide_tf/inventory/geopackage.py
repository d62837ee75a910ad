"""An inventory in one GeoPackage, which is a database of SQLite.

Python's SQLite makes and changes it, so that a transaction covers all tables. Tables
are those of the OGC GeoPackage standard 1.3 (12-128r18), annex C. It has no spatial
index: where TensorFlow was loaded first, SQLite is the one that it brings, without
R-trees. Boxes are read from the head of each geometry.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyproj
import shapely

from landslide_tf.errors import DataError, RunError
from landslide_tf.inventory.schema import FIELDS, SCENE_FIELDS, Settings, Value
from landslide_tf.inventory.store import NoInventory, Row, Store, columns_sql

_APPLICATION, _VERSION = 0x47504B47, 10300  # "GPKG", 1.3
_WAIT = 30.0  # seconds for another process to finish
_SRS = 4326
_LAYERS = {"landslides": FIELDS, "scenes": SCENE_FIELDS}

# A blob of the standard: magic, version, flags (little endian, box of x and y), the
# system and the box, before the geometry as WKB.
_HEADER = struct.Struct("<2sBBi4d")
_FLAGS = 0b011

_METADATA = """
CREATE TABLE gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY,
  organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL,
  definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (
  table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
  description TEXT DEFAULT '', last_change DATETIME NOT NULL
    DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE,
  srs_id INTEGER REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (
  table_name TEXT NOT NULL UNIQUE REFERENCES gpkg_contents(table_name),
  column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
  srs_id INTEGER NOT NULL REFERENCES gpkg_spatial_ref_sys(srs_id),
  z TINYINT NOT NULL, m TINYINT NOT NULL, PRIMARY KEY (table_name, column_name));
CREATE TABLE settings (
  fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name TEXT UNIQUE, value TEXT);
INSERT INTO gpkg_contents (table_name, data_type, identifier)
  VALUES ('settings', 'attributes', 'settings');
"""

_LAYER = """
CREATE TABLE {table} (
  fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom MULTIPOLYGON, {columns});
INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id)
  VALUES ('{table}', 'features', '{table}', 4326);
INSERT INTO gpkg_geometry_columns
  VALUES ('{table}', 'geom', 'MULTIPOLYGON', 4326, 0, 0);
"""


class GeoPackage(Store):
    """An inventory in a file.

    Args:
        path: The file.
        create: Whether it is made where it is missing or empty.
        settings: Of a new inventory, or those that an old one must have.

    Raises:
        DataError: If it is missing, no inventory, or one of another version.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.inventory.geopackage import GeoPackage
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with GeoPackage(Path(folder, "alps.gpkg"), create=True) as store:
    ...         sorted(store.tables())
    ['landslides', 'scenes', 'settings']
    """

    in_box = (
        "ST_MaxX(geom) >= :west AND ST_MinX(geom) <= :east AND "
        "ST_MaxY(geom) >= :south AND ST_MinY(geom) <= :north"
    )

    def __init__(
        self, path: Path, *, create: bool = False, settings: Settings | None = None
    ) -> None:
        self.name = str(path)
        if path.suffix.lower() != ".gpkg":
            raise DataError(
                f"`{path}` must end in .gpkg: an inventory is a GeoPackage."
            )
        if path.is_dir():
            raise DataError(f"`{path}` must be a file, received a folder.")
        if not (path.exists() or create):
            raise NoInventory(
                f"`{path}` must be an inventory, received no such file: `inventory "
                "add` makes one."
            )
        # Read-only where nothing is added; with a journal of a killed process SQLite
        # goes back to the former state first, which it does in either mode.
        mode = "rwc" if create else "rw"
        try:
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode={mode}",
                uri=True,
                timeout=_WAIT,
                isolation_level=None,
            )
        except sqlite3.Error as error:
            raise DataError(f"`{path}` cannot be opened: {error}.") from error
        try:
            self._add_functions()
            with self._readable():
                self.prepare(settings, create=create)
        except BaseException:
            self.close()
            raise

    def _add_functions(self) -> None:
        """Adds functions of a geometry: ours, and what triggers of an index call.

        Other programs add an index and triggers of these names to a layer.
        """
        for position, name in enumerate(("MinX", "MaxX", "MinY", "MaxY")):

            def of_box(blob: bytes, position: int = position) -> float:
                return float(_box(blob)[position])

            self._connection.create_function(
                f"ST_{name}", 1, of_box, deterministic=True
            )
        self._connection.create_function(
            "ST_IsEmpty", 1, lambda blob: bool(blob[3] & 0b10000), deterministic=True
        )

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise RunError(
                    f"`{self.name}` is in use by another process: wait for its end."
                ) from error
            raise DataError(f"`{self.name}` cannot be used: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"`{self.name}` must be a GeoPackage, received: {error}."
            ) from error

    def execute(self, sql: str, rows: Iterable[Mapping[str, Value | bytes]]) -> None:
        """Runs a statement once a row."""
        with self._readable():
            for row in rows:
                self._connection.execute(sql, row)

    def fetch(self, sql: str, values: Mapping[str, Value]) -> Iterator[Row]:
        """Yields what a query finds."""
        with self._readable():
            yield from self._connection.execute(sql, values)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Runs a block whose changes appear together, or not at all."""
        with self._readable():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with self._readable():
                self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def tables(self) -> set[str]:
        """Returns the names of the tables of content."""
        names = {
            str(name)
            for (name,) in self.fetch(
                "SELECT name FROM sqlite_master WHERE type = 'table'", {}
            )
        }
        return {n for n in names if not n.startswith(("gpkg_", "rtree_", "sqlite_"))}

    def create_tables(self) -> None:
        """Makes the tables of a GeoPackage and ours."""
        run = self._connection.execute
        run(f"PRAGMA application_id = {_APPLICATION}")
        run(f"PRAGMA user_version = {_VERSION}")
        statements = _METADATA
        for table, fields in _LAYERS.items():
            statements += _LAYER.format(table=table, columns=columns_sql(fields))
        for statement in statements.split(";\n"):
            if statement.strip():
                run(statement)
        wkt = pyproj.CRS.from_epsg(_SRS).to_wkt("WKT1_GDAL")
        for row in (
            ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined"),
            ("Undefined geographic SRS", 0, "NONE", 0, "undefined"),
            ("WGS 84", _SRS, "EPSG", _SRS, wkt),
        ):
            run("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, NULL)", row)

    def encode(self, geometry: shapely.Geometry) -> bytes:
        """Returns the blob of a multi-polygon that is not empty."""
        west, south, east, north = geometry.bounds
        head = _HEADER.pack(b"GP", 0, _FLAGS, _SRS, west, east, south, north)
        return head + bytes(shapely.to_wkb(geometry, byte_order=1))

    def decode(self, stored: Sequence[bytes]) -> np.ndarray:
        """Returns the geometries of blobs, of other programs too."""
        bodies = [blob[8 + len(_box(blob)) * 8 :] for blob in stored]
        return np.asarray(shapely.from_wkb(np.array(bodies, object)), object)

    def finish(self) -> None:
        """Writes the extent of each layer, for programs that show it."""
        for table in _LAYERS:
            self._connection.execute(
                f"UPDATE gpkg_contents SET (min_x, min_y, max_x, max_y) = (SELECT "
                f"min(ST_MinX(geom)), min(ST_MinY(geom)), max(ST_MaxX(geom)), "
                f"max(ST_MaxY(geom)) FROM {table}), "
                "last_change = strftime('%Y-%m-%dT%H:%M:%fZ','now') "
                "WHERE table_name = ?",
                (table,),
            )

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()


def _box(blob: bytes) -> tuple[float, ...]:
    """Returns the box that a blob's head holds: x from and to, y, and maybe z and m."""
    doubles = (0, 4, 6, 6, 8)[blob[3] >> 1 & 0b111]
    order = "<" if blob[3] & 1 else ">"
    return struct.unpack_from(f"{order}{doubles}d", blob, 8)

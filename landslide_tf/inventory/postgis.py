"""An inventory in a database of PostGIS, for many users at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import shapely

from landslide_tf.errors import DataError, RunError, first_line
from landslide_tf.inventory.schema import FIELDS, SCENE_FIELDS, Settings, Value
from landslide_tf.inventory.store import Row, Store, columns_sql

SCHEMES = ("postgresql://", "postgresql+psycopg://")
_LAYERS = {"landslides": FIELDS, "scenes": SCENE_FIELDS}
_SRS = 4326
_LOCK = 0x1A4D  # of the one writer at a time
_TABLES = (
    "SELECT tablename FROM pg_tables WHERE schemaname = ANY (current_schemas(false))"
)


class PostGIS(Store):
    """An inventory in the tables `landslides`, `scenes` and `settings` of a database.

    The extension `postgis` must be there, or the user allowed to make it.

    Args:
        url: The database, as SQLAlchemy names it:
            `postgresql://user@host/name?options=-csearch_path=schema,public`.
        create: Whether the tables are made where they are missing.
        settings: Of a new inventory, or those that an old one must have.

    Raises:
        DataError: If the database cannot be reached, holds something else, or an
            inventory of another version.
        RunError: If SQLAlchemy or psycopg is not installed.

    >>> from landslide_tf.inventory.postgis import PostGIS
    >>> PostGIS("postgresql://nobody@localhost:1/none?connect_timeout=1")
    Traceback (most recent call last):
    landslide_tf.errors...
    """

    to_geometry = f"ST_GeomFromWKB(:geom, {_SRS})"
    from_geometry = "ST_AsBinary(geom)"
    in_box = f"geom && ST_MakeEnvelope(:west, :south, :east, :north, {_SRS})"

    def __init__(
        self, url: str, *, create: bool = False, settings: Settings | None = None
    ) -> None:
        try:
            import psycopg  # noqa: F401 - what SQLAlchemy calls
            import sqlalchemy
        except ImportError as error:
            raise RunError(
                "An inventory in PostGIS needs SQLAlchemy and psycopg: install "
                "`landslide_tf[postgis]`."
            ) from error
        place = sqlalchemy.make_url(url).set(drivername="postgresql+psycopg")
        self.name = place.render_as_string(hide_password=True)
        self._text, self._error = sqlalchemy.text, sqlalchemy.exc.SQLAlchemyError
        engine = sqlalchemy.create_engine(place, poolclass=sqlalchemy.NullPool)
        with self._reachable():
            self._connection = engine.connect()
        try:
            self.prepare(settings, create=create)
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            raise DataError(
                f"`{self.name}` cannot be used: {first_line(error)}."
            ) from error

    def execute(self, sql: str, rows: Iterable[Mapping[str, Value | bytes]]) -> None:
        """Runs a statement once a row."""
        with self._reachable():
            if values := [dict(row) for row in rows]:
                self._connection.execute(self._text(sql), values)

    def fetch(self, sql: str, values: Mapping[str, Value]) -> Iterator[Row]:
        """Yields what a query finds."""
        with self._reachable():
            for row in self._connection.execute(self._text(sql), dict(values)):
                yield tuple(row)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Runs a block whose changes appear together, or not at all."""
        # A query before has begun a transaction, which holds nothing to keep.
        self._connection.rollback()
        with self._connection.begin():
            list(self.fetch("SELECT pg_advisory_xact_lock(:key)", {"key": _LOCK}))
            yield

    def tables(self) -> set[str]:
        """Returns the names of the tables of content."""
        names = {str(name) for (name,) in self.fetch(_TABLES, {})}
        return names - {"spatial_ref_sys"}

    def create_tables(self) -> None:
        """Makes the tables, with a spatial index each."""
        statements = ["CREATE EXTENSION IF NOT EXISTS postgis"]
        statements.append("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT)")
        for table, fields in _LAYERS.items():
            columns = columns_sql(fields).replace(" REAL", " DOUBLE PRECISION")
            statements += [
                f"CREATE TABLE {table} (fid BIGSERIAL PRIMARY KEY, "
                f"geom geometry(MultiPolygon, {_SRS}), {columns})",
                f"CREATE INDEX ON {table} USING gist (geom)",
            ]
        for statement in statements:
            self.execute(statement, [{}])

    def encode(self, geometry: shapely.Geometry) -> bytes:
        """Returns a multi-polygon as WKB."""
        return bytes(shapely.to_wkb(geometry))

    def decode(self, stored: Sequence[bytes]) -> np.ndarray:
        """Returns the geometries of WKB."""
        return np.asarray(shapely.from_wkb(np.array(stored, object)), object)

    def finish(self) -> None:
        """Does nothing: the database knows its tables."""

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

"""Storage of an inventory: what is asked of a database, in one transaction each."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import shapely

from landslide_tf.errors import DataError
from landslide_tf.inventory.schema import (
    FIELDS,
    SCENE_FIELDS,
    SCHEMA_VERSION,
    Columns,
    Landslides,
    Query,
    Scene,
    Settings,
    Value,
)

Row = Sequence[Value | bytes]
_VERSION = "schema_version"


class NoInventory(DataError):
    """There is no inventory yet, and nothing else in its place.

    >>> from landslide_tf.errors import DataError
    >>> from landslide_tf.inventory.store import NoInventory
    >>> issubclass(NoInventory, DataError)
    True
    """


class Store(ABC):
    """An inventory in a database with tables `landslides`, `scenes` and `settings`.

    What differs between databases is in the abstract methods and the attributes; SQL
    names its values as `:name`.

    Attributes:
        name: The database, for messages.
        to_geometry: SQL that makes a geometry of the value `:geom`.
        from_geometry: SQL that gives the stored form of the column `geom`.
        in_box: SQL condition on `geom` with `:west`, `:south`, `:east`, `:north`.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.inventory import open_inventory
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_inventory(Path(folder, "alps.gpkg"), create=True) as store:
    ...         store.scenes()
    []
    """

    name: str
    to_geometry = ":geom"
    from_geometry = "geom"
    in_box = "1 = 1"

    @abstractmethod
    def execute(self, sql: str, rows: Iterable[Mapping[str, Value | bytes]]) -> None:
        """Runs a statement once a row."""

    @abstractmethod
    def fetch(self, sql: str, values: Mapping[str, Value]) -> Iterator[Row]:
        """Yields what a query finds."""

    @abstractmethod
    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Runs a block whose changes appear together, or not at all."""

    @abstractmethod
    def tables(self) -> set[str]:
        """Returns the names of the tables that are there."""

    @abstractmethod
    def create_tables(self) -> None:
        """Makes the three tables, empty."""

    @abstractmethod
    def encode(self, geometry: shapely.Geometry) -> bytes:
        """Returns the stored form of a multi-polygon."""

    @abstractmethod
    def decode(self, stored: Sequence[bytes]) -> np.ndarray:
        """Returns the geometries of stored forms."""

    @abstractmethod
    def finish(self) -> None:
        """Brings what the database says of its tables up to date, in a transaction."""

    @abstractmethod
    def close(self) -> None:
        """Ends the connection."""

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self, settings: Settings | None, *, create: bool) -> None:
        """Checks that the database is an inventory, or makes it one.

        Args:
            settings: Of a new inventory; None = the defaults.
            create: Whether an empty database becomes an inventory.

        Raises:
            DataError: If it is something else, of another version, or made with other
                settings.
        """
        found = self.tables()
        if "settings" in found:
            self._check(settings)
        elif found & {"landslides", "scenes"} or (found and not create):
            raise DataError(
                f"`{self.name}` is not an inventory of this package: name another "
                "database, `inventory add` makes a new one."
            )
        elif not create:
            raise NoInventory(
                f"`{self.name}` holds no inventory: add a map with `inventory add`."
            )
        else:
            stored = (settings or Settings()).stored() | {_VERSION: str(SCHEMA_VERSION)}
            with self.transaction():
                self.create_tables()
                self.execute(
                    "INSERT INTO settings (name, value) VALUES (:name, :value)",
                    [{"name": name, "value": value} for name, value in stored.items()],
                )
                self.finish()

    def _check(self, settings: Settings | None) -> None:
        stored = {
            str(name): str(value)
            for name, value in self.fetch("SELECT name, value FROM settings", {})
        }
        version = stored.get(_VERSION)
        if version != str(SCHEMA_VERSION):
            raise DataError(
                f"`{self.name}` must have the schema version {SCHEMA_VERSION}, "
                f"received {version}: use the version of landslide_tf that wrote it, "
                "or add the maps to a new inventory."
            )
        if settings is not None and settings != Settings.of(stored):
            raise DataError(
                f"`{self.name}` was made with other thresholds, and one inventory has "
                f"one: {stored}; leave the option out, or add to a new inventory."
            )

    @property
    def settings(self) -> Settings:
        """The settings of the inventory."""
        return Settings.of(
            {
                str(name): str(value)
                for name, value in self.fetch("SELECT name, value FROM settings", {})
            }
        )

    def add(self, scene: Scene, landslides: Landslides, *, replace: bool) -> bool:
        """Adds a scene and its landslides, all or nothing.

        Args:
            scene: The scene.
            landslides: Its landslides.
            replace: Whether the former content of the same scene goes.

        Returns:
            Whether anything changed: the same content again changes nothing.

        Raises:
            DataError: If the scene is there with other content and is not to be
                replaced.
        """
        with self.transaction():
            known = list(
                self.fetch(
                    "SELECT content, model, model_version FROM scenes WHERE id = :id",
                    {"id": scene.id},
                )
            )
            if known and known[0][0] == scene.facts["content"]:
                return False
            if known and not replace:
                facts, (_, model, version) = scene.facts, map(str, known[0])
                raise DataError(
                    f"`{self.name}` holds the scene `{facts['name']}` of "
                    f"{facts['date_max']} with other content, by the model "
                    f"`{f'{model} {version}'.strip()}`: replace it with `--replace`."
                )
            key = [{"scene": scene.id}]
            self.execute("DELETE FROM landslides WHERE scene = :scene", key)
            self.execute("DELETE FROM scenes WHERE id = :scene", key)
            self._insert(
                "scenes", [scene.outline], {k: [v] for k, v in scene.facts.items()}
            )
            self._insert("landslides", landslides.geometries, landslides.columns)
            self.finish()
        return True

    def _insert(
        self, table: str, geometries: Iterable[shapely.Geometry], columns: Columns
    ) -> None:
        names = list(columns)
        sql = (
            f"INSERT INTO {table} ({', '.join(_quoted(names))}, geom) VALUES "
            f"({', '.join(f':{name}' for name in names)}, {self.to_geometry})"
        )
        rows = zip(geometries, *columns.values(), strict=True)
        self.execute(
            sql,
            (
                {**dict(zip(names, values, strict=True)), "geom": self.encode(geometry)}
                for geometry, *values in rows
            ),
        )

    def scenes(self, query: Query | None = None) -> list[Scene]:
        """Returns the wanted scenes, by date and name."""
        condition, values = self._condition(query or Query())
        names, geometries, rows = self._select(
            "scenes", SCENE_FIELDS, condition, values, "date_max, name, id"
        )
        found = [
            Scene(dict(zip(names, row, strict=True)), outline)
            for row, outline in zip(rows, geometries, strict=True)
        ]
        kept = _in_box(geometries, query)
        return [scene for scene, inside in zip(found, kept, strict=True) if inside]

    def landslides(self, query: Query | None = None) -> Landslides:
        """Returns the wanted landslides, by date, scene and size."""
        query = query or Query()
        condition, values = self._condition(query)
        if query.confidence is not None:
            condition += " AND confidence >= :confidence"
            values["confidence"] = query.confidence
        if not query.rejected:
            condition += " AND rule = ''"
        names, geometries, rows = self._select(
            "landslides", FIELDS, condition, values, "date_max, scene, area_m2 DESC, id"
        )
        columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
        return Landslides(geometries, columns).where(_in_box(geometries, query))

    def _condition(self, query: Query) -> tuple[str, dict[str, Value]]:
        parts, values = ["1 = 1"], dict[str, Value]()
        for name, sign, date in (
            ("since", ">=", query.since),
            ("until", "<=", query.until),
        ):
            if date is not None:
                parts.append(f"date_max {sign} :{name}")
                values[name] = date.isoformat()
        if query.regions:
            keys = [f"region_{k}" for k in range(len(query.regions))]
            parts.append(f"region IN ({', '.join(f':{key}' for key in keys)})")
            values |= dict(zip(keys, query.regions, strict=True))
        if query.box is not None:
            parts.append(self.in_box)
            values |= dict(
                zip(("west", "south", "east", "north"), query.box, strict=True)
            )
        return " AND ".join(parts), values

    def _select(
        self,
        table: str,
        fields: Mapping[str, str],
        condition: str,
        values: Mapping[str, Value],
        order: str,
    ) -> tuple[list[str], np.ndarray, list[list[Value]]]:
        names = list(fields)
        found = list(
            self.fetch(
                f"SELECT {', '.join(_quoted(names))}, {self.from_geometry} "
                f"FROM {table} WHERE {condition} ORDER BY {order}",
                values,
            )
        )
        types = list(fields.values())
        rows = [
            [_plain(v, kind) for v, kind in zip(row[:-1], types, strict=True)]
            for row in found
        ]
        blobs = [row[-1] for row in found]
        return names, self.decode([b for b in blobs if isinstance(b, bytes)]), rows


def _plain(value: Value | bytes, kind: str) -> Value:
    """Returns a value as the schema's type: databases differ in dates and booleans."""
    if value is None or isinstance(value, bytes):
        return None
    if kind == "BOOLEAN":
        return bool(value)
    return str(value) if kind == "DATE" else value


def _quoted(names: Iterable[str]) -> list[str]:
    # `trigger` and `type` are words of SQL.
    return [f'"{name}"' for name in names]


def _in_box(geometries: np.ndarray, query: Query | None) -> np.ndarray:
    """Returns which geometries, and not their boxes alone, reach the query's box."""
    if query is None or query.box is None:
        return np.ones(len(geometries), bool)
    return np.asarray(shapely.intersects(geometries, shapely.box(*query.box)), bool)


def columns_sql(fields: Mapping[str, str]) -> str:
    """Returns the columns of a table in SQL; `id` is unique.

    >>> from landslide_tf.inventory.store import columns_sql
    >>> columns_sql({"id": "TEXT", "area_m2": "REAL"})
    '"id" TEXT UNIQUE NOT NULL, "area_m2" REAL'
    """
    unique = " UNIQUE NOT NULL"
    return ", ".join(
        f'"{name}" {kind}{unique if name == "id" else ""}'
        for name, kind in fields.items()
    )

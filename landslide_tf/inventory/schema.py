"""What an inventory of landslides holds: fields, words and settings."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import shapely

from landslide_tf.array_types import FloatArray
from landslide_tf.ecoregions import region_name
from landslide_tf.errors import DataError
from landslide_tf.objects import AMALGAMATED
from landslide_tf.raster.antimeridian import Geometries

SCHEMA_VERSION = 1
UNKNOWN = "unknown"
SYSTEM = "EPSG:4326"
"""Longitude and latitude: one system for all regions."""

Value = str | int | float | bool | None
Columns = dict[str, list[Value]]

FIELDS = {
    "id": "TEXT",
    "scene": "TEXT",
    "part": "TEXT",
    "date_min": "DATE",
    "date_max": "DATE",
    "region": "TEXT",
    "confidence": "INTEGER",
    "probability": "REAL",
    "type": "TEXT",
    "trigger": "TEXT",
    "method": "TEXT",
    "model": "TEXT",
    "model_version": "TEXT",
    "data_licence": "TEXT",
    "image_ids": "TEXT",
    "gsd_m": "REAL",
    "area_m2": "REAL",
    "perimeter_m": "REAL",
    "length_m": "REAL",
    "width_m": "REAL",
    "elev_min_m": "REAL",
    "elev_max_m": "REAL",
    "relief_m": "REAL",
    "slope_mean_deg": "REAL",
    "slope_p90_deg": "REAL",
    "aspect_mean_deg": "REAL",
    "volume_m3": "REAL",
    "volume_law": "TEXT",
    "amalgamated": "BOOLEAN",
    "rule": "TEXT",
}
"""Attributes of a landslide and their types in SQL."""

SCENE_FIELDS = {
    "id": "TEXT",
    "name": "TEXT",
    "date_min": "DATE",
    "date_max": "DATE",
    "region": "TEXT",
    "sensor": "TEXT",
    "gsd_m": "REAL",
    "method": "TEXT",
    "model": "TEXT",
    "model_version": "TEXT",
    "data_licence": "TEXT",
    "min_area_m2": "REAL",
    "mapped_m2": "REAL",
    "old_removed": "BOOLEAN",
    "kind": "TEXT",
    "landslides": "INTEGER",
    "content": "TEXT",
}
"""Facts of a mapped scene and their types in SQL."""

PARTS = ("whole", "source", "deposit")
TRIGGERS = ("earthquake", "rainfall", "snowmelt", "human", UNKNOWN)
CONFIDENCE = (1, 2, 3, 5, 8)
"""Values of the USGS compilation: possible, probable, likely, confident, high."""

TYPES = (
    UNKNOWN,
    "rock/ice fall",
    "boulder/debris/silt fall",
    "rock block topple",
    "rock flexural topple",
    "gravel/sand/silt topple",
    "rock rotational slide",
    "rock planar slide",
    "rock wedge slide",
    "rock compound slide",
    "rock irregular slide",
    "clay/silt rotational slide",
    "clay/silt planar slide",
    "gravel/sand/debris slide",
    "clay/silt compound slide",
    "rock slope spread",
    "sand/silt liquefaction spread",
    "sensitive clay spread",
    "rock/ice avalanche",
    "dry sand/silt/debris flow",
    "sand/silt/debris flowslide",
    "sensitive clay flowslide",
    "debris flow",
    "mud flow",
    "debris flood",
    "debris avalanche",
    "earthflow",
    "peat flow",
    "mountain slope deformation",
    "rock slope deformation",
    "soil slope deformation",
    "soil creep",
    "solifluction",
)
"""Types of Hungr, Leroueil and Picarelli (2014, doi 10.1007/s10346-013-0436-y)."""


@dataclass(frozen=True)
class Settings:
    """Settings that all scenes of an inventory share.

    Attributes:
        confidence: Smallest calibrated probability of each value of `CONFIDENCE`;
            below the first there is no confidence.
        amalgamated: Bound of `objects.amalgamated`.

    >>> from landslide_tf.inventory import Settings
    >>> Settings().confidence_of([0.3, 0.7, 0.99, None])
    [None, 2, 8, None]
    """

    confidence: tuple[float, ...] = (0.5, 0.65, 0.8, 0.9, 0.97)
    amalgamated: float = AMALGAMATED

    def __post_init__(self) -> None:
        """Refuses bounds that are out of order."""
        steps = np.array(self.confidence, float)
        rising = len(steps) == len(CONFIDENCE) and bool((np.diff(steps) > 0).all())
        if not rising or not (steps[0] >= 0 and steps[-1] <= 1):
            raise DataError(
                f"Expected {len(CONFIDENCE)} rising probabilities for the confidence, "
                f"received {', '.join(f'{step:g}' for step in steps)}."
            )

    def confidence_of(self, chances: Sequence[Value]) -> list[Value]:
        """Returns the confidence of each probability, None where there is none."""
        steps = np.array(self.confidence)
        found: list[Value] = []
        for chance in chances:
            reached = 0 if chance is None else int((float(chance) >= steps).sum())
            found.append(CONFIDENCE[reached - 1] if reached else None)
        return found

    def stored(self) -> dict[str, str]:
        """Returns the settings as text by name."""
        return {name: json.dumps(value) for name, value in asdict(self).items()}

    @classmethod
    def of(cls, stored: Mapping[str, str]) -> Settings:
        """Reads what `stored` gave."""
        steps = json.loads(stored["confidence"])
        return cls(tuple(steps), json.loads(stored["amalgamated"]))


@dataclass(frozen=True)
class Scene:
    """A mapped scene, with or without landslides.

    Attributes:
        facts: Value of each of `SCENE_FIELDS`.
        outline: Multi-polygon of the mapped ground, longitude and latitude.

    >>> import shapely
    >>> from landslide_tf.inventory import Scene
    >>> Scene({"id": "a", "region": "ALPS"}, shapely.MultiPolygon()).id
    'a'
    """

    facts: dict[str, Value]
    outline: shapely.MultiPolygon

    @property
    def id(self) -> str:
        """The scene's key: image, date and ground."""
        return str(self.facts["id"])


@dataclass(frozen=True)
class Landslides:
    """Landslides of an inventory.

    Attributes:
        geometries: Multi-polygons, longitude and latitude.
        columns: Values of each of `FIELDS`, one a landslide.

    >>> import numpy as np
    >>> from landslide_tf.inventory import Landslides
    >>> len(Landslides(np.array([], object), {"id": []}))
    0
    """

    geometries: Geometries
    columns: Columns

    def __len__(self) -> int:
        return len(self.geometries)

    def numbers(self, name: str) -> FloatArray:
        """Returns a column of numbers, float64 (N,), NaN where it is empty."""
        return np.array(self.columns[name], float)

    @property
    def accepted(self) -> Landslides:
        """Those that no rule rejected."""
        kept = np.array([not rule for rule in self.columns["rule"]], bool)
        return self.where(kept)

    def where(self, kept: Sequence[bool] | np.ndarray) -> Landslides:
        """Returns some of them."""
        numbers = np.flatnonzero(np.asarray(kept, bool))
        columns = {
            name: [values[k] for k in numbers] for name, values in self.columns.items()
        }
        return Landslides(self.geometries[numbers], columns)


@dataclass(frozen=True)
class Query:
    """Selection of scenes and landslides; None or empty selects all.

    Attributes:
        box: West, south, east and north, degrees: what has ground in common with it.
        since: First date of the image after.
        until: Last date of it.
        regions: Names of regions, in any form that `ecoregions.region_name` takes.
        confidence: Smallest value.
        rejected: Also what a rule rejected.

    >>> import datetime
    >>> from landslide_tf.inventory import Query
    >>> Query(since=datetime.date(2024, 1, 1), confidence=3).regions
    ()
    """

    box: tuple[float, float, float, float] | None = None
    since: datetime.date | None = None
    until: datetime.date | None = None
    regions: tuple[str, ...] = field(default=())
    confidence: int | None = None
    rejected: bool = False

    def __post_init__(self) -> None:
        """Writes regions as the inventory does, and refuses what can hold nothing."""
        if isinstance(self.regions, str):
            raise DataError(
                f"Expected a sequence of regions, received `{self.regions}`: write "
                f"`regions=({self.regions!r},)`."
            )
        names = tuple(region_name(name) for name in self.regions)
        object.__setattr__(self, "regions", names)
        if self.box is not None:
            west, south, east, north = self.box
            if not (west < east and south < north):
                raise DataError(
                    "Expected a box of west, south, east and north in degrees, west "
                    f"below east and south below north, received {self.box}."
                )
        if self.since and self.until and self.since > self.until:
            raise DataError(
                f"Expected dates in order, received from {self.since} to {self.until}."
            )
        if self.confidence is not None and self.confidence not in CONFIDENCE:
            raise DataError(
                f"Expected a confidence of {', '.join(map(str, CONFIDENCE))}, received "
                f"{self.confidence}."
            )

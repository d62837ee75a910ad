"""Landslides of all scenes: what crosses scenes is one, overlaps count once.

Only what lies near another scene is held in memory; all others go from the file of
their scene straight into that of the region.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from landslide_tf.array_types import FloatArray
from landslide_tf.choices import Overlaps
from landslide_tf.files import atomic_path
from landslide_tf.inventory.ground import mapped_ground, per_metre
from landslide_tf.mapping.polygons import LAYER
from landslide_tf.objects import measure, multi_polygon
from landslide_tf.raster.antimeridian import Geometries
from landslide_tf.raster.grid import grid_of, mean_cell
from landslide_tf.raster.polygons import read_polygons, write_polygons
from landslide_tf.raster.reprojection import reprojected
from landslide_tf.raster.systems import (
    Bounds,
    bounds_in,
    ground_system,
    same_system,
    system_of,
)
from landslide_tf.raster.vector_layer import vector_path
from landslide_tf.terrain import Grid

_NEAR = 0.5  # cells between parts of one landslide in two scenes
_SLIVER = 0.25  # cells of the smallest part that is left by a cut
_SIDE = 64  # edges of a scene's outline, so that it is bent as it should
_MEANS = ("probability", "elev_mean_m", "slope_mean_deg", "slope_p90_deg")
_SCENE_ONLY = ("id", "area_px")  # what a polygon of several scenes does not have
_HELD = 16  # grounds of scenes in memory

Table = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Mapped:
    """A scene that was mapped.

    Attributes:
        id: Its name.
        date: When its image was taken, as 2024-05-31; empty = not known.
        map: Its class map.
        polygons: Its landslides.
    """

    id: str
    date: str
    map: Path
    polygons: Path


@dataclass(frozen=True)
class Joined:
    """The landslides of a region.

    Attributes:
        landslides: Their number.
        area: Their area, m².
        crossing: How many lie in several scenes.
    """

    landslides: int
    area: float
    crossing: int


def by_priority(scenes: Sequence[Mapped]) -> list[int]:
    """Orders scenes as they decide ground that several show: later dates first.

    Scenes without a date come last; of one date, that which is listed later is first.

    >>> from pathlib import Path
    >>> from landslide_tf.region.join import Mapped, by_priority
    >>> dates = ("2020-01-01", "", "2024-01-01")
    >>> by_priority([Mapped(d, d, Path(), Path()) for d in dates])
    [2, 0, 1]
    """
    return sorted(range(len(scenes)), key=lambda k: (scenes[k].date, k), reverse=True)


def join_landslides(
    scenes: Sequence[Mapped], path: Path, *, overlaps: Overlaps = "latest"
) -> Joined:
    """Writes the landslides of all scenes into one GeoPackage.

    Args:
        scenes: Scenes with systems, at least one.
        path: The file to write. It is in the system of the scenes, in longitude and
            latitude where they have several.
        overlaps: What counts on ground that several scenes show: what the latest of
            them shows (`"latest"`, see `by_priority`), or what any shows as landslide
            (`"probability"`: the higher one decides, and a landslide is where it is
            above the threshold).

    Returns:
        What was written.

    Raises:
        DataError: If a file cannot be read or written, or the scenes have no system in
            common.
    """
    region = _Region(scenes, overlaps)
    number, area, crossing = 0, 0.0, 0
    with atomic_path(path) as temporary:
        for found, table in region.landslides():
            table = region.completed(found, table, number)
            write_polygons(
                temporary,
                "GPKG",
                found,
                table,
                region.system.to_wkt(),
                layer=LAYER,
                before=number,
            )
            number += len(found)
            area += float(table["area_m2"].sum())
            crossing += sum("," in names for names in table["scenes"])
    return Joined(number, area, crossing)


class _Region:
    """The scenes of a region in one system."""

    def __init__(self, scenes: Sequence[Mapped], overlaps: Overlaps) -> None:
        self._scenes, self._overlaps = scenes, overlaps
        self._grids = [grid_of(scene.map, "map") for scene in scenes]
        systems = [system_of(grid) for grid in self._grids]
        alike = all(same_system(systems[0], system) for system in systems)
        self.system = systems[0] if alike else ground_system(self._grids)
        self._cells = np.array([mean_cell(grid) for grid in self._grids])
        self._near = self._cells.max() * _NEAR * per_metre(self.system)
        self._rank = {k: rank for rank, k in enumerate(by_priority(scenes))}
        self._columns = self._all_columns()
        self._boxes = [_box(grid, self.system) for grid in self._grids]
        self._tree = shapely.STRtree(self._boxes)
        self._ground = functools.lru_cache(_HELD)(self._read_ground)

    def _all_columns(self) -> dict[str, Any]:
        """Returns the attributes that any scene's landslides have, with their types."""
        found: dict[str, Any] = {}
        for scene in self._scenes:
            info = pyogrio.read_info(vector_path(scene.polygons), layer=LAYER)
            found |= dict(zip(info["fields"], info["dtypes"], strict=True))
        return {name: kind for name, kind in found.items() if name not in _SCENE_ONLY}

    def landslides(self) -> Iterator[tuple[Geometries, Table]]:
        """Yields landslides: those of one scene, and last those near another one."""
        pieces: list[Geometries] = []
        tables: list[Table] = []
        of: list[NDArray[np.int64]] = []
        changed: list[NDArray[np.bool_]] = []
        for k in range(len(self._scenes)):
            found, table = self._read(k)
            others = self._neighbours(k)
            near = shapely.dwithin(
                found, shapely.union_all([self._boxes[j] for j in others]), self._near
            )
            yield found[~near], self._of_one(_chosen(table, ~near), k)
            kept, was_cut, which = self._cut(found[near], k, others)
            pieces.append(kept)
            changed.append(was_cut)
            tables.append(_chosen(_chosen(table, near), which))
            of.append(np.full(len(kept), k))
        all_pieces = np.concatenate(pieces)
        if len(all_pieces):
            table = {n: np.concatenate([t[n] for t in tables]) for n in self._columns}
            yield self._joined(
                all_pieces, table, np.concatenate(of), np.concatenate(changed)
            )

    def completed(self, found: Geometries, table: Table, before: int) -> Table:
        """Returns attributes in order, with numbers and places in the region."""
        ids = np.arange(before + 1, before + len(found) + 1)
        centroids = shapely.centroid(found)
        places = {
            "centroid_x": shapely.get_x(centroids),
            "centroid_y": shapely.get_y(centroids),
        }
        return {"id": ids, **table, **places}

    def _read(self, k: int) -> tuple[Geometries, Table]:
        """Returns the landslides of a scene with the attributes of all of them."""
        path = self._scenes[k].polygons
        found, table = read_polygons(path, self.system, layer=LAYER)
        found = np.array([multi_polygon(g) for g in shapely.make_valid(found)], object)
        empty = np.full(len(found), np.nan)
        return found, {name: table.get(name, empty) for name in self._columns}

    def _read_ground(self, k: int) -> Any:  # noqa: ANN401 - a shapely geometry
        """Returns the ground that a scene has classes of."""
        grid = self._grids[k]
        found = mapped_ground(self._scenes[k].map, grid)
        own = system_of(grid)
        if not same_system(own, self.system):
            longest = max(grid.shape) * self._cells[k] * per_metre(own) / _SIDE
            found = reprojected(shapely.segmentize(found, longest), own, self.system)
        return shapely.union_all(shapely.make_valid(found))

    def _neighbours(self, k: int) -> list[int]:
        found = self._tree.query(
            self._boxes[k], predicate="dwithin", distance=self._near
        )
        return [int(j) for j in found if j != k]

    def _cut(
        self, found: Geometries, k: int, others: Sequence[int]
    ) -> tuple[Geometries, NDArray[np.bool_], NDArray[np.int64]]:
        """Leaves out the ground that other scenes decide.

        Returns:
            What is left, whether it was cut, and which landslide it is of.
        """
        before = shapely.area(found)
        if self._overlaps == "latest":
            for j in others:
                if self._rank[j] < self._rank[k] and len(found):
                    found = shapely.difference(found, self._ground(j))
        cell = (self._cells[k] * per_metre(self.system)) ** 2
        left = np.array([_without_slivers(g, cell * _SLIVER) for g in found], object)
        which = np.flatnonzero(~shapely.is_empty(left)) if len(left) else np.arange(0)
        kept = left[which] if len(left) else np.array([], object)
        smaller = shapely.area(kept) < before[which] * (1 - 1e-9)
        return kept, np.atleast_1d(smaller), which

    def _of_one(self, table: Table, k: int) -> Table:
        scene = self._scenes[k]
        number = len(table["area_m2"])
        names = np.full(number, scene.id, object)
        dates = np.full(number, scene.date, object)
        return {**table, "scene": names, "scenes": names, "date": dates}

    def _joined(
        self,
        pieces: Geometries,
        table: Table,
        of: NDArray[np.int64],
        changed: NDArray[np.bool_],
    ) -> tuple[Geometries, Table]:
        """Joins the parts that landslides have in several scenes."""
        group = self._groups(pieces, of)
        order = np.argsort(group, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
        weight = shapely.area(pieces)
        main = np.array([of[m[np.argmax(weight[m])]] for m in members])
        found = np.array(
            [multi_polygon(shapely.union_all(pieces[m])) for m in members], object
        )
        joined = {
            name: np.array([_together(name, values[m], weight[m]) for m in members])
            for name, values in table.items()
        }
        if "relief_m" in joined:
            joined["relief_m"] = joined["elev_max_m"] - joined["elev_min_m"]
        anew = np.array([len(m) > 1 or changed[m[0]] for m in members])
        for k in np.unique(main[anew]):
            those = np.flatnonzero(anew & (main == k))
            own = system_of(self._grids[k])
            placed = reprojected(found[those], self.system, own)
            for name, values in measure(placed, self._grids[k]).items():
                if name in joined:
                    joined[name][those] = values
        ids = [list(dict.fromkeys(self._scenes[k].id for k in of[m])) for m in members]
        dates = [max(self._scenes[k].date for k in of[m]) for m in members]
        joined["scene"] = np.array([self._scenes[k].id for k in main], object)
        joined["scenes"] = np.array([",".join(names) for names in ids], object)
        joined["date"] = np.array(dates, object)
        return found, joined

    def _groups(self, pieces: Geometries, of: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the number of the landslide of each part."""
        near = np.full(len(pieces), self._near)
        placed = pieces
        if self.system.is_geographic:
            # Mercator's projection: a distance is the same in all directions.
            bounds = shapely.bounds(pieces)
            middle = np.radians((bounds[:, 1] + bounds[:, 3]) / 2)
            near = near / np.cos(middle)
            placed = shapely.transform(pieces, _mercator)
        tree = shapely.STRtree(placed)
        one, other = tree.query(placed, predicate="dwithin", distance=near)
        apart = of[one] != of[other]  # those of one scene are apart, or one already
        one, other = one[apart], other[apart]
        links = coo_array((np.ones(len(one)), (one, other)), shape=(len(pieces),) * 2)
        return np.asarray(connected_components(links, directed=False)[1], np.int64)


def _box(grid: Grid, system: pyproj.CRS) -> Any:  # noqa: ANN401 - a shapely geometry
    bounds: Bounds = bounds_in(grid, CRS.from_wkt(system.to_wkt()))
    return shapely.box(*bounds)


def _chosen(table: Mapping[str, NDArray[Any]], which: NDArray[Any]) -> Table:
    return {name: values[which] for name, values in table.items()}


def _without_slivers(geometry: Any, smallest: float) -> Any:  # noqa: ANN401
    """Returns a multi-polygon without parts that no pixel lies in."""
    parts = shapely.get_parts(multi_polygon(geometry))
    return shapely.MultiPolygon([p for p in parts if p.area >= smallest])


def _mercator(xy: FloatArray) -> FloatArray:
    latitude = np.radians(np.clip(xy[:, 1], -89.9, 89.9))
    up = np.degrees(np.log(np.tan(np.pi / 4 + latitude / 2)))
    return np.stack([xy[:, 0], up], axis=1)


def _together(name: str, values: NDArray[Any], weight: FloatArray) -> float:
    """Returns what the parts of a landslide have together of an attribute."""
    known = np.isfinite(values)
    if not known.any():
        return float("nan")
    values, weight = values[known].astype(float), weight[known]
    if name in ("max_prob", "elev_max_m"):
        return float(values.max())
    if name == "elev_min_m":
        return float(values.min())
    if name == "aspect_mean_deg":
        angles = np.radians(values)
        east, north = weight @ np.sin(angles), weight @ np.cos(angles)
        return float(np.degrees(np.arctan2(east, north)) % 360)
    if name in _MEANS:
        return float(np.average(values, weights=weight))
    return float(values[np.argmax(weight)])

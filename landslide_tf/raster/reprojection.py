"""Geometries on their way from one coordinate system into another.

Apart from the reader of vector files, since maps are written and shown by it as well.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import shapely

from landslide_tf.raster.antimeridian import (
    Geometries,
    across,
    continuous,
    followed,
    on_both_sides,
    on_the_turn_of,
    polygons_of,
    shifted,
)
from landslide_tf.raster.systems import (
    Move,
    bounds_in,
    full_turn,
    mover,
    same_system,
    system_of,
)
from landslide_tf.terrain import Grid

_SIDE, _EIGHTH = 64, 8  # points on a side of a scene's outline, and of those in it
_MARGIN = 0.01  # of a scene's side, kept around it
_CELLS = 2  # kept around a scene at least
_BEND = 0.01  # cells by which a straight edge may leave its true place


@dataclass(frozen=True)
class OnGrid:
    """Geometries in the system of a grid, as many as there were.

    Attributes:
        geometries: What of each lies on the grid or near it; empty where nothing does.
        beyond: How many lie elsewhere.
        lost: How many of these have no place in the grid's system.

    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.raster.reprojection import OnGrid
    >>> OnGrid(np.array([shapely.Point()]), beyond=1).lost
    0
    """

    geometries: Geometries
    beyond: int = 0
    lost: int = 0


def reprojected(
    geometries: Geometries, source: pyproj.CRS, target: pyproj.CRS
) -> Geometries:
    """Moves geometries from one coordinate system into another, corner by corner.

    Args:
        geometries: Shapely geometries, x = east or longitude.
        source: Their system.
        target: The wanted system.

    Returns:
        New geometries; the same ones where both systems are equal. Longitudes run on
        past 180° where a geometry crosses the antimeridian; polygons around a pole
        reach up to it.

    Raises:
        DataError: If the systems do not convert into each other.

    >>> import numpy as np
    >>> import pyproj
    >>> import shapely
    >>> from landslide_tf.raster.reprojection import reprojected
    >>> box = np.array([shapely.box(810_000, 0, 850_000, 10_000)], object)
    >>> utm, degrees = pyproj.CRS.from_epsg(32660), pyproj.CRS.from_epsg(4326)
    >>> shapely.bounds(reprojected(box, utm, degrees))[0, [0, 2]].round(1).tolist()
    [179.8, 180.1]
    """
    if same_system(source, target):
        return geometries
    move, turn, own_turn = mover(source, target), full_turn(target), full_turn(source)
    moved = shapely.transform(geometries, move)
    if turn is None:
        return moved
    if own_turn is not None:
        before = shapely.get_coordinates(geometries)
        return on_the_turn_of(moved, turn, before, own_turn)
    left, _, right, _ = shapely.bounds(moved).T
    for k in np.flatnonzero(right - left > turn / 2):
        if np.isfinite(shapely.get_coordinates(moved[k])).all():
            moved[k] = followed(geometries[k], move, turn)
    return moved


def onto_grid(geometries: Geometries, source: pyproj.CRS, grid: Grid) -> OnGrid:
    """Brings what geometries have on a grid into its system.

    They are cut in their own system, to the outline of the grid there: what lies far
    away, where the grid's projection has no place for it, is never moved. Edges are
    straight in the geometries' own system. On a grid in degrees each geometry is on
    both sides of the antimeridian.

    Args:
        geometries: Shapely points or polygons, x = east or longitude.
        source: Their system.
        grid: A north-up grid with a system.

    Returns:
        The geometries; uncut where both systems are equal.

    Raises:
        DataError: If the systems do not convert into each other.

    >>> import numpy as np
    >>> import pyproj
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.reprojection import onto_grid
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 30, 40)
    >>> world = np.array([shapely.box(-180, -90, 180, 90)], object)
    >>> found = onto_grid(world, pyproj.CRS.from_epsg(4326), grid)
    >>> scene = shapely.box(500_000, 4_599_700, 500_400, 4_600_000)
    >>> bool(shapely.covers(found.geometries[0], scene))
    True
    """
    target = system_of(grid)
    turn, own_turn = full_turn(target), full_turn(source)
    if own_turn is not None:
        geometries = across(geometries, own_turn)
    if not same_system(source, target):
        move, region = mover(source, target), _region(grid, target, source)
        if region is not None:
            step = _longest_edge(region, move, grid, turn)
            cut = _cut(geometries, _repeated(region, own_turn))
            geometries = shapely.segmentize(cut, step) if step else cut
        geometries = reprojected(geometries, source, target)
    xy, of = shapely.get_coordinates(geometries, return_index=True)
    lost = np.unique(of[~np.isfinite(xy).all(axis=1)])
    if lost.size:
        geometries = geometries.copy()
        geometries[lost] = shapely.Point()
    west, south, east, north = bounds_in(grid, grid.crs)
    if turn is not None:
        geometries = on_both_sides(geometries, turn, west, east)
    here = shapely.intersects(geometries, shapely.box(west, south, east, north))
    return OnGrid(geometries, int((~here).sum()), len(lost))


def _region(grid: Grid, own: pyproj.CRS, system: pyproj.CRS) -> Any:  # noqa: ANN401
    """Returns the outline of a grid, and a little around it, in another system.

    None where it cannot be said, as of a grid that reaches out of a projection.
    """
    size = np.array([grid.width, grid.height], float)
    around = np.full(2, max(_CELLS, _MARGIN * size.max()))
    if (turn := full_turn(own)) is not None:  # once around the globe is all there is
        around[0] = min(around[0], max(turn / grid.transform.a - grid.width, 0) / 2)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]], float)
    steps = np.linspace(0, 1, _SIDE, endpoint=False)[:, None]
    sides = [a + steps * (b - a) for a, b in itertools.pairwise(corners)]
    ring = np.concatenate([*sides, corners[-1:]])
    within = np.stack(
        np.meshgrid(*[steps[_EIGHTH // 2 :: _EIGHTH]] * 2), axis=-1
    ).reshape(-1, 2)
    columns, rows = np.concatenate(
        [ring * (size + 2 * around) - around, within * size]
    ).T
    x, y = grid.transform @ (columns, rows)
    if turn is not None:
        y = np.clip(y, -turn / 4, turn / 4)
    moved = mover(own, system)(np.stack([x, y], axis=1))
    if not np.isfinite(moved).all():
        return None
    outline, other = moved[: len(ring)], full_turn(system)
    if other is not None:
        outline = continuous(outline, other)
    valid = shapely.make_valid(shapely.Polygon(outline))
    region = shapely.MultiPolygon(polygons_of(valid))
    held = shapely.intersects_xy(_repeated(region, other), moved[len(ring) :])
    return region if held.all() else None


def _repeated(region: Any, turn: float | None) -> Any:  # noqa: ANN401
    """Returns a region in degrees with its copies a turn to the west and the east."""
    if turn is None:
        return region
    return shapely.union_all([shifted(region, n * turn) for n in (-1, 0, 1)])


def _cut(geometries: Geometries, region: Any) -> Geometries:  # noqa: ANN401
    """Returns what of geometries lies in a region; those inside it as they are."""
    boxes = shapely.envelope(geometries)
    shapely.prepare(region)
    inside = shapely.covers(region, boxes)
    cut = np.where(inside, geometries, shapely.Point())
    for k in np.flatnonzero(~inside & shapely.intersects(region, boxes)):
        part = shapely.intersection(shapely.make_valid(geometries[k]), region)
        is_point = "Point" in geometries[k].geom_type
        cut[k] = part if is_point else shapely.MultiPolygon(polygons_of(part))
    return cut


def _longest_edge(
    region: Any,  # noqa: ANN401 - shapely geometries
    move: Move,
    grid: Grid,
    turn: float | None,
) -> float | None:
    """Returns how long an edge may be to lie where it should; None for any length.

    Edges bend with the square of their length.
    """
    west, south, east, north = region.bounds
    corners = np.array([[west, south], [east, south], [east, north], [west, north]])
    starts, ends = corners[[0, 1, 2, 3, 0, 1]], corners[[1, 2, 3, 0, 2, 3]]
    points = np.stack([starts, (starts + ends) / 2, ends], axis=1)
    moved = move(points.reshape(-1, 2)).reshape(points.shape)
    if turn is not None:
        moved[..., 0] = np.unwrap(moved[..., 0], axis=1, period=turn)
    at = np.stack(~grid.transform @ (moved[..., 0], moved[..., 1]), axis=-1)
    with np.errstate(invalid="ignore"):
        bends = np.linalg.norm(at[:, 1] - (at[:, 0] + at[:, 2]) / 2, axis=1)
    bends[~np.isfinite(bends)] = _BEND * _SIDE**2
    parts = np.maximum(np.ceil(np.sqrt(bends / _BEND)), 1 if turn is None else _EIGHTH)
    steps = np.linalg.norm(ends - starts, axis=1) / parts
    return float(steps[parts > 1].min()) if (parts > 1).any() else None

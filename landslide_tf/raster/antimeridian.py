"""Geometries in degrees where longitudes end, and around the poles.

Apart from `reprojection`, for nothing here needs to know a coordinate system.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.raster.systems import Move

Geometries = NDArray[Any]  # shapely geometries

_STEPS = 32  # parts of a geometry's side that is followed around the globe
# Longitudes this near to ±180° on both sides, with nothing between, are a short way
# across, as `ogr2ogr -wrapdateline` takes them.
_NEAR = 10 / 360


def shifted(geometry: Any, x: float) -> Any:  # noqa: ANN401 - shapely geometries
    """Returns a geometry moved to the east.

    >>> import shapely
    >>> from landslide_tf.raster.antimeridian import shifted
    >>> shifted(shapely.Point(-179, 1), 360)
    <POINT (181 1)>
    """
    return shapely.transform(geometry, lambda xy: xy + np.array([x, 0.0]))


def polygons_of(geometry: Any) -> list[Any]:  # noqa: ANN401 - shapely geometries
    """Returns the polygons of which a geometry consists.

    >>> import shapely
    >>> from landslide_tf.raster.antimeridian import polygons_of
    >>> line = shapely.LineString([(0, 0), (1, 1)])
    >>> len(polygons_of(shapely.GeometryCollection([line, shapely.box(0, 0, 1, 1)])))
    1
    """
    parts = shapely.get_parts(shapely.get_parts([geometry]))
    return [part for part in parts if part.geom_type == "Polygon"]


def continuous(xy: FloatArray, turn: float) -> FloatArray:
    """Returns a ring of short edges with longitudes that do not jump.

    One around a pole, which is not closed then, is closed along the pole.

    Args:
        xy: Longitudes and latitudes (N, 2) of a closed ring.
        turn: Longitudes around the globe.

    Returns:
        The ring (N, 2), or (N + 2, 2).

    >>> import numpy as np
    >>> from landslide_tf.raster.antimeridian import continuous
    >>> ring = np.array([[179.0, 0], [-179, 0], [-179, 1], [179, 0]])
    >>> continuous(ring, 360)[:, 0].tolist()
    [179.0, 181.0, 181.0, 179.0]
    """
    x = np.unwrap(xy[:, 0], period=turn)
    ring = np.stack([x, xy[:, 1]], axis=1)
    if abs(x[-1] - x[0]) < turn / 2:
        return ring
    pole = math.copysign(turn / 4, float(xy[:, 1].mean()))
    return np.concatenate([ring, [[x[-1], pole], [x[0], pole]]])


def followed(geometry: Any, move: Move, turn: float) -> Any:  # noqa: ANN401
    """Moves polygons into degrees in short steps, so that no edge takes the long way.

    Args:
        geometry: A polygon or multi-polygon of a projection.
        move: Brings coordinates into degrees.
        turn: Longitudes around the globe.

    Returns:
        A multi-polygon, with longitudes that run on past 180°.

    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.raster.antimeridian import followed
    >>> def polar(xy):
    ...     longitude = np.degrees(np.arctan2(xy[:, 0], -xy[:, 1]))
    ...     return np.stack([longitude, 90 - np.hypot(*xy.T)], axis=1)
    >>> followed(shapely.box(-1, -1, 1, 1), polar, 360).bounds[3]  # around the pole
    90.0
    """
    west, south, east, north = geometry.bounds
    fine = shapely.segmentize(geometry, max(east - west, north - south) / _STEPS)
    parts = []
    for polygon in polygons_of(fine):
        outer, *holes = (
            continuous(move(shapely.get_coordinates(ring)), turn)
            for ring in (polygon.exterior, *polygon.interiors)
        )
        whole = shapely.make_valid(shapely.Polygon(outer))
        for hole in holes:
            without = np.array([shapely.Polygon(hole)])
            copies = on_both_sides(without, turn, *whole.bounds[::2])[0]
            whole = shapely.difference(whole, copies)
        beyond = math.floor(whole.bounds[0] / turn + 0.5)
        parts += polygons_of(shifted(whole, -beyond * turn))
    return shapely.MultiPolygon(parts)


def on_the_turn_of(
    geometries: Geometries, turn: float, before: FloatArray, own_turn: float
) -> Geometries:
    """Returns geometries with longitudes on the turn that they were on before a move.

    Args:
        geometries: Geometries in degrees.
        turn: Longitudes around the globe.
        before: All their coordinates (N, 2) in another geographic system.
        own_turn: Longitudes around the globe there.

    Returns:
        New geometries.

    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.raster.antimeridian import on_the_turn_of
    >>> point = np.array([shapely.Point(-179, 1)])
    >>> on_the_turn_of(point, 360, np.array([[181.0, 1.0]]), 360)[0]
    <POINT (181 1)>
    """
    xy = shapely.get_coordinates(geometries)
    with np.errstate(invalid="ignore"):  # what is infinite becomes NaN
        turns = np.rint(before[:, 0] / own_turn - xy[:, 0] / turn)
        xy[:, 0] += turns * turn
    return shapely.set_coordinates(geometries.copy(), xy)


def across(geometries: Geometries, turn: float) -> Geometries:
    """Joins polygons that were written with a jump from one side of ±180° to the other.

    Args:
        geometries: Geometries in degrees.
        turn: Longitudes around the globe.

    Returns:
        The geometries. Polygons of which all corners lie within 10° of the
        antimeridian, on both sides, cross it; those that span the world, or more than
        20° of latitude, are as they were.

    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.raster.antimeridian import across
    >>> torn = np.array([shapely.box(-179.5, 0, 179.5, 1)], object)
    >>> across(torn, 360)[0].bounds
    (179.5, 0.0, 180.5, 1.0)
    """
    left, _, right, _ = shapely.bounds(geometries).T
    edge = turn * (0.5 - _NEAR)
    joined = geometries.copy()
    for k in np.flatnonzero((left >= -turn / 2) & (left <= -edge) & (right >= edge)):
        parts = polygons_of(geometries[k])
        for n, part in enumerate(parts):
            x, y = shapely.get_coordinates(part).T
            small = np.ptp(y) <= 2 * _NEAR * turn and turn / 2 < np.ptp(x) < turn
            if small and (np.abs(x) >= edge).all():
                parts[n] = shapely.transform(
                    part, lambda xy: xy + np.where(xy[:, :1] < 0, [turn, 0], 0)
                )
        if parts:
            joined[k] = shapely.MultiPolygon(parts)
    return joined


def on_both_sides(
    geometries: Geometries, turn: float, west: float, east: float
) -> Geometries:
    """Returns geometries wherever a scene in degrees shows them, a turn away or not.

    Args:
        geometries: Points or polygons in degrees.
        turn: Longitudes around the globe.
        west: The scene's first longitude.
        east: Its last.

    Returns:
        The geometries; those that the scene shows elsewhere or twice are moved, or are
        their copies together.

    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.raster.antimeridian import on_both_sides
    >>> point = np.array([shapely.Point(-179, 1)], object)
    >>> on_both_sides(point, 360, 175, 185)[0]
    <POINT (181 1)>
    """
    left, _, right, _ = shapely.bounds(geometries).T
    first = np.floor((west - right) / turn) + 1
    last = np.ceil((east - left) / turn) - 1
    copied = geometries.copy()
    for k in np.flatnonzero((first <= last) & ((first != 0) | (last != 0))):
        whole, turns = (
            shapely.make_valid(geometries[k]),
            np.arange(first[k], last[k] + 1),
        )
        copied[k] = shapely.union_all([shifted(whole, n * turn) for n in turns])
    return copied


def cut_at_antimeridian(geometries: Geometries) -> Geometries:
    """Cuts polygons in degrees where they cross the antimeridian (RFC 7946, 3.1.9).

    Args:
        geometries: Polygons or multi-polygons, with longitudes that run on past ±180°.

    Returns:
        Those that stay within ±180° as they are, others in parts that do.

    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.raster.antimeridian import cut_at_antimeridian
    >>> box = np.array([shapely.box(179, 0, 182, 1)], object)
    >>> [part.bounds for part in cut_at_antimeridian(box)[0].geoms]
    [(179.0, 0.0, 180.0, 1.0), (-180.0, 0.0, -178.0, 1.0)]
    """
    left, _, right, _ = shapely.bounds(geometries).T
    cut = geometries.copy()
    for k in np.flatnonzero((left < -180) | (right > 180)):
        whole, parts = shapely.make_valid(geometries[k]), []
        first = math.floor((left[k] + 180) / 360)
        for n in range(first, math.ceil((right[k] - 180) / 360) + 1):
            world = shapely.box(360 * n - 180, -90, 360 * n + 180, 90)
            part = shapely.intersection(whole, world)
            parts += polygons_of(shifted(part, -360 * n))
        cut[k] = shapely.MultiPolygon(parts)
    return cut

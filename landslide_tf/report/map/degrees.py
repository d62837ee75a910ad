"""Degrees of longitude and latitude for a page, which has no library of projections.

Apart from `about`, its only caller: the arithmetic of the globe, apart from the reading
of files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError
from landslide_tf.raster.systems import (
    LONLAT,
    full_turn,
    mover,
    same_system,
    system_of,
)
from landslide_tf.terrain import Grid

Node = tuple[float, float, float]

_NODES = (2, 3, 5, 9, 17, 33)  # a side, tried in this order
_ENOUGH, _TOO_MUCH = 0.05, 0.5  # of a cell: errors that are not seen, and that lie
_BETWEEN = 4  # places a side, in each field of nodes, at which the error is measured
_RADIUS = 6.4e6  # metres, not less than any radius of curvature of the ellipsoid
_METRES = 1.11e5  # of a degree of latitude


@dataclass(frozen=True)
class Degrees:
    """Where an overview lies on Earth.

    Longitudes jump at the antimeridian and mean nothing at the poles; directions of the
    plumb line do neither. They are interpolated between nodes, and turned into degrees
    afterwards.

    Attributes:
        nodes: Rows and columns of nodes, spread evenly from corner to corner of the
            overview: unit vectors (cos φ cos λ, cos φ sin λ, sin φ) of WGS 84. None
            where the overview's own coordinates are longitude and latitude.
        error: Metres by which an interpolated place may lie off, as measured; 0 without
            interpolation.
        digits: Digits of a degree that tell the overview's cells apart.
    """

    nodes: tuple[tuple[Node, ...], ...] | None
    error: float
    digits: int


def degrees_of(grid: Grid) -> Degrees | None:
    """Returns degrees for a grid.

    Args:
        grid: The grid of an overview.

    Returns:
        None where there are none: without a system, with a local one or one of another
        planet, and where part of the grid has no place on Earth.
    """
    if grid.crs is None:
        return None
    system = system_of(grid)
    if same_system(system, LONLAT):
        step = min(np.hypot(*column) for column in _steps(grid))
        return Degrees(None, 0.0, _digits(step))
    try:
        move, back = mover(system, LONLAT), mover(LONLAT, system)
    except DataError:
        return None
    turn, cell_side = full_turn(system), np.abs(_steps(grid)).max()

    def normals(side: int) -> NDArray[np.float64]:
        ends = np.linspace(0, 1, side)
        columns, rows = np.meshgrid(ends * grid.width, ends * grid.height)
        xy = np.stack(grid.transform @ (columns.ravel(), rows.ravel()), axis=1)
        found = move(xy)
        # A place out of a projection may come back as another one, without an error.
        off = back(found) - xy
        if turn is not None:
            off[:, 0] -= turn * np.round(off[:, 0] / turn)
        found[~(np.abs(off).max(axis=1) < cell_side)] = np.nan
        lon, lat = np.radians(found).T
        parts = (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
        return np.stack(parts, axis=1).reshape(side, side, 3)

    exact = normals((max(_NODES) - 1) * _BETWEEN + 1)
    if not np.isfinite(exact).all():
        return None
    across = np.linalg.norm(np.diff(exact, axis=1), axis=2).mean()
    down = np.linalg.norm(np.diff(exact, axis=0), axis=2).mean()
    fields = exact.shape[0] - 1
    cell = _RADIUS * fields * min(across / grid.width, down / grid.height)
    for side in _NODES:
        every = fields // (side - 1)
        nodes = exact[::every, ::every].round(10)
        away = _interpolated(nodes, exact.shape[0]) - exact
        error = float(_RADIUS * np.linalg.norm(away, axis=2).max())
        if error <= _ENOUGH * cell:
            break
    if error > _TOO_MUCH * cell:
        return None
    told = tuple(tuple((x, y, z) for x, y, z in row) for row in nodes.tolist())
    return Degrees(told, error, _digits(cell / _METRES))


def _steps(grid: Grid) -> NDArray[np.float64]:
    """Returns by how much a column and a row change the coordinates (2, 2)."""
    t = grid.transform
    return np.array([[t.a, t.d], [t.b, t.e]])


def _digits(step: float) -> int:
    return max(0, math.ceil(math.log10(3 / step)))


def _interpolated(nodes: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Returns unit vectors at even places (side, side, 3), as the page finds them."""
    fields = len(nodes) - 1
    place = np.linspace(0, fields, side)
    first = np.minimum(place.astype(int), fields - 1)
    part = place - first
    rows = nodes[first] * (1 - part)[:, None, None]
    rows += nodes[first + 1] * part[:, None, None]
    found = rows[:, first] * (1 - part)[:, None] + rows[:, first + 1] * part[:, None]
    return found / np.linalg.norm(found, axis=2, keepdims=True)

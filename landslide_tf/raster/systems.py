"""Coordinate reference systems of grids: which convert into which, and how."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pyproj
from pyproj.exceptions import CRSError, ProjError
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.terrain import Grid

Bounds = tuple[float, float, float, float]
Move = Callable[[FloatArray], FloatArray]
"""Brings coordinates (N, 2), x = east or longitude, into another system."""

LONLAT = pyproj.CRS.from_epsg(4326)
"""Longitude and latitude on Earth, that of GeoJSON."""

_SIDE = 21  # points a side that show whether a grid has a place in another system
_SAME = 1e-9  # of two units


def wkt_of(grid: Grid) -> str:
    """Returns the coordinate reference system of a grid that has one, as WKT.

    Raises:
        DataError: If it has none.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.systems import wkt_of
    >>> from landslide_tf.terrain import Grid
    >>> wkt_of(Grid("EPSG:32633", Affine(10, 0, 0, 0, -10, 0), 3, 2))[:31]
    'PROJCS["WGS 84 / UTM zone 33N",'
    """
    if grid.crs is None:
        raise DataError(
            "Expected a raster with a coordinate reference system, received none; "
            "assign it (`rio edit-info --crs`)."
        )
    return grid.crs.to_wkt()


def system_of(grid: Grid) -> pyproj.CRS:
    """Returns the coordinate reference system of a grid that has one, for pyproj.

    Raises:
        DataError: If it has none.

    >>> import rasterio
    >>> from landslide_tf.raster.systems import system_of
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", rasterio.Affine(10, 0, 0, 0, -10, 0), 3, 2)
    >>> system_of(grid).name
    'WGS 84 / UTM zone 33N'
    """
    return pyproj.CRS.from_wkt(wkt_of(grid))


def full_turn(system: pyproj.CRS) -> float | None:
    """Returns the longitudes around the globe, 360 in degrees; None for lengths.

    >>> import pyproj
    >>> from landslide_tf.raster.systems import full_turn
    >>> full_turn(pyproj.CRS.from_epsg(4326))
    360.0
    """
    if not system.is_geographic:
        return None
    return float(round(2 * math.pi / system.axis_info[0].unit_conversion_factor, 9))


def same_system(system: pyproj.CRS, other: pyproj.CRS) -> bool:
    """Says whether coordinates mean the same in two systems.

    File formats write a local system in different words: there its name and its units
    decide.

    >>> import pyproj
    >>> from landslide_tf.raster.systems import same_system
    >>> site = 'LOCAL_CS["Site",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
    >>> again = site.replace('"x"', '"Easting"')
    >>> same_system(pyproj.CRS(site), pyproj.CRS(again))
    True
    """
    if system == other:
        return True
    if not (system.is_engineering and other.is_engineering):
        return False
    units, others = (
        [axis.unit_conversion_factor for axis in found.axis_info]
        for found in (system, other)
    )
    same = len(units) == len(others) and np.allclose(units, others, rtol=_SAME, atol=0)
    return same and system.name.casefold() == other.name.casefold()


@functools.lru_cache(maxsize=64)
def mover(source: pyproj.CRS, target: pyproj.CRS) -> Move:
    """Returns what brings coordinates from one system into another.

    Args:
        source: A system.
        target: The wanted system.

    Returns:
        A function of coordinates (N, 2), x = east or longitude; what has no place in
        the target becomes infinite.

    Raises:
        DataError: If the systems do not convert into each other.

    >>> import numpy as np
    >>> import pyproj
    >>> from landslide_tf.raster.systems import mover
    >>> move = mover(pyproj.CRS.from_epsg(4326), pyproj.CRS.from_epsg(32633))
    >>> move(np.array([[15.0, 0.0]])).round(3).tolist()
    [[500000.0, 0.0]]
    """
    if same_system(source, target):
        return np.copy
    try:
        move = pyproj.Transformer.from_crs(source, target, always_xy=True).transform
    except (CRSError, ProjError) as error:
        raise DataError(
            f"Expected systems that convert into each other, received `{source.name}` "
            f"and `{target.name}`: a local system has no known place on the globe, and "
            "a planet none on another; bring both into one system."
        ) from error
    return lambda xy: np.stack(move(xy[:, 0], xy[:, 1]), axis=1)


def bounds_in(grid: Grid, crs: CRS) -> Bounds:
    """Returns left, bottom, right and top of a north-up grid in another system.

    Args:
        grid: The grid.
        crs: The other system.

    Returns:
        The bounds. In degrees the right is more than 180 where the antimeridian lies
        between both.

    Raises:
        DataError: If the systems do not convert into each other, or the grid has no
            place in the other.

    >>> from rasterio import Affine
    >>> from rasterio.crs import CRS
    >>> from landslide_tf.raster.systems import bounds_in
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 3, 2)
    >>> bounds_in(grid, grid.crs)
    (500000.0, 4599970.0, 500020.0, 4600000.0)
    >>> fiji = Grid("EPSG:32760", Affine(100, 0, 815_000, 0, -100, 8_150_000), 60, 80)
    >>> [round(side, 2) for side in bounds_in(fiji, CRS.from_epsg(4326))]
    [179.95, -16.77, 180.03, -16.71]
    """
    t = grid.transform
    box = (t.c, t.f + grid.height * t.e, t.c + grid.width * t.a, t.f)
    if grid.crs == crs:
        return box
    target = pyproj.CRS.from_user_input(crs)
    mover(system_of(grid), target)  # GDAL's error would be lines on stderr
    left, bottom, right, top = transform_bounds(grid.crs, crs, *box)
    if not np.isfinite((left, bottom, right, top)).all():
        raise _no_place(grid, target)
    if right < left and (turn := full_turn(target)) is not None:
        right += turn
    return left, bottom, right, top


def bounds_together(grids: Sequence[Grid], crs: CRS) -> list[Bounds]:
    """Returns bounds of north-up grids in one system, all on the turn of the first.

    The same ground may lie at 181° of longitude in one file and at −179° in another.

    Args:
        grids: Grids with systems, at least one.
        crs: The system.

    Returns:
        Bounds of each, as of `bounds_in`.

    Raises:
        DataError: As `bounds_in`.

    >>> from rasterio import Affine
    >>> from rasterio.crs import CRS
    >>> from landslide_tf.raster.systems import bounds_together
    >>> from landslide_tf.terrain import Grid
    >>> east = Grid("EPSG:4326", Affine(0.5, 0, 179, 0, -0.5, -16), 4, 4)
    >>> west = Grid("EPSG:4326", Affine(0.5, 0, -180, 0, -0.5, -16), 4, 4)
    >>> bounds_together([east, west], CRS.from_epsg(4326))
    [(179.0, -18.0, 181.0, -16.0), (180.0, -18.0, 182.0, -16.0)]
    """
    boxes = [bounds_in(grid, crs) for grid in grids]
    turn = full_turn(pyproj.CRS.from_user_input(crs))
    if turn is None:
        return boxes
    first = boxes[0][0] + boxes[0][2]
    asides = [
        turn * round((first - left - right) / 2 / turn) for left, _, right, _ in boxes
    ]
    return [
        (left + aside, bottom, right + aside, top)
        for (left, bottom, right, top), aside in zip(boxes, asides, strict=True)
    ]


def share_ground(grid: Grid, other: Grid) -> bool:
    """Says whether two north-up grids with systems show common ground.

    The second is looked for in the system of the first, on every turn of longitude; the
    other way round where it has no place there.

    Raises:
        DataError: If the systems do not convert into each other.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.systems import share_ground
    >>> from landslide_tf.terrain import Grid
    >>> east = Grid("EPSG:4326", Affine(0.1, 0, 179, 0, -0.1, -16), 20, 20)
    >>> west = Grid("EPSG:4326", Affine(0.1, 0, -180, 0, -0.1, -16), 20, 20)
    >>> share_ground(east, west), share_ground(east.window(0, 0, 20, 9), west)
    (True, False)
    """
    system = system_of(grid)
    mover(system_of(other), system)
    try:
        box = bounds_in(other, grid.crs)
    except DataError:  # it reaches out of the projection
        box, grid = bounds_in(grid, other.crs), other
    turn = full_turn(system_of(grid))
    own = bounds_in(grid, grid.crs)
    return any(
        max(own[0], box[0] + aside) < min(own[2], box[2] + aside)
        and max(own[1], box[1]) < min(own[3], box[3])
        for aside in ((0,) if turn is None else (-turn, 0, turn))
    )


def check_converts(grid: Grid, target: pyproj.CRS) -> None:
    """Refuses a grid that has no place in another system, or not a whole one.

    Raises:
        DataError: If it is so.

    >>> import pyproj
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.systems import check_converts
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 3, 2)
    >>> check_converts(grid, pyproj.CRS.from_epsg(4326))
    """
    ends = np.linspace(0, 1, _SIDE)
    columns, rows = np.meshgrid(ends * grid.width, ends * grid.height)
    xy = np.stack(grid.transform @ (columns.ravel(), rows.ravel()), axis=1)
    if not np.isfinite(mover(system_of(grid), target)(xy)).all():
        raise _no_place(grid, target)


def ground_system(grids: Sequence[Grid]) -> pyproj.CRS:
    """Returns a system in which the ground of several grids can be compared.

    Args:
        grids: Grids with systems, at least one.

    Returns:
        Longitude and latitude on Earth; the first grid's own system where that has no
        place there, as local ones and those of other planets.

    Raises:
        DataError: If a grid has no place in it.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.systems import ground_system
    >>> from landslide_tf.terrain import Grid
    >>> site = Grid('LOCAL_CS["Site",UNIT["metre",1]]', Affine(1, 0, 0, 0, -1, 0), 4, 4)
    >>> ground_system([site]).name
    'Site'
    """
    own = system_of(grids[0])
    try:
        mover(own, LONLAT)
        common = LONLAT
    except DataError:
        common = own
    for grid in grids:
        check_converts(grid, common)
    return common


def _no_place(grid: Grid, target: pyproj.CRS) -> DataError:
    return DataError(
        f"Expected a raster with a place in `{target.name}`, received {grid}, which is "
        "out of reach of its own projection: check its system and its transform."
    )

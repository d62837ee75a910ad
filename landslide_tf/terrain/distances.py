"""Sizes of cells on the ground, whatever a projection does to distances."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.choices import Distances
from landslide_tf.errors import DataError, check_choice
from landslide_tf.terrain.grid import Grid, cell_size

# Share by which the cells of a row may differ in size.
_ALIKE = 1e-3
_ROWS = 17  # rows whose ends are compared with their middle


def cells_by(grid: Grid, distances: Distances) -> tuple[Any, Any]:  # floats or arrays
    """Returns the size of the cells in metres, as `slope` takes it.

    Args:
        grid: The raster's grid, not rotated.
        distances: `"grid"`: in the metres of the projection, see `cell_size`;
            `"ground"`: geodesics on the ellipsoid through the middle cell of each row,
            which hold for the row where the scale of the projection depends on the
            latitude alone (Mercator, equirectangular) or hardly changes.

    Returns:
        East–west and north–south: two floats, or two float64 arrays (height,).

    Raises:
        DataError: As `cell_size`, or if cells of one row differ by more than a
            thousandth or have no place on the ground.

    >>> from rasterio import Affine
    >>> from landslide_tf.terrain import Grid
    >>> from landslide_tf.terrain.distances import cells_by
    >>> place = Affine(10, 0, 0, 0, -10, 8_362_700)  # world Mercator at 60° N
    >>> east, north = cells_by(Grid("EPSG:3395", place, 2, 2), "ground")
    >>> east.round(2).tolist(), north.round(2).tolist()
    ([5.01, 5.01], [5.01, 5.01])
    """
    check_choice("distances", distances, ("grid", "ground"))
    crs = grid.crs
    if distances == "grid" or crs is None or crs.is_geographic:
        return cell_size(grid)
    if crs.to_epsg() == 3857:  # `cell_size` measures it on the ellipsoid
        return cell_size(grid)
    middle = _sizes(grid, np.arange(grid.height), grid.width / 2)
    rows = np.unique(np.linspace(0, grid.height - 1, _ROWS).astype(int))
    for column in (0.5, grid.width - 0.5):
        ends = _sizes(grid, rows, column)
        # NaN where a place is out of the projection's reach.
        if not (np.abs(ends / middle[:, rows] - 1) <= _ALIKE).all():
            raise DataError(
                "`distances` can be `ground` where the cells of a row are of one size "
                f"on the ground, received {grid}, whose projection does not give that: "
                "warp it to a local one, as UTM (`gdalwarp -t_srs`)."
            )
    return middle[0], middle[1]


def _sizes(grid: Grid, rows: NDArray[np.int_], column: float) -> FloatArray:
    """Returns east–west and north–south sizes (2, rows) of the cells of a column."""
    to_degrees, geodesics = _on_ground(str(grid.crs and grid.crs.to_wkt()))
    upright = grid.upright()[0] if grid.transform.e > 0 else grid
    at = rows + 0.5 if upright is grid else grid.height - rows - 0.5
    sizes = []
    for across, down in ((0.5, 0.0), (0.0, 0.5)):
        (x, y), (to_x, to_y) = (
            to_degrees.transform(
                *(upright.transform @ (column + s * across + 0 * at, at + s * down))
            )
            for s in (-1, 1)
        )
        known = np.isfinite([x, y, to_x, to_y]).all(axis=0)
        x, y, to_x, to_y = np.where(known, [x, y, to_x, to_y], 0.0)
        _, _, length = geodesics.inv(x, y, to_x, to_y)
        sizes.append(np.where(known, length, np.nan))
    return np.array(sizes)


@functools.lru_cache(maxsize=16)
def _on_ground(wkt: str) -> tuple[pyproj.Transformer, pyproj.Geod]:
    """Returns the way to longitude and latitude, and geodesics between such places."""
    system = pyproj.CRS.from_wkt(wkt)
    geodetic, geodesics = system.geodetic_crs, system.get_geod()
    if geodetic is None or geodesics is None:
        raise DataError(
            f"`distances` can be `ground` in systems on an ellipsoid, received "
            f"`{system.name}`; leave it out."
        )
    return (
        pyproj.Transformer.from_crs(system, geodetic, always_xy=True),
        geodesics,
    )

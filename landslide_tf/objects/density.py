"""Landslides by place: densities on a grid, and how often they lie in which class."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike
from rasterio import Affine

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.errors import DataError
from landslide_tf.raster.antimeridian import Geometries

_CELL, _MOST_CELLS = 1000.0, 4_000_000


@dataclass(frozen=True)
class DensityGrid:
    """Landslide densities of square cells, row 0 in the north.

    Attributes:
        transform: From columns and rows to metres.
        per_km2: Landslides a km² of mapped ground, (H, W); NaN where none is mapped.
        share: Area of landslides by that of the mapped ground, in [0, 1].
        mapped_m2: Mapped ground in each cell, m².

    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.objects import density_grid
    >>> slides = np.array([shapely.box(0, 0, 500, 1000)])
    >>> found = density_grid(slides, np.array([shapely.box(0, 0, 1000, 1000)]))
    >>> found.per_km2.tolist(), found.share.tolist()
    ([[1.0]], [[0.5]])
    """

    transform: Affine
    per_km2: FloatArray
    share: FloatArray
    mapped_m2: FloatArray


def density_grid(
    landslides: Geometries, mapped: Geometries, *, cell_m: float | None = None
) -> DensityGrid:
    """Counts and measures landslides in the cells of a grid.

    A landslide counts in the cell of its centroid; its area in every cell that it
    reaches, and only what lies on mapped ground.

    Args:
        landslides: Polygons in metres of one equal-area projection.
        mapped: Outlines of the mapped ground, at least one; they may overlap.
        cell_m: Width of a cell, metres; None = 1,000, doubled until the grid has at
            most four million cells.

    Returns:
        The grid that covers the mapped ground, its cells at multiples of their width.

    Raises:
        DataError: If nothing is mapped, or the grid would have more than four million
            cells of the wanted width.

    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.objects import density_grid
    >>> slides = np.array([shapely.box(900, 0, 1100, 100)])
    >>> mapped = np.array([shapely.box(0, 0, 2000, 1000)])
    >>> density_grid(slides, mapped).share.tolist()
    [[0.01, 0.01]]
    """
    if cell_m is not None and not (np.isfinite(cell_m) and cell_m > 0):
        raise DataError(f"Expected `cell_m` above 0 metres, received {cell_m}.")
    ground = shapely.union_all(mapped)
    if shapely.is_empty(ground):
        raise DataError("Expected mapped ground, received none: no density is known.")
    cell = _CELL if cell_m is None else cell_m
    while cell_m is None and math.prod(_span(ground, cell)[2:]) > _MOST_CELLS:
        cell *= 2
    left, top, width, height = _span(ground, cell)
    if width * height > _MOST_CELLS:
        raise DataError(
            f"Expected at most {_MOST_CELLS} cells, received {width} by {height} of "
            f"{cell:g} m: choose larger cells, a region or a box."
        )
    transform = Affine(cell, 0, left * cell, 0, -cell, top * cell)
    shape = (height, width)
    parts = shapely.get_parts(ground)
    cells = _reached(parts, transform, shape)
    area = _covered(cells, parts, transform, shape)
    slides = _covered(cells, _within(landslides, ground), transform, shape)
    counts = np.zeros(shape)
    at = shapely.get_coordinates(shapely.centroid(landslides))
    column, row = np.floor(~transform @ (at[:, 0], at[:, 1])).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    np.add.at(counts, (row[inside], column[inside]), 1)
    known = np.where(area > 0, area, np.nan)
    return DensityGrid(transform, counts / known * 1e6, slides / known, area)


def _span(ground: shapely.Geometry, cell: float) -> tuple[int, int, int, int]:
    """Returns left and top of a grid in cells, and its width and height."""
    west, south, east, north = (edge / cell for edge in ground.bounds)
    left, top = math.floor(west), math.ceil(north)
    width, height = math.ceil(east) - left, top - math.floor(south)
    return left, top, max(width, 1), max(height, 1)


def _reached(parts: Geometries, transform: Affine, shape: tuple[int, int]) -> IntArray:
    """Returns the cells, counted row by row, that the boxes of geometries reach."""
    found = np.zeros(shape, bool)
    for west, south, east, north in shapely.bounds(parts):
        left, top = np.floor(~transform @ (west, north)).astype(int)
        right, bottom = np.ceil(~transform @ (east, south)).astype(int)
        found[max(top, 0) : bottom, max(left, 0) : right] = True
    return np.flatnonzero(found)


def _within(geometries: Geometries, ground: shapely.Geometry) -> Geometries:
    """Returns what of geometries lies on some ground."""
    found = np.array(geometries, object)
    shapely.prepare(ground)
    apart = ~shapely.covers(ground, found)  # cutting what lies inside takes longer
    found[apart] = shapely.intersection(found[apart], ground)
    return found


def _covered(
    cells: IntArray, geometries: Geometries, transform: Affine, shape: tuple[int, int]
) -> FloatArray:
    """Returns how much of each cell geometries cover, m² (H, W)."""
    found = np.zeros(shape[0] * shape[1])
    rows, columns = np.divmod(cells, shape[1])
    west, north = transform @ (columns, rows)
    east, south = transform @ (columns + 1, rows + 1)
    boxes = shapely.box(west, south, east, north)
    tree = shapely.STRtree(boxes)
    inner = tree.query(geometries, predicate="covers")
    np.add.at(found, cells[inner[1]], transform.a**2)
    reached = tree.query(geometries, predicate="intersects")
    pairs, whole = (
        np.ravel_multi_index(p, (len(geometries), len(boxes))) for p in (reached, inner)
    )
    which, where = reached[:, ~np.isin(pairs, whole)]
    shared = shapely.area(shapely.intersection(geometries[which], boxes[where]))
    np.add.at(found, cells[where], shared)
    return found.reshape(shape)


def frequency_ratio(landslide_area: ArrayLike, mapped_area: ArrayLike) -> FloatArray:
    """Returns how much more frequent landslides are in a class than on the whole.

    The share of the landslides' area in a class by the share of the mapped area in it.
    Its mean over the classes, weighted by their area, is 1.

    Args:
        landslide_area: Area, or pixels, of landslides in each class (K,).
        mapped_area: Area, or pixels, of each class, landslides included (K,).

    Returns:
        float64 (K,): above 1 where there are more than elsewhere; NaN for a class
        without ground, all NaN without landslides.

    Raises:
        DataError: If the two differ in length, or an area is below 0 or above that
            of its class.

    >>> from landslide_tf.objects import frequency_ratio
    >>> frequency_ratio([8, 2], [50, 50]).tolist()
    [1.6, 0.4]
    """
    slides, ground = np.asarray(landslide_area, float), np.asarray(mapped_area, float)
    if slides.shape != ground.shape or slides.ndim != 1:
        raise DataError(
            f"Expected both areas of one shape (K,), received {slides.shape} and "
            f"{ground.shape}."
        )
    if not ((slides >= 0) & (slides <= ground)).all():
        raise DataError(
            "Expected areas of landslides between 0 and the area of their class, "
            "received others: count both on the same ground."
        )
    # Without ground, or without any landslide, there is no share to compare.
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = slides / slides.sum()
        return np.where(ground > 0, shares / (ground / ground.sum()), np.nan)

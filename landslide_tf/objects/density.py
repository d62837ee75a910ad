"""Landslides by place: densities on a grid, and how often they lie in which class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike
from rasterio import Affine

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.raster.antimeridian import Geometries

_MOST_CELLS = 4_000_000


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
    landslides: Geometries, mapped: Geometries, *, cell_m: float = 1000.0
) -> DensityGrid:
    """Counts and measures landslides in the cells of a grid.

    A landslide counts in the cell of its centroid; its area in every cell that it
    reaches, and only what lies on mapped ground.

    Args:
        landslides: Polygons in metres of one equal-area projection.
        mapped: Outlines of the mapped ground, at least one; they may overlap.
        cell_m: Width of a cell, metres.

    Returns:
        The grid that covers the mapped ground, its cells at multiples of their width.

    Raises:
        DataError: If nothing is mapped, or the grid would have more than four million
            cells.

    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.objects import density_grid
    >>> slides = np.array([shapely.box(900, 0, 1100, 100)])
    >>> mapped = np.array([shapely.box(0, 0, 2000, 1000)])
    >>> density_grid(slides, mapped).share.tolist()
    [[0.01, 0.01]]
    """
    if not (np.isfinite(cell_m) and cell_m > 0):
        raise DataError(f"Expected `cell_m` above 0 metres, received {cell_m}.")
    ground = shapely.union_all(mapped)
    if shapely.is_empty(ground):
        raise DataError("Expected mapped ground, received none: no density is known.")
    low = np.floor(np.array(ground.bounds[:2]) / cell_m).astype(int)
    high = np.ceil(np.array(ground.bounds[2:]) / cell_m).astype(int)
    width, height = (int(n) for n in np.maximum(high - low, 1))
    if width * height > _MOST_CELLS:
        raise DataError(
            f"Expected at most {_MOST_CELLS} cells, received {width} by {height} of "
            f"{cell_m:g} m: choose larger cells, a region or a box."
        )
    left, top = float(low[0] * cell_m), float(high[1] * cell_m)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    west, north = left + columns * cell_m, top - rows * cell_m
    cells = shapely.box(west, north - cell_m, west + cell_m, north).ravel()
    area = _covered(cells, np.array([ground], object))
    slides = _covered(cells, shapely.intersection(landslides, ground))
    counts = np.zeros((height, width))
    if len(landslides):
        at = shapely.centroid(landslides)
        column = np.floor((shapely.get_x(at) - left) / cell_m).astype(int)
        row = np.floor((top - shapely.get_y(at)) / cell_m).astype(int)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        np.add.at(counts, (row[inside], column[inside]), 1)
    area, slides = area.reshape(counts.shape), slides.reshape(counts.shape)
    known = np.where(area > 0, area, np.nan)
    transform = Affine(cell_m, 0, left, 0, -cell_m, top)
    return DensityGrid(transform, counts / known * 1e6, slides / known, area)


def _covered(cells: Geometries, geometries: Geometries) -> FloatArray:
    """Returns how much of each cell geometries cover, m²."""
    found = np.zeros(len(cells))
    if len(geometries):
        which, where = shapely.STRtree(cells).query(geometries, predicate="intersects")
        shared = shapely.area(shapely.intersection(geometries[which], cells[where]))
        np.add.at(found, where, shared)
    return found


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

"""Class maps of several dates on one grid, read strip by strip.

Apart from `changes`, its only caller, which finds and writes what changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError, warn
from landslide_tf.mapping.series_strips import Strip
from landslide_tf.mapping.shift import compared, estimate_shift
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.grid import Window, row_areas, rows_of, stored_grid_of
from landslide_tf.raster.ground import check_overlap
from landslide_tf.raster.masks import MaskReader, Masks
from landslide_tf.terrain import Grid

_WORTH_A_WARNING = 1.0  # pixels

Shift = tuple[float, float]


class AlignedMaps:
    """Class maps on the grid of the first, by nearest neighbours; one thread uses it.

    Args:
        maps: The maps, oldest first.
        grid: Grid of the first one.
        masks: Which pixels count; None = all.
        align: Moves each map by the shift that is found against the first.

    Attributes:
        shifts: Rows and columns by which each map lies off the first; None where the
            maps do not tell.

    Raises:
        DataError: If a map cannot be read, shares no ground with the first, or has
            another system and is to be moved.
    """

    def __init__(
        self,
        maps: Sequence[str | Path],
        grid: Grid,
        masks: Masks | None,
        *,
        align: bool,
    ) -> None:
        self.shifts: list[Shift | None] = [(0.0, 0.0)]
        self._grid, self._areas = grid, row_areas(grid)
        with contextlib.ExitStack() as stack:
            self._masks = stack.enter_context(MaskReader(masks, grid))
            self._rasters = [_opened(maps[0], grid, stack)]
            for path in maps[1:]:
                check_overlap(path, "map", grid, "first map")
                raster = _opened(path, grid, stack)
                shift = self._shift(raster)
                if shift is not None and align and shift != (0.0, 0.0):
                    raster = _opened(path, grid, stack, shift)
                elif shift is not None and np.hypot(*shift) > _WORTH_A_WARNING:
                    warn(
                        f"map `{path}` lies {shift[0]:+.1f} rows and {shift[1]:+.1f} "
                        f"columns off `{maps[0]}`: borders of the shift look like "
                        "change; move it back with `--align`.",
                    )
                self._rasters.append(raster)
                self.shifts.append(shift)
            self._open = stack.pop_all()

    def _shift(self, raster: AlignedRaster) -> Shift | None:
        """Returns how far a map lies off the first."""
        window = compared(self._grid.shape)
        return estimate_shift(
            _values(self._rasters[0], window), _values(raster, window)
        )

    def strips(self, dates: Sequence[int] | None = None) -> Iterator[Strip]:
        """Yields the maps from top to bottom, 255 where nothing is said or counts.

        Args:
            dates: Which maps; None = all.
        """
        chosen = self._rasters if dates is None else [self._rasters[t] for t in dates]
        for window in rows_of(self._grid.shape):
            hidden = ~self._masks.read(window).counts
            maps = [_values(raster, window) for raster in chosen]
            for values in maps:
                values[hidden] = IGNORE_VALUE
            areas = self._areas[window.row : window.row + window.height]
            yield Strip(window.row, maps, areas)

    def __enter__(self) -> AlignedMaps:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def _opened(
    path: str | Path,
    grid: Grid,
    stack: contextlib.ExitStack,
    shift: Shift | None = None,
) -> AlignedRaster:
    """Opens a map on a grid, moved back by a shift."""
    placed = None
    if shift is not None:
        placed = stored_grid_of(path, "map")
        x, y = grid.transform.a * -shift[1], grid.transform.e * -shift[0]
        if placed.crs != grid.crs:
            raise DataError(
                f"map `{path}` must have the system of the first map to be moved: warp "
                "it first (`gdalwarp -r near`)."
            )
        placed = replace(placed, transform=Affine.translation(x, y) @ placed.transform)
    raster = AlignedRaster(path, "map", grid, kernel="nearest", placed=placed)
    stack.callback(raster.close)
    return raster


def _values(raster: AlignedRaster, window: Window) -> NDArray[np.uint8]:
    """Returns the classes of a window (h, w), 255 where the map says nothing."""
    (values,), known = raster.read(window)
    return np.where(known, values, IGNORE_VALUE).astype(np.uint8)

"""Which pixels of a scene count: an area of interest, and masks of clouds or water."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError, warn
from landslide_tf.raster.aligned import AlignedRaster
from landslide_tf.raster.grid import Window, same_cells, stored_grid
from landslide_tf.raster.ground import check_overlap
from landslide_tf.raster.names import FilePath, short_name
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.systems import full_turn, mover, system_of
from landslide_tf.raster.validity import alpha_bands
from landslide_tf.raster.vector import Burner, read_shapes
from landslide_tf.terrain import Grid

_NUMBERS = re.compile(r"[-+]?\d+(\.\d+)?(,[-+]?\d+(\.\d+)?)*")
_SAMPLES = 256  # pixels a side, spread over a scene, that say how far a mask reaches
_BLOCK = 2048  # side of the windows in which a pixel that counts is looked for


@dataclass(frozen=True)
class Mask:
    """A raster of pixels to leave out, such as clouds.

    Attributes:
        path: The file, any grid and system, one band.
        values: Stored values that are masked; empty = all but 0.

    >>> from landslide_tf.raster.masks import Mask
    >>> Mask("scl.tif", (3, 8, 9))
    Mask(path='scl.tif', values=(3, 8, 9))
    """

    path: str
    values: tuple[float, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Mask:
        """Reads `FILE` or `FILE:VALUE,VALUE`.

        Raises:
            DataError: If what follows a file's name are no numbers.

        >>> from landslide_tf.raster.masks import Mask
        >>> Mask.parse("scl.tif:3,8").values, Mask.parse("clouds.tif").values
        ((3.0, 8.0), ())
        """
        path, colon, numbers = text.rpartition(":")
        if not (path and colon) or os.path.exists(text):
            return cls(text)
        if _NUMBERS.fullmatch(numbers):
            return cls(path, tuple(map(float, numbers.split(","))))
        if os.path.exists(path):
            raise DataError(
                f"Expected `--mask FILE:VALUE,VALUE` with numbers, received `{text}`."
            )
        return cls(text)

    def __str__(self) -> str:
        """The name of the file and the values, as `parse` reads them."""
        numbers = ",".join(f"{value:g}" for value in self.values)
        return short_name(self.path) + (f":{numbers}" if numbers else "")


@dataclass(frozen=True)
class MaskFiles:
    """Files that define which pixels of a scene are used.

    Attributes:
        within: Polygons; what lies outside of them does not count.
        within_layer: Their layer; None = the only one.
        masks: Rasters of what does not count.

    >>> from landslide_tf.raster.masks import Mask, MaskFiles
    >>> MaskFiles("valley.gpkg", masks=(Mask("scl.tif", (3, 8)),)).tags()
    {'WITHIN': 'valley.gpkg', 'MASK': '["scl.tif:3,8"]'}
    """

    within: FilePath | None = None
    within_layer: str | None = None
    masks: tuple[Mask, ...] = ()

    @property
    def read(self) -> tuple[str, ...]:
        """All files that are read."""
        area = () if self.within is None else (os.fspath(self.within),)
        return (*area, *(mask.path for mask in self.masks))

    def tags(self) -> dict[str, str]:
        """Returns what was masked, as tags of a raster; empty where nothing was."""
        tags = {}
        if self.within is not None:
            tags["WITHIN"] = short_name(self.within)
        if self.masks:
            tags["MASK"] = json.dumps([str(mask) for mask in self.masks])
        return tags


@dataclass(frozen=True)
class Masks:
    """Masks that were checked against a grid, see `read_masks`.

    Attributes:
        area: 1 where the area of interest is; None = everywhere.
        rasters: Masks and, of those without a CRS, the grid they have.
        tags: What was masked, as `MaskFiles.tags`.

    >>> from landslide_tf.raster.masks import Masks
    >>> Masks().taken
    ''
    """

    area: Burner | None = None
    rasters: tuple[tuple[Mask, Grid | None], ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def taken(self) -> str:
        """A line on the polygons, which layer of which file they are; else empty."""
        return "" if self.area is None else self.area.taken

    def extent(self, grid: Grid) -> Window:
        """Returns the window of a grid outside of which nothing counts."""
        if self.area is None:
            return Window(0, 0, *grid.shape)
        west, south, east, north = self.area.bounds.T
        x = np.array([[np.nanmin(west), np.nanmax(east)]] * 2).ravel()
        y = np.repeat([np.nanmin(south), np.nanmax(north)], 2)
        columns, rows = ~grid.transform @ (x, y)
        (left, right), (top, bottom) = (
            np.clip([np.floor(at.min()), np.ceil(at.max())], 0, size).astype(int)
            for at, size in ((columns, grid.width), (rows, grid.height))
        )
        return Window(int(top), int(left), int(bottom - top), int(right - left))


def read_masks(files: MaskFiles, grid: Grid, stored: Grid) -> Masks | None:
    """Checks masks against the grid of an image.

    Args:
        files: The files.
        grid: The grid to read on.
        stored: Grid of the image as it is stored, which masks without a CRS have.

    Returns:
        The masks; None where there are none.

    Raises:
        DataError: If a file cannot be read or shows other ground, a mask has several
            bands or cannot hold its values, or no pixel is left.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.raster.masks import Mask, MaskFiles, MaskReader, read_masks
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 1, 4)
    >>> path, stored = Path("/vsimem/scl.tif"), np.array([[[4, 8, 9, 0]]], np.uint8)
    >>> write_plain(path, grid, Layer("uint8", 0, ["class"]), [(0, stored)])
    >>> masks = read_masks(MaskFiles(masks=(Mask(str(path), (8, 9)),)), grid, grid)
    >>> with MaskReader(masks, grid) as reader:
    ...     reader.read(Window(0, 0, 1, 4)).clear.tolist()
    [[True, False, False, True]]
    """
    if not files.read:
        return None
    area = None if files.within is None else _area(files, grid)
    rasters = tuple((mask, _place(mask, grid, stored)) for mask in files.masks)
    masks = Masks(area, rasters, files.tags())
    with MaskReader(masks, grid) as reader:
        if not any(reader.read(window).counts.any() for window in _blocks(masks, grid)):
            bare = [mask.path for mask in files.masks if not mask.values]
            raise DataError(
                f"Masks must leave pixels of the image, received "
                f"{', '.join(f'`{path}`' for path in files.read)}, which leave none"
                + (
                    f": all but 0 is masked in `{bare[0]}`, name what is to be with "
                    f"`--mask {bare[0]}:VALUE`."
                    if bare
                    else "."
                )
            )
    return masks


def _blocks(masks: Masks, grid: Grid) -> list[Window]:
    top, left, height, width = masks.extent(grid)
    return [
        Window(
            row,
            column,
            min(_BLOCK, top + height - row),
            min(_BLOCK, left + width - column),
        )
        for row in range(top, top + height, _BLOCK)
        for column in range(left, left + width, _BLOCK)
    ]


def _area(files: MaskFiles, grid: Grid) -> Burner:
    """Returns the polygons of the area, which burn as 1, all else as 0."""
    path = os.fspath(files.within or "")
    names = (f"--within {path}:", "--class-field")
    shapes = read_shapes(path, grid, layer=files.within_layer, options=names)
    ones = np.ones(len(shapes), np.uint8)
    taken = shapes.taken.partition(", classes")[0].partition(", no field")[0]
    return Burner(grid, shapes.geometries, ones, 0, taken=taken)


def _place(mask: Mask, grid: Grid, stored: Grid) -> Grid | None:
    """Checks a mask; returns its grid if the file says none itself."""
    name = f"mask `{mask.path}`"
    with open_raster(mask.path, "mask") as dataset:
        own, dtype = stored_grid(dataset), np.dtype(dataset.dtypes[0])
        count = dataset.count - len(alpha_bands(dataset))
    if count != 1 or dtype.kind not in "iuf":
        raise DataError(
            f"{name} must have one band of numbers, received {count} of {dtype}."
        )
    for value in mask.values:
        ends = np.iinfo(dtype) if dtype.kind in "iu" else None
        fits = ends is None or (
            float(value).is_integer() and ends.min <= value <= ends.max
        )
        if not fits:
            raise DataError(f"{name} holds {dtype}, which cannot be {value:g}.")
    if own.crs is None or grid.crs is None:
        if own.shape != stored.shape:
            raise DataError(
                f"{name} must have the image's {stored.shape} rows and columns, or "
                f"both a coordinate system, received {own.shape}."
            )
        return stored
    if grid.is_rotated:
        if same_cells(own, grid) is None:
            raise DataError(
                f"{name} must have the cells of the rotated image, received {own}: "
                "warp both to one north-up grid first (`gdalwarp`)."
            )
        return None
    check_overlap(mask.path, "mask", grid)
    if (share := _covered(own, grid)) < 1:
        warn(
            f"{name} covers {share:.1%} of the image: pixels beyond it have no data; "
            "join tiles of a mask first (`gdalbuildvrt`).",
        )
    return None


def _covered(own: Grid, grid: Grid) -> float:
    """Returns the share of a grid that another one covers, by pixels spread over it."""
    rows, columns = (
        np.unique(np.linspace(0, size - 1, _SAMPLES).round()) + 0.5
        for size in grid.shape
    )
    x, y = grid.transform @ tuple(at.ravel() for at in np.meshgrid(columns, rows))
    if own.crs != grid.crs:
        x, y = mover(system_of(grid), system_of(own))(np.stack([x, y], axis=1)).T
    inside = np.zeros(x.shape, bool)
    # Longitudes of a file may be a turn away from those of the image.
    turn = full_turn(system_of(own)) or 0.0
    for shift in {-turn, 0.0, turn}:
        with np.errstate(invalid="ignore"):
            column, row = ~own.transform @ (x + shift, y)
        inside |= (column >= 0) & (column < own.width) & (row >= 0) & (row < own.height)
    return float(inside.mean())


@dataclass(frozen=True)
class Kept:
    """What masks say of a window.

    Attributes:
        inside: bool (h, w), in the area of interest.
        clear: bool (h, w), in no mask, where one is known; True where nothing of the
            window is inside.

    >>> import numpy as np
    >>> from landslide_tf.raster.masks import Kept
    >>> inside, clear = np.array([[True, True, False]]), np.array([[True, False, True]])
    >>> Kept(inside, clear).counts.tolist()
    [[True, False, False]]
    """

    inside: NDArray[np.bool_]
    clear: NDArray[np.bool_]

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Where pixels count, bool (h, w)."""
        return self.inside & self.clear


class MaskReader:
    """Reads windows of masks; an instance belongs to one thread.

    Stored values decide, whatever number a mask tags as no data: many masks tag 0.
    Pixels beyond a mask, or where it is transparent or NaN, do not count, since nobody
    knows what is there.

    Args:
        masks: The masks; None = everything counts.
        grid: The grid to read on.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.raster.masks import MaskReader
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 1, 2)
    >>> with MaskReader(None, grid) as reader:
    ...     reader.read(Window(0, 0, 1, 2)).counts.tolist()
    [[True, True]]
    """

    def __init__(self, masks: Masks | None, grid: Grid) -> None:
        self._masks = masks or Masks()
        self._rasters: list[tuple[Mask, AlignedRaster]] = []
        for mask, placed in self._masks.rasters:
            with open_raster(mask.path, "mask") as dataset:
                tagged = () if dataset.nodata is None else (dataset.nodata,)
            raster = AlignedRaster(
                mask.path, "mask", grid, kernel="nearest", values=tagged, placed=placed
            )
            self._rasters.append((mask, raster))

    def read(self, window: Window, *, whole: bool = False) -> Kept:
        """Reads a window.

        Args:
            window: Part of the grid, inside it.
            whole: Reads masks where nothing is inside, too.

        Raises:
            DataError: If a mask is truncated or corrupt.
        """
        shape = (window.height, window.width)
        inside, clear = np.ones(shape, bool), np.ones(shape, bool)
        if self._masks.area is not None:
            inside = self._masks.area.read(window) == 1
        for mask, raster in self._rasters if whole or inside.any() else ():
            (values,), known = raster.read(window)
            hidden = np.isin(values, mask.values) if mask.values else values != 0
            clear &= known & ~hidden
        return Kept(inside, clear)

    def close(self) -> None:
        """Closes all files."""
        for _, raster in self._rasters:
            raster.close()

    def __enter__(self) -> MaskReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""Overview pictures of a map's rasters: the reading, apart from the page's layout."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from rasterio.enums import ColorInterp, Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from landslide_tf.errors import DataError
from landslide_tf.palette import Colour, class_palette
from landslide_tf.raster.dem import DemFiles, open_dem
from landslide_tf.raster.grid import Turn, north_up, stored_grid, stored_grid_of
from landslide_tf.raster.ground import check_shared
from landslide_tf.raster.legend import read_legend
from landslide_tf.raster.opening import open_raster, readable
from landslide_tf.raster.systems import mover, system_of
from landslide_tf.raster.validity import alpha_bands, known_cells
from landslide_tf.terrain import Grid, cell_size, hillshade
from landslide_tf.terrain.resampling import on_each_turn

_STRETCH = (1.0, 99.0)  # percentiles that become black and full colour
_NODATA = 255
_COARSER = 1.5
_LARGE, _QUALITY = 65_536, 85  # pixels of a picture that may lose; of WebP


@dataclass(frozen=True)
class Overview:
    """The grid that a page shows a map on.

    Attributes:
        stored: Grid of the map's file.
        grid: Larger cells of the same ground, north up where the map is not rotated.
        back: Index that turns arrays of the stored order into the grid's.
    """

    stored: Grid
    grid: Grid
    back: Turn

    @classmethod
    def of(cls, path: str | Path, max_side: int) -> Overview:
        """Returns the overview of a map with at most `max_side` rows and columns."""
        stored = stored_grid_of(path, "map")
        upright, back = north_up(stored)
        shrink = max(1.0, max(stored.shape) / max_side)
        height, width = (max(1, round(size / shrink)) for size in stored.shape)
        larger = Affine.scale(stored.width / width, stored.height / height)
        grid = Grid(stored.crs, upright.transform @ larger, height, width)
        return cls(stored, grid, back)

    @property
    def shrinks(self) -> float:
        """Cells of the map that one cell of the overview holds, along a side."""
        return self.stored.width / self.grid.width

    def moved(self, rows: float, columns: float) -> Overview:
        """Returns where a map that lies off this one shows the same ground.

        Args:
            rows: Cells of the map's file by which the other one lies below.
            columns: Cells by which it lies to the right.
        """
        t = self.grid.transform
        x = columns * t.a * self.grid.width / self.stored.width
        y = rows * t.e * self.grid.height / self.stored.height
        stored, grid = (
            replace(grid, transform=Affine.translation(x, y) @ grid.transform)
            for grid in (self.stored, self.grid)
        )
        return Overview(stored, grid, self.back)

    def _has_cells(self, own: Grid) -> bool:
        """Whether a file's cells are those of the map's file."""
        alike = own.crs is None and own.shape == self.stored.shape
        return alike or own == self.stored

    def check(self, own: Grid, name: str) -> None:
        """Refuses a grid that cannot be shown on the overview.

        Args:
            own: Grid of a file, as stored; without a system it must have the map's
                shape.
            name: What the file is called in messages.

        Raises:
            DataError: If it has no place, one that does not convert into the map's, or
                shows other ground.
        """
        if self._has_cells(own):
            return
        if own.crs is None or self.grid.crs is None:
            raise DataError(
                f"{name} must have the map's rows and columns, {self.stored.shape}, or "
                f"both a coordinate system, received {own.shape}: give the file that "
                "was mapped."
            )
        try:
            mover(system_of(own), system_of(self.grid))
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        if not (own.is_rotated or self.grid.is_rotated):
            check_shared([north_up(own)[0]], name, self.grid, "map")

    def read(
        self,
        path: str | Path,
        what: str,
        index: int,
        resampling: Resampling,
        nodata: float | None = None,
    ) -> tuple[NDArray, NDArray[np.bool_]]:
        """Reads a band of a file on the overview, without holding the whole file.

        Args:
            path: A raster of any grid; one without a system must have the map's shape.
            what: What it is, for messages.
            index: The band, from 1.
            resampling: How cells are joined.
            nodata: Number that stands for no data; None = as the file tags.

        Returns:
            Its values and where it has any, bool, both (h, w).

        Raises:
            DataError: If the file cannot be read, or as `check`.
        """
        with open_raster(path, what) as dataset:
            return self.read_open(
                dataset, f"{what} `{path}`", index, resampling, nodata
            )

    def read_open(
        self,
        dataset: DatasetReader,
        name: str,
        index: int,
        resampling: Resampling,
        nodata: float | None = None,
    ) -> tuple[NDArray, NDArray[np.bool_]]:
        """Reads a band of an open file, whose name serves messages; as `read`."""
        own, shape = stored_grid(dataset), self.grid.shape
        self.check(own, name)
        if self._has_cells(own):
            values, valid = _read(dataset, index, shape, resampling, nodata)
            return values[self.back], valid[self.back]
        if resampling == Resampling.mode and self.shrinks < _COARSER:
            # The most frequent of all cells that one touches, by however little.
            resampling = Resampling.nearest
        said = dataset.nodata if nodata is None else nodata
        values, valid = (
            np.zeros(shape, dataset.dtypes[index - 1]),
            np.zeros(shape, bool),
        )
        for placed in on_each_turn(own, self.grid):
            with WarpedVRT(
                dataset,
                src_crs=placed.crs,
                src_transform=placed.transform,
                src_nodata=said,
                nodata=said,
                crs=self.grid.crs,
                transform=self.grid.transform,
                height=self.grid.height,
                width=self.grid.width,
                resampling=resampling,
                add_alpha=said is None and ColorInterp.alpha not in dataset.colorinterp,
            ) as warped:
                found, known = _read(warped, index, shape, resampling)
            values = np.where(valid, values, found)
            valid |= known
        return values, valid


def _read(
    dataset: DatasetReader | WarpedVRT,
    index: int,
    shape: tuple[int, int],
    resampling: Resampling,
    nodata: float | None = None,
) -> tuple[NDArray, NDArray[np.bool_]]:
    values = dataset.read(index, out_shape=shape, resampling=resampling)
    alpha = alpha_bands(dataset)
    valid = known_cells(dataset, [index], alpha, nodata=nodata, shape=shape)
    if np.issubdtype(values.dtype, np.floating):
        valid &= np.isfinite(values)
    return values, valid


def image_layer(
    overview: Overview,
    places: Sequence[tuple[str, int]],
    nodata: float | None = None,
) -> str:
    """Draws one or three bands, each stretched over its own values.

    Args:
        overview: The grid.
        places: File and band number of red, green and blue, or of one grey band.
        nodata: Number that stands for no data; None = as the files tag.

    Returns:
        A picture as a data URI, transparent where there is no value.
    """
    bands, known = [], np.ones(overview.grid.shape, bool)
    for path, index in places:
        band, valid = overview.read(path, "image", index, Resampling.average, nodata)
        bands.append(band.astype(np.float64))
        known &= valid
    if len(bands) not in (1, 3):
        raise DataError(
            f"An image must be shown by one or three bands, received {len(bands)}: name"
            " red, green and blue."
        )
    stretched = [_stretched(band, known) for band in bands]
    shown = np.stack(stretched * (3 // len(bands)), axis=-1)
    return picture_uri(shown, known, lossy=True)


def _stretched(band: NDArray, known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    if not known.any():
        return np.zeros(band.shape, np.uint8)
    low, high = np.percentile(band[known], _STRETCH)
    part = (np.where(known, band, low) - low) / max(high - low, 1e-12)
    return np.rint(np.clip(part, 0, 1) * 255).astype(np.uint8)


def hillshade_layer(overview: Overview, dem: DemFiles) -> str | None:
    """Draws the relief lit from the north-west, at the size of the overview's cells.

    Args:
        overview: The grid.
        dem: Elevations of any grid.

    Returns:
        A picture as a data URI; None where slopes in the map's grid mean nothing:
        without a place, rotated, or one cell wide.
    """
    grid = overview.grid
    if grid.crs is None or grid.is_rotated or min(grid.shape) < 2:
        return None
    opened = open_dem(dem)
    with opened.dataset as dataset, readable(", ".join(dem.paths), "DEM"):
        # An offset has no slope.
        z_factor = opened.metres * dataset.scales[0]
        heights, valid = overview.read_open(dataset, str(dem), 1, Resampling.bilinear)
    heights = np.where(valid, heights, np.nan).astype(np.float64)
    east, north = (np.broadcast_to(size, grid.height) for size in cell_size(grid))
    shade = hillshade(heights, (east, north), z_factor=z_factor)
    return picture_uri(np.stack([shade] * 3, axis=-1), shade > 0, lossy=True)


def class_layer(
    overview: Overview, path: str | Path
) -> tuple[str, list[tuple[str, Colour]]]:
    """Draws the classes of a map in its own colours.

    Args:
        overview: The grid.
        path: A class map (uint8), as `mapping.map_scene` writes it.

    Returns:
        A picture as a data URI, and name and colour of the classes that occur.
    """
    names = list(read_legend(path).classes)
    with open_raster(path, "map") as dataset:
        has_colours = dataset.colorinterp[0] == ColorInterp.palette
        stored = dataset.colormap(1) if has_colours else {}
    classes, valid = overview.read(path, "map", 1, Resampling.mode)
    valid &= classes != _NODATA
    found = [int(k) for k in np.unique(classes[valid])]
    names += [f"class {k}" for k in range(len(names), max(found, default=-1) + 1)]
    table = np.zeros((256, 3), np.uint8)
    table[: len(names)] = class_palette(names)
    for number, colour in stored.items():
        if number < len(names):
            table[number] = colour[:3]
    legend: list[tuple[str, Colour]] = []
    for number in found:
        red, green, blue = map(int, table[number])
        legend.append((names[number], (red, green, blue)))
    return picture_uri(table[classes], valid), legend


def picture_uri(
    colours: NDArray[np.uint8], known: NDArray[np.bool_], *, lossy: bool = False
) -> str:
    """Returns a picture as a data URI.

    Args:
        colours: RGB, (h, w, 3).
        known: Where there is a value, (h, w); the rest is transparent.
        lossy: Whether a large picture may lose what is hardly seen: WebP takes a tenth
            of what a PNG of a photograph does.
    """
    alpha = np.where(known, 255, 0).astype(np.uint8)
    pixels = np.dstack([np.where(known[..., None], colours, 0), alpha])
    image = Image.fromarray(pixels.astype(np.uint8))
    stream, form = io.BytesIO(), "png"
    if lossy and image.width * image.height > _LARGE:
        form = "webp"
        image.save(stream, "WEBP", quality=_QUALITY)
    else:
        image.save(stream, "PNG", optimize=True)
    content = base64.b64encode(stream.getvalue()).decode()
    return f"data:image/{form};base64,{content}"

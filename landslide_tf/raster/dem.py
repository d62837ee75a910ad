"""Elevation models as users give them: one file, or tiles that are read as one.

Unit and missing cells are what the files say and the user adds.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from xml.sax.saxutils import escape

import numpy as np
import rasterio
from rasterio import Affine

# What rasterio itself makes GDAL's names of paths with.
from rasterio._path import _parse_path, _vsi_path
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from landslide_tf.errors import DataError, check_choice
from landslide_tf.raster import grid as grids
from landslide_tf.raster.names import FilePath
from landslide_tf.raster.opening import open_dataset, open_raster
from landslide_tf.raster.validity import alpha_bands
from landslide_tf.terrain import Z_UNITS, Grid
from landslide_tf.terrain.grid import aligned_offset
from landslide_tf.terrain.units import elevation_unit
from landslide_tf.words import counted


@dataclass(frozen=True, init=False)
class DemFiles:
    """An elevation model: its files, and facts that the files do not contain.

    Attributes:
        paths: One file, or tiles of one system, cell size and unit; where tiles
            overlap the first that has an elevation counts.
        unit: Unit of the elevations, of `terrain.Z_UNITS`; None = as the files say,
            else metres.
        nodata: Stored value of missing cells that the files do not tag.

    >>> from landslide_tf.raster.dem import DemFiles
    >>> DemFiles("n46.tif", "n47.tif", nodata=-32768).paths
    ('n46.tif', 'n47.tif')
    """

    paths: tuple[str, ...]
    unit: str | None
    nodata: float | None

    def __init__(
        self,
        *paths: FilePath,
        unit: str | None = None,
        nodata: float | None = None,
    ) -> None:
        if not paths:
            raise DataError("Expected at least one file of elevations, received none.")
        if unit is not None:
            check_choice("dem_unit", unit, tuple(Z_UNITS))
        object.__setattr__(self, "paths", tuple(map(os.fspath, paths)))
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "nodata", nodata)

    def __str__(self) -> str:
        """Its name in messages."""
        more = len(self.paths) - 1
        others = f" with {counted(more, 'further tile')}" if more > 0 else ""
        return f"DEM `{self.paths[0]}`{others}"


@dataclass(frozen=True)
class Tile:
    """A file of an elevation model.

    Attributes:
        path: The file.
        grid: Its grid, as stored.
        metres: Metres a unit of its elevations.
        scale: What a stored value is multiplied by.
        offset: What is added then.
        source: What GDAL opens; empty = the path.

    >>> import rasterio
    >>> from landslide_tf.raster.dem import Tile
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", rasterio.Affine(10, 0, 0, 0, -10, 0), 4, 3)
    >>> Tile("west.tif", grid, metres=0.3048, scale=1.0, offset=0.0).metres
    0.3048
    """

    path: str
    grid: Grid
    metres: float
    scale: float
    offset: float
    source: str = ""


@dataclass(frozen=True)
class OpenDem:
    """An elevation model that is open.

    Attributes:
        dataset: One band of elevations; to be closed by who opened it.
        grid: Its grid, as stored.
        metres: Metres a unit of its elevations.
        tiles: The files.

    >>> import numpy as np
    >>> import rasterio
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.dem import DemFiles, open_dem
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", rasterio.Affine(10, 0, 0, 0, -10, 0), 1, 2)
    >>> layer, path = Layer("float32", -9999, ["elevation"]), "/vsimem/hills.tif"
    >>> write_plain(path, grid, layer, [(0, np.full((1, 1, 2), 812, np.float32))])
    >>> opened = open_dem(DemFiles(path))
    >>> opened.metres, len(opened.tiles), opened.overlaps
    (1.0, 1, None)
    >>> opened.dataset.close()
    """

    dataset: DatasetReader
    grid: Grid
    metres: float
    tiles: tuple[Tile, ...]

    @property
    def overlaps(self) -> str | None:
        """A line on tiles that hold the same cells, or None."""
        pairs = [
            (a, b) for a, b in combinations(self.tiles, 2) if _share(a.grid, b.grid)
        ]
        if not pairs:
            return None
        others = counted(len(pairs) - 1, "further pair")
        more = f" (and {others})" if pairs[1:] else ""
        return (
            f"DEM tiles `{pairs[0][0].path}` and `{pairs[0][1].path}`{more} overlap: "
            "there the tile that is named first counts."
        )


def open_dem(dem: DemFiles) -> OpenDem:
    """Opens an elevation model; reads no elevations yet.

    Args:
        dem: The model.

    Returns:
        The file itself, or a view of all tiles that reads of them what is asked for:
        float64, scale and offset applied, NaN = nodata, also in gaps between tiles.

    Raises:
        DataError: If a file cannot be opened, has several bands or contradicts the
            unit, or tiles have no common system, cells or unit.

    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.dem import DemFiles, open_dem
    >>> from landslide_tf.terrain import Grid
    >>> west = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 1, 2)
    >>> east = west.window(0, 3, 1, 1)  # one cell further
    >>> for name, grid in (("west", west), ("east", east)):
    ...     heights = np.full((1, *grid.shape), 812, np.float32)
    ...     layer = Layer("float32", -9999, ["elevation"])
    ...     write_plain(f"/vsimem/{name}.tif", grid, layer, [(0, heights)])
    >>> opened = open_dem(DemFiles("/vsimem/west.tif", "/vsimem/east.tif"))
    >>> opened.dataset.read(1).tolist()
    [[812.0, 812.0, nan, 812.0]]
    >>> opened.dataset.close()
    """
    tiles = tuple(_tile(path, dem) for path in dem.paths)
    if len(tiles) == 1 and dem.nodata is None:
        dataset = open_dataset(dem.paths[0], "DEM")
        return OpenDem(dataset, tiles[0].grid, tiles[0].metres, tiles)
    for tile in tiles[1:]:
        _check_fits(tile, tiles[0])
    grid, places = _placed(tiles)
    dataset = rasterio.open(_mosaic(tiles, grid, places, dem.nodata))
    return OpenDem(dataset, grid, tiles[0].metres, tiles)


def _tile(path: str, dem: DemFiles) -> Tile:
    with open_raster(path, "DEM") as dataset:
        count = sum(m != ColorInterp.alpha for m in dataset.colorinterp)
        if count != 1:
            raise DataError(
                f"DEM `{path}` must have one band of elevations, received {count}."
            )
        tagged = MaskFlags.nodata in dataset.mask_flag_enums[0]
        if len(dem.paths) > 1 and tagged and alpha_bands(dataset):
            raise DataError(
                f"DEM `{path}` must say in one way which cells are missing, received "
                "a nodata value and an alpha band; write one band with `gdalwarp "
                f"-dstnodata -32768 {shlex.quote(path)} dem.tif`."
            )
        metres = elevation_unit(dataset, f"DEM `{path}`", dem.unit)
        scale, offset = dataset.scales[0], dataset.offsets[0]
        grid = grids.stored_grid(dataset)
        return Tile(path, grid, metres, scale, offset, dataset.name)


def _check_fits(tile: Tile, first: Tile) -> None:
    """Refuses a tile of another system, unit or lattice of cells."""
    sources = shlex.join([tile.path, first.path])
    advice = f"bring them to one grid first (`gdalwarp -r cubic {sources} dem.tif`)."
    if tile.grid.crs != first.grid.crs:
        raise DataError(
            f"DEM tiles must have one coordinate system, received `{first.path}` with "
            f"{first.grid} and `{tile.path}` with {tile.grid}: {advice}"
        )
    if tile.metres != first.metres:
        raise DataError(
            f"DEM tiles must have one unit of elevations, received {first.metres:g} m "
            f"in `{first.path}` and {tile.metres:g} m in `{tile.path}`: bring them to "
            "one unit."
        )
    if aligned_offset(first.grid, tile.grid) is None:
        cells = [tuple(t.grid.transform)[:6] for t in (first, tile)]
        raise DataError(
            f"DEM tiles must have cells that coincide, received `{first.path}` with "
            f"the transform {cells[0]} and `{tile.path}` with {cells[1]}: {advice}"
        )


def _placed(tiles: Sequence[Tile]) -> tuple[Grid, list[tuple[int, int]]]:
    """Returns the grid of all tiles, and row and column of each in it."""
    first = tiles[0].grid
    offsets = [aligned_offset(first, tile.grid) or (0, 0) for tile in tiles]
    rows, columns = np.array(offsets).T
    # Of the tiles themselves: sums of many cells would round.
    x = tiles[int(columns.argmin())].grid.transform.c
    y = tiles[int(rows.argmin())].grid.transform.f
    top, left = int(rows.min()), int(columns.min())
    places = [(row - top, column - left) for row, column in offsets]
    ends = np.array(places) + [tile.grid.shape for tile in tiles]
    bottom, right = ends.max(axis=0).tolist()
    a, b, _, d, e, _ = tuple(first.transform)[:6]
    return Grid(first.crs, Affine(a, b, x, d, e, y), bottom, right), places


def _mosaic(
    tiles: Sequence[Tile],
    grid: Grid,
    places: Sequence[tuple[int, int]],
    nodata: float | None,
) -> str:
    """Returns a VRT of tiles, the first on top."""
    sources = []
    for tile, (row, column) in zip(tiles, places, strict=True):
        name = _vsi_path(_parse_path(tile.source or tile.path))
        if nodata is not None:
            # A source takes either the file's mask or a value for nodata: the view in
            # between takes the mask, and gives masked cells that value.
            part = _source(name, tile.grid, (0, 0))
            name = _view(tile.grid.shape, repr(float(nodata)), part)
        unit = (
            f"<ScaleOffset>{tile.offset!r}</ScaleOffset>"
            f"<ScaleRatio>{tile.scale!r}</ScaleRatio>"
        )
        sources.append(_source(name, tile.grid, (row, column), unit))
    geo = ", ".join(map(repr, grid.transform.to_gdal()))
    place = f"<GeoTransform>{geo}</GeoTransform>"
    if grid.crs is not None:
        place = f"<SRS>{escape(grid.crs.to_wkt())}</SRS>{place}"
    # Later sources are drawn over earlier ones.
    return _view(grid.shape, "nan", "".join(reversed(sources)), place)


def _view(shape: tuple[int, int], nodata: str, sources: str, place: str = "") -> str:
    height, width = shape
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{place}'
        f'<VRTRasterBand dataType="Float64" band="1"><NoDataValue>{nodata}'
        f"</NoDataValue>{sources}</VRTRasterBand></VRTDataset>"
    )


def _source(name: str, grid: Grid, at: tuple[int, int], unit: str = "") -> str:
    size = f'xSize="{grid.width}" ySize="{grid.height}"'
    return (
        f'<ComplexSource><SourceFilename relativeToVRT="0">{escape(name)}'
        "</SourceFilename><SourceBand>1</SourceBand>"
        f'<SrcRect xOff="0" yOff="0" {size}/>'
        f'<DstRect xOff="{at[1]}" yOff="{at[0]}" {size}/>'
        f"<UseMaskBand>true</UseMaskBand>{unit}</ComplexSource>"
    )


def _share(a: Grid, b: Grid) -> bool:
    """Whether two grids of one lattice have cells in common."""
    row, column = aligned_offset(a, b) or (a.height, a.width)
    return -b.height < row < a.height and -b.width < column < a.width

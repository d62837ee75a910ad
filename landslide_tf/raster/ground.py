"""Whether rasters show the ground of an image, and whether its slopes mean anything."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from landslide_tf.errors import DataError, warn
from landslide_tf.raster.bands import BandSource
from landslide_tf.raster.dem import DemFiles, open_dem
from landslide_tf.raster.grid import (
    Window,
    grid_of,
    same_cells,
    stored_grid_of,
    upright_grid,
)
from landslide_tf.raster.names import FilePath
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.systems import (
    Bounds,
    bounds_in,
    bounds_together,
    mover,
    share_ground,
    system_of,
)
from landslide_tf.terrain import Grid
from landslide_tf.terrain.distances import cells_by

# Its metres are metres at the equator only; `cell_size` knows.
_WEB_MERCATOR = 3857
# Scale error of a projection from which slopes are visibly wrong.
_STRETCHED = 0.05
# Numbers that stand for no data, where nothing else is within some distance above.
_SENTINELS = (-99999, -32768, -32767, -9999)
_FAR_BELOW = 1000
_SAMPLES, _SAMPLE = 4, 256  # windows a side, and their pixels, that show them


def check_overlap(path: FilePath, what: str, grid: Grid, other: str = "image") -> None:
    """Refuses a raster that has no place on the ground or none in common.

    Args:
        path: The raster file.
        what: What it is, for messages.
        grid: Grid of the image.
        other: What is called the image, for messages.

    Raises:
        DataError: If it has no CRS or shows other ground.

    >>> from pathlib import Path
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.ground import check_overlap
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 4, 4)
    >>> path, layer = Path("/vsimem/overlap.tif"), Layer("float32", -9999, ["dem"])
    >>> write_plain(path, grid, layer, [])
    >>> check_overlap(path, "DEM", grid.window(2, 2, 4, 4))  # shares a quarter
    >>> check_overlap(path, "DEM", grid.window(4, 4, 4, 4))
    Traceback (most recent call last):
    landslide_tf.errors.DataError: DEM `/vsimem/overlap.tif` must overlap the image, ...
    """
    check_shared([grid_of(path, what)], f"{what} `{path}`", grid, other)


def check_shared(
    parts: Sequence[Grid], name: str, grid: Grid, other: str = "image"
) -> list[int]:
    """Returns which parts of a raster share ground with an image; refuses none.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.ground import check_shared
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 4, 4)
    >>> check_shared([grid.window(4, 4, 4, 4), grid.window(2, 2, 4, 4)], "DEM", grid)
    [1]
    """
    try:
        found = [n for n, part in enumerate(parts) if share_ground(part, grid)]
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    if not found:
        raise DataError(
            f"{name} must overlap the {other}, received {parts[0]} beside {grid}: "
            "they share no ground; check the systems of both."
        )
    return found


def check_sentinels(
    path: FilePath,
    what: str,
    number: int = 1,
    *,
    nodata: float | None = None,
    replaces: bool = False,
    option: str = "",
) -> None:
    """Refuses a raster whose cells without a value look like values.

    Sixteen windows spread over the file are read, its corners among them.

    Args:
        path: The raster file.
        what: What it is, for messages.
        number: Its band, from 1.
        nodata: A number that stands for no data; None = as the file tags.
        replaces: Whether `nodata` counts instead of the file's tag, not beside it.
        option: Which option says it, if there is one, for the message.

    Raises:
        DataError: If the band holds a number that usually stands for no data, far below
            all others, and neither the file nor `nodata` says that it does.

    >>> import numpy as np
    >>> import rasterio
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.ground import check_sentinels
    >>> form = {"driver": "GTiff", "count": 1, "dtype": "float32"}
    >>> form |= {"crs": "EPSG:32633", "transform": Affine(10, 0, 0, 0, -10, 0)}
    >>> path = "/vsimem/sentinel.tif"
    >>> with rasterio.open(path, "w", width=2, height=1, **form) as file:
    ...     file.write(np.array([[[812.0, -9999.0]]], np.float32))
    >>> check_sentinels(path, "DEM")
    Traceback (most recent call last):
    landslide_tf.errors.DataError: DEM `/vsimem/sentinel.tif` must tag the value ...
    """
    found = []
    with open_raster(path, what) as dataset:
        if np.dtype(dataset.dtypes[number - 1]).kind == "u":
            return  # all of these numbers are negative
        size = [min(length, _SAMPLE) for length in dataset.shape]
        for at in np.ndindex(_SAMPLES, _SAMPLES):
            row, column = (
                (length - part) * step // (_SAMPLES - 1)
                for length, part, step in zip(dataset.shape, size, at, strict=True)
            )
            box = Window(row, column, size[0], size[1]).box
            read = dataset.read(number, window=box)
            if dataset.nodata is None:  # a mask or transparency may say it
                read = read[dataset.read_masks(number, window=box) > 0]
            known = np.isfinite(read) & (read != nodata)
            if nodata is None or not replaces:
                known &= read != dataset.nodata
            found += _two_smallest(read[known])
    smallest = _two_smallest(np.array(found, np.float64))
    if not smallest or smallest[0] not in _SENTINELS:
        return
    if len(smallest) == 1 or smallest[1] - smallest[0] > _FAR_BELOW:
        given = f"say so with `{option} {smallest[0]:g}`, or " if option else ""
        raise DataError(
            f"{what} `{path}` must tag the value that stands for no data, received "
            f"{smallest[0]:g} without a tag; {given}tag it: `rio edit-info "
            f"--nodata={smallest[0]:g} {shlex.quote(str(path))}`."
        )


def _two_smallest(values: NDArray[Any]) -> list[float]:
    """Returns the smallest value and the next one above it, as far as there are."""
    if not values.size:
        return []
    smallest = values.min()
    above = values[values > smallest]
    return [float(smallest), *([float(above.min())] if above.size else [])]


def _common(a: Bounds, b: Bounds) -> Bounds | None:
    """Returns what two boxes share, or None."""
    left, bottom = max(a[0], b[0]), max(a[1], b[1])
    right, top = min(a[2], b[2]), min(a[3], b[3])
    return (left, bottom, right, top) if left < right and bottom < top else None


def check_images(
    bands: Sequence[BandSource],
    stored: Grid,
    grid: Grid,
    *,
    nodata: float | None = None,
) -> None:
    """Refuses bands of a scene that lie elsewhere or hold cells without a value.

    Args:
        bands: Where the bands are, the first file's first.
        stored: Grid of the first file, as it is stored.
        grid: Grid of the scene.
        nodata: Number that stands for no data; None = as each file tags.

    Raises:
        DataError: If a file shows other ground than the first, or no ground is shown
            by all, it cannot be said where a file lies, no value can be `nodata`, or as
            `check_sentinels`.

    >>> from pathlib import Path
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.bands import BandSource
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.ground import check_images
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 4, 4)
    >>> bands = []
    >>> for name, place in (("red", grid), ("green", grid.window(4, 4, 4, 4))):
    ...     path = Path(f"/vsimem/{name}.tif")
    ...     write_plain(path, place, Layer("float32", -9999, [name]), [])
    ...     bands.append(BandSource(name, str(path), 1))
    >>> check_images(bands[:1], grid, grid)
    >>> check_images(bands, grid, grid)
    Traceback (most recent call last):
    landslide_tf.errors.DataError: image `/vsimem/green.tif` must overlap the first ...
    """
    upright = grid.crs is not None and not grid.is_rotated
    shared = bounds_in(grid, grid.crs) if upright else None
    for path in sorted({band.path for band in bands[1:]} - {bands[0].path}):
        own = stored_grid_of(path, "image")
        if own.crs is None and own.shape != stored.shape:
            raise DataError(
                f"image `{path}` must have {stored.shape} rows and columns as the "
                f"first, or a coordinate system, received {own.shape}."
            )
        placed = own if own.crs is not None else replace(own, crs=stored.crs)
        if own.crs is None and not own.is_georeferenced:
            continue  # it has the cells of the first
        if own.crs is None or shared is None:
            if same_cells(placed, stored) is None:
                raise DataError(
                    f"image `{path}` must have the cells of the first, received {own} "
                    f"beside {stored}; warp both to one north-up grid (`gdalwarp`)."
                )
            continue
        check_overlap(path, "image", grid, "first image")
        here = bounds_together([grid, grid_of(path, "image")], grid.crs)[1]
        shared = _common(shared, here)
        if shared is None:
            raise DataError(
                f"image `{path}` must share ground with all files of the scene, "
                f"received {own}: the files before share none of it."
            )
    for band in bands:
        if nodata is not None:
            _check_nodata(band, nodata)
        check_sentinels(
            band.path, "image", band.number, nodata=nodata, replaces=True,
            option="--nodata",
        )  # fmt: skip


def _check_nodata(band: BandSource, nodata: float) -> None:
    """Refuses a number that no value of a band can be."""
    with open_raster(band.path, "image") as dataset:
        dtype = np.dtype(dataset.dtypes[band.number - 1])
    if dtype.kind == "f":
        return
    ends = np.iinfo(dtype)
    if not (float(nodata).is_integer() and ends.min <= nodata <= ends.max):
        raise DataError(
            f"image `{band.path}` must hold values that can be {nodata:g} for "
            f"`--nodata`, received {dtype}: give the number that stands for no data in "
            "the file, or leave the option out."
        )


def check_dem(dem: DemFiles, grid: Grid, terrain: Mapping[str, Any]) -> None:
    """Refuses elevations that a scene cannot use, and warns of wrong slopes.

    Args:
        dem: Elevation model of any grid and system.
        grid: Grid of the scene, north up.
        terrain: How factors are made of it, see `AlignedDem`.

    Raises:
        DataError: As `open_dem` and `check_sentinels`, or if no tile shows the ground.

    >>> from pathlib import Path
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.dem import DemFiles
    >>> from landslide_tf.raster.ground import check_dem
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 4, 4)
    >>> path = Path("/vsimem/heights.tif")
    >>> write_plain(path, grid, Layer("float32", -9999, ["dem"]), [])
    >>> check_dem(DemFiles(path), grid, {})
    >>> check_dem(DemFiles(path), grid.window(4, 4, 4, 4), {})
    Traceback (most recent call last):
    landslide_tf.errors.DataError: DEM `/vsimem/heights.tif` must overlap the image, ...
    """
    opened = open_dem(dem)
    opened.dataset.close()
    own = upright_grid(opened.grid, str(dem))
    parts = [upright_grid(tile.grid, str(dem)) for tile in opened.tiles]
    for number in check_shared(parts, str(dem), grid):
        path = opened.tiles[number].path
        check_sentinels(path, "DEM", nodata=dem.nodata, option="--dem-nodata")
    if line := opened.overlaps:
        warn(line)
    before = terrain.get("derive") == "before"
    derived, what = (own, "DEM") if before else (grid, "image")
    if terrain.get("distances") == "ground":
        cells_by(derived, "ground")  # refuses a projection that does not allow it
    elif line := stretch_warning(derived, what):
        warn(line)


def stretch_warning(grid: Grid, what: str) -> str | None:
    """Says whether metres of a projection are far from metres on the ground.

    Degrees and Web Mercator are measured on the ellipsoid (`cell_size`); the metres of
    every other projection are taken as they are.

    Args:
        grid: A north-up grid on which slopes are computed.
        what: What it is, for the message.

    Returns:
        A line, or None where both scales in the grid's middle are within 5 % of 1.

    Raises:
        DataError: If the grid's middle has no place on the ground.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.ground import stretch_warning
    >>> from landslide_tf.terrain import Grid
    >>> utm = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 60, 45)
    >>> stretch_warning(utm, "image") is None
    True
    """
    crs = grid.crs
    if crs is None or not crs.is_projected or crs.to_epsg() == _WEB_MERCATOR:
        return None
    middle = np.array([grid.transform @ (grid.width / 2, grid.height / 2)])
    system = system_of(grid)
    try:
        ((longitude, latitude),) = mover(system, system.geodetic_crs)(middle)
        scale = pyproj.Proj(system).get_factors(longitude, latitude)
    except ProjError:
        return None  # scales of this projection are not known
    north, east = float(scale.meridional_scale), float(scale.parallel_scale)
    if not math.isfinite(north + east):
        raise DataError(
            f"{what} must have a place on the ground, received {grid}, which is out of "
            "reach of its own projection: check its system and its transform."
        )
    if max(abs(north - 1), abs(east - 1)) <= _STRETCHED:
        return None
    return (
        f"{what} lies where one metre on the ground is {east:.3g} m from west to east "
        f"and {north:.3g} m from south to north of its projection, {system.name}: "
        "slopes are wrong by as much; warp it to a local one, as UTM (`gdalwarp "
        "-t_srs`), or prepare with `--distances ground`."
    )

"""Reading the part of an elevation model that a grid needs."""

from __future__ import annotations

import os
import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import rasterio
from numpy.typing import ArrayLike
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError, first_line
from landslide_tf.terrain.gradient import missing_to_nan, real_array
from landslide_tf.terrain.grid import Grid, aligned_offset
from landslide_tf.terrain.resampling import to_crs
from landslide_tf.terrain.units import elevation_unit, metres_of
from landslide_tf.words import counted

Dem: TypeAlias = (
    str
    | os.PathLike[str]
    | DatasetReader
    | WarpedVRT
    | tuple[ArrayLike, Grid, float | None]
)

# No mountain is that high: rasters without a nodata tag hold float32's extremes.
_NO_ELEVATION = 1e30
_LATTICE = 33  # points a side at which one grid is projected into another


@dataclass(frozen=True)
class Elevation:
    """Elevations float64 (H, W), NaN = nodata, their grid, and metres a unit."""

    values: FloatArray
    grid: Grid
    metres: float


def _covering_window(source: Grid, target: Grid) -> tuple[int, int, int, int] | None:
    """Returns rows and columns of the source that the target needs, kernel included."""
    columns, rows = np.meshgrid(
        np.linspace(0, target.width, _LATTICE), np.linspace(0, target.height, _LATTICE)
    )
    x, y = target.transform @ (columns, rows)
    x, y = to_crs(x, y, target, source)
    columns, rows = ~source.transform @ (x, y)
    if not np.isfinite(rows).all():  # the target reaches out of the projection
        return 0, source.height, 0, source.width
    edges = []
    for at, size, cells in (
        (rows, source.height, target.height),
        (columns, source.width, target.width),
    ):
        low, high = at.min(), at.max()
        # The kernel reaches two cells, of the coarser grid; edges bend on the way.
        margin = 3 * max(1.0, (high - low) / cells) + 2 + (high - low) / _LATTICE
        first = int(max(np.floor(low - margin), 0))
        last = int(min(np.ceil(high + margin), size))
        if first >= last:
            return None
        edges += [first, last]
    return edges[0], edges[1], edges[2], edges[3]


def check_placed(dataset: DatasetReader | WarpedVRT) -> None:
    """Refuses a raster whose cells lie where only a warp can say, or nowhere.

    Args:
        dataset: An open raster.

    Raises:
        DataError: If it has control points or a sensor model in place of a transform,
            a coordinate system without one, or degrees that no place has.
    """
    if dataset.transform != rasterio.Affine.identity():
        _check_degrees(dataset)
        return
    path = Path(dataset.name)
    given = shlex.quote(str(path))
    warped = shlex.quote(f"{path.stem}_warped.tif")
    points, _ = dataset.gcps
    crs = dataset.crs
    if points or dataset.rpcs is not None:
        what = "a sensor model"
        if points:
            what = counted(len(points), "ground control point")
        option = "" if points else "-rpc "
        raise DataError(
            f"`{path}` must have a transform, received {what}; warp it first: "
            f"`gdalwarp {option}{given} {warped}`."
        )
    if crs and (crs.is_projected or crs.is_geographic):
        raise DataError(
            f"`{path}` must have a transform, received {crs.to_string()} without one; "
            "add control points (`gdal_translate -gcp COLUMN ROW X Y …`) and warp it "
            f"(`gdalwarp {given} {warped}`), or say where its corners are "
            f"(`gdal_edit.py -a_ullr LEFT TOP RIGHT BOTTOM {given}`)."
        )


def _check_degrees(dataset: DatasetReader | WarpedVRT) -> None:
    """Refuses longitudes and latitudes that no place has, as metres are."""
    crs, t = dataset.crs, dataset.transform
    if not (crs and crs.is_geographic):
        return
    corners = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    x, y = t @ (corners[0] * dataset.width, corners[1] * dataset.height)
    degree = crs.units_factor[1] * 180 / np.pi
    # A last cell may have its centre on the pole.
    most = 360 / degree + abs(t.a) + abs(t.b), 90 / degree + abs(t.d) + abs(t.e)
    if np.abs(x).max() > most[0] or np.abs(y).max() > most[1]:
        given = shlex.quote(os.fspath(dataset.name))
        raise DataError(
            f"`{dataset.name}` must lie within 360 degrees of longitude and 90 of "
            f"latitude, for its system is {crs.to_string()[:40]}, received "
            f"{x.min():.10g} to {x.max():.10g} and {y.min():.10g} to {y.max():.10g}; "
            f"say what they are (`gdal_edit.py -a_srs EPSG:… {given}`)."
        )


def _check_crs(name: str, source: Grid, target: Grid) -> None:
    if not source.is_georeferenced:
        raise DataError(
            f"{name} must be georeferenced, got neither CRS nor transform; assign them"
            " (`gdal_edit.py -a_srs … -a_ullr …`)."
        )
    if (source.crs is None) != (target.crs is None):
        without, other = (name, target) if source.crs is None else ("`grid`", source)
        raise DataError(
            f"{without} must have a CRS because the other raster has one, got none"
            f" beside {other}; assign it (`rio edit-info --crs`)."
        )
    if source.crs is None and aligned_offset(source.upright()[0], target) is None:
        raise DataError(
            f"{name} and `grid` must share their cells when neither has a CRS, got"
            f" transforms {tuple(source.transform)[:6]} and"
            f" {tuple(target.transform)[:6]}; assign a CRS to both."
        )


class NoElevation(DataError):
    """There are no elevations where a grid lies; elsewhere there may be."""


def no_overlap(name: str, source: Grid, target: Grid) -> NoElevation:
    """Returns the error of two rasters that share no ground."""
    return NoElevation(
        f"{name} must overlap `grid`, got {source} and {target},"
        " which share no ground; check CRS and transform of both."
    )


def _read_dataset(
    dataset: DatasetReader,
    name: str,
    target: Grid,
    nodata: float | None,
    z_unit: str | float | None,
) -> Elevation:
    bands = [c for c in dataset.colorinterp if c != ColorInterp.alpha]
    if len(bands) != 1:
        raise DataError(
            f"{name} must have one band of elevations, got {len(bands)}; pass"
            " (array, Grid.of(dataset), nodata) of the band you mean."
        )
    metres = elevation_unit(dataset, name, z_unit)
    check_placed(dataset)
    grid = Grid.of(dataset)
    _check_crs(name, grid, target)
    window = _covering_window(grid, target)
    if window is None:
        raise no_overlap(name, grid, target)
    top, bottom, left, right = window
    box = Window(left, top, right - left, bottom - top)
    stored = dataset.read(1, window=box)
    unmasked = dataset.read_masks(1, window=box)
    values = real_array(name, stored).astype(np.float64)
    missing_to_nan(values, stored, nodata)
    values[unmasked == 0] = np.nan
    values = values * dataset.scales[0] + dataset.offsets[0]
    return Elevation(values, grid.window(top, left, *values.shape), metres)


def _read_raster(
    dem: str | os.PathLike[str] | DatasetReader | WarpedVRT,
    target: Grid,
    nodata: float | None,
    z_unit: str | float | None,
) -> Elevation:
    shown = os.fspath(dem) if isinstance(dem, str | os.PathLike) else dem.name
    name = f"`dem` ({shown})"
    try:
        if not isinstance(dem, str | os.PathLike):
            return _read_dataset(dem, name, target, nodata, z_unit)
        with (
            # Our own error says more than rasterio's warning.
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            rasterio.open(dem) as dataset,
        ):
            return _read_dataset(dataset, name, target, nodata, z_unit)
    except RasterioIOError as error:
        reason = first_line(error)
        raise DataError(
            f"{name} must be a raster that can be read, got: {reason}; check that the"
            " file is there and whole."
        ) from error


def read_elevation(
    dem: Dem, target: Grid, nodata: float | None, z_unit: str | float | None
) -> Elevation:
    """Reads the part of an elevation model that a grid needs.

    Args:
        dem: Path, open dataset, or (array (H, W), its grid, its nodata value).
        target: The grid to cover.
        nodata: Further value of missing cells, for files without a tag.
        z_unit: Unit of the elevations, as in `factors_on_grid`.

    Returns:
        Elevations in the model's vertical unit, scale and offset of the file applied.

    Raises:
        DataError: Not readable, more than one band, no CRS, or no common ground.
    """
    if isinstance(dem, tuple):
        if len(dem) != 3 or not isinstance(dem[1], Grid):
            raise DataError(
                "`dem` must be a path, a dataset or (array, grid, nodata), got a tuple"
                f" of {len(dem)}."
            )
        stored, grid = real_array("dem", dem[0]), dem[1]
        if stored.shape != grid.shape:
            raise DataError(
                f"`dem` must have the shape of its grid {grid.shape}, got"
                f" {stored.shape}."
            )
        _check_crs("`dem`", grid, target)
        values = stored.astype(np.float64)
        for value in (dem[2], nodata):
            missing_to_nan(values, stored, value)
        found = Elevation(values, grid, 1.0 if z_unit is None else metres_of(z_unit))
    elif isinstance(dem, (str, os.PathLike, DatasetReader, WarpedVRT)):
        found = _read_raster(dem, target, nodata, z_unit)
    else:
        raise DataError(
            "`dem` must be a path, an open dataset or (array, grid, nodata), got"
            f" `{type(dem).__name__}`."
        )
    found.values[np.abs(found.values) > _NO_ELEVATION] = np.nan
    if found.grid.is_rotated:  # to resample from is all that is possible
        return found
    upright, back = found.grid.upright()
    return Elevation(np.ascontiguousarray(found.values[back]), upright, found.metres)

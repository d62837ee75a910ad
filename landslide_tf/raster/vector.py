"""Polygons that users draw: read from vector files, burnt into masks."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import CRSError
from rasterio.features import rasterize

from landslide_tf.errors import LISTED, DataError
from landslide_tf.raster.antimeridian import Geometries
from landslide_tf.raster.grid import Window
from landslide_tf.raster.reprojection import OnGrid, onto_grid
from landslide_tf.raster.vector_layer import found_name, read_layer
from landslide_tf.terrain import Grid
from landslide_tf.words import counted

# rasterio sets Python's filters of warnings while it burns, which threads share.
_ONE_AT_A_TIME = threading.Lock()
_CLASS = "class"  # the field that is looked for where none is named


@dataclass(frozen=True)
class Shapes:
    """Geometries in the system of a grid and the class each is said to be.

    Attributes:
        geometries: Shapely geometries; empty where one lies beyond the grid.
        classes: Class of each as text; empty where the file names none.
        empty: How many entries of the file have no geometry.
        taken: A line that says which layer and field of which file they are.

    >>> import numpy as np
    >>> import shapely
    >>> from landslide_tf.raster.vector import Shapes
    >>> len(Shapes(np.array([shapely.box(0, 0, 1, 1)]), ("landslide",)))
    1
    """

    geometries: Geometries
    classes: tuple[str, ...]
    empty: int = 0
    taken: str = ""

    def __len__(self) -> int:
        return len(self.geometries)


def read_shapes(
    path: str | os.PathLike[str],
    grid: Grid,
    *,
    kind: str = "Polygon",
    layer: str | None = None,
    field: str | None = None,
    overlap: bool = True,
    empty: bool = False,
    options: Sequence[str] = ("--layer", "--class-field"),
) -> Shapes:
    """Reads a vector file in the system of a grid.

    Args:
        path: GeoJSON, GeoPackage, shapefile or anything else that GDAL reads.
        grid: Grid of the image.
        kind: `"Polygon"` or `"Point"`, or their multi forms.
        layer: Layer to read; None = the only one with geometries.
        field: Attribute that holds the class; None = `class`, where the file has it.
            Layers and attributes are found whatever their case.
        overlap: Whether a file with nothing on the image is refused.
        empty: Whether a file without any entry is taken, as an inventory of ground
            where there is nothing.
        options: What the user calls `layer` and `field`, for messages.

    Returns:
        The geometries, empty ones left out and counted.

    Raises:
        DataError: If the file cannot be read, has several layers and none is named,
            lacks the layer or field, has no CRS, holds other geometries, or lies
            elsewhere.

    >>> import json
    >>> import tempfile
    >>> from pathlib import Path
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.vector import read_shapes
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 3, 4)
    >>> ring = [[15.0, 41.5], [15.1, 41.5], [15.0, 41.6], [15.0, 41.5]]
    >>> feature = {"type": "Feature", "properties": {"class": "scar"}}
    >>> feature["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "polygons.geojson")
    ...     _ = path.write_text(json.dumps(feature))
    ...     shapes = read_shapes(path, grid, overlap=False)
    >>> shapes.classes, round(float(shapely.bounds(shapes.geometries)[0, 0]))
    (('scar',), 500000)
    """
    what = f"{kind.lower()}s `{path}`"
    read = read_layer(what, path, layer, option=options[0], empty=kind if empty else "")
    if empty and read.is_free_of(kind):
        taken = f"{what}: layer `{read.layer}`, which is empty"
        return Shapes(read.geometries, (), taken=taken)
    _check_kind(what, read.geometries, kind)
    names = [""] * len(read.geometries)
    fields = list(read.columns)
    found_field = _field(what, fields, field, options[1])
    if found_field is not None:
        names = [_class_name(value) for value in read.columns[found_field]]
    placed = _placed(what, read.geometries, read.crs, grid)
    if overlap and placed.beyond == len(read.geometries):
        raise DataError(
            f"{what} must overlap the image, received "
            f"{_extent(read.geometries, read.crs)} beside {grid}{_lost(placed)}; check "
            "the systems of both."
        )
    shapes = counted(len(read.geometries), kind.lower())
    taken = f"{what}: layer `{read.layer}`, {shapes}"
    if placed.beyond:
        taken += f" ({placed.beyond} of them beyond the image{_lost(placed)})"
    if kind == "Polygon":
        classes = f"classes from the field `{found_field}`"
        if found_field is None:
            listed = ", ".join(fields[:LISTED]) or "none"
            classes = f"no field `{_CLASS}` for classes (fields: {listed})"
        taken += f", {classes}"
    return Shapes(placed.geometries, tuple(names), read.empty, taken)


def _extent(geometries: Geometries, crs: str) -> str:
    """Returns system and bounds of geometries, for messages as those of a grid."""
    name = pyproj.CRS.from_user_input(crs).name if len(crs) > 40 else crs
    bounds = ", ".join(f"{value:.10g}" for value in shapely.total_bounds(geometries))
    return f"{name} ({bounds})"


def _lost(placed: OnGrid) -> str:
    """Returns the end of a message on geometries that have no place."""
    return f", {placed.lost} out of reach of its projection" * bool(placed.lost)


def _placed(what: str, geometries: Geometries, crs: str, grid: Grid) -> OnGrid:
    """Brings geometries onto a grid."""
    try:
        return onto_grid(geometries, pyproj.CRS.from_user_input(crs), grid)
    except (CRSError, DataError) as error:
        raise DataError(f"{what}: {error}") from error


def _field(what: str, fields: list[str], wanted: str | None, option: str) -> str | None:
    """Returns the name of the field that holds the class; None where there is none."""
    if wanted is not None:
        return found_name(what, "field", fields, wanted)
    alike = [name for name in fields if name.casefold() == _CLASS]
    if len(alike) > 1 and _CLASS not in alike:
        raise DataError(
            f"{what} must have one field `{_CLASS}`, received "
            f"{', '.join(f'`{name}`' for name in alike)}; say which with "
            f"`{option}{' ' * (not option.endswith(':'))}NAME`."
        )
    if _CLASS in alike:
        return _CLASS
    return alike[0] if alike else None


def _class_name(value: object) -> str:
    """Returns the value of a field as text; whole numbers without decimals.

    Whole numbers come as fractions where the field has gaps.
    """
    if value is None or value != value:
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _check_kind(what: str, geometries: Geometries, kind: str) -> None:
    found = sorted({geometry.geom_type for geometry in geometries})
    wrong = [name for name in found if name.removeprefix("Multi") != kind]
    if wrong or not found:
        points = wrong == ["Point"] and kind == "Polygon"
        advice = (
            "points say where and not how far: give them as `--points`"
            if points
            else f"give a file of {kind.lower()}s"
        )
        received = f"`{wrong[0]}`" if wrong else "no geometry at all"
        raise DataError(
            f"{what} must hold {kind.lower()}s, received {received}; {advice}."
        )


@dataclass(frozen=True)
class Burner:
    """Shapes as class numbers, burnt window by window.

    Attributes:
        grid: The grid to burn on, in whose system the shapes are.
        geometries: Shapes, those that win over others last.
        values: Class number of each.
        outside: What pixels beyond all shapes are.
        all_touched: Burns every pixel a shape touches, not those whose centre it
            covers.
        taken: A line that says which layer and field of which file they are.

    >>> import numpy as np
    >>> import shapely
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.grid import Window
    >>> from landslide_tf.raster.vector import Burner
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 3, 4)
    >>> box = shapely.box(500_010, 4_599_980, 500_030, 4_600_000)
    >>> burner = Burner(grid, np.array([box]), np.array([1], np.uint8), outside=0)
    >>> burner.read(Window(0, 0, 3, 4)).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """

    grid: Grid
    geometries: Geometries
    values: NDArray[np.uint8]
    outside: int
    all_touched: bool = False
    taken: str = ""
    # Plain numbers: threads must not share the indices that GEOS builds.
    bounds: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bounds", shapely.bounds(self.geometries))

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Burns a window, uint8 (h, w)."""
        part = self.grid.window(*window)
        rows, columns = (0, 0, part.height, part.height), (0, part.width) * 2
        x, y = part.transform @ (np.array(columns), np.array(rows))
        west, south, east, north = self.bounds.T
        here = np.flatnonzero(
            (west <= x.max())
            & (east >= x.min())
            & (south <= y.max())
            & (north >= y.min())
        )
        if not here.size:
            return np.full(part.shape, self.outside, np.uint8)
        with _ONE_AT_A_TIME:
            return rasterize(
                [(self.geometries[k], int(self.values[k])) for k in here],
                out_shape=part.shape,
                transform=part.transform,
                fill=self.outside,
                all_touched=self.all_touched,
                dtype=np.uint8,
            )

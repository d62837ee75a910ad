"""Slope, aspect, hillshade and vegetation index as files, to look at."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from landslide_tf.choices import Distances, Edges, Method
from landslide_tf.errors import DataError, check_choice
from landslide_tf.files import atomic_path
from landslide_tf.outputs import check_own
from landslide_tf.progress import with_progress
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.raster.bands import find_bands
from landslide_tf.raster.cog import BLOCK, Layer, write_cog
from landslide_tf.raster.dem import DemFiles, open_dem
from landslide_tf.raster.grid import Window, grid_of, rows_of, upright_grid
from landslide_tf.raster.ground import check_dem
from landslide_tf.raster.names import short_name, stem
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.outputs import check_outputs
from landslide_tf.raster.scene import NDVI, Scene, make_scene
from landslide_tf.raster.scene_reader import SceneReader
from landslide_tf.terrain import Grid
from landslide_tf.version import __version__

Read = Callable[[Window], NDArray[Any]]

_RELIEF = ("slope", "aspect", "hillshade")
_NODATA = -9999.0
_LAYERS = {
    "slope": Layer("float32", _NODATA, ["slope"], unit="degree"),
    "aspect": Layer(
        "float32",
        _NODATA,
        ["aspect, clockwise from north, -1 = level"],
        unit="degree",
        overviews="nearest",
    ),
    "hillshade": Layer("uint8", 0, ["hillshade"]),
    NDVI: Layer("float32", _NODATA, ["ndvi"], unit="1"),
}
_INDEX_BANDS = ("red", "nir")
# Columns that are computed at once: strips of wide files need little memory.
_COLUMNS = 2 * BLOCK
_CACHE_MB = 64
_SOURCES, _NAME = "SOURCES", "TERRAIN_LAYER"


@dataclass(frozen=True)
class TerrainFiles:
    """What layers of the terrain are made of, and how.

    Attributes:
        dem: Elevations; None = no relief.
        image: The image, one file or several; its grid is that of all layers. Empty:
            the grid is that of the elevations.
        bands: Number or name of each band in the image; empty = found by name.
        nodata: Number that stands for no data in the image; None = as it tags.
        method: As in `terrain.slope`.
        edges: As in `terrain.slope`.
        azimuth: Direction of the sun, degrees clockwise from north.
        altitude: Height of the sun above the horizon, degrees in [0, 90].
        distances: As in `terrain.factors_on_grid`.

    >>> from landslide_tf.raster.dem import DemFiles
    >>> from landslide_tf.raster.terrain_layers import TerrainFiles
    >>> files = TerrainFiles(DemFiles("dem.tif"))
    >>> files.read, files.layers
    (('dem.tif',), ('slope', 'aspect', 'hillshade'))
    """

    dem: DemFiles | None = None
    image: tuple[str, ...] = ()
    bands: Mapping[str, int | str] = field(default_factory=dict)
    nodata: float | None = None
    method: Method = "horn"
    edges: Edges = "compute"
    azimuth: float = 315.0
    altitude: float = 45.0
    distances: Distances = "grid"

    def __post_init__(self) -> None:
        """Refuses unknown words and a sun below the horizon."""
        check_choice("method", self.method, ("horn", "zevenbergen_thorne"))
        check_choice("distances", self.distances, ("grid", "ground"))
        check_choice("edges", self.edges, ("compute", "nodata"))
        if not (np.isfinite(self.azimuth) and 0 <= self.altitude <= 90):
            raise DataError(
                "Expected `azimuth` finite and `altitude` from 0 to 90 degrees, "
                f"received {self.azimuth:g} and {self.altitude:g}."
            )

    @property
    def read(self) -> tuple[str, ...]:
        """All files that are read."""
        return (*(self.dem.paths if self.dem else ()), *self.image)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that can be made of the files."""
        relief = _RELIEF if self.dem is not None else ()
        with contextlib.suppress(DataError):  # the image has no near infrared
            if self.image and find_bands(self.image, _INDEX_BANDS, self.bands):
                return (*relief, NDVI)
        return relief


def write_terrain_layers(
    files: TerrainFiles, outputs: Mapping[str, Path], *, overwrite: bool = False
) -> None:
    """Writes layers of the terrain as cloud optimised GeoTIFFs, in bounded memory.

    Slope and aspect are in degrees, float32, −9999 = no data; level ground has the
    aspect −1; the hillshade is uint8 in 1..255, 0 = no data; the vegetation index is
    float32. Their numbers are those of `terrain.slope`, `aspect`, `hillshade` and
    `ndvi`. All files appear when all are complete.

    Args:
        files: What they are made of.
        outputs: File to write by layer: `slope`, `aspect`, `hillshade`, `ndvi`.
        overwrite: Whether other files that are there are replaced.

    Raises:
        DataError: If a file cannot be read or written, does not fit, or is both read
            and written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import rasterio
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.dem import DemFiles
    >>> from landslide_tf.raster.terrain_layers import (
    ...     TerrainFiles, write_terrain_layers
    ... )
    >>> from landslide_tf.terrain import Grid
    >>> place = rasterio.Affine(10, 0, 500_000, 0, -10, 4_600_000)
    >>> grid = Grid("EPSG:32633", place, 6, 6)
    >>> heights = np.float32(np.arange(0, 60, 10)).reshape(1, 1, 6).repeat(6, axis=1)
    >>> dem = Path("/vsimem/plane.tif")  # a file in memory
    >>> write_plain(dem, grid, Layer("float32", -9999, ["elevation"]), [(0, heights)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     slope = Path(folder, "slope.tif")
    ...     write_terrain_layers(TerrainFiles(DemFiles(dem)), {"slope": slope})
    ...     with rasterio.open(slope) as dataset:
    ...         dataset.read(1)[2].round(3).tolist(), dataset.units, dataset.nodata
    ([45.0, 45.0, 45.0, 45.0, 45.0, 45.0], ('degree',), -9999.0)
    """
    _check(files, outputs, overwrite=overwrite)
    options = {
        "method": files.method,
        "edges": files.edges,
        "distances": files.distances,
    }
    grid = _grid(files, options)
    scene = _scene(files) if NDVI in outputs else None
    tags = {_SOURCES: _names(files), "LANDSLIDE_TF_VERSION": __version__}
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB), contextlib.ExitStack() as stack:
        for name, path in outputs.items():
            temporary = stack.enter_context(atomic_path(path))
            # What a killed process leaves of it is found by the end of its name.
            scratch = temporary.with_name(
                f"{temporary.name.removesuffix(path.name)}plain-{path.name}"
            )
            layer = replace(_LAYERS[name], tags=tags | {_NAME: name})
            with _reader(name, files, scene, grid, options) as read:
                strips = _strips(grid, read, layer, name)
                write_cog(temporary, grid, layer, strips, scratch=scratch)


def _check(
    files: TerrainFiles, outputs: Mapping[str, Path], *, overwrite: bool
) -> None:
    """Refuses layers that the files do not give, and outputs in the way."""
    if not outputs:
        raise DataError(
            "Expected a layer to write, received none: name a DEM, or an image with "
            "near infrared and red, and a folder (`--out`) or a file for a layer."
        )
    if NDVI in outputs and not files.image:
        raise DataError("`ndvi` needs an image: name it with `--image`.")
    check_outputs(outputs.values(), files.read)
    names = _names(files)
    for name, path in outputs.items():
        check_choice("layer", name, tuple(_LAYERS))
        if name in _RELIEF and files.dem is None:
            raise DataError(f"`{name}` needs elevations: name a DEM, or its tiles.")
        if path.suffix.lower() not in (".tif", ".tiff"):
            raise DataError(
                f"`{path}` must end in .tif or .tiff: layers are written as GeoTIFF; "
                "convert one with `gdal_translate`."
            )
        own = functools.partial(_is_layer, name=name, names=names)
        check_own(path, f"{name} layer", own, overwrite=overwrite)


def _names(files: TerrainFiles) -> str:
    """Returns the names of what is read, as a tag holds them."""
    return json.dumps([short_name(path) for path in files.read])


def _is_layer(path: Path, *, name: str, names: str) -> bool:
    with open_raster(path, name) as dataset:
        tags = dataset.tags()
    return tags.get(_NAME) == name and tags.get(_SOURCES) == names


def _grid(files: TerrainFiles, options: Mapping[str, Any]) -> Grid:
    """Returns the grid of all layers; refuses elevations that do not fit."""
    if files.image:
        grid = grid_of(files.image[0], "image")
        if files.dem is not None:
            check_dem(files.dem, grid, options)
        return grid
    assert files.dem is not None  # as `_check` made sure
    opened = open_dem(files.dem)
    opened.dataset.close()
    grid = upright_grid(opened.grid, str(files.dem))
    # Nothing is resampled there: what is derived before is derived after, too.
    check_dem(files.dem, grid, {**options, "derive": "before"})
    return grid


def _scene(files: TerrainFiles) -> Scene:
    """Returns the image with its index, which needs no elevations."""
    bands = find_bands(files.image, _INDEX_BANDS, files.bands)
    name = stem(files.image[0])
    return make_scene(
        name, bands, bands=_INDEX_BANDS, factors=(NDVI,), nodata=files.nodata
    )


@contextlib.contextmanager
def _reader(
    name: str,
    files: TerrainFiles,
    scene: Scene | None,
    grid: Grid,
    options: Mapping[str, Any],
) -> Iterator[Read]:
    """Gives what computes windows of a layer, NaN = no data."""
    if name == NDVI and scene is not None:
        with SceneReader(scene) as reader:
            yield lambda window: reader.read(window).factors[..., 0]
    elif files.dem is not None:
        factors = (name,) if name != "hillshade" else ()
        with contextlib.closing(AlignedDem(files.dem, grid, factors, options)) as dem:
            if factors:
                yield lambda window: dem.read(window)[0][..., 0]
            else:
                yield functools.partial(
                    dem.hillshade, azimuth=files.azimuth, altitude=files.altitude
                )


def _strips(
    grid: Grid, read: Read, layer: Layer, name: str
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yields strips of rows (1, h, W), each computed window by window."""
    strips = list(rows_of(grid.shape, BLOCK))
    for row, _, height, _ in with_progress(strips, f"Computing {name}"):
        strip = np.empty((1, height, grid.width), layer.dtype)
        for column in range(0, grid.width, _COLUMNS):
            width = min(_COLUMNS, grid.width - column)
            part = read(Window(row, column, height, width))
            strip[0, :, column : column + width] = part
        if strip.dtype.kind == "f":
            strip[np.isnan(strip)] = layer.nodata
        yield row, strip

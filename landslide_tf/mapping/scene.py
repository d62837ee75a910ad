"""A scene as a model takes it: its bands and factors found, its values scaled."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError, warn
from landslide_tf.metadata import ModelMetadata
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.grid import Turn, Window, mean_cell, north_up
from landslide_tf.raster.ground import check_dem
from landslide_tf.raster.masks import MaskFiles, Masks
from landslide_tf.raster.names import stem
from landslide_tf.raster.scaling import are_tagged, choose_scale, stored_units
from landslide_tf.raster.scene import NDVI, Scene, make_scene
from landslide_tf.raster.scene_reader import SceneReader
from landslide_tf.terrain import FACTORS

_SAMPLES, _SAMPLE = 4, 256  # windows a side, and their pixels, that decide the scale


@dataclass(frozen=True)
class SceneFiles:
    """The files of a scene.

    Attributes:
        image: Paths that GDAL opens: one file, or several of one scene.
        dem: Elevation model of any grid and system, one file or tiles.
        factor: Rasters of factors that cannot be made of the elevations, by name.
        bands: Number from 1, or name, of each band; empty = by its name.
        nodata: Number that stands for no data in the image; None = as it tags.
        masks: Which pixels are mapped.
        min_slope: Smallest slope of pixels that are mapped, degrees; None = any.
        scale: As in `raster.scaling.choose_scale`.
        allow_no_crs: Takes an image without a coordinate reference system.

    >>> from landslide_tf.mapping import SceneFiles
    >>> from landslide_tf.raster.dem import DemFiles
    >>> dem = DemFiles("west.tif", "east.tif")
    >>> SceneFiles(("image.tif",), dem=dem, factor={"ndvi": "ndvi.tif"}).read
    ('image.tif', 'west.tif', 'east.tif', 'ndvi.tif')
    """

    image: tuple[str, ...]
    dem: DemFiles | None = None
    factor: Mapping[str, str] = field(default_factory=dict)
    bands: Mapping[str, int | str] = field(default_factory=dict)
    nodata: float | None = None
    masks: MaskFiles = field(default_factory=MaskFiles)
    min_slope: float | None = None
    scale: float | str | None = None
    allow_no_crs: bool = False

    @property
    def read(self) -> tuple[str, ...]:
        """All files that are read."""
        dem = () if self.dem is None else self.dem.paths
        return (*self.image, *dem, *self.factor.values(), *self.masks.read)

    @property
    def left_out(self) -> dict[str, str]:
        """What is not mapped, as tags of a raster; empty where all is."""
        steep = {} if self.min_slope is None else {"MIN_SLOPE": f"{self.min_slope:g}"}
        return {**self.masks.tags(), **steep}


@dataclass(frozen=True)
class ModelScene:
    """A scene that fits a model.

    Attributes:
        files: The files.
        scene: Grid, bands and factors.
        scale: Factor of the image's values, for the whole scene.
        metadata: The model.
    """

    files: SceneFiles
    scene: Scene
    scale: float
    metadata: ModelMetadata

    @property
    def turn(self) -> Turn:
        """Index that turns arrays on the scene's grid into those of the image."""
        return north_up(self.scene.stored)[1]

    def inputs(
        self, image: NDArray[Any], factors: FloatArray
    ) -> dict[str, NDArray[np.float32]]:
        """Makes what the model takes of pixels of the scene.

        Args:
            image: (…, bands), as `raster.scene_reader.SceneReader` gives it.
            factors: (…, factors), likewise.

        Returns:
            `image` float32 (…, bands), 0 where no band holds a value, and for a model
            with factors `factors` float32 (…, factors), NaN = no value.
        """
        image = image.astype(np.float32, copy=False)
        if self.scale != 1.0:
            image = image * np.float32(self.scale)
        if not self.scene.factors:
            return {"image": image}
        return {"image": image, "factors": factors.astype(np.float32, copy=False)}


def open_scene(files: SceneFiles, metadata: ModelMetadata) -> ModelScene:
    """Checks a scene's files against a model, before anything expensive.

    Args:
        files: The files.
        metadata: What the model takes.

    Returns:
        The scene.

    Raises:
        DataError: If a file cannot be read, or bands, values or factors do not fit.
    """
    if not files.image:
        raise DataError("Expected at least one image, received none.")
    wanted = [factor.name for factor in metadata.factors]
    terrain = _terrain_factors(files, wanted)
    _check_slope(files)
    scene = make_scene(
        stem(files.image[0]),
        files.image,
        bands=[band.name for band in metadata.inputs],
        factors=wanted,
        choice=files.bands,
        rasters={n: path for n, path in files.factor.items() if n in wanted},
        terrain=metadata.terrain.model_dump() if metadata.terrain else {},
        dem=files.dem if terrain or files.min_slope is not None else None,
        calibrated=metadata.inputs[0].unit not in ("", "1"),
        nodata=files.nodata,
        masks=files.masks,
        min_slope=files.min_slope,
        anywhere=True,
    )
    if scene.stored.crs is None and not files.allow_no_crs:
        raise DataError(
            f"image `{files.image[0]}` must have a coordinate reference system, "
            "received none; assign it (`rio edit-info --crs`), or map pixels without "
            "a place with `--allow-no-crs`."
        )
    grid = scene.grid
    if files.dem is not None and scene.dem is None and grid.crs and not grid.is_rotated:
        # Polygons are measured on it.
        check_dem(files.dem, grid, {})
    if files.scale == "auto" and are_tagged(scene.bands):
        # A factor alone would leave the offset of the file's tags out.
        scene = replace(scene, calibrated=True)
    units = stored_units(scene.bands)
    offset = not scene.calibrated and any(unit[1] for unit in units)
    if offset and files.scale is not None:
        warn(
            f"image `{files.image[0]}` tags an offset of {units[0][1]:g}: `--scale "
            f"{files.scale}` multiplies values as stored, without it; `--scale auto` "
            "uses scale and offset.",
        )
    values: FloatArray = np.empty((0, len(scene.bands)))
    judged = not isinstance(files.scale, float | int)
    if files.min_slope is not None or (
        judged and any(band.range is not None for band in metadata.inputs)
    ):
        values = _sample(scene)
    if files.min_slope is not None and not len(values):
        raise DataError(
            f"`--min-slope` must leave pixels of the image, received "
            f"{files.min_slope:g}, which leaves none: take a smaller one."
        )
    scale = choose_scale(values, metadata.inputs, files.scale, offset=offset)
    return ModelScene(files, scene, scale, metadata)


def _terrain_factors(files: SceneFiles, wanted: list[str]) -> list[str]:
    """Returns the factors that are made of elevations."""
    made = [n for n in wanted if n not in files.factor and n != NDVI]
    for name in made:
        if name not in FACTORS:
            raise DataError(
                f"The model needs the factor `{name}`, which is not made of elevations:"
                f" give a raster of it with `--factor {name}=FILE`."
            )
        if files.dem is None:
            raise DataError(
                f"The model needs the factor `{name}`: give an elevation model with "
                "`--dem FILE`."
            )
    return made


def _check_slope(files: SceneFiles) -> None:
    """Refuses a smallest slope that is none, or that no elevations tell."""
    if files.min_slope is None:
        return
    if not 0 < files.min_slope < 90:
        raise DataError(
            f"Expected `--min-slope` above 0 and below 90 degrees, received "
            f"{files.min_slope:g}."
        )
    if files.dem is None:
        raise DataError(
            "`--min-slope` needs elevations: give an elevation model with `--dem FILE`."
        )


def cell_size_warning(scene: ModelScene) -> str | None:
    """Says whether the scene's cells are far from those of the training.

    Returns:
        A line, or None where the cells lie within half to double of the training's, or
        one of the two is not known.
    """
    trained, grid = scene.metadata.cell_size, scene.scene.grid
    if trained is None or grid.crs is None or grid.is_rotated:
        return None
    cell = mean_cell(grid)
    if trained[0] / 2 <= cell <= trained[1] * 2:
        return None
    sizes = " to ".join(dict.fromkeys(f"{size:g}" for size in trained))
    return (
        f"the model was trained on cells of {sizes} m, the scene has {cell:.3g} m: "
        "landslides look different there; resample the scene."
    )


def _sample(scene: Scene) -> FloatArray:
    """Returns valid pixels (N, bands) of windows spread over what counts of the scene.

    Where none of these windows has any, of the first that has.
    """
    top, left, height, width = (scene.masks or Masks()).extent(scene.grid)
    h, w = min(_SAMPLE, height), min(_SAMPLE, width)
    spread = [
        Window(top + int((height - h) * row), left + int((width - w) * column), h, w)
        for row in np.linspace(0, 1, _SAMPLES)
        for column in np.linspace(0, 1, _SAMPLES)
    ]
    rest = (
        Window(row, column, min(h, top + height - row), min(w, left + width - column))
        for row in range(top, top + height, h)
        for column in range(left, left + width, w)
    )
    found: list[FloatArray] = []
    with SceneReader(scene, factors=False) as reader:
        for number, window in enumerate(itertools.chain(spread, rest)):
            if number >= len(spread) and any(map(len, found)):
                break
            pixels = reader.read(window)
            found.append(pixels.image[pixels.valid])
    return np.concatenate(found)

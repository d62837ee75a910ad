"""Windows of a scene as a model takes them: bands, terrain factors, what is valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.mapping.bands import (
    BandPlace,
    alpha_bands,
    choose_scale,
    find_bands,
)
from landslide_tf.metadata import ModelMetadata
from landslide_tf.raster.aligned import (
    AlignedRaster,
    Window,
    check_overlap,
    mean_cell,
    open_raster,
    stored_grid,
)
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.terrain import FACTORS, Z_UNITS, Grid, ndvi

NDVI = "ndvi"
_SAMPLES, _SAMPLE = 4, 256  # windows a side, and their pixels, that decide the scale


@dataclass(frozen=True)
class SceneFiles:
    """The files of a scene.

    Attributes:
        image: Paths that GDAL opens: one file, or several of one scene.
        dem: Elevation model of any grid and system.
        factors: Rasters of factors that cannot be made of the elevations, by name.
        bands: Number of each band, from 1; empty = by name.
        scale: As in `bands.choose_scale`.
        dem_unit: Unit of the elevations, of `terrain.Z_UNITS`.
        allow_no_crs: Takes an image without a coordinate reference system.
    """

    image: tuple[str, ...]
    dem: str | None = None
    factors: Mapping[str, str] = field(default_factory=dict)
    bands: Mapping[str, int] = field(default_factory=dict)
    scale: float | str | None = None
    dem_unit: str = "metre"
    allow_no_crs: bool = False

    def __post_init__(self) -> None:
        """Refuses an unknown unit."""
        if self.dem_unit not in Z_UNITS:
            hint = did_you_mean(self.dem_unit, Z_UNITS)
            raise DataError(f"`dem_unit` cannot be `{self.dem_unit}`.{hint}")


@dataclass(frozen=True)
class Scene:
    """A checked scene; its files are opened by `SceneReader`.

    Attributes:
        files: The files.
        grid: Grid of the first image, as stored.
        upright: The grid that windows are cut from: north up where `grid` allows it.
        back: Index that turns arrays of one grid into arrays of the other.
        bands: Where each band of the model is.
        ndvi_bands: Where red and near infrared are, if the index is made of them.
        scale: Factor of the image, for the whole scene.
        metadata: The model.
    """

    files: SceneFiles
    grid: Grid
    upright: Grid
    back: tuple[slice, slice]
    bands: tuple[BandPlace, ...]
    ndvi_bands: tuple[BandPlace, ...]
    scale: float
    metadata: ModelMetadata


def open_scene(files: SceneFiles, metadata: ModelMetadata) -> Scene:
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
    with open_raster(files.image[0], "image") as dataset:
        grid = stored_grid(dataset)
    if grid.crs is None and not files.allow_no_crs:
        raise DataError(
            f"image `{files.image[0]}` must have a coordinate reference system, "
            "received none; assign it (`rio edit-info --crs`), or map pixels without "
            "a place with `--allow-no-crs`."
        )
    upright, back = grid, (slice(None), slice(None))
    if grid.is_georeferenced and not grid.is_rotated:
        upright, back = grid.upright()
    bands = find_bands(files.image, [b.name for b in metadata.inputs], files.bands)
    wanted = [factor.name for factor in metadata.factors]
    index_bands: tuple[BandPlace, ...] = ()
    if NDVI in wanted and NDVI not in files.factors:
        index_bands = find_bands(files.image, ["nir", "red"], files.bands)
    scene = Scene(files, grid, upright, back, bands, index_bands, 1.0, metadata)
    _check_factors(scene, wanted)
    with SceneReader(scene, factors=False) as reader:
        scale = choose_scale(_sample(reader), metadata.inputs, files.scale)
    return replace(scene, scale=scale)


def _check_factors(scene: Scene, wanted: Sequence[str]) -> None:
    files = scene.files
    for name in wanted:
        if name in files.factors or name == NDVI:
            continue
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
    made = [name for name in wanted if name in FACTORS and name not in files.factors]
    if not made or files.dem is None:
        return
    if scene.grid.crs is None:
        raise DataError(
            f"image `{files.image[0]}` must have a coordinate reference system for a "
            f"model that takes `{made[0]}`, received none: assign it (`rio edit-info`)."
        )
    if scene.grid.is_rotated:
        raise DataError(
            f"image `{files.image[0]}` must not be rotated for a model that takes "
            f"`{made[0]}`: warp it to a north-up grid first (`gdalwarp`)."
        )
    check_overlap(files.dem, "DEM", scene.upright)


def cell_size_warning(scene: Scene) -> str | None:
    """Says whether the scene's cells are far from those of the training.

    Returns:
        A line, or None where the cells lie within half to double of the training's, or
        one of the two is not known.
    """
    trained = scene.metadata.cell_size
    if trained is None or scene.grid.crs is None or scene.grid.is_rotated:
        return None
    cell = mean_cell(scene.upright)
    if trained[0] / 2 <= cell <= trained[1] * 2:
        return None
    return (
        f"the model was trained on cells of {trained[0]:g} to {trained[1]:g} m, the "
        f"scene has {cell:.3g} m: landslides look different there; resample the scene."
    )


def _sample(reader: SceneReader) -> FloatArray:
    """Returns valid pixels (N, bands) of windows spread over the scene."""
    height, width = reader.scene.upright.shape
    found = []
    for at_row in np.linspace(0, 1, _SAMPLES):
        for at_column in np.linspace(0, 1, _SAMPLES):
            h, w = min(_SAMPLE, height), min(_SAMPLE, width)
            window = Window(
                int((height - h) * at_row), int((width - w) * at_column), h, w
            )
            values, valid = reader.read_bands(window)
            found.append(values[valid])
    return np.concatenate(found)


class SceneReader:
    """Reads windows of a scene; an instance belongs to one thread.

    Args:
        scene: The scene.
        factors: Whether `read` makes the factors.
    """

    def __init__(self, scene: Scene, *, factors: bool = True) -> None:
        self.scene = scene
        self._open: list[Any] = []  # AlignedRaster or AlignedDem
        metadata, files = scene.metadata, scene.files
        self._names = [f.name for f in metadata.factors] if factors else []
        self._bands = self._rasters(scene.bands)
        self._index = self._rasters(scene.ndvi_bands if factors else ())
        self._calibrated = metadata.inputs[0].unit not in ("", "1")
        self._given = {
            name: self._kept(AlignedRaster(path, name, scene.upright))
            for name, path in files.factors.items()
            if name in self._names
        }
        self._terrain = [
            n for n in self._names if n in FACTORS and n not in self._given
        ]
        self._dem = None
        if self._terrain:
            terrain = metadata.terrain.model_dump() if metadata.terrain else {}
            options = {**terrain, "z_unit": files.dem_unit}
            self._dem = self._kept(
                AlignedDem(files.dem or "", scene.upright, self._terrain, options)
            )

    def _kept(self, raster: Any) -> Any:  # noqa: ANN401 - AlignedRaster or AlignedDem
        self._open.append(raster)
        return raster

    def _rasters(
        self, places: Sequence[BandPlace]
    ) -> list[tuple[list[int], AlignedRaster, bool]]:
        """Opens each file once: positions of its bands, raster, whether as stored."""
        by_path: dict[str, list[int]] = {}
        for position, place in enumerate(places):
            by_path.setdefault(place.path, []).append(position)
        found = []
        for path, positions in by_path.items():
            with open_raster(path, "image") as dataset:
                own, alpha = stored_grid(dataset), alpha_bands(dataset)
            if own.crs is None and own.shape != self.scene.grid.shape:
                raise DataError(
                    f"image `{path}` must have {self.scene.grid.shape} rows and columns"
                    f" as the first, or a coordinate system, received {own.shape}."
                )
            stored = own == self.scene.grid or own.crs is None
            grid = own if stored else self.scene.upright
            indexes = [places[k].index for k in positions]
            # GDAL's masks know of alpha bands of grey and RGB images only.
            indexes += alpha
            raster = AlignedRaster(path, "image", grid, indexes=indexes)
            found.append((positions, self._kept(raster), stored))
        return found

    def _read(
        self,
        rasters: Sequence[tuple[list[int], AlignedRaster, bool]],
        window: Window,
        calibrated: bool,
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        scene = self.scene
        valid = np.ones((window.height, window.width), bool)
        layers: dict[int, NDArray[Any]] = {}
        for positions, raster, stored in rasters:
            place = _stored_window(window, scene) if stored else window
            values, whole = raster.read(place)
            if stored:
                values, whole = values[(slice(None), *scene.back)], whole[scene.back]
            valid &= whole & (values[len(positions) :] > 0).all(axis=0)
            for k, position in enumerate(positions):
                layer = values[k]
                if calibrated:
                    layer = layer * raster.scales[k] + raster.offsets[k]
                layers[position] = layer
        return np.stack([layers[k] for k in range(len(layers))], axis=-1), valid

    def read_bands(self, window: Window) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Reads the bands of a window before they are scaled, and where all are valid.

        Args:
            window: Part of the upright grid, inside it.

        Returns:
            (h, w, bands) in the files' dtype or float64, and bool (h, w).
        """
        return self._read(self._bands, window, self._calibrated)

    def read(
        self, window: Window
    ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.bool_]]:
        """Reads a window as the model takes it.

        Args:
            window: Part of the upright grid, inside it.

        Returns:
            `image` float32 (h, w, bands), 0 where not valid, and for a model with
            factors `factors` float32 (h, w, factors), NaN = no value; and where all
            bands, and the elevations around, are known.

        Raises:
            DataError: If a file is truncated or corrupt.
        """
        values, valid = self.read_bands(window)
        image = values.astype(np.float32)
        if self.scene.scale != 1.0:
            image *= np.float32(self.scene.scale)
        image[~valid] = 0
        inputs = {"image": image}
        if self._names and valid.any():
            inputs["factors"], known = self._read_factors(window, valid)
            valid = valid & known
        elif self._names:
            shape = (*valid.shape, len(self._names))
            inputs["factors"] = np.full(shape, np.nan, np.float32)
        return inputs, valid

    def _read_factors(
        self, window: Window, valid: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        known = np.ones_like(valid)
        out = np.full((*valid.shape, len(self._names)), np.nan, np.float32)
        if self._dem is not None:
            values, known = self._dem.read(window)
            for k, name in enumerate(self._terrain):
                out[..., self._names.index(name)] = values[..., k]
        for name, raster in self._given.items():
            values, has = raster.read(window)
            layer = values[0] * raster.scales[0] + raster.offsets[0]
            if name == NDVI:
                layer = np.clip(layer, -1, 1)  # cubic convolution overshoots
            out[..., self._names.index(name)] = np.where(has, layer, np.nan)
        if self._index:
            values, has = self._read(self._index, window, True)
            index = ndvi(values[..., 0], values[..., 1], fill=np.nan)
            index[~(has & valid)] = np.nan
            out[..., self._names.index(NDVI)] = index
        return out, known

    def close(self) -> None:
        """Closes all files."""
        for raster in self._open:
            raster.close()

    def __enter__(self) -> SceneReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _stored_window(window: Window, scene: Scene) -> Window:
    """Returns the same pixels in rows and columns of the stored grid."""
    row, column = window.row, window.column
    if scene.back[0].step == -1:
        row = scene.grid.height - row - window.height
    if scene.back[1].step == -1:
        column = scene.grid.width - column - window.width
    return Window(row, column, window.height, window.width)

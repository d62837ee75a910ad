"""A scene: image, elevations, vegetation index and labels on one grid."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.metadata import IGNORE_VALUE
from landslide_tf.raster.aligned import AlignedRaster, Window
from landslide_tf.raster.aligned_dem import AlignedDem
from landslide_tf.raster.bands import BandSource
from landslide_tf.raster.vector import Burner
from landslide_tf.terrain import FACTORS, Grid, ndvi

NDVI = "ndvi"
FACTOR_NAMES = (*FACTORS, NDVI)


@dataclass(frozen=True)
class RasterLabels:
    """Labels in a raster of class values.

    Attributes:
        path: The file, any grid.
        numbers: Class number by stored value.
        placed: Grid of a file that has no CRS.
    """

    path: Path
    numbers: Mapping[int, int]
    placed: Grid | None = None

    def __post_init__(self) -> None:
        table = np.full(256, -1, np.int16)
        for value, number in self.numbers.items():
            table[value] = number
        object.__setattr__(self, "_table", table)

    def convert(
        self, values: NDArray[Any], known: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        """Returns class numbers, uint8 (h, w), 255 where no value is known.

        Raises:
            DataError: If a value is no class.
        """
        whole = np.where(known, values, 0)
        fits = (whole >= 0) & (whole <= 255) & (whole == np.floor(whole))
        numbers = self._table[np.where(fits, whole, 0).astype(np.uint8)]
        wrong = known & (~fits | (numbers < 0))
        if wrong.any():
            listed = ", ".join(map(str, sorted(self.numbers)))
            raise DataError(
                f"labels `{self.path}` must hold the values {listed}, received "
                f"{values[wrong][0]:g}; name the landslide's value with `--positive`."
            )
        return np.where(known, numbers, IGNORE_VALUE).astype(np.uint8)


Labels = RasterLabels | Burner


@dataclass(frozen=True)
class Scene:
    """Files of a scene and the grid they are read on.

    Attributes:
        id: Name of the scene.
        grid: The common grid, north up.
        bands: Bands of `image`, and `nir` where only the index needs it.
        image: Names of the bands of `image`.
        factors: Names of the factors, of `FACTOR_NAMES`.
        dem: Elevation model; factors of the terrain are NaN without one.
        ndvi: Raster of the vegetation index; made from `nir` and `red` without one.
        labels: What is where; None = nothing is known.
        terrain: Further arguments of `terrain.factors_on_grid`.
        about: Facts of the scene, such as sensor and date.
    """

    id: str
    grid: Grid
    bands: tuple[BandSource, ...]
    image: tuple[str, ...]
    factors: tuple[str, ...] = ()
    dem: Path | None = None
    ndvi: Path | None = None
    labels: Labels | None = None
    terrain: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)


class Pixels(NamedTuple):
    """A window of a scene.

    Attributes:
        image: (h, w, C) as stored, 0 where not valid.
        factors: float32 (h, w, F), NaN = no value.
        mask: uint8 (h, w), 255 = no label, or no valid pixel to see it by.
        valid: bool (h, w): all bands hold a value and, where there is a DEM, so do
            the elevations of the 3 × 3 cells around.
    """

    image: NDArray[Any]
    factors: FloatArray
    mask: NDArray[np.uint8]
    valid: NDArray[np.bool_]


class SceneReader:
    """Reads windows of a scene; an instance belongs to one thread.

    Args:
        scene: The scene.
        factors: Whether `read` makes the factors, which cost most of its time.
    """

    def __init__(self, scene: Scene, *, factors: bool = True) -> None:
        self.scene = scene
        self._open: list[Any] = []
        by_path: dict[Path, list[BandSource]] = {}
        for band in scene.bands:
            by_path.setdefault(band.path, []).append(band)
        self._images = [
            (bands, self._raster(path, "image", [b.index for b in bands]))
            for path, bands in by_path.items()
        ]
        self._factors = scene.factors if factors else ()
        self._terrain = [name for name in self._factors if name != NDVI]
        self._dem = self._ndvi = self._labels = None
        if self._terrain and scene.dem is not None:
            self._dem = self._kept(
                AlignedDem(scene.dem, scene.grid, self._terrain, dict(scene.terrain))
            )
        if NDVI in self._factors and scene.ndvi is not None:
            self._ndvi = self._raster(scene.ndvi, "NDVI", [1])
        if isinstance(scene.labels, RasterLabels):
            self._labels = self._kept(
                AlignedRaster(
                    scene.labels.path,
                    "labels",
                    scene.grid,
                    kernel="nearest",
                    values=list(scene.labels.numbers),
                    placed=scene.labels.placed,
                )
            )

    def _raster(
        self, path: str | os.PathLike[str], what: str, indexes: list[int]
    ) -> AlignedRaster:
        return self._kept(AlignedRaster(path, what, self.scene.grid, indexes=indexes))

    def _kept(self, raster: Any) -> Any:  # noqa: ANN401 - AlignedRaster or AlignedDem
        self._open.append(raster)
        return raster

    @property
    def dtype(self) -> np.dtype[Any]:
        """What holds the values of all bands of `image`."""
        named = [r.dtype for bands, r in self._images if self._seen(bands)]
        return np.result_type(*named)

    def _seen(self, bands: list[BandSource]) -> bool:
        return any(band.name in self.scene.image for band in bands)

    def read(self, window: Window) -> Pixels:
        """Reads a window.

        Args:
            window: Part of the grid, inside it.

        Returns:
            The pixels, all on the scene's grid.

        Raises:
            DataError: If a file is truncated or corrupt, or a label is no class.
        """
        valid = np.ones((window.height, window.width), bool)
        layers, physical = {}, {}
        for bands, raster in self._images:
            values, whole = raster.read(window)
            valid &= whole
            for k, band in enumerate(bands):
                layers[band.name] = values[k]
                if band.name in ("red", "nir"):
                    layer = values[k] * raster.scales[k] + raster.offsets[k]
                    physical[band.name] = layer
        image = np.stack([layers[name] for name in self.scene.image], axis=-1)
        image[~valid] = 0
        factors, known = self._read_factors(window, physical, valid)
        valid = valid & known
        mask = self._read_labels(window)
        mask[~valid] = IGNORE_VALUE
        return Pixels(image, factors, mask, valid)

    def _read_factors(
        self,
        window: Window,
        physical: Mapping[str, FloatArray],
        valid: NDArray[np.bool_],
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Returns the factors and where the elevations around are known."""
        shape, known = valid.shape, np.ones_like(valid)
        out = np.full((*shape, len(self._factors)), np.nan, np.float32)
        if self._dem is not None:
            values, known = self._dem.read(window)
            for k, name in enumerate(self._terrain):
                out[..., self._factors.index(name)] = values[..., k]
        if NDVI in self._factors:
            if self._ndvi is not None:
                values, has = self._ndvi.read(window)
                raster = self._ndvi
                index = values[0] * raster.scales[0] + raster.offsets[0]
                # Cubic convolution overshoots.
                index = np.where(has, np.clip(index, -1, 1), np.nan)
            else:
                index = ndvi(physical["nir"], physical["red"], fill=np.nan)
                index[~valid] = np.nan
            out[..., self._factors.index(NDVI)] = index
        return out, known

    def _read_labels(self, window: Window) -> NDArray[np.uint8]:
        labels = self.scene.labels
        if labels is None:
            return np.full((window.height, window.width), IGNORE_VALUE, np.uint8)
        if isinstance(labels, Burner):
            return labels.read(window)
        values, known = self._labels.read(window)
        return labels.convert(values[0], known)

    def close(self) -> None:
        """Closes all files."""
        for raster in self._open:
            raster.close()

    def __enter__(self) -> SceneReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

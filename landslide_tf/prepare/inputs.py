"""What `prepare` is given: the files of scenes, and how they become examples."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from landslide_tf.datasets.common.sampling import SamplingMethod
from landslide_tf.errors import DataError, check_choice, did_you_mean
from landslide_tf.metadata import Terrain
from landslide_tf.prepare.pool import Patches
from landslide_tf.raster.dem import DemFiles
from landslide_tf.raster.labels import LabelOptions
from landslide_tf.raster.masks import MaskFiles
from landslide_tf.raster.names import FilePath


@dataclass(frozen=True)
class Inputs:
    """Files of a scene.

    Attributes:
        image: Raster with CRS; red, green and blue found by name or order.
        labels: Polygons (GeoJSON, GeoPackage, shapefile), a raster of class values,
            or a labelme file.
        dem: Elevation model, any grid and system, one file or tiles.
        ndvi: Vegetation index, any grid and system; else made of near infrared and
            red where the image has both.
        points: Where landslides are known to be: tiles around them join the training
            pool.
        layer: Layer of the labels' polygons; None = the only one.
        points_layer: Layer of the points; None = the only one.
        nodata: Number that stands for no data in the image; None = as it tags.
        masks: Which pixels count; None = all.

    >>> from pathlib import Path
    >>> from landslide_tf.prepare import Inputs
    >>> from landslide_tf.raster.dem import DemFiles
    >>> dem = DemFiles("dem.tif", unit="foot")
    >>> Inputs(Path("image.tif"), Path("labels.gpkg"), dem=dem).dem.paths
    ('dem.tif',)
    """

    image: FilePath
    labels: FilePath
    dem: DemFiles | None = None
    ndvi: FilePath | None = None
    points: FilePath | None = None
    layer: str | None = None
    points_layer: str | None = None
    nodata: float | None = None
    masks: MaskFiles | None = None

    @property
    def read(self) -> list[str]:
        """The names of all files that are read."""
        given = (self.image, self.labels, self.ndvi, self.points)
        elevations = () if self.dem is None else self.dem.paths
        masks = () if self.masks is None else self.masks.read
        return [
            *(os.fspath(path) for path in given if path is not None),
            *elevations,
            *map(str, masks),
        ]


@dataclass(frozen=True)
class Options:
    """Options for turning scenes into examples.

    Attributes:
        bands: Number from 1, or name, of each band in the images: these are kept and
            the recipe trains on them, in this order. Empty = red, green and blue by
            their names; near infrared is kept where all images have it.
        labels: Which polygons or values are which class.
        gsd: Cell size to bring everything to, metres; None = that of each image.
        tile: Rows and columns of a tile; also of the gaps between splits.
        stride: Rows and columns from training tile to tile, with `patches="grid"`.
        patches: `"grid"`, or `"superpixels"`: training tiles around superpixels.
        sampling: As in `multistage_sample`; training tiles only.
        seed: Seed of split and sampling.
        licence: Licence of the scenes.
        terrain: How factors are made of elevations: `derive`, `resampling`, `edges`,
            `method` and `distances` of `terrain.factors_on_grid`.
        workers: Threads that read windows; None = one a core, four at most.

    >>> from landslide_tf.prepare import Options
    >>> Options(tile=128, patches="superpixels", sampling="mus2").seed
    0
    """

    bands: Mapping[str, int | str] = field(default_factory=dict)
    labels: LabelOptions = field(default_factory=LabelOptions)
    gsd: float | None = None
    tile: int = 256
    stride: int | None = None
    patches: Patches = "grid"
    sampling: SamplingMethod = "original"
    seed: int = 0
    licence: str = "the user's own scenes"
    terrain: Mapping[str, Any] = field(default_factory=dict)
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuses unknown words."""
        for name, known in (("patches", Patches), ("sampling", SamplingMethod)):
            value = getattr(self, name)
            if value not in get_args(known):
                raise DataError(
                    f"`{name}` cannot be `{value}`."
                    f"{did_you_mean(str(value), get_args(known))}"
                )
        for name, value in self.terrain.items():
            check_choice(name, value, _how(name))


def _how(name: str) -> tuple[str, ...]:
    """Returns the words that a key of `terrain` takes."""
    check_choice("terrain", name, Terrain.model_fields)
    return get_args(Terrain.model_fields[name].annotation)

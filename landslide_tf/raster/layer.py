"""What a raster file says of itself: names, scale, colours and tags of its bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import rasterio
from rasterio.io import DatasetWriter

from landslide_tf.raster.names import FilePath
from landslide_tf.terrain import Grid

BLOCK = 512


@dataclass(frozen=True)
class Layer:
    """What a raster file says of itself.

    Attributes:
        dtype: Type of its values.
        nodata: Value of pixels without one.
        names: Names of its bands.
        scale: What a stored value is multiplied by.
        colours: RGBA by value, for class maps.
        tags: Further facts.
        overviews: What cells of overviews take of those they cover: the mean, the most
            frequent class, or, of angles, the nearest.
        unit: Unit of the values.

    >>> from landslide_tf.raster.layer import Layer
    >>> Layer("float32", -9999, ["slope", "aspect"]).names
    ['slope', 'aspect']
    """

    dtype: str
    nodata: float
    names: Sequence[str]
    scale: float = 1.0
    colours: Mapping[int, tuple[int, int, int, int]] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    overviews: Literal["average", "mode", "nearest"] = "average"
    unit: str = ""


def created(
    path: FilePath, grid: Grid, layer: Layer, *, sparse: bool = False
) -> DatasetWriter:
    """Makes a tiled GeoTIFF that says what a layer says, to be closed by the caller.

    Args:
        path: The file.
        grid: Its grid.
        layer: What it says of itself.
        sparse: Whether blocks that are never written are left out of the file.

    Returns:
        The open file, without pixels.

    >>> from rasterio import Affine
    >>> from landslide_tf.raster.layer import Layer, created
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 4_600_000), 4, 3)
    >>> layer = Layer("uint8", 255, ["class"])
    >>> with created("/vsimem/class.tif", grid, layer) as dataset:
    ...     dataset.nodata, dataset.descriptions
    (255.0, ('class',))
    """
    dataset = rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=grid.height,
        width=grid.width,
        count=len(layer.names),
        dtype=layer.dtype,
        crs=grid.crs,
        transform=grid.transform,
        nodata=layer.nodata,
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        # GDAL 3.10 compresses before it writes: half the disk for little time.
        compress="deflate",
        zlevel=1,
        bigtiff="IF_SAFER",
        sparse_ok=sparse,
    )
    for number, name in enumerate(layer.names, 1):
        dataset.set_band_description(number, name)
    if layer.scale != 1.0:
        dataset.scales = [layer.scale] * len(layer.names)
    if layer.unit:
        dataset.units = [layer.unit] * len(layer.names)
    if layer.colours:
        dataset.write_colormap(1, dict(layer.colours))
    dataset.update_tags(**layer.tags)
    return dataset

"""A virtual raster of the class maps of all scenes.

GDAL's Python package has a function for it; the wheels of rasterio do not bring it.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import rasterio
import rasterio.shutil
from rasterio import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.files import atomic_path
from landslide_tf.raster.grid import stored_grid
from landslide_tf.raster.legend import named_colours, read_legend
from landslide_tf.raster.opening import open_raster

_CACHE_MB = 64


def write_mosaic(path: Path, maps: Sequence[Path], warped: Path) -> None:
    """Writes a VRT in which later maps lie over earlier ones.

    It is in the system that most of the maps have, with their smallest cells; maps of
    other systems are brought into it by VRTs of their own.

    Args:
        path: The file to write.
        maps: Class maps, at least one.
        warped: Folder of the VRTs of maps in other systems.

    Raises:
        DataError: If a map cannot be read.
    """
    systems = []
    for name in maps:
        with open_raster(name, "map") as dataset:
            systems.append(dataset.crs.to_wkt())
    chosen = Counter(systems).most_common(1)[0][0]
    sources = [
        name if system == chosen else _warped(name, chosen, warped)
        for name, system in zip(maps, systems, strict=True)
    ]
    grids = []
    for name in sources:
        with open_raster(name, "map") as dataset:
            grids.append(stored_grid(dataset))
    bounds = [rasterio.transform.array_bounds(*g.shape, g.transform) for g in grids]
    cell = min(abs(grid.transform.a) for grid in grids)
    down = min(abs(grid.transform.e) for grid in grids)
    left, top = min(b[0] for b in bounds), max(b[3] for b in bounds)
    width = math.ceil((max(b[2] for b in bounds) - left) / cell - 1e-6)
    height = math.ceil((top - min(b[1] for b in bounds)) / down - 1e-6)
    root = ElementTree.Element(
        "VRTDataset", rasterXSize=str(width), rasterYSize=str(height)
    )
    ElementTree.SubElement(root, "SRS").text = chosen
    place = Affine(cell, 0, left, 0, -down, top).to_gdal()
    transform = ", ".join(map(repr, place))
    ElementTree.SubElement(root, "GeoTransform").text = transform
    band = _band(root, maps[0])
    for name, grid, (west, _, east, north) in zip(sources, grids, bounds, strict=True):
        source = ElementTree.SubElement(band, "ComplexSource", resampling="nearest")
        file = ElementTree.SubElement(source, "SourceFilename", relativeToVRT="1")
        file.text = Path(os.path.relpath(name, path.parent)).as_posix()
        ElementTree.SubElement(source, "SourceBand").text = "1"
        rows, columns = grid.shape
        _box(source, "SrcRect", 0, 0, columns, rows)
        south_north = rows * abs(grid.transform.e) / down
        _box(
            source, "DstRect", (west - left) / cell, (top - north) / down,
            (east - west) / cell, south_north,
        )  # fmt: skip
        ElementTree.SubElement(source, "NODATA").text = str(IGNORE_VALUE)
    ElementTree.indent(root, " ")
    with atomic_path(path) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8")


def _band(root: ElementTree.Element, path: Path) -> ElementTree.Element:
    """Adds a band of classes with the colours and names of a map."""
    legend = read_legend(path)
    band = ElementTree.SubElement(root, "VRTRasterBand", dataType="Byte", band="1")
    ElementTree.SubElement(band, "Description").text = "class"
    ElementTree.SubElement(band, "NoDataValue").text = str(IGNORE_VALUE)
    ElementTree.SubElement(band, "ColorInterp").text = "Palette"
    names = ElementTree.SubElement(band, "CategoryNames")
    table = ElementTree.SubElement(band, "ColorTable")
    for name, colour in named_colours(legend.classes):
        ElementTree.SubElement(names, "Category").text = name
        channels = zip(("c1", "c2", "c3", "c4"), (*colour, 255), strict=True)
        ElementTree.SubElement(
            table, "Entry", {channel: str(value) for channel, value in channels}
        )
    return band


def _box(
    source: ElementTree.Element,
    name: str,
    left: float,
    top: float,
    width: float,
    height: float,
) -> None:
    ElementTree.SubElement(
        source, name, xOff=repr(left), yOff=repr(top), xSize=repr(width),
        ySize=repr(height),
    )  # fmt: skip


def _warped(path: Path, system: str, folder: Path) -> Path:
    """Returns a VRT of a map in another system."""
    target = folder / f"{path.stem}.vrt"
    with (
        rasterio.Env(GDAL_CACHEMAX=_CACHE_MB),
        open_raster(path, "map") as dataset,
        WarpedVRT(
            dataset, crs=system, resampling=Resampling.nearest, nodata=IGNORE_VALUE
        ) as moved,
        atomic_path(target) as temporary,
    ):
        rasterio.shutil.copy(moved, temporary, driver="VRT")
        # GDAL writes the path as it was opened; a region may be moved as a whole.
        tree = ElementTree.parse(temporary)
        for source in tree.iter("SourceDataset"):
            relative = os.path.relpath(path, target.parent)
            source.text = Path(relative).as_posix()
            source.set("relativeToVRT", "1")
        tree.write(temporary, encoding="utf-8")
    return target

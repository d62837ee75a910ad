"""What class maps say of their values: names, colours, which one is landslide."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError
from landslide_tf.palette import Colour, class_palette
from landslide_tf.raster.cog import Layer
from landslide_tf.raster.names import FilePath
from landslide_tf.raster.opening import open_raster

_OPAQUE = 255


@dataclass(frozen=True)
class Legend:
    """What the values of a class map mean.

    Attributes:
        classes: Class names in the order of the values; empty where they are not known.
        landslide: Value of the landslide class, if known.

    >>> from landslide_tf.raster.legend import Legend
    >>> legend = Legend(("background", "landslide"), 1)
    >>> legend.tags()
    {'LANDSLIDE_CLASS': '1', 'CLASSES': '["background", "landslide"]'}
    >>> legend.landslide_value("map.tif"), legend.mapped
    (1, 'landslide')
    """

    classes: tuple[str, ...]
    landslide: int | None

    @property
    def mapped(self) -> str:
        """What the landslide class is called; `landslide` where that is not known."""
        if self.landslide is None or self.landslide >= len(self.classes):
            return "landslide"
        return self.classes[self.landslide]

    def tags(self) -> dict[str, str]:
        """Returns the legend as tags of a raster."""
        return {
            "LANDSLIDE_CLASS": str(self.landslide),
            "CLASSES": json.dumps(self.classes),
        }

    def landslide_value(self, path: FilePath, wanted: int | None = None) -> int:
        """Returns the wanted landslide value, else the one that the map says.

        Args:
            path: The map, for messages.
            wanted: The value, if the user names it.

        Raises:
            DataError: If nobody says.
        """
        value = self.landslide if wanted is None else wanted
        if value is None:
            raise DataError(
                f"map `{path}` does not say which value is landslide: give it with "
                "`--landslide-class`."
            )
        return value


def read_legend(path: FilePath) -> Legend:
    """Reads what a class map says of its values.

    Args:
        path: The map.

    Returns:
        The legend.

    Raises:
        DataError: If the file cannot be read or is no class map.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> import rasterio
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.raster.legend import Legend, read_legend
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", rasterio.Affine(10, 0, 0, 0, -10, 0), 2, 2)
    >>> legend = Legend(("background", "landslide"), 1)
    >>> path = Path("/vsimem/legend.tif")  # a file in memory
    >>> layer = Layer("uint8", 255, ["class"], tags=legend.tags())
    >>> write_plain(path, grid, layer, [(0, np.ones((1, 2, 2), np.uint8))])
    >>> read_legend(path) == legend
    True
    """
    with open_raster(path, "map") as dataset:
        tags, count, kind = dataset.tags(), dataset.count, dataset.dtypes[0]
    if count != 1 or kind != "uint8":
        raise DataError(
            f"map `{path}` must have one band of classes (uint8), received {count} of "
            f"{kind}: name the class map."
        )
    landslide = tags.get("LANDSLIDE_CLASS", "")
    names = tuple(map(str, json.loads(tags.get("CLASSES", "[]"))))
    return Legend(names, int(landslide) if landslide.isdecimal() else None)


def named_colours(names: Sequence[str]) -> list[tuple[str, Colour]]:
    """Returns the names of classes with their usual colours.

    >>> from landslide_tf.raster.legend import named_colours
    >>> named_colours(["background", "landslide"])[1]
    ('landslide', (230, 0, 0))
    """
    found = class_palette(names).tolist()
    return [(name, (r, g, b)) for name, (r, g, b) in zip(names, found, strict=True)]


def class_layer(
    names: Sequence[str],
    *,
    band: str = "class",
    ignored: int = IGNORE_VALUE,
    tags: Mapping[str, str] | None = None,
) -> Layer:
    """Describes a raster of classes with their usual colours.

    Args:
        names: Class names in the order of the values.
        band: Name of the band.
        ignored: Value of pixels without a class.
        tags: Further facts.

    Returns:
        What `write_cog` and `write_plain` take.

    >>> from landslide_tf.raster.legend import class_layer
    >>> class_layer(["background", "landslide"]).colours[1]
    (230, 0, 0, 255)
    """
    colours = {
        value: (*colour, _OPAQUE)
        for value, (_, colour) in enumerate(named_colours(names))
    }
    return Layer(
        "uint8",
        ignored,
        [band],
        colours={**colours, ignored: (0, 0, 0, 0)},
        tags=tags or {},
        overviews="mode",
    )


def names_file(path: Path) -> Path:
    """Returns the file beside a raster that GDAL reads the names of its values from.

    >>> from pathlib import Path
    >>> from landslide_tf.raster.legend import names_file
    >>> names_file(Path("map.tif")).name
    'map.tif.aux.xml'
    """
    return path.with_name(f"{path.name}.aux.xml")


def category_names(names: Sequence[str]) -> str:
    """Returns what such a file holds: GDAL's names of categories, as XML.

    Args:
        names: Class names in the order of the values.

    >>> from landslide_tf.raster.legend import category_names
    >>> "<Category>landslide</Category>" in category_names(["background", "landslide"])
    True
    """
    root = ElementTree.Element("PAMDataset")
    band = ElementTree.SubElement(root, "PAMRasterBand", band="1")
    listed = ElementTree.SubElement(band, "CategoryNames")
    for name in names:
        ElementTree.SubElement(listed, "Category").text = name
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def in_plural(name: str) -> str:
    """Returns a class name for several of its kind, where it has a plural.

    >>> from landslide_tf.raster.legend import in_plural
    >>> in_plural("landslide"), in_plural("cleared")
    ('landslides', 'cleared')
    """
    return "landslides" if name == "landslide" else name

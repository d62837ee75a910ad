"""Styles of QGIS for the class maps and polygons of a map.

A raster `map.tif` and polygons `map.gpkg` have one file, `map.qml`: QGIS takes from it
the part that is for the kind of layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from landslide_tf.files import write_text
from landslide_tf.palette import Colour
from landslide_tf.raster.legend import category_names, named_colours, names_file

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_FILL = 70  # of 255, the opacity inside of outlines


def style_file(path: Path) -> Path:
    """Returns the file beside a layer's that QGIS reads its style from.

    >>> from pathlib import Path
    >>> from landslide_tf.mapping.styles import style_file
    >>> style_file(Path("map.gpkg")).name
    'map.qml'
    """
    return path.with_suffix(".qml")


def qgis_style(
    classes: Sequence[tuple[str, Colour]] = (), polygons: Colour | None = None
) -> str:
    """Returns a style (`.qml`) of class maps, of polygons, or of both.

    Args:
        classes: Name and colour of each value of the map, from 0.
        polygons: Colour of outlines, and of a light fill.

    Returns:
        The file's text.

    >>> from landslide_tf.mapping.styles import qgis_style
    >>> 'label="landslide"' in qgis_style([("landslide", (230, 0, 0))])
    True
    """
    root = ElementTree.Element("qgis", version="3.22", styleCategories="Symbology")
    if classes:
        _add_classes(root, classes)
    if polygons is not None:
        _add_polygons(root, polygons)
    ElementTree.indent(root, "")
    return _DOCTYPE + ElementTree.tostring(root, encoding="unicode") + "\n"


def write_legend(path: Path, names: Sequence[str]) -> None:
    """Writes the names and colours of a class map beside it, for GDAL and for QGIS.

    Args:
        path: The map.
        names: Class names in the order of the values.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.mapping.styles import write_legend
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_legend(Path(folder, "map.tif"), ["background", "landslide"])
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['map.qml', 'map.tif.aux.xml']
    """
    write_text(names_file(path), category_names(names))
    write_text(style_file(path), qgis_style(named_colours(names)))


def write_polygon_style(path: Path, colour: Colour) -> None:
    """Writes the style of polygons beside them.

    Args:
        path: The polygons.
        colour: Of their outlines, and of a light fill.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from landslide_tf.mapping.styles import style_file, write_polygon_style
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "landslides.gpkg")
    ...     write_polygon_style(path, (230, 0, 0))
    ...     "230,0,0,255" in style_file(path).read_text()
    True
    """
    write_text(style_file(path), qgis_style(polygons=colour))


def is_style(path: Path) -> bool:
    """Returns whether a file is a style as `qgis_style` makes them, unchanged."""
    text = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    classes = [
        (entry.get("label", ""), _colour(entry.get("color", "")))
        for entry in root.iter("paletteEntry")
    ]
    fill = root.find(".//Option[@name='color']")
    polygons: Colour | None = None
    if fill is not None:
        red, green, blue = map(int, fill.get("value", "").split(",")[:3])
        polygons = red, green, blue
    return qgis_style(classes, polygons) == text


def _colour(text: str) -> Colour:
    """Returns the colour of `#e60000`."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def _add_classes(
    root: ElementTree.Element, classes: Sequence[tuple[str, Colour]]
) -> None:
    pipe = ElementTree.SubElement(root, "pipe")
    renderer = ElementTree.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1"
    )
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for value, (name, colour) in enumerate(classes):
        ElementTree.SubElement(
            palette, "paletteEntry", value=str(value), label=name, alpha="255",
            color=f"#{bytes(colour).hex()}",
        )  # fmt: skip


def _add_polygons(root: ElementTree.Element, colour: Colour) -> None:
    red, green, blue = colour
    options = {
        "color": f"{red},{green},{blue},{_FILL}",
        "outline_color": f"{red},{green},{blue},255",
        "outline_style": "solid",
        "outline_width": "0.4",
        "outline_width_unit": "MM",
        "style": "solid",
    }
    renderer = ElementTree.SubElement(
        root, "renderer-v2", type="singleSymbol", symbollevels="0", forceraster="0"
    )
    symbols = ElementTree.SubElement(renderer, "symbols")
    symbol = ElementTree.SubElement(
        symbols, "symbol", type="fill", name="0", alpha="1", clip_to_extent="1"
    )
    layer = {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"}
    fill = ElementTree.SubElement(symbol, "layer", layer)
    table = ElementTree.SubElement(fill, "Option", type="Map")
    for name, value in options.items():
        ElementTree.SubElement(table, "Option", name=name, type="QString", value=value)
    ElementTree.SubElement(root, "layerGeometryType").text = "2"

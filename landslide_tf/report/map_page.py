"""A page to look at a map: layers, two dates side by side, a table of objects."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

from landslide_tf.errors import DataError
from landslide_tf.files import atomic_path
from landslide_tf.palette import Colour
from landslide_tf.report.map_layers import (
    PROBABILITY_MAP,
    Overview,
    class_layer,
    hillshade_layer,
    image_layer,
    probability_layer,
)
from landslide_tf.report.map_objects import MapObjects, read_objects
from landslide_tf.report.style import STYLE
from landslide_tf.report.tables import Cell, format_cell
from landslide_tf.terrain import Z_UNITS

MAX_SIDE = 1200
_LAYERS = {  # in drawing order: label, shown at first, opacity in percent
    "image": ("Image", True, 100),
    "hillshade": ("Hillshade", False, 60),
    "classes": ("Classes", False, 70),
    "probability": ("Probability of landslide", False, 70),
    "polygons": ("Polygons", True, 100),
}


@dataclass(frozen=True, kw_only=True)
class MapDate:
    """What a page shows of one date.

    Attributes:
        name: What the reader calls it: a date, or the file's name.
        map: Class map, as `scene.map_scene` writes it.
        image: File and band number of red, green and blue, or of one grey band; empty
            for no image.
        probabilities: Probabilities, as `scene.map_scene` writes them.
        shift: Rows and columns by which these files lie below and to the right of the
            first map; they are shown moved back.
    """

    name: str
    map: str | Path
    image: Sequence[tuple[str, int]] = ()
    probabilities: str | Path | None = None
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class _Layers:
    """Data URIs by kind of layer, and the classes that occur."""

    name: str
    pictures: dict[str, str]
    legend: list[tuple[str, Colour]]


def write_map_page(
    path: str | Path,
    title: str,
    dates: Sequence[MapDate],
    *,
    dem: str | Path | None = None,
    dem_unit: str = "metre",
    polygons: str | Path | None = None,
    facts: Mapping[str, Cell] | None = None,
    max_side: int = MAX_SIDE,
) -> Path:
    """Writes one HTML file that shows a map, opens from disk and needs no network.

    Image, hillshade, classes, probability and polygons are layers to switch; with two
    dates a slider swipes between them; the table of polygons sorts, and zooms to the
    one that is chosen. All of it works from the keyboard. Rasters are shown as
    overviews, so that the page stays small whatever the scene's size.

    Args:
        path: The file to write.
        title: Title and heading.
        dates: One date, or two, the earlier first; shown on the grid of the first map.
        dem: Elevations of any grid, for the hillshade.
        dem_unit: Their unit, of `terrain.Z_UNITS`.
        polygons: Vector file of the (new) landslides.
        facts: What else to say of the map, by name.
        max_side: Most rows and columns of an overview.

    Returns:
        The path.

    Raises:
        DataError: If there are no or more than two dates, or a file cannot be read.
    """
    if not 1 <= len(dates) <= 2:
        raise DataError(
            f"A map page must show one date or two, received {len(dates)}: choose two."
        )
    overview = Overview.of(dates[0].map, max_side)
    shade = None
    if dem is not None:
        shade = hillshade_layer(overview, dem, Z_UNITS[dem_unit])
    shown = [_layers_of(date, overview, shade) for date in dates]
    objects = None if polygons is None else read_objects(polygons, overview.grid)
    height, width = overview.grid.shape
    script = _asset("map_page.js")
    style = STYLE + _asset("map_page.css")
    body = [
        f"<h1>{html.escape(title)}</h1>",
        _facts(facts or {}),
        '<div class="map">',
        _view(shown, objects, (width, height)),
        _panel(shown, objects),
        "</div>",
        _table(objects),
    ]
    document = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        # Nothing but this page's own script runs, and nothing is fetched.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"img-src data:; script-src '{_digest(script)}'; style-src '{_digest(style)}'"
        '">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(title)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n<main>\n{chr(10).join(part for part in body if part)}\n</main>\n"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )
    path = Path(path)
    with atomic_path(path) as temporary:
        temporary.write_text(document, encoding="utf-8")
    return path


def _layers_of(date: MapDate, overview: Overview, shade: str | None) -> _Layers:
    pictures = {}
    if any(date.shift):
        overview = overview.moved(*date.shift)
    if date.image:
        pictures["image"] = image_layer(overview, date.image)
    if shade is not None:
        pictures["hillshade"] = shade
    pictures["classes"], legend = class_layer(overview, date.map)
    if date.probabilities is not None:
        pictures["probability"] = probability_layer(overview, date.probabilities)
    return _Layers(date.name, pictures, legend)


def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """The hash by which a page's policy allows a script or style of its own."""
    found = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(found).decode()}"


def _facts(facts: Mapping[str, Cell]) -> str:
    items = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(format_cell(value))}</dd>"
        "</div>"
        for name, value in facts.items()
    )
    return f'<dl class="facts">{items}</dl>' if items else ""


def _view(
    dates: Sequence[_Layers], objects: MapObjects | None, size: tuple[int, int]
) -> str:
    """The frame with the layers of each date, the polygons above all."""
    width, height = size
    panes = []
    for number, date in enumerate(dates):
        images = "".join(
            f'<img class="layer" data-kind="{kind}" src="{date.pictures[kind]}" '
            f'width="{width}" height="{height}" draggable="false" '
            f'alt="{html.escape(label)}, {html.escape(date.name)}"'
            f"{'' if _first(kind, date) else ' hidden'}>"
            for kind, (label, _, _) in _LAYERS.items()
            if kind in date.pictures
        )
        panes.append(
            f'<div class="pane" id="pane-{number}"><div class="stage">{images}</div>'
            "</div>"
        )
    outlines = "".join(
        f'<path data-object="{number}" d="{shape.outline}"/>'
        for number, shape in enumerate(objects.objects if objects else ())
    )
    panes.append(
        '<div class="pane outlines"><div class="stage">'
        f'<svg class="layer" data-kind="polygons" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" aria-hidden="true">{outlines}</svg>'
        "</div></div>"
    )
    swipe = ""
    if len(dates) == 2:
        before, after = (html.escape(date.name) for date in dates)
        swipe = (
            '<div id="divider"></div>'
            f'<span class="date before">{before}</span>'
            f'<span class="date after">{after}</span>'
            f'<input id="swipe" type="range" min="0" max="100" value="50" '
            f'aria-label="Swipe: left {before}, right {after}">'
        )
    return (
        f'<div class="frame"><div id="view" tabindex="0" role="group" '
        f'data-width="{width}" data-height="{height}" aria-describedby="keys" '
        f'aria-label="Map">{"".join(panes)}</div>{swipe}'
        '<div class="zoom"><button id="in" type="button" aria-label="Zoom in">+'
        '</button><button id="out" type="button" aria-label="Zoom out">\u2212</button>'
        '<button id="fit" type="button">Fit</button></div></div>'
    )


def _first(kind: str, date: _Layers) -> bool:
    """Whether a layer is shown at first; without an image the classes are."""
    return _LAYERS[kind][1] or (kind == "classes" and "image" not in date.pictures)


def _panel(dates: Sequence[_Layers], objects: MapObjects | None) -> str:
    rows = []
    for kind, (label, _, opacity) in _LAYERS.items():
        having = [date for date in dates if kind in date.pictures]
        if not having and not (kind == "polygons" and objects):
            continue
        on = kind == "polygons" or any(_first(kind, date) for date in having)
        rows.append(
            f'<div class="control"><label><input type="checkbox" data-kind="{kind}"'
            f"{' checked' if on else ''}> {label}</label>"
            f'<input type="range" min="0" max="100" value="{opacity}" '
            f'data-kind="{kind}" aria-label="Opacity of {label.lower()}"></div>'
        )
    classes = dict(entry for date in dates for entry in date.legend)
    legend = "".join(
        f'<li><svg width="14" height="14" aria-hidden="true"><rect width="14" '
        f'height="14" fill="rgb{colour}"/></svg> {html.escape(name)}</li>'
        for name, colour in classes.items()
    )
    ramp = _ramp() if any("probability" in d.pictures for d in dates) else ""
    return (
        f"<aside><fieldset><legend>Layers</legend>{''.join(rows)}</fieldset>"
        f'<ul class="legend">{legend}</ul>{ramp}'
        '<p id="keys">Drag or arrow keys move, wheel or <kbd>+</kbd> <kbd>\u2212</kbd> '
        "zoom, <kbd>0</kbd> shows all. A row of the table zooms to its polygon.</p>"
        '<p id="status" role="status"></p></aside>'
    )


def _ramp() -> str:
    colours = matplotlib.colormaps[PROBABILITY_MAP](range(0, 256, 17), bytes=True)
    cells = "".join(
        f'<rect x="{k}" width="1.1" height="1" fill="rgb({r},{g},{b})"/>'
        for k, (r, g, b, _) in enumerate(colours)
    )
    return (
        '<div class="ramp">0 <svg viewBox="0 0 16 1" preserveAspectRatio="none" '
        f'width="120" height="12" role="img" aria-label="Probability 0 to 1">{cells}'
        "</svg> 1</div>"
    )


def _table(objects: MapObjects | None) -> str:
    if objects is None:
        return ""
    if not objects.objects:
        return "<h2>Polygons</h2><p>None was found.</p>"
    heads = "".join(
        f'<th scope="col" class="number"><button type="button" data-column="{k}">'
        f"{html.escape(label)}</button></th>"
        for k, (label, _) in enumerate(objects.columns)
    )
    lines = []
    for number, shape in enumerate(objects.objects):
        box = html.escape(json.dumps(shape.box))
        name = html.escape(shape.id)
        cells = "".join(
            _cell(value, digits)
            for value, (_, digits) in zip(
                shape.values, objects.columns[1:], strict=True
            )
        )
        lines.append(
            f'<tr data-object="{number}" data-box="{box}"><th scope="row" '
            f'class="number" data-value="{name}"><button type="button" '
            f'aria-label="Zoom to object {name}">{name}</button></th>{cells}</tr>'
        )
    less = ""
    if objects.total > len(objects.objects):
        less = f" The {len(objects.objects)} largest of {objects.total} are shown."
    return (
        f"<h2>Polygons</h2><p>{format_cell(objects.total)} in all, the largest first; "
        f"a heading sorts.{less}</p>"
        '<div class="scroll" role="region" tabindex="0" aria-label="Table of polygons">'
        f'<table id="objects"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{chr(10).join(lines)}</tbody></table></div>"
    )


def _cell(value: str | float, digits: int) -> str:
    if isinstance(value, str):
        text = html.escape(value)
        return f'<td data-value="{text}">{text}</td>'
    whole = digits == 0 and math.isfinite(value)
    shown = format_cell(round(value) if whole else value, digits)
    return f'<td class="number" data-value="{value!r}">{html.escape(shown)}</td>'

"""A page to look at a map: layers, two dates side by side, a table of objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from landslide_tf.errors import DataError
from landslide_tf.palette import Colour
from landslide_tf.raster.dem import DemFiles, open_dem
from landslide_tf.raster.grid import stored_grid
from landslide_tf.raster.ground import check_sentinels
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.validity import alpha_bands
from landslide_tf.report.map.about import About, area_text
from landslide_tf.report.map.layers import (
    Overview,
    class_layer,
    hillshade_layer,
    image_layer,
)
from landslide_tf.report.map.objects import MapObjects, read_objects
from landslide_tf.report.map.probability import (
    BINS,
    Histogram,
    colour_ramp,
    probability_layer,
)
from landslide_tf.report.tables import Cell, write_texts
from landslide_tf.report.templates import asset, render

MAX_SIDE = 1200
_STYLES = ("page.css", "map/page.css")
_SCRIPTS = ("view", "place", "controls", "objects", "threshold", "link")


@dataclass(frozen=True, kw_only=True)
class MapDate:
    """Data of one date on a page.

    Attributes:
        name: What the reader calls it: a date, or the file's name.
        map: Class map, as `mapping.map_scene` writes it.
        image: File and band number of red, green and blue, or of one grey band; empty
            for no image.
        nodata: Number that stands for no data in the image; None = as its files tag.
        probabilities: Probabilities, as `mapping.map_scene` writes them.
        shift: Rows and columns by which these files lie below and to the right of the
            first map; they are shown moved back.
    """

    name: str
    map: str | Path
    image: Sequence[tuple[str, int]] = ()
    nodata: float | None = None
    probabilities: str | Path | None = None
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class _Layers:
    """Data URIs by kind of layer, and the classes that occur."""

    name: str
    pictures: dict[str, str]
    legend: list[tuple[str, Colour]]
    histogram: Histogram | None


@dataclass(frozen=True)
class _Layer:
    """A kind of layer that can be switched."""

    kind: str
    label: str
    shown: bool
    opacity: int  # percent
    remark: str = ""

    def shown_of(self, *dates: _Layers) -> bool:
        """Whether it is shown at first; where there is no image the classes are."""
        bare = any("image" not in date.pictures for date in dates)
        return self.shown or (self.kind == "classes" and bare)


_STRETCHED = "Each band is stretched from its 1st to its 99th percentile."
_LIGHT = "Light from the north-west, 45° above the horizon."
_LAYERS = (  # in drawing order
    _Layer("image", "Image", True, 100, _STRETCHED),
    _Layer("hillshade", "Hillshade", False, 60, _LIGHT),
    _Layer("classes", "Classes", False, 70),
    _Layer("probability", "Probability", False, 70),
    _Layer("polygons", "Polygons", True, 100),
)


def check_map_page(
    path: str | Path,
    images: Sequence[str | Path] = (),
    *,
    dem: DemFiles | None = None,
    nodata: float | None = None,
) -> None:
    """Checks, before anything expensive, that a page can show the files with a map.

    Args:
        path: The (first) map.
        images: Images of any grid.
        dem: Elevations of any grid.
        nodata: Number that stands for no data in the images; None = as they tag.

    Raises:
        DataError: If one cannot be read, has no place, one that does not convert into
            the map's or other ground, if elevations have no known unit, or cells
            without a value look like values.
    """
    overview = Overview.of(path, MAX_SIDE)
    for image in images:
        with open_raster(image, "image") as dataset:
            overview.check(stored_grid(dataset), f"image `{image}`")
            bands = {*range(1, dataset.count + 1)} - {*alpha_bands(dataset)}
        for band in sorted(bands):
            check_sentinels(
                image, "image", band, nodata=nodata, replaces=True, option="--nodata"
            )
    if dem is not None:
        opened = open_dem(dem)
        opened.dataset.close()
        overview.check(opened.grid, str(dem))
        for path in dem.paths:
            check_sentinels(path, "DEM", nodata=dem.nodata, option="--dem-nodata")


def write_map_page(
    path: str | Path,
    title: str,
    dates: Sequence[MapDate],
    *,
    dem: DemFiles | None = None,
    polygons: str | Path | None = None,
    facts: Mapping[str, Cell] | None = None,
    area: float | None = None,
    max_side: int = MAX_SIDE,
) -> Path:
    """Writes one HTML file that shows a map, opens from disk and needs no network.

    Image, hillshade, classes, probability and polygons are layers to switch; with two
    dates a slider swipes between them; the table of polygons sorts, and zooms to the
    one that is chosen. A threshold of the probability, moved below its histogram, says
    which polygons would be left. Scale bar, north arrow and the coordinates below the
    pointer go with the zoom; the address of the page holds the view. All of it works
    from the keyboard. Rasters are shown as overviews, so that the page stays small
    whatever the scene's size.

    Args:
        path: The file to write.
        title: Title and heading.
        dates: One date, or two, the earlier first; shown on the grid of the first map.
        dem: Elevations of any grid, for the hillshade.
        polygons: Vector file of the (new) landslides.
        facts: What to say of the map besides what it says itself, by name.
        area: Area of the (new) landslides, m²; None or NaN = not known.
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
        shade = hillshade_layer(overview, dem)
    about = About.of([date.map for date in dates], overview)
    new = "new " * (len(dates) == 2)
    told: dict[str, Cell] = {**(facts or {}), **about.facts}
    if (covered := area_text(area)) is not None:
        told[f"Area of {new}{about.landslide}"] = covered
    shown = [_layers_of(date, overview, shade) for date in dates]
    objects = MapObjects((), (), 0)
    if polygons is not None:
        objects = read_objects(polygons, overview.grid)
    height, width = overview.grid.shape
    kinds = {kind for date in shown for kind in date.pictures}
    chances = Histogram.of([o.mean for o in objects.objects if o.mean is not None])
    found = [date.histogram for date in shown if date.histogram is not None]
    document = render(
        "map/page.html.jinja",
        title=title,
        style=Markup("").join(map(asset, _STYLES)),
        script=script(),
        facts=told,
        about=about,
        width=width,
        height=height,
        layers=_LAYERS,
        panel=[layer for layer in _LAYERS if layer.kind in kinds]
        + [_LAYERS[-1]] * (polygons is not None),
        dates=shown,
        legend=dict(entry for date in shown for entry in date.legend),
        ramp=colour_ramp() if "probability" in kinds else [],
        shrinks=overview.shrinks,
        bins=BINS,
        cells=found[-1] if found else None,
        chances=chances if any(chances.counts) else None,
        polygons=polygons is not None,
        objects=objects,
    )
    path = Path(path)
    return write_texts(path.parent, page=(path.name, document))["page"]


def script() -> Markup:
    """Returns the script of a map's page: its parts in one function."""
    parts = Markup("\n").join(asset(f"map/{name}.js") for name in _SCRIPTS)
    return Markup('"use strict";\n(() => {\n') + parts + Markup("})();\n")


def _layers_of(date: MapDate, overview: Overview, shade: str | None) -> _Layers:
    pictures: dict[str, str] = {}
    histogram: Histogram | None = None
    if any(date.shift):
        overview = overview.moved(*date.shift)
    if date.image:
        pictures["image"] = image_layer(overview, date.image, date.nodata)
    if shade is not None:
        pictures["hillshade"] = shade
    pictures["classes"], legend = class_layer(overview, date.map)
    if date.probabilities is not None:
        pictures["probability"], histogram = probability_layer(
            overview, date.probabilities
        )
    return _Layers(date.name, pictures, legend, histogram)

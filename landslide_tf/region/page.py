"""The page of a region: a map of all scenes, what is in each, what failed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure as Drawing
from matplotlib.path import Path as Outline

from landslide_tf.raster.legend import in_plural, read_legend
from landslide_tf.region.join import Joined
from landslide_tf.region.results import (
    COLLECTION,
    LANDSLIDES,
    MOSAIC,
    Item,
    collection_id,
    map_of,
)
from landslide_tf.report import Figure, KeyNumbers, Link, Section, Table, write_page
from landslide_tf.report.tables import Row

PAGE = "index.html"
_WIDTH, _DPI = 9.0, 110  # inches and dots of the map
_NAMED = 60  # scenes of which the map tells the names
_LISTED = 2000


def write_region_page(
    out: Path,
    items: Sequence[Item],
    failed: Sequence[tuple[str, str]],
    joined: Joined | None,
) -> Path:
    """Writes the page of a region.

    Args:
        out: Folder of the results.
        items: The scenes that were mapped.
        failed: The others, each with its line.
        joined: The landslides of all scenes, if there is any scene.

    Returns:
        The page.
    """
    valid = sum(item.summary["valid"] for item in items)
    found = sum(item.summary["landslide"] for item in items)
    name = read_legend(map_of(out, items[0].id)).mapped if items else "landslide"
    several = in_plural(name)
    numbers = KeyNumbers(
        numbers=[
            ("Scenes", len(items), f"{len(failed)} failed" if failed else ""),
            ("Pixels with data", valid, "of all scenes"),
            (name.capitalize(), f"{found / max(1, valid):.2%}", "of these pixels"),
            *_of_landslides(several, joined),
        ]
    )
    rows: list[Row] = [
        (
            item.id, item.date or None, item.summary["pixels"], item.summary["valid"],
            item.summary["landslide"], _km2(item.summary["area_m2"]),
            item.summary["polygons"],
        )
        for item in items[:_LISTED]
    ]  # fmt: skip
    header = (
        "scene", "date", "pixels", "with data", name, f"{name} km²", "polygons"
    )  # fmt: skip
    more = "" if len(items) <= _LISTED else f" The first {_LISTED} of them."
    tables: list[Any] = [
        Table(caption=f"What was mapped.{more}", header=header, rows=rows)
    ]
    if failed:
        tables.append(
            Table(caption="What failed.", header=("scene", "why"), rows=list(failed))
        )
    with tempfile.TemporaryDirectory() as folder:
        pictures = []
        if any(item.content["geometry"] for item in items):
            picture = Path(folder, "scenes.png")
            _draw(items, picture, name)
            pictures.append(
                Figure(
                    path=picture,
                    alt=f"Outlines of the scenes, by their share of {name}",
                    caption="The mapped ground of each scene, in degrees.",
                )
            )
        links = [
            Link(f"{several.capitalize()} of all scenes", out / LANDSLIDES),
            Link("Classes of all scenes", out / MOSAIC),
            Link("The catalogue of the results", out / COLLECTION),
            *(Link(f"Classes of {i.id}", map_of(out, i.id)) for i in items[:_NAMED]),
        ]
        sections = [
            Section("", [numbers, *pictures]),
            Section("Scenes", tables),
            Section("Files", links if items else []),
        ]
        return write_page(out / PAGE, f"Region “{collection_id(out)}”", sections)


def _of_landslides(several: str, joined: Joined | None) -> list[tuple[str, Any, str]]:
    if joined is None:
        return []
    crossing = f"{joined.crossing} in several scenes" if joined.crossing else ""
    area = f"{joined.area / 1e6:.3f} km², overlaps once"
    return [(several.capitalize(), joined.landslides, crossing or area)]


def _km2(area: float | None) -> float | None:
    return None if area is None else area / 1e6


def _draw(items: Sequence[Item], path: Path, name: str) -> None:
    """Draws the outlines of scenes, the darker the more of a class is in them."""
    shapes = [
        (item, shapely.geometry.shape(item.content["geometry"]))
        for item in items
        if item.content["geometry"]
    ]
    west, south, east, north = shapely.total_bounds([shape for _, shape in shapes])
    stretch = 1 / max(0.05, np.cos(np.radians((south + north) / 2)))
    tall = (north - south) * stretch / max(east - west, 1e-9)
    drawing = Drawing(figsize=(_WIDTH, _WIDTH * min(1.2, max(0.3, tall))), dpi=_DPI)
    FigureCanvasAgg(drawing)
    axes = drawing.add_subplot()
    shares = [
        item.summary["landslide"] / max(1, item.summary["valid"]) for item, _ in shapes
    ]
    paths = [_path(shape) for _, shape in shapes]
    drawn = PathCollection(
        paths, cmap=matplotlib.colormaps["OrRd"], edgecolors="#333333", linewidths=0.8,
        alpha=0.8,
    )  # fmt: skip
    drawn.set_array(np.array(shares) * 100)
    axes.add_collection(drawn)
    for item, shape in shapes if len(shapes) <= _NAMED else ():
        point = shape.representative_point()
        axes.annotate(item.id, (point.x, point.y), ha="center", va="center", fontsize=7)
    side = max(east - west, (north - south) * stretch) * 0.03
    axes.set_xlim(west - side, east + side)
    axes.set_ylim(south - side / stretch, north + side / stretch)
    axes.set_aspect(stretch)
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.set_xlabel("longitude")
    axes.set_ylabel("latitude")
    drawing.colorbar(drawn, ax=axes, label=f"{name}, % of the pixels", shrink=0.7)
    drawing.savefig(path, bbox_inches="tight")


def _path(shape: Any) -> Outline:  # noqa: ANN401 - a shapely geometry
    rings = [
        shapely.get_coordinates(ring)
        for part in shapely.get_parts(shape)
        for ring in shapely.get_rings(part)
    ]
    return Outline.make_compound_path(*(Outline(ring, closed=True) for ring in rings))

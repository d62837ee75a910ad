"""What a map says of itself: its system, cells and threshold, and what it shows.

Apart from `page`, its only caller: the reading, apart from the page's layout.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from landslide_tf.errors import DataError
from landslide_tf.raster.grid import mean_cell
from landslide_tf.raster.legend import read_legend
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.systems import system_of
from landslide_tf.report.map.layers import Overview
from landslide_tf.terrain import Grid

_KM2 = 1e5  # m² from which areas are said in km²


@dataclass(frozen=True)
class About:
    """What readers of a map's page are told of it.

    Attributes:
        landslide: What its landslide class is called.
        facts: Coordinate system, cells and threshold by name.
        system: What coordinates are of, for short.
        transform: Six numbers from column and row of the overview to coordinates.
        digits: Digits after the point of coordinates.
        metres: Side of a cell of the overview on the ground; None where not known.
    """

    landslide: str
    facts: dict[str, str]
    system: str
    transform: tuple[float, ...]
    digits: int
    metres: float | None

    @classmethod
    def of(cls, paths: Sequence[str | Path], overview: Overview) -> About:
        """Reads what maps say that are shown on one overview, the first one's."""
        legend = read_legend(paths[0])
        known = legend.landslide is not None and legend.landslide < len(legend.classes)
        name = legend.classes[legend.landslide or 0] if known else "landslide"
        thresholds = dict.fromkeys(_threshold(path) for path in paths)
        grid, crs = overview.grid, overview.grid.crs
        facts = {"Coordinate system": "none", "Cells": _cells(overview.stored)}
        system, digits = "x, y of a map without a system", 0
        if crs is not None:
            code = crs.to_epsg()
            full = system_of(grid).name
            system = full if code is None else f"EPSG:{code}"
            facts["Coordinate system"] = full if code is None else f"{full} ({system})"
            digits = 5 if crs.is_geographic else 0
        if listed := ", ".join(filter(None, thresholds)):
            facts["Threshold"] = listed
        transform = tuple(map(float, grid.transform[:6]))
        return cls(name, facts, system, transform, digits, _metres(grid))


def area_text(area: float | None) -> str | None:
    """Returns an area in m² as a reader takes it, None where it is not known."""
    if area is None or not math.isfinite(area):
        return None
    return f"{area / 1e6:.3f} km²" if area >= _KM2 else f"{area:.0f} m²"


def _threshold(path: str | Path) -> str:
    """Returns the probability from which a map says landslide, empty if not known."""
    with open_raster(path, "map") as dataset:
        found = dataset.tags().get("THRESHOLD", "")
    if found == "None":
        return "the most probable class"
    with contextlib.suppress(ValueError):
        return f"{float(found):.4g}"
    return ""


def _cells(grid: Grid) -> str:
    """Returns number and size of a map's cells."""
    t = grid.transform
    sides = [math.hypot(t.a, t.d), math.hypot(t.b, t.e)]
    text = f"{grid.height} rows, {grid.width} columns"
    if grid.crs is None:
        return text
    unit = "°" if grid.crs.is_geographic else f" {grid.crs.linear_units}"
    text += f"; {sides[1]:.6g} by {sides[0]:.6g}{unit}"
    metres = _metres(grid)
    same = metres is not None and math.isclose(metres, math.sqrt(math.prod(sides)))
    return text if same or metres is None else f"{text}, {metres:.3g} m on the ground"


def _metres(grid: Grid) -> float | None:
    """Returns the side of a cell on the ground, None where it cannot be said."""
    with contextlib.suppress(DataError):
        return mean_cell(grid)
    return None

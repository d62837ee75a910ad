"""What a map says of itself: its system, cells and threshold, and what it shows.

Apart from `page`, its only caller: the reading, apart from the page's layout.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from landslide_tf.errors import DataError
from landslide_tf.raster.grid import mean_cell
from landslide_tf.raster.legend import read_legend
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.systems import system_of
from landslide_tf.report.map.degrees import Degrees, degrees_of
from landslide_tf.report.map.layers import Overview
from landslide_tf.terrain import Grid, cell_size
from landslide_tf.words import counted

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
        metres: East–west side of a cell of the overview on the ground, in its middle;
            None where not known.
        has_north: Whether the coordinates say where north is.
        degrees: Its longitudes and latitudes on Earth, if it has any.
        threshold: Probability from which the (last) map says landslide; None where it
            is the most probable class or not known.
    """

    landslide: str
    facts: dict[str, str]
    system: str
    transform: tuple[float, ...]
    digits: int
    metres: float | None
    has_north: bool = True
    degrees: Degrees | None = None
    threshold: float | None = None

    @classmethod
    def of(cls, paths: Sequence[str | Path], overview: Overview) -> About:
        """Reads what maps say that are shown on one overview, the first one's."""
        legend = read_legend(paths[0])
        thresholds = [_threshold(path) for path in paths]
        grid, crs = overview.grid, overview.grid.crs
        facts = {"Coordinate system": "none", "Cells": _cells(overview.stored)}
        system, degrees = "x, y of a map without a system", degrees_of(grid)
        if crs is not None:
            code = crs.to_epsg()
            full = system_of(grid).name
            system = full if code is None else f"EPSG:{code}"
            facts["Coordinate system"] = full if code is None else f"{full} ({system})"
        if degrees is not None:
            facts["Degrees"] = _source(degrees)
        if listed := ", ".join(dict.fromkeys(filter(None, thresholds))):
            facts["Threshold"] = listed
        transform = tuple(map(float, grid.transform[:6]))
        return cls(
            legend.mapped, facts, system, transform, _digits(grid), _across(grid),
            crs is not None and not system_of(grid).is_engineering, degrees,
            _number(thresholds[-1]),
        )  # fmt: skip


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


def _number(text: str) -> float | None:
    """Returns the number that a text is, None where it is none."""
    with contextlib.suppress(ValueError):
        return float(text)
    return None


def _cells(grid: Grid) -> str:
    """Returns number and size of a map's cells."""
    t = grid.transform
    sides = [math.hypot(t.a, t.d), math.hypot(t.b, t.e)]
    text = f"{counted(grid.height, 'row')}, {counted(grid.width, 'column')}"
    if grid.crs is None:
        return text
    unit = "°" if grid.crs.is_geographic else f" {grid.crs.linear_units}"
    text += f"; {sides[1]:.6g} by {sides[0]:.6g}{unit}"
    metres = _metres(grid)
    same = metres is not None and math.isclose(metres, math.sqrt(math.prod(sides)))
    return text if same or metres is None else f"{text}, {metres:.3g} m on the ground"


def _source(degrees: Degrees) -> str:
    """Returns where the degrees of a page come from, and how exact they are."""
    if degrees.nodes is None:
        return "WGS 84, the map's own coordinates"
    return f"WGS 84, interpolated; at most {max(degrees.error, 1e-3):.1g} m off"


def _digits(grid: Grid) -> int:
    """Returns the digits after the point that tell thirds of cells apart."""
    t = grid.transform
    step = min(math.hypot(t.a, t.d), math.hypot(t.b, t.e))
    return max(0, math.ceil(math.log10(3 / step)))


def _across(grid: Grid) -> float | None:
    """Returns the east–west side of a cell in the middle, None where not known."""
    with contextlib.suppress(DataError):
        east, _ = cell_size(grid)
        return float(np.broadcast_to(east, grid.height)[grid.height // 2])
    return None


def _metres(grid: Grid) -> float | None:
    """Returns the mean side of a cell on the ground, None where not known."""
    with contextlib.suppress(DataError):
        return mean_cell(grid)
    return None

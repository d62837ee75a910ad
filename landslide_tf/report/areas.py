"""A map of study areas for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import shapely

_COLUMNS, _ROWS = 70, 20
_MARGIN = 0.05  # of the span, at least a degree
_SEVERAL = "+"


def area_map(areas: Sequence[Mapping[str, str]]) -> list[str]:
    """Draws a map of study areas as text, one letter per area, with a legend.

    Args:
        areas: At least one: `name`, and `outline` as WKT in degrees of longitude and
            latitude.

    Returns:
        Lines: the frame with its edges' degrees, `+` where several areas share a
        place, then an area a line with centre, span and extent.

    >>> from landslide_tf.report import area_map
    >>> box = "POLYGON ((119 -2, 121 -2, 121 0, 119 0, 119 -2))"
    >>> area_map([{"name": "Palu", "outline": box}])[-1]
    'a  Palu: 1.00°S 120.00°E, 2.00° x 2.00° (about 222 km x 222 km)'
    """
    outlines = [shapely.from_wkt(area["outline"]) for area in areas]
    west, south, east, north = shapely.total_bounds(outlines)
    across, down = (max(1.0, _MARGIN * span) for span in (east - west, north - south))
    west, east = max(-180.0, west - across), min(180.0, east + across)
    south, north = max(-90.0, south - down), min(90.0, north + down)
    marks = np.full((_ROWS, _COLUMNS), " ")
    legend = []
    for number, (area, outline) in enumerate(zip(areas, outlines, strict=True)):
        mark = chr(ord("a") + number) if number < 26 else "*"
        x, y = outline.representative_point().coords[0]
        row = min(int((north - y) / (north - south) * _ROWS), _ROWS - 1)
        column = min(int((x - west) / (east - west) * _COLUMNS), _COLUMNS - 1)
        marks[row, column] = mark if marks[row, column] == " " else _SEVERAL
        left, bottom, right, top = outline.bounds
        middle = (top + bottom) / 2
        degree = 111.195  # kilometres of a degree on a sphere of 6371 km
        sides = (
            (right - left) * degree * math.cos(math.radians(middle)),
            (top - bottom) * degree,
        )
        legend.append(
            f"{mark}  {area['name']}: {_degrees(middle, 'NS')} "
            f"{_degrees((left + right) / 2, 'EW')}, {right - left:.2f}° x "
            f"{top - bottom:.2f}° (about {sides[0]:.3g} km x {sides[1]:.3g} km)"
        )
    edge = "+" + "-" * _COLUMNS + "+"
    ends = [_degrees(west, "EW"), _degrees(east, "EW")]
    return [
        f"{_degrees(north, 'NS')}",
        edge,
        *("|" + "".join(row) + "|" for row in marks),
        edge,
        f"{_degrees(south, 'NS')}",
        ends[0] + ends[1].rjust(_COLUMNS + 2 - len(ends[0])),
        *legend,
    ]


def _degrees(value: float, names: str) -> str:
    return f"{abs(value):.2f}°{names[int(value < 0)]}"

"""Line charts as SVG that stands inside a page and takes its colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.ticker import LogLocator, MaxNLocator

from landslide_tf.report.templates import render

WIDTH, HEIGHT = 340, 234
# Below the drawing are the numbers of the axis, its name and the legend.
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 28, 48


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: Its name in the legend.
        points: (x, y) in order; points that are not finite are left out.
    """

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of at most three lines.

    Attributes:
        title: What the lines show.
        lines: The lines.
        x_name: Name of the horizontal axis.
        log: Whether the vertical axis is logarithmic; values must be above 0.
        log_x: Likewise the horizontal axis.
    """

    title: str
    lines: Sequence[Line]
    x_name: str = "epoch"
    log: bool = False
    log_x: bool = False


def svg(chart: Chart) -> Markup:
    """Draws a chart.

    Args:
        chart: The chart.

    Returns:
        An `svg` element; every point says its exact value when pointed at, and the
        classes `line-0`, `line-1`, `line-2` give the colours.
    """
    lines = [
        [(x, y) for x, y in line.points if math.isfinite(x) and math.isfinite(y)]
        for line in chart.lines
    ]
    xs = [x for line in lines for x, _ in line]
    ys = [y for line in lines for _, y in line]
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    across, columns = _axis(xs, _LEFT, right, log=chart.log_x)
    up, rows = _axis(ys, bottom, _TOP, log=chart.log)
    return render(
        "chart.svg.jinja",
        chart=chart,
        width=WIDTH,
        height=HEIGHT,
        left=_LEFT,
        right=right,
        columns=[(value, across(value)) for value in columns],
        rows=zip(_texts(rows), map(up, rows), strict=True),
        lines=[
            (line.name, [(across(x), up(y), x, y) for x, y in points])
            for line, points in zip(chart.lines, lines, strict=True)
        ],
    )


def _axis(
    values: Sequence[float], start: float, end: float, *, log: bool = False
) -> tuple[Callable[[float], float], list[float]]:
    """Returns where values lie between two ends of the drawing, and round ones."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    log = log and low > 0
    if low == high:  # a single value stands in the middle
        low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
    scale = math.log if log else float

    def place(value: float) -> float:
        part = (scale(value) - scale(low)) / (scale(high) - scale(low))
        return start + part * (end - start)

    whole = all(float(value).is_integer() for value in values)
    locator = (
        LogLocator(numticks=5)
        if log
        else MaxNLocator(5, steps=[1, 2, 5, 10], integer=whole)
    )
    ticks = [float(v) for v in locator.tick_values(low, high) if low <= v <= high]
    return place, [low, high] if len(ticks) < 1 + log else ticks


def _texts(values: Sequence[float]) -> list[str]:
    """Returns values with four digits, or with as many as tell them apart."""
    for digits in range(4, 18):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(values):
            break
    return texts

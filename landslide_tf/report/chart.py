"""Line charts as SVG that stands inside a page and takes its colours."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 340, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 28, 34


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
    """

    title: str
    lines: Sequence[Line]
    x_name: str = "epoch"
    log: bool = False


def svg(chart: Chart) -> str:
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
    points = [point for line in lines for point in line]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    across = _Axis(min(xs, default=0), max(xs, default=1), _LEFT, WIDTH - _RIGHT)
    up = _Axis(
        min(ys, default=0), max(ys, default=1), HEIGHT - _BOTTOM, _TOP, chart.log
    )
    parts = [_frame(chart, across, up)]
    for number, (line, finite) in enumerate(zip(chart.lines, lines, strict=True)):
        name = html.escape(line.name)
        places = [(across.place(x), up.place(y)) for x, y in finite]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<g class="line-{number}"><polyline points="{path}"/>')
        for (x, y), (left, top) in zip(finite, places, strict=True):
            words = f"{name}, {html.escape(chart.x_name)} {x:g}: {y:.6g}"
            parts.append(
                f'<circle cx="{left:.1f}" cy="{top:.1f}" r="2.5">'
                f"<title>{words}</title></circle>"
            )
        legend = _LEFT + number * 100
        parts.append(
            f'<rect x="{legend}" y="{HEIGHT - 11}" width="10" height="3"/>'
            f'<text x="{legend + 14}" y="{HEIGHT - 6}">{name}</text></g>'
        )
    title = html.escape(chart.title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        f"{''.join(parts)}</svg>"
    )


class _Axis:
    """Places of values between two ends of the drawing."""

    def __init__(
        self, low: float, high: float, start: float, end: float, log: bool = False
    ) -> None:
        self.log = log and low > 0
        self.low, self.high = low, high
        if low == high:
            # A single value stands in the middle.
            self.low, self.high = low - 0.5, high + 0.5
            if self.log:
                self.low, self.high = low / 2, high * 2
        self.start, self.end = start, end

    def place(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            low, high, value = (math.log(v) for v in (low, high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, whole: bool = False) -> list[float]:
        """Three to six round values within the range."""
        if self.log:
            first, last = math.log10(self.low), math.log10(self.high)
            powers = range(math.ceil(first), math.floor(last) + 1)
            every = max(1, math.ceil(len(powers) / 5))
            if len(powers) >= 2:
                return [10.0**p for p in powers[::every]]
            return [self.low, self.high]
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / 3))
        span = (self.high - self.low) / 5
        step *= next(factor for factor in (1, 2, 5, 10) if step * factor >= span)
        if whole:
            step = max(1.0, round(step))
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [number * step for number in range(first, last + 1)]


def _frame(chart: Chart, across: _Axis, up: _Axis) -> str:
    """The title, the grid and the labels of both axes."""
    parts = [
        f'<text class="title" x="{_LEFT}" y="16">{html.escape(chart.title)}</text>'
    ]
    for value in up.ticks():
        y = up.place(value)
        parts.append(
            f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>'
            f'<text class="end" x="{_LEFT - 6}" y="{y + 3.5:.1f}">{value:.4g}</text>'
        )
    for value in across.ticks(whole=True):
        x = across.place(value)
        parts.append(
            f'<text class="middle" x="{x:.1f}" y="{HEIGHT - 20}">{value:g}</text>'
        )
    name = html.escape(chart.x_name)
    parts.append(
        f'<text class="end" x="{WIDTH - _RIGHT}" y="{HEIGHT - 6}">{name}</text>'
    )
    return "".join(parts)

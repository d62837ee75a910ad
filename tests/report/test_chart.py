"""Line charts: every point and label at its place."""

import math
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from landslide_tf.report import Chart, Line
from landslide_tf.report.chart import svg


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    "points",
    [
        [(1, 0.5)],
        [(1, 1e-9), (2, 1e9)],
        [(1, 2.0), (2, 2.0)],
        [(1, 0.0), (2, 5.0)],
        [(1, -3.0), (1000, 7.0)],
        [(1, math.nan), (2, math.inf)],
    ],
)
def test_every_point_and_label_lies_within_the_chart(points, log):
    text = svg(Chart(title="t", lines=[Line("a", points)], log=log))
    finite = [p for p in points if math.isfinite(p[1])]
    assert text.count("<circle") == len(finite)
    assert "nan" not in text and "inf" not in text
    width, height = re.findall(r'viewBox="0 0 (\d+) (\d+)"', text)[0]
    for name, limit in zip(("x", "y", "cx", "cy"), (width, height) * 2, strict=True):
        for value in re.findall(rf' {name}="([^"]+)"', text):
            assert 0 <= float(value) <= int(limit)
    assert len(re.findall('class="end"', text)) >= 2  # a value and the axis's name


def test_names_of_lines_and_axis_stand_in_rows_of_their_own():
    lines = [Line(f"law number {k}", [(1, k), (9, k + 1)]) for k in range(3)]
    text = svg(Chart(title="t", lines=lines, x_name="area, m²"))
    (axis,) = re.findall(r'y="(\d+)">area, m²<', text)
    (numbers,) = set(re.findall(r'class="middle"[^>]* y="(\d+)"', text))
    (names,) = set(re.findall(r'y="(\d+)">law number', text))
    rows = sorted(map(int, (numbers, axis, names)))
    assert min(np.diff(rows)) >= 12  # the height of a line of text


def test_higher_values_are_drawn_higher():
    text = svg(
        Chart(title="t", lines=[Line("a", [(1, 1), (2, 10), (3, 100)])], log=True)
    )
    tops = [float(value) for value in re.findall(r'cy="([^"]+)"', text)]
    assert tops[0] - tops[1] == pytest.approx(tops[1] - tops[2], abs=0.2)
    assert tops[0] > tops[1] > tops[2]


def labels(text, kind):
    """Value and place of the labels of an axis."""
    side = {"middle": "x", "end": "y"}[kind]
    found = re.findall(rf'<text class="{kind}"[^>]* {side}="([^"]+)">([^<]+)<', text)
    return [(float(v), float(place)) for place, v in found if v != "epoch"]


values = st.floats(-1e6, 1e6).map(lambda value: float(f"{value:.4g}"))


@given(st.lists(values, min_size=2, max_size=12), st.booleans())
@example([1000.0, 1000.0], False)
def test_labels_stand_where_points_of_their_value_would(ys, log):
    ys = [abs(y) + 0.001 for y in ys] if log else ys
    points = [(float(x), y) for x, y in enumerate(ys, 1)]
    text = svg(Chart(title="t", lines=[Line("a", points)], log=log))
    tops = [float(top) for top in re.findall(r'cy="([^"]+)"', text)]
    lefts = [float(left) for left in re.findall(r'cx="([^"]+)"', text)]
    low, high = min(ys), max(ys)
    if log:
        ys, low, high = np.log(ys).tolist(), math.log(low), math.log(high)
    found = labels(text, "end")
    assert 1 <= len(found) <= 7
    assert [v for v, _ in found] == sorted({v for v, _ in found})
    if high - low > 1e-2:
        for value, place in found:
            value = math.log(value) if log else value
            part = (value - low) / (high - low)
            expected = max(tops) + part * (min(tops) - max(tops)) + 3.5
            # Labels have four digits, places one.
            slack = 1e-3 * max(abs(low), abs(high)) / (high - low) * 160 + 0.2
            assert place == pytest.approx(expected, abs=slack)
    found = labels(text, "middle")
    assert [v for v, _ in found] == sorted({round(v) for v, _ in found})  # whole epochs
    for value, place in found:
        step = (lefts[-1] - lefts[0]) / (len(points) - 1)
        assert place == pytest.approx(lefts[0] + (value - 1) * step, abs=0.2)


def test_a_chart_keeps_the_order_and_the_names_of_its_lines():
    lines = [Line(name, [(1, 1.0), (2, 2.0)]) for name in ("b", "a & c", "d")]
    text = svg(Chart(title="<t>", lines=lines, x_name="steps"))
    assert re.findall(r'class="line-(\d)"', text) == ["0", "1", "2"]
    assert re.findall(r"<title>(.*?), steps 1: 1</title>", text) == [
        "b", "a &amp; c", "d",
    ]  # fmt: skip
    assert 'aria-label="&lt;t&gt;"' in text

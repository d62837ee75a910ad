"""Line charts: every point and label at its place."""

import math
import re

import pytest

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
    for name, limit in (("x", 340), ("y", 220), ("cx", 340), ("cy", 220)):
        for value in re.findall(rf' {name}="([^"]+)"', text):
            assert 0 <= float(value) <= limit
    assert len(re.findall('class="end"', text)) >= 2  # a value and the axis's name


def test_higher_values_are_drawn_higher():
    text = svg(
        Chart(title="t", lines=[Line("a", [(1, 1), (2, 10), (3, 100)])], log=True)
    )
    tops = [float(value) for value in re.findall(r'cy="([^"]+)"', text)]
    assert tops[0] - tops[1] == pytest.approx(tops[1] - tops[2], abs=0.2)
    assert tops[0] > tops[1] > tops[2]

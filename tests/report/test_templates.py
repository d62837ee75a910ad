"""Templates and style of pages: escaping, hashes of the policy, contrast."""

import base64
import hashlib
import re
from html import unescape

import numpy as np
import pytest
from jinja2 import TemplateNotFound, UndefinedError
from PIL import ImageColor

from landslide_tf.report import Chart, Section, write_page
from landslide_tf.report.chart import svg
from landslide_tf.report.map.about import About
from landslide_tf.report.map.page import _SCRIPTS, _STYLES, script
from landslide_tf.report.map.probability import BINS
from landslide_tf.report.templates import asset, render


def test_a_value_that_is_missing_is_an_error_not_a_gap():
    with pytest.raises(UndefinedError, match="is undefined"):
        render("chart.svg.jinja", width=1)
    with pytest.raises(TemplateNotFound):
        render("no.jinja")


def test_a_finished_part_is_not_escaped_twice():
    part = svg(Chart(title="a < b & c", lines=[]))
    assert unescape(part) == str(part).replace("&lt;", "<").replace("&amp;", "&")
    assert "a &lt; b &amp; c" in part and "&amp;lt;" not in part


SCRIPTS = [f"map/{name}.js" for name in _SCRIPTS]


@pytest.mark.parametrize("name", [*_STYLES, *SCRIPTS])
def test_assets_ask_for_nothing_and_end_no_element(name):
    text = asset(name)
    assert not re.search(r"https?:|@import|url\(|</(style|script)|fetch\(", text)


def test_the_policy_of_a_map_names_its_own_script_and_style():
    style = asset("page.css") + asset("map/page.css")
    text = render(
        "map/page.html.jinja", title="t", style=style, script=script(), facts={},
        width=1, height=1, layers=(), panel=[], dates=[], legend={}, ramp=[],
        polygons=False, shrinks=1, bins=BINS, cells=None, chances=None,
        objects={"objects": (), "total": 0, "columns": ()},
        about=About("landslide", {}, "EPSG:32633", (10, 0, 0, 0, -10, 0), 0, None),
    )  # fmt: skip
    policy = re.search(r'Security-Policy" content="([^"]+)"', text)[1]
    for kind in ("script", "style"):
        content = re.search(f"<{kind}>(.*)</{kind}>", text, re.DOTALL)[1]
        found = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{found}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy


def colours(css):
    """The colours of light and of dark pages by name."""
    pairs = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]+), (#[0-9a-f]+)\);", css)
    return [{name: pair[k] for name, *pair in pairs} for k in (0, 1)]


def luminance(colour):
    """Relative luminance (WCAG 2.2)."""
    part = np.array(ImageColor.getrgb(colour)) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_text_can_be_read_in_light_and_in_dark():
    """WCAG 2.2, 1.4.3: at least 4.5 to 1 for text of normal size."""
    light, dark = colours(asset("page.css"))
    assert light.keys() == dark.keys() >= {"paper", "raised", "stress", "ink", "soft"}
    for names in (light, dark):
        for text, grounds in (
            ("ink", ("paper", "raised", "stress")),
            ("soft", ("paper", "raised")),
            ("accent", ("paper", "raised")),
        ):
            for ground in grounds:
                pair = sorted((luminance(names[text]), luminance(names[ground])))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (text, ground)
    assert luminance(light["paper"]) > 0.9 > 0.1 > luminance(dark["paper"])


def test_an_index_leads_to_every_heading_of_longer_pages(tmp_path):
    headings = ["", "One", "Two & more", "Three"]
    for count in range(1, 5):
        path = tmp_path / f"{count}.html"
        text = write_page(path, "T", [Section(h, ["x"]) for h in headings[:count]])
        links = re.findall(r'href="#(part-\d)"', text.read_text())
        parts = re.findall(r'<h2 id="(part-\d)">', text.read_text())
        assert len(parts) == count - 1
        assert links == (parts if len(parts) > 2 else [])

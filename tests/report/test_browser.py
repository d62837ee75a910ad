"""Pages of reports in a browser: widths, colours, paper and accessibility."""

import numpy as np
import pytest
from PIL import Image

from landslide_tf.report import (
    Chart,
    Charts,
    Code,
    Figure,
    KeyNumbers,
    Line,
    Link,
    Section,
    Table,
    write_page,
)
from tests.report import axe
from tests.report.chromium import Chromium, artefact, needs_chromium

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with every kind of block, wider than a small screen."""
    folder = tmp_path_factory.mktemp("page")
    picture = folder / "p.png"
    Image.fromarray(np.zeros((60, 1400, 3), np.uint8)).save(picture)
    lines = [Line(n, [(1.0, k), (2.0, k / 2)]) for k, n in enumerate("abc", 2)]
    header = ["model", *(f"score {k}" for k in range(12))]
    rows = [["a name of several words", *np.linspace(0, 1, 12)]] * 3
    sections = [
        Section(
            "", ["Text.", KeyNumbers(numbers=[("a" * 60, 0.5, "b"), ("c", 1, "")])]
        ),
        Section(
            "Table", [Table(caption="c " * 80, header=header, rows=rows, strong=1)]
        ),
        Section("Picture", [Figure(path=picture, alt="a picture", caption="caption")]),
        Section("Charts", [Charts([Chart(title="t", lines=lines)] * 3)]),
        Section("Next", [Code("landslide-tf " + "x" * 300), Link("further", picture)]),
    ]
    return write_page(folder / "index.html", "A_title_" * 9, sections)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 400, 1400, 2560])
def test_nothing_is_cut_off_and_axe_finds_no_fault(page, width, scheme):
    if axe.script() is None:
        pytest.skip(f"npm does not give {axe.NAME}")
    with Chromium(page, width=width) as browser:
        browser.media(scheme=scheme)
        artefact(browser, f"page_{width}_{scheme}.png")
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert axe.violations(browser) == []
        assert browser.complaints() == []
        assert browser.requests() == [page.as_uri()]


def test_colours_follow_the_system_until_a_reader_chooses(page):
    back = "getComputedStyle(document.body).backgroundColor"
    with Chromium(page) as browser:
        light = browser.value(back)
        browser.media(scheme="dark")
        dark = browser.value(back)
        assert light != dark
        # The switch works from the keyboard, and without a script.
        browser.key("Tab")
        browser.key("ArrowRight")
        assert browser.value(back) == light
        browser.key("ArrowRight")
        browser.media(scheme="light")
        assert browser.value(back) == dark
        browser.media("print", "dark")
        assert browser.value(back) == "rgb(255, 255, 255)"
        hidden = "getComputedStyle(document.querySelector('.theme')).display"
        assert browser.value(hidden) == "none"

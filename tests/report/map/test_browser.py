"""The page of a map in a browser: what a reader sees, does, prints and hears."""

import re

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
from rasterio import Affine

from landslide_tf.report import MapDate, write_map_page
from tests.report import axe
from tests.report.chromium import Chromium, artefact, needs_chromium
from tests.report.map.scenes import (
    CELL,
    HOSTILE,
    LEFT,
    NORTH_UP,
    TOP,
    date,
    raster,
    scene,
)

pytestmark = [pytest.mark.slow, needs_chromium]


def element(name):
    return f"document.getElementById('{name}')"


def set_range(browser, name, value):
    """Moves a slider as a reader does: the page is told."""
    browser.value(
        f"{element(name)}.value = {value};"
        f"{element(name)}.dispatchEvent(new Event('input', {{bubbles: true}}))"
    )


def test_a_reader_looks_around(page):
    with Chromium(page) as browser:
        fitted = browser.value("document.getElementById('view').dataset.scale")
        box = "document.getElementById('view').getBoundingClientRect()"
        x, y = (browser.value(f"{box}.{side}") + 200 for side in ("left", "top"))
        browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300)
        scale = "document.getElementById('view').dataset.scale"
        browser.until(f"{scale} > {fitted}")
        browser.key("Tab")
        assert browser.value("document.activeElement.name") == "theme"
        browser.key("Tab")
        assert browser.value("document.activeElement.id") == "view"
        before = browser.value("document.querySelector('.stage').style.transform")
        browser.key("ArrowRight")
        after = browser.value("document.querySelector('.stage').style.transform")
        assert before != after
        browser.key("0")
        browser.until(f"{scale} == {fitted}")
        # Layers switch by the keyboard.
        shade = "document.querySelector('img[data-kind=hillshade]').hidden"
        assert browser.value(shade)
        browser.value("document.querySelector('input[data-kind=hillshade]').focus()")
        browser.key(" ")
        assert not browser.value(shade)
        artefact(browser, "map_page.png")
        assert browser.value("window.hit") is None
        assert browser.value("document.title") == HOSTILE
        assert browser.complaints() == []
        assert browser.requests() == [page.as_uri()]


def test_a_scale_bar_and_coordinates_go_with_the_zoom(page):
    """Lengths and places are compared with the transform of the map's file."""
    with Chromium(page) as browser:
        scale = "Number(document.getElementById('view').dataset.scale)"
        where = "document.getElementById('where').textContent"
        bar = "document.getElementById('bar')"

        def length():
            number, unit = browser.value(f"{bar}.textContent").split()
            return float(number) * {"m": 1, "km": 1000}[unit]

        for _ in range(3):
            width = browser.value(f"{bar}.getBoundingClientRect().width")
            metres = width / browser.value(scale) * CELL
            assert length() == pytest.approx(metres, rel=0.03)
            assert 50 < width < 150
            browser.value("document.getElementById('in').click()")
        browser.value("document.getElementById('fit').click()")
        middle = [float(part) for part in browser.value(where).split(",")]
        assert middle == pytest.approx([LEFT + 45 * CELL, TOP - 30 * CELL], abs=1)
        # The first object reaches over columns 10 to 30 and rows 10 to 20.
        middle_of = "(r => [r.left + r.width / 2, r.top + r.height / 2])"
        first = "document.querySelector('path').getBoundingClientRect()"
        x, y = browser.value(f"{middle_of}({first})")
        browser.mouse("mouseMoved", x, y)
        browser.until(f"{where} != '{middle[0]:.0f}, {middle[1]:.0f}'")
        found = [float(part) for part in browser.value(where).split(",")]
        expected = [LEFT + 20 * CELL, TOP - 15 * CELL]
        assert found == pytest.approx(expected, abs=1)
        assert browser.complaints() == []


def test_the_table_sorts_and_zooms(page):
    with Chromium(page) as browser:
        ids = "[...document.querySelectorAll('tbody th')].map(c => c.textContent)"
        heads = "[...document.querySelectorAll('thead button')]"
        names = browser.value(f"{heads}.map(b => b.textContent)")
        assert names == [
            "object", "area, m²", "mean probability", "largest probability", "note",
            "threshold",
        ]  # fmt: skip
        assert browser.value(ids) == ["1", "2", "3"]
        browser.value(f"{heads}[2].focus()")
        browser.key("Enter")
        assert browser.value(ids) == ["2", "1", "3"]
        browser.key("Enter")
        assert browser.value(ids) == ["1", "2", "3"]  # without a value: last
        browser.value(f"{heads}[4].focus()")
        browser.key("Enter")
        assert browser.value(ids)[:2] == ["2", "3"]
        browser.value("document.querySelector('tr[data-object=\"1\"] button').focus()")
        browser.key("Enter")
        chosen = "document.querySelector('path.chosen')"
        assert browser.value(f"{chosen}.dataset.object") == "1"
        middle = "(r => [r.left + r.width / 2, r.top + r.height / 2])"
        x, y = browser.value(f"{middle}({chosen}.getBoundingClientRect())")
        frame = "document.getElementById('view').getBoundingClientRect()"
        assert (x, y) == pytest.approx(browser.value(f"{middle}({frame})"), abs=2)
        # The table lies below the map, which is brought back into sight.
        assert browser.value(f"{frame}.top") > -1
        assert browser.value(f"{frame}.bottom") < browser.value("innerHeight") + 1
        # Lines keep their width on the screen, however far it is zoomed.
        width = browser.value(f"parseFloat(getComputedStyle({chosen}).strokeWidth)")
        scale = browser.value("document.getElementById('view').dataset.scale")
        assert width * float(scale) == pytest.approx(3.5, rel=0.01)
        artefact(browser, "map_page_object.png")
        # A polygon that is clicked chooses its row.
        browser.value("document.getElementById('fit').click()")
        place = f"{middle}(document.querySelector('path').getBoundingClientRect())"
        browser.click(*browser.value(place))
        browser.until(f"{chosen}.dataset.object == '0'")
        assert (
            browser.value("document.querySelector('tr.chosen th').textContent") == "1"
        )
        assert "Object 1" in browser.value(
            "document.getElementById('status').innerText"
        )
        assert browser.complaints() == []


def test_two_dates_swipe(folder, tmp_path):
    (later := tmp_path / "later").mkdir()
    # The other map lies elsewhere in the same system and is brought onto the first.
    scene(later, names=("background", "<b>slide</b>"))
    path = write_map_page(
        tmp_path / "two.html",
        "Two dates",
        [date(folder, "before <1>"), date(later, "after <2>")],
        polygons=folder / "found.gpkg",
    )
    with Chromium(path) as browser:
        clips = "[...document.querySelectorAll('.pane')].map(p => p.style.clipPath)"
        assert browser.value(clips)[:2] == [
            "inset(0px 50% 0px 0px)",
            "inset(0px 0px 0px 50%)",
        ]
        browser.value("document.getElementById('swipe').focus()")
        browser.key("ArrowRight")
        assert browser.value(clips)[0] == "inset(0px 49% 0px 0px)"
        labels = "[...document.querySelectorAll('.date')].map(d => d.textContent)"
        assert browser.value(labels) == ["before <1>", "after <2>"]
        artefact(browser, "map_page_swipe.png")
        assert browser.complaints() == []


@pytest.mark.parametrize("limit", [0.0, 0.5, 0.61, 0.62, 0.9, 0.91, 0.98, 1.0])
def test_a_threshold_says_which_polygons_are_left(folder, page, limit):
    """Compared with NumPy on the attributes of the file and the probabilities."""
    names, _, _, columns = pyogrio.raw.read(folder / "found.gpkg")
    table = dict(zip(names["fields"], columns, strict=True))
    mean, most = table["probability"], table["max_prob"]
    states = np.select(
        [np.isnan(mean), mean >= limit, most >= limit], ["\u2013", "above", "in part"],
        "below",
    )  # fmt: skip
    with rasterio.open(folder / "p.tif") as dataset:
        chances = dataset.read(1, masked=True).compressed() * dataset.scales[0]
    share = 100 * np.mean(chances >= limit)
    area = table["area_m2"][mean >= limit].sum()
    with Chromium(page) as browser:
        assert browser.value(f"{element('threshold')}.value") == "0.5"
        set_range(browser, "threshold", limit)
        rows = "[...document.querySelectorAll('#objects tbody tr')]"
        shown = browser.value(f"{rows}.map(r => r.querySelector('.state').textContent)")
        assert shown == states.tolist()
        drawn = browser.value(
            f"{rows}.map(r => document.querySelector("
            "`path[data-object='${r.dataset.object}']`).dataset.state)"
        )
        words = {"\u2013": "unknown", "in part": "partly"}
        assert drawn == [words.get(state, state) for state in states]
        text = browser.value(f"{element('left')}.textContent")
        above = int((states == "above").sum())
        assert text.startswith(f"{above} of 3 polygons")
        assert f"{share:.2f} % of the cells" in text
        if above:
            assert float(
                re.search(r"above, ([\d,]+) m²", text)[1].replace(",", "")
            ) == (pytest.approx(area, abs=1))
        browser.value(f"{element('only')}.click()")
        gone = browser.value(f"{rows}.map(r => r.hidden)")
        assert gone == (states == "below").tolist()
        browser.value(f"{element('reset')}.click()")
        assert browser.value(f"{element('now')}.textContent") == "0.50"
        assert browser.complaints() == []


STATE = """[
    [...document.querySelectorAll('.control input')].map(i => [i.checked, i.value]),
    document.getElementById('threshold').value, document.getElementById('only').checked,
    document.querySelector('path.chosen')?.dataset.object,
    document.getElementById('where').textContent,
    document.getElementById('view').dataset.scale]"""


def test_the_address_holds_the_view(page):
    with Chromium(page) as browser:
        assert browser.value("location.hash") == ""
        browser.value("document.querySelector('tr[data-object=\"1\"] button').click()")
        browser.value(f"{element('view')}.focus()")
        for key in ("-", "ArrowLeft", "ArrowUp"):
            browser.key(key)
        browser.value("document.querySelector('input[data-kind=hillshade]').click()")
        browser.value("document.querySelector('input[data-kind=image]').click()")
        set_range(browser, "threshold", 0.37)
        browser.value(f"{element('only')}.click()")
        browser.until("location.hash.includes('only=1')")
        wanted, fragment = browser.value(STATE), browser.value("location.hash")
        assert browser.complaints() == []
    with Chromium(page, fragment=fragment) as browser:
        assert browser.value(STATE) == wanted
        # Another address in the same window, and a frame of another size.
        browser.value("location.hash = '#layers=classes:70&threshold=0.2'")
        browser.until(f"{element('threshold')}.value == '0.2'")
        shown = "[...document.querySelectorAll('.control :checked')]"
        assert browser.value(f"{shown}.map(i => i.dataset.kind)") == ["classes"]
        browser.value(f"location.hash = '{fragment}'")
        browser.until(f"{element('threshold')}.value == '0.37'")
        assert browser.value(STATE) == wanted
    with Chromium(page, fragment=fragment, width=500) as browser:
        assert browser.value(STATE) == wanted


@pytest.mark.parametrize(
    "fragment",
    [
        "#at=NaN,1e999&zoom=-5&threshold=abc&swipe=x&object=99",
        "#layers=<img src=x onerror=hit=1>:9e9,__proto__:1&object=']);hit=1;//",
        "#at=1,2,3&zoom=0&layers=&only=1&threshold=7",
        "#chances",
        "#%E0%A4%A",
    ],
)
def test_an_address_of_nonsense_does_no_harm(page, fragment):
    with Chromium(page, fragment=fragment) as browser:
        assert 0 < float(browser.value(f"{element('view')}.dataset.scale")) < 65
        assert 0 <= float(browser.value(f"{element('threshold')}.value")) <= 1
        assert browser.value("window.hit") is None
        assert browser.complaints() == []


SITE = 'LOCAL_CS["Site",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
MARS = 'GEOGCS["Mars",DATUM["Mars",SPHEROID["Mars",3396190,169.9]],PRIMEM["x",0],\
UNIT["degree",0.0174532925199433]]'
PLACES = {
    "utm": ("EPSG:32633", NORTH_UP),
    "rotated": ("EPSG:32633", Affine(7, 7, LEFT, 7, -7, TOP)),
    "antimeridian": ("EPSG:32760", Affine(500, 0, 795_000, 0, -500, 8_150_000)),
    "pole": ("EPSG:3413", Affine(900, 0, -40_000, 0, -900, 27_000)),
    "beyond 180": ("EPSG:4326", Affine(0.01, 0, 179.6, 0, -0.01, -16)),
    "mercator": ("EPSG:3857", Affine(100, 0, 1_600_000, 0, -100, 8_400_000)),
    "mars": (MARS, Affine(0.001, 0, 15, 0, -0.001, 60)),
    "site": (SITE, Affine(1, 0, 0, 0, -1, 60)),
}


@pytest.fixture(scope="module", params=PLACES)
def place(request, tmp_path_factory):
    """The name of a place and the page of a map of it."""
    folder, (crs, transform) = tmp_path_factory.mktemp("a"), PLACES[request.param]
    values = np.zeros((60, 90), np.uint8)
    raster(folder / "map.tif", values, crs=crs, transform=transform)
    one = MapDate(name="a", map=folder / "map.tif")
    return request.param, write_map_page(folder / "a.html", "A", [one])


def test_coordinates_below_the_pointer(place):
    """Compared with the transform of the file and with pyproj."""
    name, page = place
    crs, transform = PLACES[name]
    system = None
    if name not in ("mars", "site"):
        system = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    with Chromium(page) as browser:
        frame = browser.value(
            f"(b => [b.left, b.top])({element('view')}.getBoundingClientRect())"
        )
        matrix = "new DOMMatrix(document.querySelector('.stage').style.transform)"
        scale, left, top = browser.value(f"(m => [m.a, m.e, m.f])({matrix})")
        for column, row in ((1, 2), (50, 31), (88, 59)):
            # The frame's border is a pixel; pointers are at whole pixels.
            x = round(frame[0] + 1 + left + column * scale)
            y = round(frame[1] + 1 + top + row * scale)
            browser.mouse("mouseMoved", x, y)
            browser.until(f"{element('of')}.textContent == 'Pointer'")
            at = (x - frame[0] - 1 - left) / scale, (y - frame[1] - 1 - top) / scale
            expected = transform @ at
            text = browser.value(f"{element('where')}.textContent")
            digits = len(text.split(",")[0].partition(".")[2])
            found = [float(part) for part in text.split(",")]
            assert found == pytest.approx(expected, abs=0.51 * 10**-digits)
            if system is None:
                assert browser.value(f"{element('degrees')} === null")
                continue
            text = browser.value(f"{element('degrees')}.textContent")
            parts = re.findall(r"([\d.]+)° ([NESW])", text)
            latitude, longitude = (
                float(number) * (-1 if side in "SW" else 1) for number, side in parts
            )
            assert abs(longitude) <= 180 and abs(latitude) <= 90
            true = system.transform(*expected)
            away = pyproj.Geod(ellps="WGS84").inv(longitude, latitude, *true)[2]
            cell = pyproj.Geod(ellps="WGS84").inv(
                *true, *system.transform(*(transform @ (at[0] + 1, at[1])))
            )[2]
            assert away < 0.3 * cell  # of rounding; interpolation adds a twentieth
        assert browser.complaints() == []


def test_the_north_arrow_points_north_and_the_bar_is_as_long_as_it_says(place):
    name, page = place
    crs, transform = PLACES[name]
    with Chromium(page) as browser:
        if name == "site":
            assert browser.value(f"{element('north')}.hasAttribute('hidden')")
            return
        turn = float(browser.value(f"{element('north')}.dataset.turn"))
        label = browser.value(f"{element('north')}.getAttribute('aria-label')")
        if name == "mars":
            assert turn == 0 and label == "Grid north is up"
            return
        there = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        lon, lat = there.transform(*(transform @ (45, 30)))
        further = there.transform(lon, lat + 1e-5, direction="INVERSE")
        if name == "beyond 180":
            further = (further[0] % 360, further[1])
        column, row = ~transform @ further
        expected = np.degrees(np.arctan2(column - 45, 30 - row))
        assert turn == pytest.approx(expected, abs=0.2)
        width, text, scale = browser.value(
            f"[{element('bar')}.getBoundingClientRect().width,"
            f"{element('bar')}.textContent, {element('view')}.dataset.scale]"
        )
        number, unit = text.split()
        half = width / float(scale) / 2
        ends = [
            there.transform(*(transform @ (45 + side, 30))) for side in (-half, half)
        ]
        metres = pyproj.Geod(ellps="WGS84").inv(*ends[0], *ends[1])[2]
        wanted = float(number) * {"m": 1, "km": 1000}[unit]
        assert metres == pytest.approx(wanted, rel=0.01)


def test_paper_has_the_map_and_no_controls(page):
    shown = "(n => document.querySelector(n).checkVisibility())"
    controls = [".theme", ".zoom", "#threshold", "#copy", ".control input", "#keys"]
    kept = ["#view", ".states", "#bar", "#north", "#objects", ".facts", ".histogram"]
    with Chromium(page) as browser:
        browser.value("document.querySelector('tr[data-object=\"1\"] button').click()")
        before = browser.value(STATE)
        for kind, visible in (("screen", True), ("print", False)):
            browser.media(kind, "dark")
            for name in controls:
                assert browser.value(f"{shown}('{name}')") == visible, (kind, name)
            for name in kept:
                assert browser.value(f"{shown}('{name}')"), (kind, name)
        back = "getComputedStyle(document.body).backgroundColor"
        assert browser.value(back) == "rgb(255, 255, 255)"
        # Layers that are not seen have no legend on paper.
        rows = "[...document.querySelectorAll('.control')]"
        assert (
            browser.value(
                f"{rows}.filter(r => getComputedStyle(r).display !== 'none').length"
            )
            == len(browser.value(f"{rows}.map(r => 0)")) - 3
        )
        browser.media("")
        # What was in the middle of the screen is in the middle of the paper.
        browser.value("dispatchEvent(new Event('beforeprint'))")
        middle = browser.value("document.getElementById('where').textContent")
        assert middle == before[4]
        assert browser.value(f"{element('view')}.clientWidth") == 678
        browser.value("dispatchEvent(new Event('afterprint'))")
        assert browser.value(STATE) == before
        assert browser.call("Page.printToPDF")["data"]
        assert browser.complaints() == []


# How far each part below the map lies from the end of the one above it.
GAPS = """(parts => parts.slice(1).map((part, k) =>
    part.getBoundingClientRect().top - parts[k].getBoundingClientRect().bottom))(
    [...document.querySelectorAll('.frame, .map > aside, .map > section')].filter(
        part => part.getBoundingClientRect().left ===
            document.querySelector('.frame').getBoundingClientRect().left))"""


@pytest.mark.parametrize("width", [320, 400, 1400, 2560])
def test_no_space_is_left_empty_below_the_map(folder, page, width):
    """The layers beside it may be longer than map and table."""
    bare = write_map_page(folder / "bare.html", "A", [date(folder)], facts={"a": 1})
    for path, parts in ((page, 3), (bare, 2)):
        with Chromium(path, width=width) as browser:
            gaps = browser.value(GAPS)
            assert len(gaps) == parts - (width > 960)
            assert all(0 < gap < 60 for gap in gaps), gaps


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 400, 1400, 2560])
def test_nothing_is_cut_off_and_axe_finds_no_fault(folder, page, width, scheme):
    if axe.script() is None:
        pytest.skip(f"npm does not give {axe.NAME}")
    two = write_map_page(
        folder / "two.html", "Two dates", [date(folder, "1"), date(folder, "2")]
    )
    for path in (page, two):
        with Chromium(path, width=width) as browser:
            browser.media(scheme=scheme)
            artefact(browser, f"{path.stem}_{width}_{scheme}.png")
            assert browser.value("document.documentElement.scrollWidth") <= width
            assert axe.violations(browser) == []
            if path == page:
                set_range(browser, "threshold", 0.95)
                browser.value("document.querySelector('#objects button').click()")
                browser.value("document.querySelector('tbody button').click()")
                assert axe.violations(browser) == []
            assert browser.complaints() == []


def test_colours_follow_the_system_until_a_reader_chooses(page):
    back = "getComputedStyle(document.body).backgroundColor"
    with Chromium(page) as browser:
        light = browser.value(back)
        browser.media(scheme="dark")
        dark = browser.value(back)
        assert light != dark
        browser.value("document.getElementById('theme-light').click()")
        assert browser.value(back) == light
        browser.call("Page.reload")
        browser.until("document.readyState == 'complete'")
        browser.until(f"{back} == '{light}'")
        browser.value("document.getElementById('theme-auto').click()")
        assert browser.value(back) == dark
        assert browser.complaints() == []

"""The page of a map: what it holds, and what a browser does with it."""

import base64
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.raster.dem import DemFiles
from landslide_tf.report import MapDate, write_map_page
from tests.report.chromium import PROGRAM, Chromium

HOSTILE = "</script><script>window.hit=1</script><img src=x onerror='window.hit=1'>\"'&"
CELL, LEFT, TOP = 10.0, 500_000.0, 4_600_000.0
NORTH_UP = Affine(CELL, 0, LEFT, 0, -CELL, TOP)


def raster(path, values, *, transform=NORTH_UP, crs="EPSG:32633", tags=(), **options):
    values = np.atleast_3d(values.T).T if values.ndim == 2 else values
    with rasterio.open(
        path, "w", driver="GTiff", count=len(values), height=values.shape[1],
        width=values.shape[2], dtype=values.dtype, crs=crs, transform=transform,
        **options,
    ) as dataset:  # fmt: skip
        dataset.write(values)
        dataset.update_tags(**dict(tags))
    return path


def scene(folder, height=60, width=90, names=("background", "landslide")):
    """A map, an image, a DEM of another grid, probabilities and three polygons."""
    rng = np.random.default_rng(0)
    classes = np.zeros((height, width), np.uint8)
    classes[10:20, 10:30] = classes[40:50, 60:64] = classes[30:32, 5:10] = 1
    classes[:, -5:] = 255
    tags = {"CLASSES": json.dumps(names), "LANDSLIDE_CLASS": "1"}
    raster(folder / "map.tif", classes, nodata=255, tags=tags)
    image = rng.integers(100, 3000, (4, height, width)).astype(np.uint16)
    raster(folder / "image.tif", image, nodata=0)
    chances = np.where(classes == 255, 255, classes * 200 + 20).astype(np.uint8)
    with rasterio.open(raster(folder / "p.tif", chances, nodata=255), "r+") as dataset:
        dataset.scales = [1 / 250]
    heights = np.add.outer(np.arange(50.0), np.zeros(60)).astype(np.float32) * 8
    moved = Affine(20, 0, LEFT - 50, 0, -20, TOP + 50)
    raster(folder / "dem.tif", heights, transform=moved)
    boxes = [(10, 10, 30, 20), (60, 40, 64, 50), (5, 30, 10, 32)]
    shapes = [
        shapely.box(LEFT + a * CELL, TOP - b * CELL, LEFT + c * CELL, TOP - d * CELL)
        for a, b, c, d in boxes
    ]
    table = {
        "id": np.array([1, 2, 3]),
        "area_m2": shapely.area(shapes),
        "area_px": np.array([200, 40, 10]),
        "probability": np.array([0.61, 0.98, np.nan]),
        "note": np.array([HOSTILE, "b", "a"], object),
    }
    pyogrio.raw.write(
        folder / "found.gpkg", shapely.to_wkb(shapes), list(table.values()),
        np.array(list(table), object), geometry_type="Polygon", crs="EPSG:32633",
        driver="GPKG",
    )  # fmt: skip
    return folder


def date(folder, name="2024"):
    image = [(str(folder / "image.tif"), band) for band in (3, 2, 1)]
    return MapDate(
        name=name, map=folder / "map.tif", image=image, probabilities=folder / "p.tif"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return scene(tmp_path_factory.mktemp("map"))


@pytest.fixture(scope="module")
def page(folder):
    more = {"dem": DemFiles(folder / "dem.tif"), "polygons": folder / "found.gpkg"}
    facts = {"scene": HOSTILE, "pixels": 5400}
    return write_map_page(
        folder / "map page.html", HOSTILE, [date(folder)], facts=facts, **more
    )


def pictures(page):
    """Layers by kind, as RGBA arrays."""
    found = re.findall(
        r'data-kind="(\w+)" src="data:image/png;base64,([^"]+)"', page.read_text()
    )
    return {
        kind: np.array(Image.open(io.BytesIO(base64.b64decode(content))))
        for kind, content in found
    }


def test_layers_show_what_the_files_hold(page):
    layers = pictures(page)
    assert list(layers) == ["image", "hillshade", "classes", "probability"]
    assert {layer.shape for layer in layers.values()} == {(60, 90, 4)}
    for kind in ("classes", "probability"):
        assert (layers[kind][:, :-5, 3] == 255).all()
        assert (layers[kind][:, -5:, 3] == 0).all()
    assert (layers["classes"][15, 20] == [230, 0, 0, 255]).all()
    assert (
        layers["probability"][15, 20, :3].sum() > layers["probability"][0, 0, :3].sum()
    )
    # Ground that rises southwards is lit from the north-west; it is a plane.
    shade = layers["hillshade"]
    assert (shade[..., 3] == 255).all() and np.ptp(shade[2:-2, 2:-2, 0]) <= 2
    assert shade[30, 45, 0] > 180
    assert layers["image"][..., 0].min() == 0 and layers["image"][..., 0].max() == 255


def test_outlines_lie_on_the_objects(page):
    paths = re.findall(r'<path data-object="\d" d="([^"]+)"', page.read_text())
    corners = [
        {tuple(map(float, p.split(","))) for p in re.split(r"[ML]", d.strip("Z"))[1:]}
        for d in paths
    ]
    assert corners[0] == {(10, 10), (30, 10), (30, 20), (10, 20)}
    assert corners[1] == {(60, 40), (64, 40), (64, 50), (60, 50)}


def test_outlines_in_degrees_lie_there_too(folder, page, tmp_path):
    meta, _, shapes, columns = pyogrio.raw.read(folder / "found.gpkg")
    source = pyproj.Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)
    turned = shapely.transform(
        shapely.from_wkb(shapes), lambda xy: np.stack(source.transform(*xy.T), axis=1)
    )
    pyogrio.raw.write(
        tmp_path / "a.geojson", shapely.to_wkb(turned), columns, meta["fields"],
        geometry_type="Polygon", crs="EPSG:4326", driver="GeoJSON",
    )  # fmt: skip
    other = write_map_page(
        tmp_path / "a.html", "A", [date(folder)], polygons=tmp_path / "a.geojson"
    )
    boxes = [
        [json.loads(box) for box in re.findall(r'data-box="([^"]+)"', text)]
        for text in (page.read_text(), other.read_text())
    ]
    assert np.shape(boxes[0]) == (3, 4)
    np.testing.assert_allclose(boxes[1], boxes[0], atol=0.1)


def test_the_page_is_safe_and_needs_nothing_from_outside(page):
    text = page.read_text()
    assert HOSTILE not in text and text.count("<script") == 1
    assert not re.search(r"https?://|@import|url\(|<link", text)
    assert "default-src 'none'" in text


def test_a_large_map_becomes_a_small_page(tmp_path):
    large = np.zeros((40, 5000), np.uint8)
    large[:, 2500:] = 1
    raster(tmp_path / "map.tif", large, nodata=255)
    one = MapDate(name="a", map=tmp_path / "map.tif")
    path = write_map_page(tmp_path / "a.html", "A", [one], max_side=500)
    (classes,) = pictures(path).values()
    assert classes.shape == (4, 500, 4)
    assert (classes[:, 0] != classes[:, -1]).any(axis=-1).all()
    assert 'class="layer" data-kind="classes"' in path.read_text()
    assert "hidden" not in re.search(r"<img[^>]+>", path.read_text())[0][-30:]


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        (Affine(CELL, 0, LEFT, 0, CELL, TOP), "EPSG:32633"),  # the south on top
        (Affine(7, 7, LEFT, 7, -7, TOP), "EPSG:32633"),
        (Affine.identity(), None),
    ],
    ids=["south-up", "rotated", "no-crs"],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_maps_of_other_orientation(tmp_path, transform, crs):
    values = np.zeros((30, 40), np.uint8)
    values[:10] = 1
    raster(tmp_path / "map.tif", values, transform=transform, crs=crs)
    image = raster(tmp_path / "i.tif", values * 255, transform=transform, crs=crs)
    dem = raster(tmp_path / "d.tif", values, transform=transform, crs=crs)
    one = MapDate(name="a", map=tmp_path / "map.tif", image=[(str(image), 1)])
    path = write_map_page(tmp_path / "a.html", "A", [one], dem=DemFiles(dem))
    layers = pictures(path)
    turned = transform.e > 0 and crs is not None
    assert (layers["image"][..., 0] == (values[::-1] if turned else values) * 255).all()
    assert ("hillshade" in layers) == turned


@pytest.mark.parametrize(
    ("shape", "value"), [((1, 40), 1), ((40, 1), 0), ((1, 1), 1), ((30, 40), 255)]
)
def test_thin_and_empty_maps(tmp_path, shape, value):
    values = np.full(shape, value, np.uint8)
    raster(tmp_path / "map.tif", values, nodata=255)
    image = raster(tmp_path / "i.tif", values, nodata=255)
    heights = np.full(shape, np.nan if value == 255 else 7, np.float32)
    dem = raster(tmp_path / "d.tif", heights, nodata=np.nan)
    one = MapDate(name="a", map=tmp_path / "map.tif", image=[(str(image), 1)])
    path = write_map_page(
        tmp_path / "a.html", "A", [one], dem=DemFiles(dem), max_side=20
    )
    layers = pictures(path)
    assert ("hillshade" in layers) == (min(shape) > 1)
    for layer in layers.values():
        assert max(layer.shape[:2]) <= 20
        assert (layer[..., 3] == (0 if value == 255 else 255)).all()


def test_what_cannot_be_shown(folder, tmp_path):
    out = tmp_path / "a.html"
    for dates in ([], [date(folder)] * 3):
        with pytest.raises(DataError, match="one date or two"):
            write_map_page(out, "A", dates)
    with pytest.raises(DataError, match="must be a vector file"):
        write_map_page(out, "A", [date(folder)], polygons=folder / "map.tif")
    wrong = MapDate(name="a", map=folder / "image.tif")
    with pytest.raises(DataError, match="one band of classes"):
        write_map_page(out, "A", [wrong])
    assert not list(tmp_path.iterdir())


def artefact(browser, name):
    """Keeps a screenshot where CI collects them, if it does."""
    if wanted := os.environ.get("LANDSLIDE_TF_ARTEFACTS"):
        Path(wanted).mkdir(parents=True, exist_ok=True)
        browser.picture(Path(wanted) / name)


needs_chromium = pytest.mark.skipif(
    PROGRAM is None, reason="Chromium is not installed (Debian: apt install chromium)"
)


@needs_chromium
def test_a_reader_looks_around(page):
    with Chromium(page) as browser:
        fitted = browser.value("document.getElementById('view').dataset.scale")
        box = "document.getElementById('view').getBoundingClientRect()"
        x, y = (browser.value(f"{box}.{side}") + 200 for side in ("left", "top"))
        browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300)
        scale = "document.getElementById('view').dataset.scale"
        browser.until(f"{scale} > {fitted}")
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


def told(page):
    """What the head of a page says, by name."""
    text = page.read_text(encoding="utf-8")
    return dict(re.findall(r"<div><dt>(.*?)</dt><dd>(.*?)</dd></div>", text))


@pytest.mark.parametrize(
    ("crs", "transform", "cells"),
    [
        ("EPSG:32633", NORTH_UP, "60 rows, 90 columns; 10 by 10 metre"),
        ("EPSG:2274", Affine(30, 0, 5e5, 0, -30, 2e5), "30 US survey foot, 9.14 m"),
        # `pyproj.Geod`: 55.8 m by 111.4 m in the middle.
        ("EPSG:4326", Affine(1e-3, 0, 15, 0, -1e-3, 60), "0.001 by 0.001°, 78.9 m"),
        (None, Affine.identity(), "60 rows, 90 columns"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_page_says_what_the_map_is_of(tmp_path, crs, transform, cells):
    tags = {
        "CLASSES": '["bare", "cleared"]',
        "LANDSLIDE_CLASS": "1",
        "THRESHOLD": "0.4",
    }
    values = np.zeros((60, 90), np.uint8)
    values[:10] = 1
    raster(tmp_path / "map.tif", values, tags=tags, crs=crs, transform=transform)
    one = MapDate(name="a", map=tmp_path / "map.tif")
    path = write_map_page(tmp_path / "a.html", "A", [one], area=1_234_567.0)
    found = told(path)
    assert cells in found["Cells"]
    assert found["Threshold"] == "0.4"
    assert found["Area of cleared"] == "1.235 km²"
    name = "none" if crs is None else pyproj.CRS(crs).name
    assert name in found["Coordinate system"]
    assert (crs or "none") in found["Coordinate system"]
    text = path.read_text(encoding="utf-8").lower()
    assert "landslide" not in text.replace("landslide-tf", "")


@needs_chromium
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


@needs_chromium
def test_the_table_sorts_and_zooms(page):
    with Chromium(page) as browser:
        ids = "[...document.querySelectorAll('tbody th')].map(c => c.textContent)"
        heads = "[...document.querySelectorAll('thead button')]"
        names = browser.value(f"{heads}.map(b => b.textContent)")
        assert names == ["object", "area, m²", "mean probability", "note"]
        assert browser.value(ids) == ["1", "2", "3"]
        browser.value(f"{heads}[2].focus()")
        browser.key("Enter")
        assert browser.value(ids) == ["2", "1", "3"]
        browser.key("Enter")
        assert browser.value(ids) == ["1", "2", "3"]  # without a value: last
        browser.value(f"{heads}[3].focus()")
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


@needs_chromium
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

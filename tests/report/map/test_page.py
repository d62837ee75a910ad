"""The page of a map: what it holds, apart from what a browser does with it."""

import base64
import io
import json
import re

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from PIL import Image
from rasterio import Affine

from landslide_tf.errors import DataError
from landslide_tf.raster.dem import DemFiles
from landslide_tf.report import MapDate, write_map_page
from tests.report.map.scenes import (
    CELL,
    HOSTILE,
    LEFT,
    NORTH_UP,
    TOP,
    date,
    raster,
)


def pictures(page):
    """Layers by kind, as RGBA arrays."""
    found = re.findall(
        r'data-kind="(\w+)" src="data:image/\w+;base64,([^"]+)"', page.read_text()
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

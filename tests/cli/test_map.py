"""`map` with the shipped model on a generated scene."""

import re
import warnings

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio import Affine

from landslide_tf import saved_models
from tests.cli.test_outputs import polygons
from tests.mapping import map_files as files

MODEL = "fstf_net_synthetic"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Colours and near infrared on one grid, elevations on another."""
    folder = tmp_path_factory.mktemp("scene")
    rng = np.random.default_rng(0)
    colours = rng.integers(20, 200, (4, 60, 90)).astype(np.uint8)
    transform = Affine(2, 0, 500_000, 0, -2, 4_600_000)
    names = ("red", "green", "blue", "nir")
    files.write(folder / "image.tif", colours, names=names, transform=transform)
    heights = np.cumsum(rng.normal(0.5, 1, (1, 60, 80)), axis=1).astype(np.float32)
    transform = Affine(3, 0, 499_970, 0, -3, 4_600_030)
    files.write(folder / "dem.tif", heights, transform=transform)
    return folder


def test_a_scene_becomes_rasters_and_polygons(command, scene, tmp_path):
    out = tmp_path / "map.tif"
    more = ("--vector", tmp_path / "map.gpkg", "--probabilities", tmp_path / "p.tif")
    arguments = ("--image", scene / "image.tif", "--dem", scene / "dem.tif")
    code, text, err = command(
        "map", MODEL, *arguments, "--out", out, *more, "--window", 64, "--overlap", 16
    )
    assert code == 0, err
    assert "windows of 64 pixels (training: 96), overlapping by 16" in text
    assert "5400 pixels, 5400 with data" in text and str(tmp_path / "map.qml") in text
    with rasterio.open(out) as dataset, rasterio.open(scene / "image.tif") as image:
        classes = dataset.read(1)
        assert dataset.transform == image.transform
        assert dataset.tags()["MODEL"]
    assert classes.max() <= 5
    meta, *_ = pyogrio.raw.read(tmp_path / "map.gpkg")
    assert "slope_mean_deg" in meta["fields"]
    code, text, _ = command("map", saved_models.path(MODEL), *arguments, "--out", out)
    assert code == 0  # the same, by its folder
    assert "windows of 96 pixels (training: 96), overlapping by 32" in text


@pytest.mark.integration
def test_tiles_of_elevations_make_the_map_of_the_whole(command, scene, tmp_path):
    """Also with a value for missing cells, its polygons and its page."""
    with rasterio.open(scene / "dem.tif") as dataset:
        heights, place = dataset.read(), dataset.transform
    heights = heights.astype(np.float64)  # as tiles are read
    heights[:, 20:25, 35:45] = -9999
    whole = tmp_path / "whole.tif"
    files.write(whole, heights, transform=place, nodata=-9999)
    west = files.write(tmp_path / "w.tif", heights[..., :40], transform=place)
    moved = place @ Affine.translation(40, 0)
    east = files.write(tmp_path / "e.tif", heights[..., 40:], transform=moved)
    tiles = ("--dem", east, "--dem", west)
    start = ("map", MODEL, "--image", scene / "image.tif")
    command.refuses(
        *start, *tiles, "--out", tmp_path / "m.tif", message="`--dem-nodata -9999`"
    )
    found = []
    for name, dem in (
        ("one", ("--dem", whole)),
        ("two", (*tiles, "--dem-nodata", "-9999")),
    ):
        out = tmp_path / name
        code, _, err = command(
            *start, *dem, "--out", out / "m.tif", "--vector", out / "m.gpkg",
            "--report", out / "m.html", "--threshold", 0.05, "--min-area", 0,
        )  # fmt: skip
        assert code == 0, err
        with rasterio.open(out / "m.tif") as dataset:
            classes = dataset.read(1)
        _, _, _, columns = pyogrio.raw.read(out / "m.gpkg", read_geometry=False)
        found.append((classes, columns, (out / "m.html").read_text()))
    (classes, columns, page), (same, same_columns, same_page) = found
    np.testing.assert_array_equal(classes, same)
    assert (classes == 255).any() and len(columns[0])
    for one, other in zip(columns, same_columns, strict=True):
        np.testing.assert_array_equal(one, other)
    assert shades(page) and shades(page) == shades(same_page)


def shades(page):
    """The hillshade of a page, as it is in the file."""
    return re.findall(r'data-kind="hillshade"[^>]*src="([^"]+)"', page)


def test_clouds_and_what_lies_beyond_an_area_are_not_mapped(command, scene, tmp_path):
    """Two files of clouds by value, and an area of polygons."""
    place = Affine(2, 0, 500_000, 0, -2, 4_600_000)
    clouds = np.random.default_rng(1).choice([0, 4, 8, 9], (2, 60, 90)).astype("u1")
    masks = [
        files.write(tmp_path / f"{k}.tif", clouds[k : k + 1], transform=place, nodata=0)
        for k in (0, 1)
    ]
    area = polygons(tmp_path / "area.gpkg", "area", (500_100, 4_599_900))
    out = tmp_path / "map.tif"
    code, text, err = command(
        "map", MODEL, "--image", scene / "image.tif", "--dem", scene / "dem.tif",
        "--out", out, "--mask", f"{masks[0]}:8,9", "--mask", f"{masks[1]}:4",
        "--within", area, "--report", tmp_path / "map.html",
    )  # fmt: skip
    assert code == 0, err
    inside = np.zeros((60, 90), bool)
    inside[40:50, 50:60] = True
    kept = inside & ~np.isin(clouds[0], (8, 9)) & (clouds[1] != 4)
    with rasterio.open(out) as dataset:
        np.testing.assert_array_equal(dataset.read(1) != 255, kept)
        assert dataset.tags()["MASK"] == '["0.tif:8,9", "1.tif:4"]'
    assert f"5400 pixels, {kept.sum()} with data" in text
    assert f"polygons `{area}`: layer `area`, 1 polygon" in text
    assert "area.gpkg" in (tmp_path / "map.html").read_text()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--image": "no.tif"}, "no.tif"),
        ({"--dem": None}, "--dem FILE"),
        ({"--dem": "image.tif"}, "one band of elevations"),
        ({"--bands": "red=7,green=2,blue=1,nir=4"}, "`red` is not found"),
        ({"--bands": "red="}, "--bands NAME=VALUE"),
        ({"--bands": "red=one"}, "`red` is not found as `one`"),
        ({"--scale": "bright"}, "as a number or `auto`"),
        ({"--scale": "-1"}, "above 0"),
        ({"--window": "100"}, "multiple of the model's stride"),
        ({"--overlap": "500"}, "`overlap` from 0 to"),
        ({"--threshold": "2"}, "at most 1"),
        ({"--dem-unit": "feet"}, "`foot`"),
        ({"--vector": "map.shp"}, "must end in .gpkg"),
        ({"--factor": "ndvi=no.tif"}, "no.tif"),
        ({"--mask": "no.tif:3"}, "no.tif"),
        ({"--mask": "dem.tif:cloud"}, "with numbers"),
        ({"--mask": "dem.tif"}, "--mask dem.tif:VALUE"),
        ({"--within": "no.gpkg"}, "no.gpkg"),
        ({"--nodata": "0.5"}, "can be 0.5 for `--nodata`"),
        ({"--out": "image.tif"}, "cannot be written over"),
        ({"model": "fstf_net_syntetic"}, f"`{MODEL}`"),
        ({"model": "./nowhere"}, "does not exist"),
    ],
)
def test_what_does_not_fit_is_one_line(
    command, scene, tmp_path, monkeypatch, changes, message
):
    monkeypatch.chdir(scene)
    given = {"--image": "image.tif", "--dem": "dem.tif", "--out": tmp_path / "m.tif"}
    given |= changes
    model = given.pop("model", MODEL)
    arguments = [x for k, v in given.items() if v is not None for x in (k, v)]
    before = sorted(scene.iterdir())
    command.refuses("map", model, *arguments, message=message)
    assert sorted(scene.iterdir()) == before and not list(tmp_path.iterdir())


def test_cells_far_from_those_of_the_training(command, scene, tmp_path):
    with rasterio.open(scene / "image.tif") as dataset:
        values = dataset.read()
    names = ("red", "green", "blue", "nir")
    coarse = Affine(30, 0, 500_000, 0, -30, 4_600_000)
    image = files.write(tmp_path / "i.tif", values, names=names, transform=coarse)
    dem = files.write(tmp_path / "d.tif", values[:1], transform=coarse)
    arguments = ("--image", image, "--dem", dem, "--out", tmp_path / "m.tif")
    message = "trained on cells of 2 m, the scene has 30 m"
    command.refuses("map", MODEL, *arguments, "--strict", message=message)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, _, err = command("map", MODEL, *arguments)
    assert code == 0 and err.startswith("warning: the model") and message in err

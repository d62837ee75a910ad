"""`--report` of `map` and `changes`: pages of what the commands read and wrote."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from rasterio import Affine

from tests.mapping import map_files as files

MODEL = "fstf_net_synthetic"
PLACE = Affine(2, 0, 500_000, 0, -2, 4_600_000)
TAGS = {"CLASSES": json.dumps(["background", "landslide"]), "LANDSLIDE_CLASS": "1"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    rng = np.random.default_rng(0)
    colours = rng.integers(20, 200, (4, 48, 64)).astype(np.uint8)
    names = ("red", "green", "blue", "nir")
    files.write(folder / "image.tif", colours, names=names, transform=PLACE)
    heights = np.cumsum(rng.normal(0.5, 1, (1, 48, 64)), axis=1).astype(np.float32)
    files.write(folder / "dem.tif", heights, transform=PLACE)
    return folder


def layers(page):
    return re.findall(r'<img class="layer" data-kind="(\w+)"', page.read_text())


def test_a_map_has_a_page_and_no_other_files_than_were_asked_for(
    command, scene, tmp_path
):
    out, page = tmp_path / "map.tif", tmp_path / "map.html"
    given = ("--image", scene / "image.tif", "--dem", scene / "dem.tif", "--out", out)
    code, text, err = command(
        "map", MODEL, *given, "--report", page, "--window", 64, "--overlap", 16
    )
    assert code == 0, err
    beside = [tmp_path / "map.tif.aux.xml", tmp_path / "map.qml"]
    assert set(tmp_path.iterdir()) == {page, out, *beside}
    written = [str(path) for path in (out, *beside, page)]
    assert text.splitlines()[1:] == written
    assert layers(page) == ["image", "hillshade", "classes", "probability"]
    objects = int(re.search(r"(\d+) polygons", text)[1])
    assert page.read_text().count("<path ") == objects
    assert ("mean slope" in page.read_text()) == (objects > 0)


@pytest.mark.parametrize("name", ["map.pdf", "."])
def test_a_page_has_a_page_s_name(command, scene, tmp_path, name):
    given = ("--image", scene / "image.tif", "--dem", scene / "dem.tif")
    given += ("--out", tmp_path / "map.tif", "--report", tmp_path / name)
    command.refuses("map", MODEL, *given, message="ends in .html")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def dates(tmp_path):
    """Two maps with their images; the second has a landslide more."""
    found = []
    for number in (1, 2):
        classes = np.zeros((1, 40, 50), np.uint8)
        classes[0, 5:15, 5:15] = 1
        classes[0, 20:30, 20 : 20 + 12 * (number - 1)] = 1
        path = files.write(tmp_path / f"m{number}.tif", classes, nodata=255)
        with files.rasterio.open(path, "r+") as dataset:
            dataset.update_tags(**TAGS)
        image = np.full((3, 40, 50), 60 * number, np.uint8)
        found.append((path, files.write(tmp_path / f"i{number}.tif", image)))
    return found


def test_changes_have_a_page_with_two_dates(command, dates, tmp_path):
    (first, before), (second, after) = dates
    page = tmp_path / "page.html"
    images = ("--image", before, "--image", after)
    out = ("--out", tmp_path / "changes", "--report", page)
    code, text, err = command("changes", first, second, *images, *out)
    assert code == 0, err
    assert str(page) in text
    assert layers(page) == ["image", "classes"] * 2
    (outline,) = re.findall(r'<path data-object="0" d="([^"]+)"', page.read_text())
    corners = set(re.split("[ML]", outline.strip("Z"))[1:])
    assert corners == {"20.0,20.0", "32.0,20.0", "32.0,30.0", "20.0,30.0"}
    assert 'id="swipe"' in page.read_text()


@pytest.mark.filterwarnings("ignore:map `.*` lies:UserWarning")
@pytest.mark.parametrize("align", [True, False])
def test_maps_that_were_moved_are_shown_moved(command, tmp_path, align):
    """The second image and map lie 4 rows above and 6 columns right of the first."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 2, (30, 30)).repeat(5, 0).repeat(5, 1).astype(np.uint8)
    given = []
    for number, (top, left) in ((1, (10, 10)), (2, (14, 4))):
        part = coarse[None, top : top + 120, left : left + 130]
        path = files.write(tmp_path / f"m{number}.tif", part, nodata=255)
        with files.rasterio.open(path, "r+") as dataset:
            dataset.update_tags(**TAGS)
        image = files.write(tmp_path / f"i{number}.tif", 50 + 100 * part)
        given += [path, "--image", image]
    page = tmp_path / "page.html"
    given += ["--out", tmp_path / "changes", "--report", page]
    code, _, err = command("changes", *given, *(["--align"] if align else []))
    assert code == 0, err
    found = [
        np.array(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r'src="data:image/png;base64,([^"]+)"', page.read_text())
    ]
    inside = slice(8, -8)
    for before, after in (found[::2], found[1::2]):  # images, classes
        same = (before == after)[inside, inside].mean()
        assert same == 1 if align else same < 0.9
    words = "moved back" if align else "shown where it lies"
    assert f"-4.0 rows, +6.0 columns; {words}" in page.read_text()


def test_images_are_one_a_map(command, dates, tmp_path):
    (first, before), (second, _) = dates
    out = ("--out", tmp_path / "changes", "--report", tmp_path / "page.html")
    message = "one `--image` a map, 2, received 1"
    command.refuses("changes", first, second, "--image", before, *out, message=message)
    assert not (tmp_path / "changes").exists()

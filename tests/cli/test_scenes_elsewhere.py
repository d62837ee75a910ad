"""Commands take products of Sentinel-2 and addresses as they take files."""

import numpy as np
import pytest
import rasterio

from tests.cli.scene_files import polygons, state
from tests.contracts.command import Command
from tests.mapping import transparent
from tests.raster.http_files import served
from tests.raster.sentinel2_files import CORNER, made_bands, write_product

pytestmark = pytest.mark.integration

SIDE = 240


@pytest.fixture
def run(monkeypatch, capsys):
    return Command(monkeypatch, capsys)


@pytest.fixture
def product(tmp_path):
    """A product in which reflectances rise from the west to the east, with a cloud."""
    stored = made_bands(side=SIDE)
    for band, values in stored.items():
        if band != "SCL":
            rise = np.linspace(1000, 9000, values.shape[1])
            values[:] = rise.astype(np.uint16)
    stored["SCL"][10:20, 30:40] = 9
    return write_product(tmp_path / "scenes", stored)


def test_a_product_is_mapped_and_left_as_it_is(run, product, tmp_path):
    model = transparent.write(tmp_path / "model")
    before, out = state(product), tmp_path / "map.tif"
    code, _, err = run("map", model, "--image", product, "--out", out, "--scale=auto")
    assert code == 0, err
    assert state(product) == before
    with rasterio.open(out) as dataset:
        classes = dataset.read(1)
    clouded = np.zeros_like(classes, bool)
    clouded[20:40, 60:80] = True
    assert ((classes == 255) == clouded).all()
    # The brightest hundredth is 255: half of it divides the map.
    assert (classes[~clouded] == 1).mean() == pytest.approx(0.5, abs=0.02)
    message = "lies in"
    run.refuses(
        "map", model, "--image", product, "--out", product / "map.tif", message=message
    )
    assert state(product) == before


def test_a_product_becomes_a_data_set_by_reflectance(run, product, tmp_path):
    (x, y), prepared = CORNER, tmp_path / "prepared"
    boxes = [(x + 100 * k + 20, y - 100 * j - 60) for k in range(22) for j in range(22)]
    labels = polygons(tmp_path / "labels.gpkg", "slides", *boxes)
    code, out, err = run(
        "prepare", "--image", product, "--labels", labels, "--tile=24", "--out",
        prepared, "--bands=red,green,blue,B11",
    )  # fmt: skip
    assert code == 0, err
    assert "prepared:" in out
    assert '"reflectance"' in next(prepared.rglob("metadata.json")).read_text()


def test_what_a_server_does_not_give_is_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.05")
    model, labels = transparent.write(tmp_path / "model"), tmp_path / "labels.geojson"
    with served(tmp_path) as server:
        missing = server.url("missing.tif")
        for command in (
            ("map", model, "--image", missing, "--out", tmp_path / "map.tif"),
            (
                "prepare",
                "--image",
                missing,
                "--labels",
                labels,
                "--out",
                tmp_path / "p",
            ),
            ("terrain", missing, "--out", tmp_path / "terrain"),
            ("changes", missing, missing, "--out", tmp_path / "changes"),
            ("evaluate-map", missing, "--reference", labels),
        ):
            run.refuses(*command, message=f"`{missing}` cannot be read from there")
    assert {path.name for path in tmp_path.iterdir()} == {"model"}

"""`landslide-tf map` with a model of several regions."""

import numpy as np
import pytest
import rasterio
import shapely

from landslide_tf.metadata import Band, ModelMetadata
from landslide_tf.models import tsmu
from landslide_tf.raster.polygons import write_polygons
from tests.mapping import map_files as files
from tests.models.tsmu_small import call, small

BANDS = tuple(f"b{k}" for k in range(6))


@pytest.fixture(scope="module")
def model():
    return small("NAD", "ETF")


@pytest.fixture
def given(model, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    model.save(run / "model.keras")
    ModelMetadata(
        name="update",
        builder="tsmu_net",
        arguments={"regions": list(tsmu.regions(model))},
        inputs=[Band(name=name) for name in BANDS],
        classes=["background", "landslide"],
        landslide_class="sigmoid",
        stride=16,
        tile=32,
    ).write(run)
    values = np.random.default_rng(0).integers(0, 256, (6, 32, 32)).astype(np.uint8)
    image = files.write(tmp_path / "image.tif", values, names=BANDS)
    return ("map", run, "--image", image, "--out", tmp_path / "map.tif"), values


def test_the_decoder_of_the_region(command, given, model, tmp_path):
    arguments, values = given
    table = {"zone": ["ETF", "NAD"]}  # the second has the smaller part
    east = files.NORTH_UP.c + 200
    boxes = shapely.box([490_000, east], 4_500_000, [east, 510_000], 4_700_000)
    regions = tmp_path / "regions.gpkg"
    write_polygons(regions, "GPKG", boxes, table, files.CRS, layer="zones")
    chances = tmp_path / "p.tif"
    image = np.moveaxis(values, 0, -1)[None].astype(np.float32)
    found = []
    for options, index, name in (
        (("--region", "nad"), 0, "NORTH_AMERICAN_DESERTS"),
        (("--regions", f"{regions}:zone"), 1, "EASTERN_TEMPERATE_FORESTS"),
    ):  # fmt: skip
        code, _, err = command(
            *arguments, *options, "--probabilities", chances, "--float"
        )
        assert code == 0, err
        with rasterio.open(chances) as dataset:
            found.append(dataset.read(1))
            assert dataset.tags()["REGION"] == name
        expected = call(model, image, np.array([index]))[0, ..., 0]
        np.testing.assert_allclose(found[-1], expected, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-4


def test_regions_that_have_no_decoder(command, given, tmp_path):
    arguments, _ = given
    command.refuses(*arguments, message="choose one with `--region NAME`")
    command.refuses(
        *arguments, "--region", "Alps", message="no decoder for the region `ALPS`"
    )
    command.refuses(
        *arguments, "--region", "NAD", "--regions", "a.gpkg", message="not both"
    )
    single = ("map", "fstf_net_synthetic", *arguments[2:], "--region", "NAD")
    command.refuses(*single, message="has no decoders of regions")
    assert not (tmp_path / "map.tif").exists()

"""The STAC item of an export is what the Machine Learning Model extension asks for."""

import json
import shutil

import pytest

from landslide_tf import serving
from landslide_tf.serving.network import Network
from landslide_tf.serving.stac_item import ARTIFACTS, stac_item

from .conftest import toy_metadata, toy_model

ITEM = "assets.extra/model.stac.json"


@pytest.fixture(params=sorted(ARTIFACTS))
def item(request):
    return stac_item(Network(toy_model(), toy_metadata()), request.param)


def test_it_is_an_item_of_the_extension(item):
    pystac = pytest.importorskip("pystac")
    schema = pytest.importorskip("stac_model.schema")
    read = pystac.Item.from_dict(json.loads(json.dumps(item)), preserve_dict=False)
    assert read.datetime.tzinfo is not None and read.geometry is None
    found = schema.MLModelProperties.model_validate(read.properties)
    image, factors = found.input
    assert (image.name, list(image.bands)) == ("image", ["r", "g", "b"])
    assert (factors.name, list(factors.bands)) == ("factors", ["slope", "ndvi"])
    assert image.input.shape == [-1, -1, -1, 3]
    (output,) = found.output
    assert output.result.shape == [-1, -1, -1, 3]
    assert [c.name for c in output.classes] == ["other", "bare", "landslide"]
    assert found.total_parameters == toy_model().count_params()


def test_every_band_is_described_and_one_asset_is_the_model(item):
    # What the extension's JSON schema asks for beyond the types of its fields.
    properties = item["properties"]
    described = {band["name"] for band in properties["bands"]}
    used = [name for entry in properties["mlm:input"] for name in entry["bands"]]
    assert described == set(used)
    models = [a for a in item["assets"].values() if "mlm:model" in a["roles"]]
    assert [bool(a.get("mlm:artifact_type")) for a in models] == [True]
    assert {"bbox"}.isdisjoint(item)  # a place would need a geometry


def test_names_are_made_fit():
    metadata = toy_metadata(name="1: été", classes=["other", "bare land", "Rutschung"])
    item = stac_item(Network(toy_model(), metadata), "onnx")
    assert item["properties"]["mlm:name"] == f"{metadata.builder} model"
    (output,) = item["properties"]["mlm:output"]
    names = [c["name"] for c in output["classification:classes"]]
    assert names == ["other", "bare_land", "Rutschung"]
    assert item["id"] == "1: été"


def test_the_files_it_names_are_there(exported):
    text = (exported / "1" / ITEM).read_text(encoding="utf-8")
    for asset in json.loads(text)["assets"].values():
        assert (exported / "1" / "assets.extra" / asset["href"]).exists()


def test_a_half_made_map_is_that_of_the_same_model(exported, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(exported, folder)
    before = serving.load(folder).files
    (folder / "1" / ITEM).unlink()
    assert serving.load(folder).files == before

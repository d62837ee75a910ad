"""Models of several regions on a server: regions by number and by name."""

import json

import numpy as np
import pytest

from landslide_tf import serving
from landslide_tf.errors import ModelError
from landslide_tf.metadata import Band, ModelMetadata
from landslide_tf.models import tsmu
from tests.models.tsmu_small import call, draw, small

REGIONS = ("NAD", "ETF", "New place")


def metadata(model, threshold=None):
    bands = model.inputs[0].shape[-1]
    return ModelMetadata(
        name="update",
        builder="tsmu_net",
        arguments={"regions": list(tsmu.regions(model))},
        inputs=[Band(name=f"b{k}", range=(0, 255)) for k in range(bands)],
        classes=["background", "landslide"],
        landslide_class="sigmoid",
        threshold=threshold,
    )


@pytest.fixture(scope="module")
def model():
    return small(*REGIONS)


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    serving.export(model, folder, metadata=metadata(model), warm_up=16)
    return serving.load(folder)


def test_by_number(model, served):
    image, region = draw(model, 4), np.array([2, 0, -1, 1])
    found = served({"image": image, "region": region})
    expected = call(model, image, region)
    assert list(found) == ["probabilities"]
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)
    small = served({"image": image.astype("uint8"), "region": region}, "predict_uint8")
    assert small["mask"].dtype == np.uint8
    np.testing.assert_array_equal(small["mask"], found["probabilities"] >= 0.5)


def test_by_name_and_as_pair(model, served):
    image = draw(model, 4)
    given = {"image": image, "region": np.array([1, 2, 0, -1])}
    expected = served({**given, "image": image.astype("uint8")}, "predict_uint8")
    names = np.array(["eastern  temperate-forests", "NEW_PLACE", " nad", "*"])
    found = served({"image": image, "region": names}, "by_name")
    pair = {
        "pre": image[..., :3].astype("uint8"),
        "post": image[..., 3:].astype("uint8"),
        "region": names,
    }
    for outputs in (found, served(pair, "pair_uint8")):
        for key, values in expected.items():
            np.testing.assert_array_equal(outputs[key], values, err_msg=key)
    np.testing.assert_array_equal(
        found["probabilities"], served(given)["probabilities"]
    )


def test_pairs_of_two_sizes_are_refused(model, served):
    image = draw(model, 1).astype("uint8")
    pair = {"pre": image[..., :3], "post": image[:, :-1, :, 3:], "region": ["ETF"]}
    with pytest.raises(ModelError, match="`post` must have the size of `pre`"):
        served(pair, "pair_uint8")


def test_pixels_without_a_value_are_told(model, served):
    image = draw(model, 2)
    holes, filled = image.copy(), image.copy()
    holes[0, 2:4, :, 5] = np.nan
    filled[0, 2:4] = 0
    names = np.array(["ETF", "NAD"])
    found = served({"image": holes, "region": names}, "by_name")
    wanted = served({"image": filled, "region": names}, "by_name")
    np.testing.assert_array_equal(found["probabilities"], wanted["probabilities"])
    valid = np.ones_like(wanted["valid"])
    valid[0, 2:4] = 0
    np.testing.assert_array_equal(found["valid"], valid)
    assert (found["mask"][valid == 0] == 255).all()
    np.testing.assert_array_equal(found["mask"][valid == 1], wanted["mask"][valid == 1])


@pytest.mark.parametrize(
    ("region", "signature", "words"),
    [
        (np.array([0, 3]), "serving_default", r"received.*3"),
        (np.array(["ETF", "MWCF"]), "by_name", r"received.*MWCF"),
        (np.array(["ETF", ""]), "by_name", "must be one of"),
    ],
)
def test_an_unknown_region_fails_the_whole_request(
    model, served, region, signature, words
):
    image = draw(model, 2)
    with pytest.raises(ModelError, match=words):
        served({"image": image, "region": region}, signature)


def test_an_unknown_signature(served):
    with pytest.raises(ModelError, match="by_name"):
        served({}, "by_names")


def test_names_travel(model, served):
    extra = served.folder / "assets.extra"
    names = json.loads((extra / "regions.json").read_text())
    assert names == {
        "0": "NORTH_AMERICAN_DESERTS",
        "1": "EASTERN_TEMPERATE_FORESTS",
        "2": "NEW_PLACE",
    }
    assert "2 NEW_PLACE" in (extra / "README.md").read_text()


def test_partition_post_only_and_a_removed_region(tmp_path):
    net = small("NAD", "ETF", routing="partition", inputs="post")
    net = tsmu.remove_region(net, "NAD")
    folder = serving.export(
        net, tmp_path, metadata=metadata(net, threshold=0.3), version=7
    )
    served = serving.load(folder)
    image = draw(net, 2)
    found = served({"image": image, "region": np.array(["etf", "ETF"])}, "by_name")
    np.testing.assert_allclose(
        found["probabilities"], call(net, image, [1, 1]), atol=1e-6
    )
    np.testing.assert_array_equal(found["mask"], found["probabilities"] >= 0.3)
    np.testing.assert_allclose(
        found["landslide"] / 250, found["probabilities"], atol=1 / 250
    )
    for name in ("NAD", "*"):
        with pytest.raises(ModelError, match="region"):
            served({"image": image, "region": np.array([name, "ETF"])}, "by_name")
    with pytest.raises(ModelError, match="signature"):
        served({"image": image}, "pair_uint8")

"""Networks whose outputs are dictionaries, and the loop over all of them."""

import io

import keras
import numpy as np
import pytest
from PIL import Image

from landslide_tf import models, serving
from landslide_tf.metadata import Band, Factor, ModelMetadata

SMALL = {"width": 0.125}
RESNET = {"backbone": "resnet18", "backbone_layout": "torchvision"}
ARGUMENTS = {
    "ada_net": {"backbone": "resnet18", "multi_grid": (1, 2)},
    "mffe_net": {"backbone": "resnet18", "multi_grid": (1, 2)},
    "rae_d": RESNET,
    "fstf_net": RESNET,
    "deeplab_v3_plus": RESNET,
}


def described(name, model, **changes):
    factors = [Factor(name=n) for n in ("slope", "aspect", "ndvi")]
    fields = {
        "name": name,
        "builder": name,
        "arguments": {},
        "inputs": [Band(name=n, range=(0, 255)) for n in ("red", "green", "blue")],
        "factors": factors if len(model.inputs) == 2 else [],
        "classes": ["other", "landslide"],
        "landslide_class": 1,
    }
    return ModelMetadata(**(fields | changes))


@pytest.mark.integration
def test_ada_net_serves_its_main_output_calibrated(tmp_path):
    keras.utils.set_random_seed(2)
    model = models.ada_net(classifier_activation=None, **SMALL, **ARGUMENTS["ada_net"])
    metadata = described("ada_net", model, temperature=2.0)
    path = serving.export(
        model, tmp_path, metadata=metadata, signatures=["predict_uint8"], warm_up=None
    )
    served = serving.load(path)
    image = np.random.default_rng(0).integers(0, 256, (2, 30, 41, 3)).astype("uint8")
    found = served({"image": image})
    assert list(found) == ["probabilities"]
    # Compiled: layer by layer, untrained large logits round otherwise.
    main = keras.Model(model.inputs, model.output["main"])
    logits = main.predict(image.astype("float32"), verbose=0)
    wanted = np.asarray(keras.ops.softmax(logits / 2.0))
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-4)
    small = served({"image": image}, "predict_uint8")
    np.testing.assert_array_equal(
        small["mask"][..., 0], found["probabilities"].argmax(-1)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", models.list_models())
def test_every_network_serves_what_it_predicts(name, tmp_path):
    model = models.get(name)(num_classes=2, **SMALL, **ARGUMENTS.get(name, {}))
    path = serving.export(model, tmp_path, metadata=described(name, model))
    served = serving.load(path)
    random = np.random.default_rng(0)
    inputs = {
        tensor.name: random.uniform(0, 1, (1, 40, 56, 3)).astype("f4")
        for tensor in model.inputs
    }
    wanted = model.predict(inputs, verbose=0)
    wanted = wanted["main"] if isinstance(wanted, dict) else wanted
    found = served(inputs)
    assert list(found) == ["probabilities"]
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-4)
    inputs["image"] = np.zeros((1, 40, 56, 3), np.uint8)
    assert served(inputs, "predict_uint8")["mask"].shape == (1, 40, 56, 1)


@pytest.fixture(scope="module")
def evidential(tmp_path_factory):
    keras.utils.set_random_seed(1)
    model = models.evidential_net(
        backbone="resnet18", width=0.125, branch_size=32, precision="float32"
    )
    metadata = described("evidential_net", model, task="classification", threshold=0.4)
    folder = tmp_path_factory.mktemp("evidential")
    path = serving.export(model, folder, metadata=metadata, warm_up=32)
    return serving.load(path)


def photograph(size=(40, 36)):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(image).resize(size[::-1]))


@pytest.mark.integration
def test_an_evidential_network_decides_on_files(evidential):
    image = photograph()
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    whole = evidential({"image": image[None]})
    answers = [
        evidential({"image": image[None]}, "predict_uint8"),
        evidential({"image_bytes": [stream.getvalue()]}, "predict_image_bytes"),
    ]
    chance = whole["probabilities"][:, 1]
    for found in answers:
        np.testing.assert_array_equal(found["label"], chance >= 0.4)
        np.testing.assert_allclose(found["landslide"] / 250, chance, atol=1 / 250)
        np.testing.assert_allclose(found["weights"], whole["weights"], atol=1e-5)
        assert found["valid"].all()


@pytest.mark.integration
def test_an_evidential_network_refuses_what_it_cannot_see(evidential):
    small = photograph((23, 40))[None]
    for signature in ("serving_default", "predict_uint8"):
        with pytest.raises(ValueError, match=r"at least 24 pixels .* received 23 x 40"):
            evidential({"image": small}, signature)


@pytest.mark.integration
@pytest.mark.parametrize("probs", [(0.5, np.nan), (1.5, -0.5)])
def test_the_fusion_refuses_what_are_no_probabilities(evidential, probs):
    with pytest.raises(ValueError, match="softmax values from 0 to 1"):
        evidential({"probs": np.full((1, 3, 2), probs)}, "fuse")

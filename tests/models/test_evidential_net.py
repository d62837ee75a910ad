"""The network of three branches against the NumPy reference."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf import models
from landslide_tf.errors import ModelError
from landslide_tf.evidence import fuse_branches, multiscale_saliency
from landslide_tf.pipelines import branch_image
from tests.contracts.jax_process import ON_JAX

SMALL = {"width": 0.05, "branch_size": 32}
TEMPERATURES = (1.5, 0.8, 2.0)
OUTPUTS = {
    "probabilities",
    "label",
    "branch_probabilities",
    "weights",
    "conflict",
    "vacuity",
    "saliency",
}


def images(height=40, width=33):
    random = np.random.default_rng(0)
    smooth = np.cumsum(random.normal(size=(2, height, width, 3)), axis=2)
    return np.clip(128 + 10 * smooth, 0, 255).astype("uint8")


def settled(model):
    """A fresh network whose branches are undecided, as calibrated ones are."""
    for channel in "hsv":
        head = model.get_layer(f"branch_{channel}").get_layer("logits")
        kernel, bias = head.get_weights()
        head.set_weights([kernel / 1000, bias])
    return model


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(2)
    return settled(models.evidential_net(temperatures=TEMPERATURES, **SMALL))


def test_outputs_are_those_of_the_reference(model):
    image = images()
    found = {k: np.array(v) for k, v in model({"image": image}).items()}
    assert set(found) == OUTPUTS
    saliency = multiscale_saliency(image)
    np.testing.assert_allclose(found["saliency"], saliency, rtol=0, atol=1e-6)
    rows = []
    for channel, temperature in zip("hsv", TEMPERATURES, strict=True):
        seen = tf.image.resize(branch_image(image, channel), (32, 32), antialias=True)
        logits = model.get_layer(f"branch_{channel}")([seen])
        rows.append(tf.nn.softmax(logits / temperature).numpy())
    branches = np.stack(rows, axis=1)
    np.testing.assert_allclose(found["branch_probabilities"], branches, atol=1e-5)
    expected = fuse_branches(found["branch_probabilities"])
    for name in ("probabilities", "weights", "conflict", "vacuity", "label"):
        np.testing.assert_allclose(
            found[name], getattr(expected, name), rtol=0, atol=1e-6
        )
    assert found["label"].dtype == np.int64


def test_a_prediction_is_no_training(model):
    before = [v.numpy() for v in model.non_trainable_variables]
    model({"image": images()})
    for variable, value in zip(model.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.integration
def test_saves_loads_and_exports_with_any_size(model, tmp_path):
    # With a third of the operations, which take nearly all of the time to trace.
    model = models.deployed(model)
    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    copy.export(tmp_path / "export", verbose=False)
    served = tf.saved_model.load(tmp_path / "export").signatures["serving_default"]
    for size in ((40, 33), (24, 51)):
        inputs = {"image": tf.constant(images(*size), tf.float32)}
        expected, same, found = model(inputs), copy(inputs), served(**inputs)
        assert set(found) == OUTPUTS
        for name in OUTPUTS:
            np.testing.assert_array_equal(same[name], expected[name])
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


def test_branches_come_from_trained_classifiers(model, tmp_path):
    keras.utils.set_random_seed(5)
    trained = models.landslide_classifier(width=0.05)
    trained.save(tmp_path / "s.keras")
    built = models.evidential_net(branch_weights={"s": tmp_path / "s.keras"}, **SMALL)
    for found, wanted in zip(
        built.get_layer("branch_s").get_weights(), trained.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_the_form_for_deployment(model):
    single = models.deployed(model)
    assert single.count_params() < model.count_params()
    inputs = {"image": images()}
    expected, found = model(inputs), single(inputs)
    for name in ("branch_probabilities", "saliency"):
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-4)


JAX = """
import sys
import keras, numpy as np
from landslide_tf import models

assert keras.backend.backend() == "jax"
image = np.random.default_rng(0).integers(0, 256, (1, 33, 47, 3))
net = models.evidential_net(
    width=0.05, branch_size=32, branch_weights={"h": sys.argv[1]}
)
outputs = net({"image": image})
assert outputs["saliency"].shape == image.shape[:3]
assert np.isfinite(outputs["probabilities"]).all()
net.compile(jit_compile=True)
compiled = net.predict({"image": image.astype("float32")}, verbose=0)
np.testing.assert_allclose(
    compiled["probabilities"], outputs["probabilities"], atol=1e-3
)
classifier = models.landslide_classifier(width=0.05, weights=sys.argv[1])
single = models.deployed(classifier)
small = {"image": image.astype("float32")}
np.testing.assert_allclose(single(small), classifier(small), atol=1e-4)
classifier.compile("sgd", "sparse_categorical_crossentropy")
assert np.isfinite(classifier.train_on_batch(small, np.array([1])))
"""


@pytest.mark.slow
def test_both_networks_run_on_jax(tmp_path):
    pytest.importorskip("jax")
    models.landslide_classifier(width=0.05).save(tmp_path / "h.keras")
    result = subprocess.run(
        [sys.executable, "-c", JAX, str(tmp_path / "h.keras")],
        capture_output=True,
        text=True,
        env=ON_JAX,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"branch_size": 0}, "branch_size"),
        ({"temperatures": (1, 1)}, "temperatures"),
        ({"temperatures": (1, 0, 1)}, "temperatures"),
        ({"branch_weights": {"hue": "x.keras"}}, "branch_weights"),
        ({"branch_weights": {"h": "x.keras"}}, "existing file"),
        ({"variant": "best"}, "variant"),
        ({"mode": "max"}, "mode"),
        ({"border": "edge"}, "border"),
        ({"input_shape": (20, 20, 3)}, "at least 24"),
        ({"input_shape": (None, None, 4)}, "height, width, 3"),
    ],
)
def test_arguments_that_do_not_fit(arguments, words):
    with pytest.raises(ModelError, match=words):
        models.evidential_net(**{**SMALL, **arguments})

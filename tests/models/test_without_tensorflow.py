"""Networks, losses and metrics on JAX, in a process that cannot import TensorFlow."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from landslide_tf import layers, models
from landslide_tf.layers import EncodeFactors, PadToStride, Resize2D
from tests.contracts.segmentation_model import build, draw_inputs, settle

pytestmark = pytest.mark.integration

pytest.importorskip("jax")

START = """
import importlib.abc, os, sys

class NoTensorFlow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError("No module named 'tensorflow'", name=name)

sys.meta_path.insert(0, NoTensorFlow())
os.chdir(sys.argv[1])

import keras, numpy as np
import landslide_tf
from landslide_tf import layers, losses, metrics, models

assert keras.backend.backend() == "jax"
"""

TRAIN = """
small = {"backbone": "resnet18", "backbone_layout": "torchvision"}
random = np.random.default_rng(0)
for name in sys.argv[2:]:
    keras.utils.set_random_seed(1)
    model = models.get(name)(
        num_classes=3, width=0.125, classifier_activation=None,
        **({} if "fcn" in name else small),
        **({"multi_grid": (1, 2)} if name in ("mffe_net", "ada_net") else {}),
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if isinstance(model.output, dict):
        loss = {key: loss for key in model.output}
    model.compile("adam", loss)
    inputs = {
        v.name: random.uniform(0, 60, (2, 37, 53, v.shape[-1])).astype("float32")
        for v in model.inputs
    }
    labels = random.integers(0, 3, (2, 37, 53, 1))
    if isinstance(model.output, dict):
        labels = {key: labels for key in model.output}
    before = [v.numpy().copy() for v in model.trainable_variables]
    loss = model.train_on_batch(inputs, labels, return_dict=True)["loss"]
    assert np.isfinite(loss), name
    moved = [
        bool((a != v.numpy()).any())
        for a, v in zip(before, model.trainable_variables)
    ]
    assert sum(moved) > 0.9 * len(moved), name
    print(name, loss)
"""

TRAIN_CLASSIFIER = """
model = models.landslide_classifier(3, backbone=sys.argv[2], width=0.125)
# HorNet's blocks start scaled by 1e-6, and Adam passes over gradients below epsilon.
adam = keras.optimizers.Adam(epsilon=1e-15)
model.compile(adam, "sparse_categorical_crossentropy")
image = np.random.default_rng(0).uniform(0, 255, (2, 37, 53, 3)).astype("float32")
before = [v.numpy().copy() for v in model.trainable_variables]
loss = model.train_on_batch({"image": image}, np.array([0, 1]))
assert np.isfinite(loss)
moved = [(a != v.numpy()).any() for a, v in zip(before, model.trainable_variables)]
assert sum(moved) > 0.9 * len(moved)
print("loss", loss)
"""

COMPUTE = """
data = np.load("inputs.npz")
arrays = {
    "bilinear": layers.Resize2D()(data["x"], data["like"]),
    "aligned": layers.Resize2D(align_corners=True)(data["x"], data["like"]),
    "nearest": layers.Resize2D("nearest")(data["x"], data["like"]),
    "padded": layers.PadToStride(16)(data["x"]),
    "encoded": layers.EncodeFactors(encoding="sincos")(data["factors"]),
    "attention": keras.models.load_model("attention.keras")(data["features"]),
    "probabilities": keras.models.load_model("model.keras")(
        {k: data[k] for k in ("image", "factors")}
    ),
}
np.savez("jax.npz", **{k: np.asarray(v) for k, v in arrays.items()})
"""

END = """
assert not any(v.split(".")[0] == "tensorflow" for v in sys.modules)
"""


def on_jax(folder, script, *names):
    """Runs a script where TensorFlow cannot be imported and returns its output."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        # Compiling is nearly all of the time.
        "XLA_FLAGS": "--xla_backend_optimization_level=0"
        " --xla_llvm_disable_expensive_passes=true",
    }
    result = subprocess.run(
        [sys.executable, "-c", START + script + END, str(folder), *names],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def attentive():
    """Every layer of the encoders of branches that is not Keras's, in one network."""
    features = keras.Input((None, None, 8))
    x = layers.GatedConvolution(3)(features)
    x = layers.WindowAttention(2, 4, 2)(x)
    x = layers.WindowAttention(2, 4, 2, cosine=True)(x)
    x = layers.MergePatches()(layers.LayerScale(0.5)(x))
    x = layers.SelfAttention(2)(layers.ClassToken(3)(x))
    return keras.Model(features, layers.FirstToken()(x))


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """The same inputs through TensorFlow here and through JAX in a subprocess."""
    folder = tmp_path_factory.mktemp("jax")
    random = np.random.default_rng(4)
    model = settle(
        build("fstf_net", {"backbone": "resnet18", "backbone_layout": "torchvision"})
    )
    model.save(folder / "model.keras")
    attention = attentive()
    attention.save(folder / "attention.keras")
    inputs = {k: v.numpy() for k, v in draw_inputs(model, 1, 37, 53).items()}
    x = random.normal(size=(2, 5, 7, 3)).astype("float32")
    like = np.zeros((1, 20, 28, 1), "float32")
    features = random.normal(size=(2, 6, 10, 8)).astype("float32")
    np.savez(folder / "inputs.npz", x=x, like=like, features=features, **inputs)
    said = on_jax(folder, COMPUTE + TRAIN, "ada_net")
    expected = {
        "bilinear": Resize2D()(x, like),
        "aligned": Resize2D(align_corners=True)(x, like),
        "nearest": Resize2D("nearest")(x, like),
        "padded": PadToStride(16)(x),
        "encoded": EncodeFactors(encoding="sincos")(inputs["factors"]),
        "attention": attention(features),
        "probabilities": model(inputs),
    }
    expected = {k: keras.ops.convert_to_numpy(v) for k, v in expected.items()}
    return expected, dict(np.load(folder / "jax.npz")), said


def test_a_network_of_two_outputs_trains(arrays):
    """One of one output is trained in `tests/train/run/test_import_weights.py`."""
    assert len(arrays[2].splitlines()) == 1


@pytest.mark.slow
def test_every_network_trains(tmp_path):
    names = models.list_models()
    assert len(on_jax(tmp_path, TRAIN, *names).splitlines()) == len(names)


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone", ["hornet_tiny", "swin_tiny", "swin_v2_tiny", "van_b0", "vit_tiny"]
)
def test_classifiers_train(backbone, tmp_path):
    assert "loss" in on_jax(tmp_path, TRAIN_CLASSIFIER, backbone)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("bilinear", 1e-6),
        ("aligned", 1e-6),
        ("nearest", 0),
        ("padded", 0),
        ("encoded", 1e-6),
        ("attention", 1e-4),
        ("probabilities", 1e-3),
    ],
)
def test_both_backends_agree(arrays, name, tolerance):
    expected, got, _ = arrays
    np.testing.assert_allclose(got[name], expected[name], atol=tolerance, rtol=0)

"""Loss, metric, optimizer and schedule together, where pytest's process cannot go."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf import losses

pytestmark = pytest.mark.integration

LOSSES = {
    "SegmentationCrossEntropy": {"class_weights": [0.5, 0, 1, 4]},
    "FocalLoss": {"gamma": 0.5, "alpha": 0.25, "class_weights": [0.5, 0, 1, 4]},
    "DiceLoss": {},
    "TverskyLoss": {"smooth": 1.0, "class_weights": [0.5, 0, 1, 4]},
    "CrossEntropyDiceLoss": {"dice_weight": 0.5},
    "BoundaryLoss": {"class_weights": [0.5, 0, 1, 4]},
    "ReleasedLoss": {"formula": "focal"},
}
SETUP = """
import json
import numpy as np
import keras
from landslide_tf.losses import SegmentationCrossEntropy
from landslide_tf.metrics import ConfusionMatrix
from landslide_tf.train.optimizers import CoupledSGD
from landslide_tf.train.optimizers import make_schedule

def fitted_model():
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    start = np.random.default_rng(1).normal(size=(1, 1, 3, 4))
    head = keras.layers.Conv2D(
        4, 1, kernel_initializer=lambda shape, dtype: keras.ops.cast(start, dtype)
    )
    model = keras.Model(image, head(image))
    loss = SegmentationCrossEntropy(class_weights=[1, 2, 3, 4])
    metric = ConfusionMatrix(4, landslide_class=0)
    rate = make_schedule("step", 0.5, steps=3)
    optimizer = CoupledSGD(rate, 0.9, 0.01)
    model.compile(optimizer, loss, metrics=[metric], jit_compile=JIT)
    rng = np.random.default_rng(2)
    images = rng.random((8, 6, 6, 3)).astype("float32")
    # Every image has as many valid pixels and the same class weights: the average
    # over replicas is the average over the batch.
    labels = np.tile(rng.permutation(np.arange(36) % 4).reshape(6, 6), (8, 1, 1))
    labels[:, :2, :2] = 255
    logs = model.fit(
        images, labels.astype("uint8"), batch_size=4, epochs=3, shuffle=False, verbose=0
    ).history
    kernel = np.asarray(keras.ops.convert_to_numpy(head.kernel[:]))
    return {"kernel": kernel.tolist(), "loss": logs["loss"], "oa": logs["oa"],
            "miou": logs["miou"], "matrix": metric.matrix().tolist()}
"""
PRINT = "\nprint('RESULT' + json.dumps(result))\n"

REPLICAS = (
    """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, halves)
JIT = False
"""
    + SETUP
    + """
result = {"one": fitted_model()}
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    result["two"] = fitted_model()
"""
    + PRINT
)
JAX = (
    """
import sys
class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name}", name=name)
sys.meta_path.insert(0, NoTensorFlow())
JIT = True
"""
    + f"ARGUMENTS = {LOSSES!r}"
    + SETUP
    + """
result = fitted_model()
loss = SegmentationCrossEntropy()
logits = np.array([(2, 0), (1, 0), (5, 5), (0, 9)], "float32")
result["golden"] = float(loss(np.array([0, 1, 255, 255]), logits))
result["ignored"] = float(loss(np.full(4, 255), logits))
result["unknown"] = str(float(loss(np.array([0, 1, 2, 255]), logits)))
variables = [keras.Variable([1.0], name=name) for name in ("kernel", "bias")]
optimizer = CoupledSGD(0.1, 0.9, 0.01)
for _ in range(3):
    optimizer.apply([keras.ops.array([0.5])] * 2, variables)
result["steps"] = [float(v[0]) for v in variables]
metric = ConfusionMatrix(2, landslide_class="sigmoid")
metric.update_state(np.array([0, 1, 1, 255]), np.array([[0.7], [0.7], [0.2], [0.9]]))
result["sigmoid"] = metric.matrix().tolist()
metric.update_state(np.array([3]), np.array([[0.7]]))
result["unknown_label"] = str(float(metric.result()["oa"]))
result["dtype"] = metric.counts.dtype

import jax
from landslide_tf import losses
rng = np.random.default_rng(3)
logits = 2 * rng.normal(size=(2, 5, 4, 4)).astype("float32")
labels = rng.choice([0, 1, 3, 255], (2, 5, 4)).astype("uint8")
nothing = np.full_like(labels, 255)
strange = np.full_like(labels, 4)
result["losses"] = {}
for name, arguments in ARGUMENTS.items():
    loss = getattr(losses, name)(**arguments)
    step = jax.jit(jax.value_and_grad(lambda z, y: loss(y, z)))
    big = loss(np.zeros((1, 512, 512), "uint8"), np.zeros((1, 512, 512, 4), "float16"))
    values = {"some": step(logits, labels), "none": step(logits, nothing)}
    values = {k: (float(v), np.asarray(g).tolist()) for k, (v, g) in values.items()}
    values["strange"] = str(float(step(logits, strange)[0]))
    values["big"] = float(big)
    result["losses"][name] = values
result["backend"] = keras.backend.backend()
"""
    + PRINT
)


def run(script, backend):
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.split("RESULT")[-1])


def assert_same_run(received, expected):
    for name in ("kernel", "loss", "oa", "miou"):
        np.testing.assert_allclose(received[name], expected[name], rtol=2e-5, atol=1e-6)
    assert received["matrix"] == expected["matrix"]


@pytest.fixture(scope="module")
def replicas():
    return run(REPLICAS, "tensorflow")


def test_two_replicas_train_and_count_as_one(replicas):
    one = replicas["one"]
    assert np.sum(one["matrix"]) == 8 * 32
    assert one["loss"][-1] < one["loss"][0]
    assert_same_run(replicas["two"], one)


@pytest.fixture(scope="module")
def on_jax():
    return run(JAX, "jax")


def test_jax_without_tensorflow_trains_and_counts_alike(replicas, on_jax):
    result = on_jax
    assert result["backend"] == "jax"
    assert_same_run(result, replicas["one"])
    assert result["golden"] == pytest.approx(0.72009485, abs=1e-7)
    assert result["ignored"] == 0.0
    assert result["unknown"] == result["unknown_label"] == "nan"
    np.testing.assert_allclose(result["steps"], [0.7141347, 0.7195], atol=2e-7)
    assert result["sigmoid"] == [[0, 1], [1, 1]]
    assert result["dtype"] == "int32"


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients_are_the_same_on_jax(on_jax, name):
    received = on_jax["losses"][name]
    rng = np.random.default_rng(3)
    logits = tf.Variable(2 * rng.normal(size=(2, 5, 4, 4)).astype("float32"))
    labels = rng.choice([0, 1, 3, 255], (2, 5, 4)).astype("uint8")
    loss = getattr(losses, name)(**LOSSES[name])
    with tf.GradientTape() as tape:
        value = loss(labels, logits)
    assert received["some"][0] == pytest.approx(float(value), rel=1e-5)
    gradient = tape.gradient(value, logits).numpy()
    assert np.abs(gradient).max() > 1e-4
    np.testing.assert_allclose(received["some"][1], gradient, rtol=1e-4, atol=1e-7)
    assert received["none"][0] == 0.0
    assert not np.any(received["none"][1])
    assert received["strange"] == "nan"
    zeros = keras.ops.zeros((1, 512, 512, 4), "float16")
    big = float(loss(np.zeros((1, 512, 512), np.uint8), zeros))
    assert 0 < big < 2
    assert received["big"] == pytest.approx(big, rel=1e-5)

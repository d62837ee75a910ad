"""Networks and updates of several regions on JAX, where there is no TensorFlow."""

import json
import subprocess
import sys

import numpy as np
import pytest

from landslide_tf.models import tsmu
from tests.contracts.jax_process import ON_JAX
from tests.models.tsmu_small import call, draw
from tests.train.continual.regions_recipe import recipe, write_recipe, write_region
from tests.train.continual.test_stages import network

pytest.importorskip("jax")

SCRIPT = """
import json, sys
import numpy as np
import keras
from landslide_tf import models
from landslide_tf.errors import ModelError
from landslide_tf.models import tsmu
from landslide_tf.train.continual import stages
from landslide_tf.train.continual.recipe import JointSection
from landslide_tf.train.continual.update_models import UpdateModel

folder = sys.argv[1]
net = tsmu.load_state(folder + "/state")
data = np.load(folder + "/inputs.npz")
image = data["image"]
inputs = {"image": image, "region": data["region"]}
found = {"values": np.asarray(net(inputs))}
wrong = {"image": image, "region": np.array([0, 5, -1, 1], "int32")}
refused = 0
try:
    net(wrong)
except ModelError:
    refused += 1
try:
    models.tsmu_net(["A"], variant="code", routing="partition")
except ModelError:
    refused += 1
found["compiled"] = net.predict(wrong, verbose=0)

plan = stages.joint_plan(net, JointSection(preservation="kd_kl"))
model = UpdateModel(net, plan)
model.compile(keras.optimizers.Adam(1e-2), jit_compile=True)
x = {"image": image}
labels = {"mask": data["mask"], "responses": data["responses"]}
logs = [model.train_on_batch(x, labels, return_dict=True) for _ in range(2)]
model.jax_state_sync()
kernel = tsmu.trunk(net).get_layer("block1_0_conv").kernel
statistics = tsmu.trunk(net).get_layer("block1_bn").moving_mean
np.savez(folder + "/jax.npz", kernel=kernel, statistics=statistics, **found)
assert not any(name.split(".")[0] == "tensorflow" for name in sys.modules)
print(json.dumps([refused, [{k: float(v) for k, v in row.items()} for row in logs]]))
"""


def on_jax(script, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=ON_JAX,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.integration
def test_values_refusals_and_an_update(tmp_path):
    net = network("A", "B")
    image, region = draw(net, 4), np.array([1, 0, -1, 1], "int32")
    responses = call(net, image, [0] * 4)
    mask = np.random.default_rng(1).integers(0, 2, image.shape[:3]).astype("uint8")
    tsmu.save_state(net, tmp_path / "state")
    np.savez(
        tmp_path / "inputs.npz",
        image=image,
        region=region,
        mask=mask,
        responses=responses,
    )
    refused, logs = on_jax(SCRIPT, tmp_path)
    assert refused == 2
    found = np.load(tmp_path / "jax.npz")
    np.testing.assert_allclose(found["values"], call(net, image, region), atol=1e-5)
    assert np.isnan(found["compiled"]).all(axis=(1, 2, 3)).tolist() == [
        False,
        True,
        False,
        False,
    ]
    assert abs(logs[0]["preservation"]) < 1e-7
    assert logs[1]["preservation"] > 1e-7
    assert logs[1]["loss"] < logs[0]["loss"]
    trunk = tsmu.trunk(net)
    assert not np.array_equal(
        found["kernel"], trunk.get_layer("block1_0_conv").kernel.numpy()
    )
    np.testing.assert_array_equal(
        found["statistics"], trunk.get_layer("block1_bn").moving_mean.numpy()
    )


TRAIN = """
import json, sys
from landslide_tf.train import (
    Session, load_continual_recipe, read_matrix, train_continual
)
recipe = load_continual_recipe(sys.argv[1])
place = train_continual(recipe, sys.argv[2], Session(verbose=0))
print(json.dumps(read_matrix(place.state)["R"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("responses", ["recorded", "online"])
def test_a_sequence_of_regions(tmp_path, responses):
    folders = [write_region(tmp_path / str(k), k) for k in (0, 1)]
    joint = {**recipe(folders)["joint"], "responses": responses}
    file = write_recipe(tmp_path / "recipe.yaml", folders, joint=joint)
    (_, last) = on_jax(TRAIN, file, tmp_path / "run")
    assert all(0 <= iou <= 1 for iou in last)

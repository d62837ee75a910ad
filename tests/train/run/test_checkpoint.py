import json
import resource
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from landslide_tf.errors import RunError
from landslide_tf.train.run.checkpoint import (
    ARRAYS,
    KEPT,
    CheckpointWarning,
    assign_variables,
    groups,
    load_newest,
    save_checkpoint,
    variable_arrays,
)


def save(folder, value, name="state"):
    return save_checkpoint(folder, name, {"a": np.full(4, value)}, {"value": value})


def small_model(policy="float32"):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, dtype=policy),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1, dtype="float32"),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    model.fit(np.ones((8, 4)), np.ones(8), batch_size=4, verbose=0)
    return model


def test_the_newest_is_read_and_only_the_last_ones_are_kept(tmp_path):
    for value in range(5):
        save(tmp_path, value)
    found = load_newest(tmp_path, "state")
    assert found.meta == {"value": 4}
    np.testing.assert_array_equal(found.arrays["a"], np.full(4, 4))
    assert len(list(tmp_path.glob("state-*"))) == KEPT


def test_names_do_not_mix(tmp_path):
    save(tmp_path, 1, "best")
    assert load_newest(tmp_path, "state") is None
    assert load_newest(tmp_path / "nowhere", "state") is None


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "meta"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path, damage):
    save(tmp_path, 1)
    path = save(tmp_path, 2)
    arrays = path / ARRAYS
    data = bytearray(arrays.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        arrays.write_bytes(data)
    elif damage == "cut":
        arrays.write_bytes(data[:-10])
    elif damage == "remove":
        arrays.unlink()
    else:
        (path / "meta.json").write_text(json.dumps({"value": 3}))
    with pytest.warns(CheckpointWarning, match=path.name):
        assert load_newest(tmp_path, "state").meta == {"value": 1}


def test_only_damaged_checkpoints_are_an_error(tmp_path):
    (save(tmp_path, 1) / ARRAYS).write_bytes(b"")
    with (
        pytest.warns(CheckpointWarning),
        pytest.raises(RunError, match="Every `state` checkpoint"),
    ):
        load_newest(tmp_path, "state")


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(tmp_path):
    save(tmp_path, 1)
    script = f"""
import resource, signal, numpy as np
from pathlib import Path
from landslide_tf.errors import RunError
from landslide_tf.train.run.checkpoint import save_checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    save_checkpoint(Path({str(tmp_path)!r}), "state", {{"a": np.zeros(10**6)}}, {{}})
except RunError as error:
    print(error)
"""
    assert signal.SIGXFSZ and resource.RLIMIT_FSIZE  # the platform has both
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert "cannot be written" in result.stdout, result.stderr
    assert load_newest(tmp_path, "state").meta == {"value": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["state-000000"]


@pytest.mark.parametrize("policy", ["float32", "bfloat16"])
def test_every_variable_comes_back_as_it_was(tmp_path, policy):
    model = small_model(policy)
    arrays, table = variable_arrays(groups(model))
    paths = [path for path, _ in table.values()]
    assert any("seed" in path for path in paths)
    assert any("momentum" in path for path in paths)
    save_checkpoint(tmp_path, "state", arrays, {"variables": table})
    for members in groups(model).values():
        for variable in members:
            variable.assign(np.zeros(variable.shape, np.float32))
    assign_variables(groups(model), load_newest(tmp_path, "state"))
    again, _ = variable_arrays(groups(model))
    for key, value in arrays.items():
        np.testing.assert_array_equal(again[key], value)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    model = small_model()
    arrays, table = variable_arrays({"model": list(model.variables)})
    save_checkpoint(tmp_path, "state", arrays, {"variables": table})
    checkpoint = load_newest(tmp_path, "state")
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(RunError, match="another recipe"):
        assign_variables({"model": list(other.variables)}, checkpoint)
    reordered = {"model": list(reversed(model.variables))}
    with pytest.raises(RunError, match="another recipe"):
        assign_variables(reordered, checkpoint)

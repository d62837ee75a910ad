"""What the first schema of `model.json` wrote loads and gives the same numbers.

`tests/fixtures/schema_1` was written by version 0 of the package: a finished run, a run
that was stopped in its second epoch, a set that `prepare` made and an export.
"""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from landslide_tf import pipelines, serving
from landslide_tf.metadata import SCHEMA_VERSION, ModelMetadata
from landslide_tf.train import RunFolder

STORED = Path(__file__).parent / "fixtures" / "schema_1"


@pytest.fixture
def copy(tmp_path):
    """A copy to write to, the folders as they were stored."""
    return Path(shutil.copytree(STORED, tmp_path / "stored"))


@pytest.fixture(scope="module")
def image():
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (1, 32, 32, 3)).astype(np.float32)


def same(probabilities):
    stored = np.load(STORED / "probabilities.npy")
    np.testing.assert_allclose(probabilities[0, ::8, ::8], stored, atol=2e-6)


def test_a_run_loads(image):
    run = RunFolder(STORED / "run")
    assert run.read_recipe().model.name == "unet"
    assert run.read_metadata().classes[0] == "landslide"
    same(np.asarray(run.load_model()({"image": image})))


def test_a_keras_file_loads(image):
    model = keras.models.load_model(STORED / "run" / "model.keras", compile=False)
    same(np.asarray(model({"image": image})))


def test_an_export_loads(image):
    same(serving.load(STORED / "export")({"image": image})["probabilities"])


def test_metadata_of_the_first_schema_becomes_the_present_one(copy):
    path = copy / "run" / "model.json"
    text = json.loads(path.read_text())
    assert text["schema_version"] == 1
    for band in text["inputs"]:
        band |= {"unit": "reflectance * 255", "range": [0.0, 255.0]}
    path.write_text(json.dumps(text))
    found = ModelMetadata.read(path)
    assert found.schema_version == SCHEMA_VERSION
    assert [(b.unit, b.scale) for b in found.inputs] == [("reflectance", 255.0)] * 3
    written = found.write(copy)
    assert ModelMetadata.read(written) == found


def test_a_prepared_set_trains_without_a_rebuild(copy):
    store = pipelines.load(
        "landslide_scenes/prepared:train", data_dir=copy / "prepared"
    )
    assert len(store) == 21
    assert store.description.classes == ("background", "landslide")
    assert {"red", "green", "blue", "slope", "aspect"} <= set(
        store.description.channels
    )


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.integration
def test_a_stopped_run_goes_on(copy, tmp_path):
    """From step 3 of epoch 1 on, to the numbers of the run that was not stopped."""
    command = [sys.executable, "-m", "landslide_tf.cli.main", "train"]
    command += ["--resume", copy / "stopped", "--data-dir", tmp_path / "data"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found = rows(copy / "stopped" / "metrics.csv")
    expected = rows(STORED / "run" / "metrics.csv")
    assert found[0] == rows(STORED / "stopped" / "metrics.csv")[0]
    assert len(found) == len(expected) == 2
    for name in expected[1].keys() - {"seconds"}:
        # Other processors round other last bits.
        assert float(found[1][name]) == pytest.approx(
            float(expected[1][name]), rel=2e-3, abs=2e-4
        ), name

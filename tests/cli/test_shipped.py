"""Shipped weights by their name in `evaluate` and `map`, on generated tiles of Mars."""

import json
import shutil

import numpy as np
import pytest
import rasterio

from landslide_tf import models, saved_models
from landslide_tf.metadata import ModelMetadata
from tests.datasets.mmlsv2.test_builder import VALIDATION, challenge, geotiff

pytestmark = pytest.mark.filterwarnings(
    "ignore::landslide_tf.datasets.IncompleteDataWarning"
)
NAME = "mmlsv2"
STORED = ("thermal", "slope", "dem", "gray", "red", "green", "blue")


@pytest.fixture(scope="module")
def validation(tmp_path_factory):
    """A manual folder with a validation part and nothing else."""
    folder = tmp_path_factory.mktemp("manual")
    challenge(folder / "mmlsv2")
    phase = folder / "mmlsv2" / "phase1_dataset"
    for part in (phase / "train", phase / "test", folder / "mmlsv2" / "phase2_dataset"):
        shutil.rmtree(part)
    return folder


@pytest.fixture(scope="module")
def tile(validation):
    (row, col), *_ = VALIDATION
    name = f"col{col:05d}_row{row:05d}.tif"
    return validation / "mmlsv2" / "phase1_dataset" / "val" / "images" / name


@pytest.fixture(scope="module")
def metadata():
    return ModelMetadata.read(saved_models.path(NAME) / "1")


@pytest.fixture(scope="module")
def landslide(tile, metadata):
    """What the network says of the tile, by its bands as they lie in the file."""
    with rasterio.open(tile) as file:
        bands = dict(zip(STORED, file.read(), strict=True))
    image, factors = (
        np.stack([bands[channel.name] for channel in channels], -1)[None]
        for channels in (metadata.inputs, metadata.factors)
    )
    network = models.fstf_net(weights=NAME)
    probability = network.predict({"image": image, "factors": factors}, verbose=0)
    assert metadata.temperature is None
    return probability[0, ..., 1] >= (metadata.threshold or 0.5)


def test_it_is_evaluated_on_a_validation_folder(
    command, validation, tile, landslide, tmp_path
):
    code, text, err = command(
        "evaluate", NAME, "--data", "mmlsv2/published:validation",
        "--data-dir", tmp_path / "data", "--manual-dir", validation,
        "--out", tmp_path / "report", "--pictures", 0,
    )  # fmt: skip
    assert code == 0, err
    with rasterio.open(tile.parents[1] / "masks" / tile.name) as file:
        truth = file.read(1) == 1
    matrix = [
        [int(((truth == t) & (landslide == p)).sum()) for p in (False, True)]
        for t in (False, True)
    ]
    scores = json.loads((tmp_path / "report" / "evaluation.json").read_text())["scores"]
    assert scores["confusion_matrix"] == matrix
    assert "mmlsv2/published:validation: landslide IoU" in text


@pytest.mark.integration
def test_it_maps_a_tile(command, tile, metadata, landslide, tmp_path):
    with rasterio.open(tile) as file:
        bands = dict(zip(STORED, file.read(), strict=True))
    factors = []
    for factor in metadata.factors:
        path = tmp_path / f"{factor.name}.tif"
        geotiff(path, bands[factor.name], VALIDATION[0])
        factors += ["--factor", f"{factor.name}={path}"]
    chosen = ",".join(f"{b.name}={STORED.index(b.name) + 1}" for b in metadata.inputs)
    arguments = ["--image", tile, "--bands", chosen, *factors]
    code, text, err = command("map", NAME, *arguments, "--out", tmp_path / "map.tif")
    assert code == 0, err
    assert "windows of 128 pixels" in text
    with rasterio.open(tmp_path / "map.tif") as file:
        np.testing.assert_array_equal(file.read(1) == 1, landslide)
    # The same by its folder, and by the folder of its version.
    folder = saved_models.path(NAME)
    for number, model in enumerate((folder, folder / "1")):
        out = tmp_path / f"{number}.tif"
        assert command("map", model, *arguments, "--out", out)[0] == 0
        with rasterio.open(out) as one, rasterio.open(tmp_path / "map.tif") as two:
            np.testing.assert_array_equal(one.read(), two.read())


def test_a_runtime_or_a_region_is_refused(command, tile, tmp_path):
    start = ("map", NAME, "--image", tile, "--out", tmp_path / "map.tif")
    command.refuses(*start, "--runtime", "onnxruntime", message="is run by Keras")
    command.refuses(*start, "--region", "Mars", message="has no decoders of regions")

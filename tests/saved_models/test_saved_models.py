import json
import shutil

import numpy as np
import pytest

from landslide_tf import models, saved_models, serving
from landslide_tf.errors import ModelError
from landslide_tf.metrics import ConfusionAccumulator, decide
from landslide_tf.pipelines import EvaluationBatches, InputSelection, load, read_batches

RGB = ("red", "green", "blue")


def test_the_index_lists_what_is_there():
    folder = saved_models.path("fstf_net_synthetic").parent
    found = {p.name for p in folder.iterdir() if (p / "1").is_dir()}
    assert found == set(saved_models.index())


def test_an_unknown_name_is_refused_with_near_ones():
    with pytest.raises(ModelError, match="`fstf_net_synthetic`"):
        saved_models.path("fstf_net_synthetik")


@pytest.mark.parametrize(
    "name", sorted(set(saved_models.index()) - set(models.list_weights()))
)
def test_a_shipped_model_is_small_and_scores_what_the_index_says(name, tiny_data):
    folder = saved_models.path(name)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    assert size < 2_000_000
    served = serving.load(folder)
    entry = saved_models.index()[name]
    store = load(entry["data"], data_dir=tiny_data)
    factors = tuple(factor.name for factor in served.metadata.factors)
    counted = ConfusionAccumulator(len(served.metadata.classes))
    batches = EvaluationBatches(store, InputSelection(RGB, factors))
    for inputs, labels in read_batches(batches):
        given = {key: inputs[key] for key in served.input_shapes}
        classes = decide(
            served(given)["probabilities"],
            landslide_class=served.metadata.landslide_class,
        )
        counted.update(labels, classes)
    scores = counted.scores(class_names=served.metadata.classes)
    found = {
        "landslide_iou": scores.of_class(served.metadata.landslide_class)["iou"],
        "miou": scores.miou,
        "oa": scores.oa,
    }
    for key, value in entry["scores"].items():
        np.testing.assert_allclose(found[key], value, atol=6e-4)


def test_an_export_that_says_version_1_of_its_metadata_loads(tmp_path):
    """As the commit before wrote the shipped one: the factor in the unit, as text."""
    name = "fstf_net_synthetic"
    shutil.copytree(saved_models.path(name), tmp_path / name)
    file = tmp_path / name / "1" / "assets.extra" / "model.json"
    content = json.loads(file.read_text())
    content["schema_version"] = 1
    for band in content["inputs"]:
        del band["scale"]
    content["inputs"][0]["unit"] = "reflectance * 255"
    file.write_text(json.dumps(content))
    expected = serving.load(saved_models.path(name)).metadata
    expected.inputs[0].unit, expected.inputs[0].scale = "reflectance", 255
    assert serving.load(tmp_path / name).metadata == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::landslide_tf.datasets.IncompleteDataWarning")
def test_the_weights_for_mars_score_what_the_index_says(shared, command, tmp_path):
    entry = saved_models.index()["mmlsv2"]
    code, _, err = command(
        "evaluate", "mmlsv2", "--data", entry["data"], "--data-dir", tmp_path / "data",
        "--manual-dir", shared / "data" / "mmlsv2_train", "--out", tmp_path / "report",
        "--pictures", 0,
    )  # fmt: skip
    assert code == 0, err
    scores = json.loads((tmp_path / "report" / "evaluation.json").read_text())["scores"]
    landslide = scores["classes"]["landslide"]
    found = {
        "landslide_iou": landslide["iou"],
        "landslide_f1": landslide["f1"],
        "miou": scores["miou"],
    }
    assert found == pytest.approx(entry["scores"], abs=1e-3)

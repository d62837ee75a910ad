"""A model of land cover in a region that has polygons of landslides only."""

import json
import math

import numpy as np
import pytest

from landslide_tf.metrics import OneClassWarning
from landslide_tf.pipelines import load
from landslide_tf.train import RunFolder, Session, evaluate_run, load_recipe, task_of
from tests.datasets import scene_files as files
from tests.datasets.land_cover_pairs import write_pairs

SMALL = [
    "data.name=mangkam/pairs",
    "model={name: basic_fcn, arguments: {width: 0.0625}}",
    "data.factors=[]",
    "training={epochs: 1, batch_size: 2, patch: 32, deterministic: false}",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pairs of Mangkam, and one scene of Jiuzhaigou with polygons."""
    folder = tmp_path_factory.mktemp("transfer")
    write_pairs(folder / "manual" / "mangkam", 4, split=True)
    write_pairs(folder / "manual" / "jiuzhaigou", 1, polygons=True)
    return folder


@pytest.fixture(scope="module")
def session(folder):
    return Session(folder / "data", folder / "manual", verbose=0)


@pytest.fixture(scope="module")
def run(folder, session):
    """A run of six classes whose network is as it started."""
    task, data = task_of(load_recipe("fstf_net_mangkam", SMALL)).load(
        session, resumed=False
    )
    arguments, model = task.build(data)
    run = RunFolder(folder / "source")
    run.begin(task.recipe)
    network, metadata = task.finish(model, arguments, data, "untrained")
    network.save(run.model)
    metadata.write(run.path)
    return run


def test_six_classes_are_scored_against_polygons(run, session):
    found = evaluate_run(run, data="jiuzhaigou:test", session=session, pictures=1)
    assert found.classes == ("background", "landslide")
    store = load("jiuzhaigou:test", data_dir=session.data_dir)
    (example,) = (store.examples[k] for k in range(len(store)))
    image = example["image"][None].astype(np.float32)
    classes = np.argmax(run.load_model()({"image": image})[0], axis=-1)
    truth, slide = example["mask"] == 1, classes == 0
    expected = [
        [(~truth & ~slide).sum(), (~truth & slide).sum()],
        [(truth & ~slide).sum(), (truth & slide).sum()],
    ]
    np.testing.assert_array_equal(found.matrices[0], expected)
    union = (truth | slide).sum()
    assert found.landslide_iou == pytest.approx((truth & slide).sum() / union)
    assert found.landslide_iou < 1 and found.scores.matrix.sum() == truth.size
    assert found.contents()["classes"] == ("background", "landslide")


def test_one_class_in_the_reference_is_warned_of(run, tmp_path):
    manual = tmp_path / "manual"
    write_pairs(manual / "jiuzhaigou", 1)
    label = manual / "jiuzhaigou" / "labels" / "wv3-0.tif"
    files.write(label, np.zeros((40, 48), np.uint8), files.place())
    session = Session(tmp_path / "data", manual)
    with pytest.warns(
        OneClassWarning, match="`jiuzhaigou/binary:test` holds one class"
    ):
        evaluate_run(run, data="jiuzhaigou:test", session=session, pictures=0)


def test_the_zero_shot_score_needs_test_scenes_only(run, folder, command, tmp_path):
    folders = ("--data-dir", folder / "data", "--manual-dir", folder / "manual")
    arguments = ("finetune", run.path, "--data", "jiuzhaigou", *folders)
    out = tmp_path / "out"
    code, text, err = command(*arguments, "--samples", "0", "--out", out)
    assert code == 0, err
    lines = [line for line in text.splitlines() if line.startswith("| samples")]
    head = [cell.strip() for cell in lines[1].strip("|").split("|")]
    assert head == [
        "samples", "background", "landslide", "mean recall", "mean F1",
        "overall accuracy", "DP", "QP", "OE", "CE",
    ]  # fmt: skip
    (point,) = json.loads((out / "curve.json").read_text())["points"]
    assert point["target"]["data"] == "jiuzhaigou/binary:test"
    assert next(iter(point["source"]["precision"])) == "landslide"
    message = "has the classes ['background', 'landslide'], expected the model's"
    command.refuses(
        *arguments, "--samples", "0", "--samples", "2", "--out", tmp_path / "no",
        message=message,
    )  # fmt: skip
    assert not (tmp_path / "no").exists()


@pytest.mark.integration
def test_few_pairs_of_six_classes_fine_tune(run, tmp_path, folder, command):
    manual = tmp_path / "manual"
    write_pairs(manual / "jiuzhaigou", 5, split=True)
    out = tmp_path / "out"
    folders = ("--data-dir", tmp_path / "data", "--manual-dir", manual)
    for name in ("mangkam", "data"):  # the source's own test split
        place = folder / ("manual" if name == "mangkam" else "data") / "mangkam"
        target = (manual if name == "mangkam" else tmp_path / "data") / "mangkam"
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(place)
    arguments = ("finetune", run.path, "--data", "jiuzhaigou/pairs", *folders)
    arguments = (*arguments, "--out", out, "--set", "training.epochs=1")
    command.refuses(
        *arguments, "--samples", "0", "--samples", "9", message="received 9"
    )
    assert not out.exists()
    code, _, err = command(*arguments, "--samples", "0", "--samples", "2")
    assert code == 0, err
    points = json.loads((out / "curve.json").read_text())["points"]
    assert [point["samples"] for point in points] == [0, 2]
    for point in points:
        target = point["target"]
        assert len(target["precision"]) == 6
        values = [v for v in target["precision"].values() if v is not None]
        assert all(0 <= value <= 1 for value in values)
        assert math.isclose(target["objects"]["dp"], 1 - target["objects"]["oe"])

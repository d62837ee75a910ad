"""The demonstration: in a few steps, and (slow) as a new user runs it."""

import csv
import functools
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import rasterio

from landslide_tf import demo as demonstration
from landslide_tf.datasets.synthetic_landslides.generate import generate_tile
from landslide_tf.demo import run_demo, separation
from landslide_tf.errors import DataError
from landslide_tf.metrics import ConfusionAccumulator, Scores, decide
from landslide_tf.models.prediction import prediction_function
from landslide_tf.pipelines import EvaluationBatches, load, read_batches
from landslide_tf.train import RunFolder, Session, evaluate_run, load_recipe
from landslide_tf.train.tasks.data import input_selection

PAIR = ("landslide", "bare")
BOTH = ("fstf_net_synthetic", "rae_d_synthetic")
# A few steps of smaller networks; TensorFlow has started in this process.
BRIEFLY = [
    "data.train=train[:16]",
    "data.validation=validation[:4]",
    "data.test=test[:4]",
    "training={epochs: 2, batch_size: 8, deterministic: false}",
    "model.arguments.backbone=resnet18",
    "model.arguments.backbone_layout=torchvision",
]


@pytest.fixture(scope="module")
def brief(tiny_data, tmp_path_factory):
    """The demonstration with recipes of a few steps, in this process."""
    out = tmp_path_factory.mktemp("brief") / "out"
    out.mkdir()
    (out / "data").symlink_to(tiny_data)
    with pytest.MonkeyPatch.context() as patch:
        shorter = functools.partial(load_recipe, changes=BRIEFLY)
        patch.setattr(demonstration, "load_recipe", shorter)
        assert run_demo(out) == out / "index.html"
    return out


@pytest.mark.integration
def test_the_page_and_the_export_are_complete(brief):
    page = (brief / "index.html").read_text()
    for word in ("FSTF-Net", "RAE-D", "separation", "<table", "data:image/png"):
        assert word in page
    assert 'src="http' not in page
    titles = re.findall(r'<text class="title"[^>]*>(\w+)<', page)
    assert titles == 2 * ["loss", "landslide_iou", "miou"]
    (version,) = brief.glob("export/*/*")
    assert version.name == "1" and (version / "saved_model.pb").is_file()
    assert not list(brief.rglob(".tmp-*"))


@pytest.mark.integration
def test_the_scene_becomes_a_map_with_a_page(brief):
    assert 'href="map/map.html"' in (brief / "index.html").read_text()
    page = (brief / "map" / "map.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert page.count("<path ") == page.count('<tr data-object="')
    with rasterio.open(brief / "map" / "map.tif") as dataset:
        assert dataset.shape == (256, 256)
    assert not list((brief / "map").glob("*.parts"))


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="the demonstration"):
        run_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture(scope="module")
def start():
    """Runs the demonstration in a process of its own."""
    return lambda out: subprocess.run(
        [sys.executable, "-m", "landslide_tf.cli.main", "demo", "--out", out],
        cwd=out.parent,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.fixture(scope="module")
def demo(start, tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    result = start(out)
    assert result.returncode == 0, result.stderr
    assert str(out / "index.html") in result.stdout
    return out


def scores(demo, recipe):
    path = demo / "runs" / recipe / "report" / "test" / "evaluation.json"
    found = json.loads(path.read_text())["scores"]
    matrix = np.array(found["confusion_matrix"])
    return Scores.from_matrix(matrix, class_names=list(found["classes"]))


def test_separation_looks_at_two_classes_alone():
    names = ["landslide", "forest", "bare"]
    matrix = np.array([[6, 90, 2], [50, 900, 50], [1, 70, 11]])
    found = Scores.from_matrix(matrix, class_names=names)
    assert separation(found, *PAIR) == separation(found, *PAIR[::-1]) == 17 / 20
    coin = np.array([[5, 0, 5], [0, 9, 0], [5, 0, 5]])
    assert separation(Scores.from_matrix(coin, class_names=names), *PAIR) == 0.5


@pytest.mark.slow
def test_only_the_model_that_sees_terrain_tells_landslide_from_bare_ground(demo):
    fused, image_only = (scores(demo, r) for r in BOTH)
    assert separation(fused, *PAIR) > 0.90
    assert 0.35 <= separation(image_only, *PAIR) <= 0.65
    gain = fused.of_class(0)["iou"] - image_only.of_class(0)["iou"]
    assert gain >= 0.2


@pytest.mark.slow
def test_factors_of_other_tiles_remove_the_gain(demo):
    run = RunFolder(demo / "runs" / "fstf_net_synthetic")
    own = scores(demo, "fstf_net_synthetic")
    permuted = evaluate_run(
        run, permute="factors", pictures=0, session=Session(demo / "data")
    )
    assert separation(permuted.scores, *PAIR) < 0.75
    assert own.of_class(0)["iou"] - permuted.landslide_iou >= 0.2


@pytest.mark.slow
def test_images_of_other_tiles_ruin_everything_else(demo):
    run = RunFolder(demo / "runs" / "fstf_net_synthetic")
    own = scores(demo, "fstf_net_synthetic")
    permuted = evaluate_run(
        run, permute="image", pictures=0, session=Session(demo / "data")
    )
    assert permuted.scores.oa < own.oa - 0.05
    assert permuted.scores.miou < own.miou / 2


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, np.nan], ids=["zero", "missing"])
def test_factors_without_terrain_remove_the_gain_too(demo, value):
    run = RunFolder(demo / "runs" / "fstf_net_synthetic")
    recipe, metadata = run.read_recipe(), run.read_metadata()
    landslide = metadata.landslide_class
    store = load(recipe.data.name, split=recipe.data.test, data_dir=demo / "data")
    predict = prediction_function(run.load_model())
    found = ConfusionAccumulator(len(metadata.classes))
    batches = EvaluationBatches(store, input_selection(recipe), 8)
    for inputs, labels in read_batches(batches):
        given = {**inputs, "factors": np.full_like(inputs["factors"], value)}
        found.update(labels, decide(predict(given), landslide_class=landslide))
    emptied = found.scores(class_names=metadata.classes)
    own = scores(demo, "fstf_net_synthetic")
    assert separation(emptied, *PAIR) < 0.75
    assert own.of_class(0)["iou"] - emptied.of_class(0)["iou"] >= 0.2


@pytest.mark.slow
def test_the_same_command_trains_nothing_twice(demo, start):
    # Every epoch with its seconds; another training would take other ones.
    curves = [demo / "runs" / r / "metrics.csv" for r in BOTH]
    trained = [path.read_text() for path in curves]
    kept = list(demo.glob("export/*/1/saved_model.pb"))
    before = {path: path.stat().st_mtime_ns for path in kept}
    table = (demo / "index.html").read_text().split("<table>")[1]
    result = start(demo)
    assert result.returncode == 0, result.stderr
    assert [path.read_text() for path in curves] == trained
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert (demo / "index.html").read_text().split("<table>")[1] == table
    assert len([*demo.glob("export/*/*")]) == 1


@pytest.mark.slow
def test_the_map_finds_the_landslides_of_the_scene(demo):
    page = (demo / "map" / "map.html").read_text()
    assert 0 < page.count("<path ") == page.count('<tr data-object="')
    truth = generate_tile(20, 0, "test", 0, size=256, cell=2.0)["mask"] == 0
    with rasterio.open(demo / "map" / "map.tif") as dataset:
        found = dataset.read(1) == 0
    assert (found & truth).sum() / (found | truth).sum() > 0.5


@pytest.mark.slow
def test_the_model_that_sees_terrain_is_exported_and_both_learn(demo):
    versions = [p.name for p in (demo / "export" / "fstf_net_synthetic").iterdir()]
    assert versions == ["1"]
    with (demo / "runs" / "rae_d_synthetic" / "metrics.csv").open() as stream:
        losses = [float(row["loss"]) for row in csv.DictReader(stream)]
    assert losses[-1] < losses[0] / 2

"""The demonstration, once, as a new user runs it."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from landslide_tf.demo import separation
from landslide_tf.metrics import Scores
from landslide_tf.train import RunFolder, evaluate_run

PAIR = ("landslide", "bare")
BOTH = ("fstf_net_synthetic", "rae_d_synthetic")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    result = subprocess.run(
        [sys.executable, "-m", "landslide_tf.cli.main", "demo", "--out", out],
        cwd=out.parent,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, result.stderr
    assert str(out / "index.html") in result.stdout
    return out


def scores(demo, recipe):
    path = demo / "runs" / recipe / "report" / "test" / "evaluation.json"
    found = json.loads(path.read_text())["scores"]
    matrix = np.array(found["confusion_matrix"])
    return Scores.from_matrix(matrix, class_names=list(found["classes"]))


def test_only_the_model_that_sees_terrain_tells_landslide_from_bare_ground(demo):
    fused, image_only = (scores(demo, r) for r in BOTH)
    assert separation(fused, *PAIR) > 0.90
    assert 0.35 <= separation(image_only, *PAIR) <= 0.65
    gain = fused.of_class(0)["iou"] - image_only.of_class(0)["iou"]
    assert gain >= 0.2


def test_factors_of_other_tiles_remove_the_gain(demo):
    run = RunFolder(demo / "runs" / "fstf_net_synthetic")
    own = scores(demo, "fstf_net_synthetic")
    permuted = evaluate_run(run, permute="factors", pictures=0, data_dir=demo / "data")
    assert separation(permuted.scores, *PAIR) < 0.75
    assert own.of_class(0)["iou"] - permuted.landslide_iou >= 0.2


def test_images_of_other_tiles_ruin_everything_else(demo):
    run = RunFolder(demo / "runs" / "fstf_net_synthetic")
    own = scores(demo, "fstf_net_synthetic")
    permuted = evaluate_run(run, permute="image", pictures=0, data_dir=demo / "data")
    assert permuted.scores.oa < own.oa - 0.05
    assert permuted.scores.miou < own.miou / 2


def test_missing_factors_remove_the_gain_too(demo):
    run = RunFolder(demo / "runs" / "fstf_net_synthetic")
    model = run.load_model()
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (1, 32, 48, 3)).astype("float32")
    missing = np.full((1, 32, 48, 3), np.nan, "float32")
    given = {"image": image, "factors": missing}
    assert np.isfinite(np.asarray(model(given))).all()


def test_the_page_and_the_export_are_complete(demo):
    page = (demo / "index.html").read_text()
    for word in ("FSTF-Net", "RAE-D", "separation", "<table", "data:image/png"):
        assert word in page
    assert 'src="http' not in page
    versions = [p.name for p in (demo / "export" / "fstf_net_synthetic").iterdir()]
    assert versions == ["1"]
    assert not list(demo.rglob(".tmp-*"))
    with (demo / "runs" / "rae_d_synthetic" / "metrics.csv").open() as stream:
        losses = [float(row["loss"]) for row in csv.DictReader(stream)]
    assert losses[-1] < losses[0] / 2

"""MFFENet on another standard data set: files in the layout of ISPRS's Vaihingen."""

import csv

import numpy as np
import pytest

from landslide_tf.datasets.isprs_semantic.images import COLOURS, VAIHINGEN
from landslide_tf.train import Session, evaluate_run, load_recipe, train
from tests.datasets.building import drawn
from tests.datasets.isprs_semantic.test_builder import image_of, write_tif

RECIPE = """
description: MFFENet on Vaihingen, for tests
source: made up
data:
  name: isprs_semantic/vaihingen-published
  image: [nir, red, green]
model:
  name: mffe_net
  arguments: {width: 0.125, backbone: resnet18, multi_grid: [1, 2]}
loss: {name: boundary}
optimizer: {name: adam, learning_rate: 0.01}
training: {epochs: 2, batch_size: 2, patch: 64, monitor: val_miou}
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::landslide_tf.datasets.IncompleteDataWarning")
@pytest.mark.filterwarnings("ignore:Epoch . predicts no landslide")
def test_mffe_net_trains_on_vaihingen(tmp_path):
    for name in (*VAIHINGEN.train[:4], "2"):
        image = image_of(int(name), 3, (512, 520))
        mask = image.argmax(-1).astype(np.uint8)  # what colours can tell
        file = f"top_mosaic_09cm_area{name}.tif"
        write_tif(tmp_path / "manual" / "top" / file, image)
        labels = drawn(mask, COLOURS)
        write_tif(tmp_path / "manual" / "gts_for_participants" / file, labels)
    (tmp_path / "small.yaml").write_text(RECIPE)
    session = Session(tmp_path / "data", tmp_path / "manual", verbose=0)
    changes = ["data.validation=train[:1]", "training.deterministic=false"]
    recipe = load_recipe(tmp_path / "small.yaml", changes)
    run = train(recipe, tmp_path / "run", session)
    with run.metrics.open() as stream:
        losses = [float(row["loss"]) for row in csv.DictReader(stream)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    metadata = run.read_metadata()
    assert len(metadata.classes) == 6 and metadata.builder == "mffe_net"
    found = evaluate_run(run, pictures=0, session=session)
    assert found.matrices.shape[1:] == (6, 6) and found.matrices.sum() > 0

"""Cells and rows of the matrix, by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest

from landslide_tf.errors import DataError, RunError
from landslide_tf.models import tsmu
from landslide_tf.train.continual.evaluation import (
    cell,
    evaluate_step,
    read_matrix,
    region_counts,
    write_step,
)
from tests.train.continual.region_pairs import examples
from tests.train.continual.test_stages import network


def fixed(net, region, probability):
    """Makes a decoder say one probability everywhere."""
    head = tsmu.decoders(net)[region].get_layer("logits_conv")
    head.kernel.assign(np.zeros(head.kernel.shape))
    head.bias.assign([np.log(probability / (1 - probability))])


def test_scores_by_hand():
    counts = np.array([[[9, 1], [2, 4]], [[16, 0], [0, 0]]])
    found = cell(["a", "b"], counts)
    assert found["ids"] == ["a", "b"]
    assert found["counts"] == [[4, 1, 2, 9], [0, 0, 0, 16]]
    assert found["iou"] == pytest.approx(4 / 7)
    assert found["f1"] == pytest.approx(8 / 11)
    assert found["precision"] == pytest.approx(4 / 5)
    assert found["recall"] == pytest.approx(4 / 6)
    # The second image has no landslide, and none is predicted.
    assert found["mean_image_iou"] == pytest.approx((4 / 7 + 1) / 2)
    assert found["mean_image_f1"] == pytest.approx((8 / 11 + 1) / 2)
    assert json.dumps(found)


def test_regions_with_and_without_a_decoder():
    net = network("A", "B")
    fixed(net, "A", 0.5)  # a tie is landslide
    fixed(net, "B", 0.2)
    made = examples(0, "test", 3, size=16)
    truth = np.array([made.load(k)[1].sum() for k in range(3)])

    def load(name):
        if name == "gone":
            raise DataError("gone")
        return made

    cells = evaluate_step(net, ["A", "B", "C", "gone"], load, batch_size=2)
    assert cells["gone"] is None
    assert [c[0] for c in cells["A"]["counts"]] == truth.tolist()
    assert cells["A"]["recall"] == 1
    assert cells["B"]["recall"] == cells["C"]["recall"] == 0  # C: the mean is 0.35
    assert cells["A"]["ids"] == made.store.ids


def test_images_without_landslide_pass_through():
    net = network("A")
    fixed(net, "A", 0.1)
    made = examples(0, "test", 2, size=16)
    for example in made.store.examples:
        example["mask"] = np.zeros_like(example["mask"])
    found = cell(made.store.ids, region_counts(net, 0, replace(made, size=8)))
    assert found["counts"] == [[0, 0, 0, 64]] * 2
    assert found["iou"] == found["f1"] == found["mean_image_iou"] == 1


def test_rows_of_the_matrix(tmp_path):
    regions = ["A", "B"]

    def row(*values):
        return {
            name: None if v is None else {"iou": v, "f1": v / 2}
            for name, v in zip(regions, values, strict=True)
        }

    assert read_matrix(tmp_path) == {"regions": [], "steps": []}
    write_step(tmp_path, regions, 0, row(0.1, 0.2))
    write_step(tmp_path, regions, 0, row(0.6, 0.2))
    matrix = write_step(tmp_path, regions, 1, row(None, 0.8))
    assert matrix == read_matrix(tmp_path)
    assert matrix["R"] == [[0.6, None], [None, 0.8]]
    assert matrix["F1"] == [[0.3, None], [None, 0.4]]
    assert matrix["Z"] == [[None, 0.2], [None, None]]
    (tmp_path / "matrix.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        read_matrix(tmp_path)

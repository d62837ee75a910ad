import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from landslide_tf import metrics
from landslide_tf.errors import DataError
from landslide_tf.metrics.pixels import labelled_pixels, labelled_probabilities


@pytest.mark.parametrize(
    "name",
    ["bootstrap", "calibration", "decision", "imbalance", "pixels", "scores"],
)
def test_what_runs_on_the_host_knows_no_framework(name):
    file = Path(metrics.__file__).parent / f"{name}.py"
    roots = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(node.module.split(".")[0])
    allowed = {*sys.stdlib_module_names, "numpy", "scipy", "landslide_tf"}
    assert roots - allowed == set()


@pytest.mark.parametrize("shape", [(), (6,), (2, 3), (2, 3, 1)])
def test_pixels_keep_order_and_dtype(shape):
    labels = np.arange(np.prod(shape, dtype=int)).reshape(shape) % 3
    labels = np.where(labels == 2, 9, labels)
    scores = np.random.default_rng(0).random((*labels.shape[:2], 2)).astype(np.float16)
    values, kept = labelled_pixels(scores, labels, 9, "scores")
    assert values.dtype == np.float16
    np.testing.assert_array_equal(values, scores.reshape(-1, 2)[labels.ravel() != 9])
    np.testing.assert_array_equal(kept, labels.ravel()[labels.ravel() != 9])


def test_without_an_ignore_value_every_label_has_to_be_a_class():
    with pytest.raises(DataError, match="received 255"):
        labelled_pixels(np.zeros((2, 3)), np.array([0, 255]), None, "logits")
    values, _ = labelled_pixels(np.zeros((2, 3)), np.array([0, 2]), None, "logits")
    assert len(values) == 2


def test_rounding_above_one_is_let_through():
    values, _ = labelled_probabilities([[1.0000002, 0.0]], [0], 255)
    assert values.shape == (1, 2)
    with pytest.raises(DataError, match="from 0 to 1"):
        labelled_probabilities([[1.1, 0.0]], [0], 255)


@pytest.mark.parametrize(
    ("counts", "sums"),
    [
        (lambda: metrics.ConfusionAccumulator(2), ("matrix",)),
        (lambda: metrics.ThresholdAccumulator(1, bins=4), ("counts",)),
        (
            lambda: metrics.ReliabilityAccumulator(bins=4),
            ("pixels", "hits", "confidence"),
        ),
    ],
)
def test_a_sum_of_counts_leaves_its_parts_as_they_were(counts, sums):
    random = np.random.default_rng(0)
    parts = []
    for _ in range(2):
        part, p = counts(), random.uniform(size=50)
        pixels = np.stack([1 - p, p], axis=-1), random.integers(0, 2, 50)
        if "matrix" in sums:
            pixels = pixels[1], np.round(p).astype(int)
        part.update(*pixels)
        parts.append(part)
    first, second = parts
    before = [getattr(part, name).copy() for part in parts for name in sums]
    total = first + second
    for name in sums:
        expected = getattr(first, name) + getattr(second, name)
        np.testing.assert_array_equal(getattr(total, name), expected)
    total.merge(second)
    after = [getattr(part, name) for part in parts for name in sums]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new, old)

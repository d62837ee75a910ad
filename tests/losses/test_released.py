import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import ModelError
from landslide_tf.losses import DiceLoss, ReleasedLoss, SegmentationCrossEntropy
from landslide_tf.losses.released import released_boundary_weights


def half(left=0, right=1):
    labels = np.full((1, 64, 64), left, np.uint8)
    labels[:, :, 32:] = right
    return labels


def weights_of(labels):
    return np.asarray(released_boundary_weights(tf.constant(labels, "float32")))


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("cross_entropy", 0.301616),
        ("focal", 0.010224268),
        ("dice", 0.565645),
        ("cross_entropy_dice", 0.301616 + 0.565645),
        ("boundary", 0.587987),
    ],
)
def test_golden_of_a_square(square, formula, value):
    labels, logits = square
    loss = float(ReleasedLoss(formula)(labels, logits))
    assert loss == pytest.approx(value, abs=1e-8 if formula == "focal" else 1e-6)


def test_golden_of_the_double_softmax_alone(square):
    labels, logits = square
    probabilities = tf.nn.softmax(logits)
    loss = DiceLoss()(labels, probabilities)
    assert float(loss) == pytest.approx(0.533551, abs=1e-6)


@pytest.mark.parametrize("formula", ["cross_entropy", "focal"])
def test_divides_by_the_batch_size(square, formula):
    labels, logits = square
    one = float(ReleasedLoss(formula)(labels, logits))
    four = ReleasedLoss(formula)(labels.repeat(4, 0), logits.repeat(4, 0))
    assert float(four) == pytest.approx(one / 4, rel=1e-5)


def test_golden_weights_of_half_planes():
    np.testing.assert_allclose(weights_of(half(1, 0)), 2, atol=1e-6)
    w = weights_of(half())[0]
    np.testing.assert_allclose(
        w[0, [0, 16, 31, 32, 63]],
        [1.997460, 1.953175, 1.881947, 1.881947, 1.997460],
        atol=1e-6,
    )
    assert w.mean() == pytest.approx(1.947502, abs=1e-6)
    loss = ReleasedLoss()(half(), np.zeros((1, 64, 64, 2), np.float32))
    assert float(loss) == pytest.approx(1.349905, abs=1e-6)


def test_mean_weight_of_the_square(square):
    assert weights_of(square[0]).mean() == pytest.approx(1.948935, abs=1e-6)


def test_mirroring_changes_the_weights():
    mirrored = weights_of(half()[:, :, ::-1])[:, :, ::-1]
    difference = np.abs(mirrored - weights_of(half())).max()
    assert difference == pytest.approx(0.118, abs=1e-3)


def test_constant_labels_are_twice_the_cross_entropy():
    logits = np.random.default_rng(0).normal(size=(2, 40, 50, 2)).astype("float32")
    for value in (0, 1):
        labels = np.full((2, 40, 50), value)
        expected = 2 * float(SegmentationCrossEntropy()(labels, logits))
        assert float(ReleasedLoss()(labels, logits)) == pytest.approx(
            expected, rel=1e-5
        )


def test_resized_weights_are_linear_between_aligned_corners():
    labels = np.random.default_rng(0).choice([0, 1], (1, 5, 4))
    labels = labels.repeat(16, 1).repeat(14, 2)[:, :77, :53]
    y, x = np.mgrid[-17:18, -17:18]
    kernel = np.exp(-(x**2 + y**2) / 51)
    t = labels[0].astype(float)
    edge = t[:-1, :-1] - 0.5 * t[:-1, 1:] - 0.5 * t[1:, :-1] >= 0
    windows = np.lib.stride_tricks.sliding_window_view(edge, (35, 35))
    density = np.einsum("ijkl,kl->ij", windows, kernel / kernel.sum())
    assert density.shape == (77 - 35, 53 - 35)
    for axis, size in ((0, 77), (1, 53)):
        at = np.linspace(0, density.shape[axis] - 1, size)
        density = np.apply_along_axis(
            lambda v, at=at: np.interp(at, np.arange(len(v)), v), axis, density
        )
    np.testing.assert_allclose(weights_of(labels)[0], 1.5 * density + 0.5, atol=1e-5)


def test_ignored_pixels_count_in_the_denominator_and_enter_the_filter(square):
    labels, logits = square
    with_hole = labels.copy()
    with_hole[:, :8] = 255
    w = weights_of(with_hole)
    assert w.min() >= 0.5
    ce = np.asarray(
        keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    )
    expected = (w * ce)[:, 8:].sum() / ce.size
    loss = ReleasedLoss()(with_hole, logits)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "formula", ["cross_entropy", "focal", "dice", "cross_entropy_dice", "boundary"]
)
def test_every_formula_trains_and_unknown_labels_are_loud(formula, square):
    labels, logits = square
    loss = tf.function(ReleasedLoss(formula, class_weights=[1, 2]))
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = loss(labels, variable)
    gradient = tape.gradient(value, variable).numpy()
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    empty = np.full_like(labels, 255)
    if "dice" not in formula:
        assert float(loss(empty, logits)) == 0.0
    try:
        value = float(loss(np.full_like(labels, 2), logits))
    except tf.errors.InvalidArgumentError:
        return
    assert math.isnan(value)


def test_refuses_formulas_and_small_labels():
    with pytest.raises(ModelError, match="Did you mean `focal`"):
        ReleasedLoss("focl")
    with pytest.raises(ModelError, match="at least 36 by 36"):
        ReleasedLoss()(np.zeros((1, 35, 64)), np.zeros((1, 35, 64, 2)))


def test_config_survives_json():
    loss = ReleasedLoss("dice", ignore_class=None)
    config = json.loads(json.dumps(keras.losses.serialize(loss)))
    assert keras.losses.deserialize(config).get_config() == loss.get_config()

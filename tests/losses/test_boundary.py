import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from landslide_tf.errors import ModelError
from landslide_tf.losses import BoundaryLoss, SegmentationCrossEntropy


def half(left=0, right=1):
    labels = np.full((1, 64, 64), left, np.uint8)
    labels[:, :, 32:] = right
    return labels


def weights_of(labels, classes=2, **arguments):
    """Recovers the weights from the gradient of a constant prediction."""
    logits = tf.zeros((*labels.shape, classes))
    loss = BoundaryLoss(**arguments)
    pixels = loss._pixels(tf.constant(labels), logits)
    return np.asarray(loss.boundary_weights(pixels))


def reference_weights(labels):
    """Section by section with scipy: neighbours by shifting, the kernel in 2D."""
    valid = labels != 255
    marked = np.zeros(labels.shape)
    for image, ok, out in zip(labels, valid, marked, strict=True):
        for (i, j), value in np.ndenumerate(image):
            for a, b in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                inside = 0 <= a < image.shape[0] and 0 <= b < image.shape[1]
                if inside and ok[i, j] and ok[a, b] and image[a, b] != value:
                    out[i, j] = 1
    y, x = np.mgrid[-17:18, -17:18]
    kernel = np.exp(-(x**2 + y**2) / 51)
    kernel /= kernel.sum()
    assert kernel[17, 17] == pytest.approx(0.006247844, abs=1e-9)

    def smooth(v):
        return ndimage.convolve(v, kernel, mode="constant")

    ones = smooth(np.ones(labels.shape[1:]))
    density = np.stack([smooth(v) / ones for v in marked]) / 0.1565518327
    return 0.5 + 1.5 * np.clip(density, 0, 1)


def test_golden_of_a_half_plane():
    w = weights_of(half())[0]
    columns = [0, 14, 20, 26, 31, 32, 63]
    np.testing.assert_allclose(
        w[32, columns],
        [0.5, 0.502625, 0.615601, 1.337768, 2, 2, 0.5],
        atol=1e-6,
    )
    assert w[0, 31] == pytest.approx(2, abs=1e-6)
    assert w.mean() == pytest.approx(0.799422, abs=1e-6)


def test_golden_of_a_square(square):
    labels, logits = square
    w = weights_of(labels)[0]
    assert w.mean() == pytest.approx(0.771852, abs=1e-6)
    at = [w[32, 32], w[24, 24], w[24, 32], w[0, 0]]
    np.testing.assert_allclose(at, [2, 2, 2, 0.5], atol=1e-6)
    loss = BoundaryLoss()(labels, logits)
    assert float(loss) == pytest.approx(0.283085, abs=1e-6)


def test_weights_of_several_classes_and_ignored_pixels():
    labels = np.random.default_rng(0).choice(
        [0, 1, 2, 255], (2, 4, 5), p=[0.4, 0.3, 0.2, 0.1]
    )
    labels = labels.repeat(6, 1).repeat(7, 2).astype(np.uint8)
    np.testing.assert_allclose(
        weights_of(labels, 3), reference_weights(labels), atol=1e-5
    )


def test_the_loss_is_the_weighted_mean():
    random = np.random.default_rng(1)
    labels = random.choice([0, 1, 255], (2, 3, 4)).repeat(5, 1).repeat(5, 2)
    logits = random.normal(size=(*labels.shape, 2)).astype("float32")
    class_weights = np.array([0.5, 3.0])
    chosen = np.where(labels == 255, 0, labels)
    w = reference_weights(labels) * class_weights[chosen] * (labels != 255)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    ce = -np.log(np.take_along_axis(p, chosen[..., None], -1)[..., 0])
    loss = BoundaryLoss(class_weights=class_weights)(labels, logits)
    assert float(loss) == pytest.approx((w * ce).sum() / w.sum(), rel=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (1, 1), (1, 9), (40, 3)])
def test_constant_labels_are_cross_entropy(size):
    logits = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    labels = np.full((2, *size), 2, np.uint8)
    expected = float(SegmentationCrossEntropy()(labels, logits))
    assert float(BoundaryLoss()(labels, logits)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("turn", [np.rot90, np.flipud, np.fliplr, np.transpose])
def test_flips_and_turns_change_nothing(turn):
    random = np.random.default_rng(5)
    labels = random.choice([0, 1, 255], (6, 6)).repeat(8, 0).repeat(8, 1)
    expected = turn(weights_of(labels[None].astype(np.uint8))[0])
    turned = np.ascontiguousarray(turn(labels)).astype(np.uint8)
    np.testing.assert_allclose(weights_of(turned[None])[0], expected, atol=1e-6)


def test_both_sides_of_a_boundary_count_more_than_the_rest():
    for labels in (half(0, 1), half(1, 0)):
        w = weights_of(labels)[0]
        np.testing.assert_allclose(w[:, 31:33], 2, atol=1e-6)
        assert w[:, [0, 63]].max() == w.min() == 0.5


def test_only_ignored_pixels_give_zero_with_zero_gradients():
    logits = tf.Variable(np.random.default_rng(0).normal(size=(2, 9, 9, 3)))
    with tf.GradientTape() as tape:
        loss = BoundaryLoss()(np.full((2, 9, 9), 255), logits)
    assert float(loss) == 0.0
    assert not np.any(tape.gradient(loss, logits))


def test_logits_of_ignored_pixels_change_nothing(square):
    labels, logits = square
    labels = labels.copy()
    labels[:, 20:30] = 255
    other = logits.copy()
    other[:, 20:30] = np.random.default_rng(0).normal(size=(1, 10, 64, 2)) * 100
    assert float(BoundaryLoss()(labels, logits)) == float(BoundaryLoss()(labels, other))


def test_works_in_a_graph_of_unknown_size(square):
    labels, logits = square
    loss = BoundaryLoss(from_logits=True)
    compiled = tf.function(
        loss,
        input_signature=[
            tf.TensorSpec((None, None, None, 1), "uint8"),
            tf.TensorSpec((None, None, None, 2), "float32"),
        ],
    )
    value = compiled(labels[..., None], logits)
    assert float(value) == pytest.approx(0.283085, abs=1e-6)


def test_config_survives_json():
    loss = BoundaryLoss(floor=0.25, gain=2, class_weights=[1, 2])
    config = json.loads(json.dumps(keras.losses.serialize(loss)))
    assert keras.losses.deserialize(config).get_config() == loss.get_config()


@pytest.mark.parametrize("arguments", [{"floor": 0}, {"gain": -1}, {"gain": math.nan}])
def test_arguments_out_of_range_are_refused(arguments):
    (name,) = arguments
    with pytest.raises(ModelError, match=f"Expected a finite `{name}`"):
        BoundaryLoss(**arguments)

import math

import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import ModelError
from landslide_tf.losses import FocalLoss, SegmentationCrossEntropy


def test_golden(square):
    labels, logits = square
    assert float(SegmentationCrossEntropy()(labels, logits)) == pytest.approx(
        0.301616, abs=5e-7
    )
    loss = FocalLoss(gamma=2, alpha=0.5)(labels, logits)
    assert float(loss) == pytest.approx(0.010677326, abs=1e-8)
    assert float(FocalLoss()(labels, logits)) == pytest.approx(
        2 * 0.010677326, rel=2e-6
    )


def test_without_gamma_it_is_cross_entropy(square):
    labels, logits = square
    weights = [0.1, 0.7]
    expected = SegmentationCrossEntropy(class_weights=weights)(labels, logits)
    received = FocalLoss(gamma=0, class_weights=weights)(labels, logits)
    assert float(received) == pytest.approx(float(expected), rel=1e-6)


def test_sure_pixels_keep_their_digits():
    # p = 1 − e⁻⁹ up to rounding: 1 − p in float32 would have two digits left.
    loss = FocalLoss(gamma=2)(np.array([[[0]]]), np.array([[[[9.0, 0.0]]]]))
    entropy = math.log1p(math.exp(-9))
    assert float(loss) == pytest.approx(math.expm1(-entropy) ** 2 * entropy, rel=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 1.0, 2.0, 5.0])
def test_gradients_are_finite_where_a_pixel_is_right_or_utterly_wrong(gamma):
    logits = tf.Variable([[[[200.0, -200.0], [-200.0, 200.0], [0.0, 0.0]]]])
    with tf.GradientTape() as tape:
        loss = FocalLoss(gamma=gamma)(np.array([[[0, 0, 1]]]), logits)
    gradient = tape.gradient(loss, logits).numpy()[0, 0]
    assert float(loss) == pytest.approx((400 + 0.5**gamma * math.log(2)) / 3, rel=1e-5)
    np.testing.assert_allclose(gradient[0], 0, atol=1e-6)
    np.testing.assert_allclose(gradient[1], [-1 / 3, 1 / 3], rtol=1e-5)


@pytest.mark.parametrize(
    "arguments", [{"gamma": -1}, {"gamma": math.inf}, {"alpha": 0}, {"alpha": math.nan}]
)
def test_arguments_out_of_range_are_refused(arguments):
    (name,) = arguments
    with pytest.raises(ModelError, match=f"Expected a finite `{name}`"):
        FocalLoss(**arguments)

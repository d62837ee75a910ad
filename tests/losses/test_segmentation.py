"""What all losses over labelled pixels have in common."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import ModelError
from landslide_tf.losses import (
    CrossEntropyDiceLoss,
    DiceLoss,
    FocalLoss,
    SegmentationCrossEntropy,
    TverskyLoss,
)

WEIGHTS = [0.2, 3.0, 0.0, 1.0, 10.0]


def softmax(logits):
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def cross_entropy(p, y, weights, gamma=0.0):
    chosen = np.take_along_axis(p, y[:, None], 1)[:, 0]
    weight = weights[y]
    return (weight * (1 - chosen) ** gamma * -np.log(chosen)).sum() / weight.sum()


def overlap(p, y, weights, alpha, beta, smooth):
    """One minus the mean index, class by class, from sets of pixels."""
    index = []
    for c in range(p.shape[1]):
        inside, outside = p[y == c, c], p[y != c, c]
        hits, misses, alarms = inside.sum(), (1 - inside).sum(), outside.sum()
        denominator = 2 * (hits + alpha * alarms + beta * misses) + (smooth or 1e-7)
        index.append((2 * hits + smooth) / denominator)
    return 1 - np.average(index, weights=weights)


# Loss class, arguments, reference of (probabilities, labels, class weights).
CASES = {
    "cross_entropy": (SegmentationCrossEntropy, {}, cross_entropy),
    "focal": (FocalLoss, {}, lambda p, y, w: cross_entropy(p, y, w, 2.0)),
    "focal_root": (
        FocalLoss,
        {"gamma": 0.5, "alpha": 0.25},
        lambda p, y, w: 0.25 * cross_entropy(p, y, w, 0.5),
    ),
    "dice": (DiceLoss, {}, lambda p, y, w: overlap(p, y, w, 0.5, 0.5, 0)),
    "dice_smooth": (
        DiceLoss,
        {"smooth": 1.0},
        lambda p, y, w: overlap(p, y, w, 0.5, 0.5, 1),
    ),
    "tversky": (
        TverskyLoss,
        {"alpha": 0.2, "beta": 0.9, "smooth": 3.0},
        lambda p, y, w: overlap(p, y, w, 0.2, 0.9, 3),
    ),
    "cross_entropy_dice": (
        CrossEntropyDiceLoss,
        {"dice_weight": 0.5},
        lambda p, y, w: (
            cross_entropy(p, y, w) + 0.5 * overlap(p, y, np.ones(len(w)), 0.5, 0.5, 0)
        ),
    ),
}
LOSSES = pytest.mark.parametrize("case", CASES)


def random_batch(seed, classes=5, shape=(3, 7, 6)):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, shape).astype(np.uint8)
    labels[rng.random(shape) < 0.3] = 255
    return labels, (2 * rng.normal(size=(*shape, classes))).astype(np.float32)


def reference(case, labels, logits, weights=None):
    valid = labels != 255
    p = softmax(logits.astype(np.float64))[valid]
    weights = np.ones(logits.shape[-1]) if weights is None else np.array(weights)
    return CASES[case][2](p, labels[valid].astype(int), weights)


def make(case, **arguments):
    kind, own, _ = CASES[case]
    return kind(**own, **arguments)


def value_and_gradient(loss, labels, logits):
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = loss(labels, variable)
    return float(value), tape.gradient(value, variable).numpy()


@LOSSES
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_against_numpy(case, weights):
    labels, logits = random_batch(1)
    loss = make(case, class_weights=weights)
    expected = reference(case, labels, logits, weights)
    assert float(loss(labels, logits)) == pytest.approx(expected, rel=1e-5)
    assert float(loss(labels[..., None].astype("int64"), logits)) == pytest.approx(
        expected, rel=1e-5
    )
    probabilities = softmax(logits)
    loss = make(case, class_weights=weights, from_logits=False)
    assert float(loss(labels, probabilities)) == pytest.approx(expected, rel=1e-4)


@LOSSES
def test_gradient_against_differences(case):
    labels, logits = random_batch(2, shape=(1, 3, 2))
    _, gradient = value_and_gradient(make(case), labels, logits)
    step, expected = 1e-5, np.zeros(logits.size)
    for k in range(logits.size):
        for sign in (1, -1):
            moved = logits.astype(np.float64)
            moved.flat[k] += sign * step
            expected[k] += sign * reference(case, labels, moved) / (2 * step)
    np.testing.assert_allclose(gradient.ravel(), expected, rtol=1e-3, atol=1e-6)


@LOSSES
def test_ignored_pixels_change_nothing(case):
    labels, logits = random_batch(3)
    loss = make(case, class_weights=WEIGHTS)
    value, gradient = value_and_gradient(loss, labels, logits)
    assert not gradient[labels == 255].any()
    changed = np.where(labels[..., None] == 255, 50 - logits, logits)
    assert float(loss(labels, changed)) == value
    more = np.concatenate([labels, np.full_like(labels, 255)])
    twice = loss(more, np.concatenate([logits, logits]))
    assert float(twice) == pytest.approx(value, rel=1e-6)
    other = make(case, class_weights=WEIGHTS, ignore_class=7)
    seven = np.where(labels == 255, 7, labels)
    assert float(other(seven, logits)) == value


@LOSSES
def test_only_ignored_pixels_give_zero_with_zero_gradients(case):
    logits = random_batch(4)[1]
    labels = np.full(logits.shape[:-1], 255, np.uint8)
    value, gradient = value_and_gradient(make(case), labels, logits)
    assert value == 0.0
    assert not gradient.any()


@LOSSES
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_one_class_only_and_extreme_logits_stay_finite(case, scale):
    _, logits = random_batch(5)
    labels = np.full(logits.shape[:-1], 2, np.uint8)
    value, gradient = value_and_gradient(make(case), labels, scale * logits)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    perfect = np.zeros_like(logits)
    perfect[..., 2] = 1e4
    value, gradient = value_and_gradient(make(case), labels, perfect)
    assert 0 <= value < 0.8001  # four empty classes of a Dice mean without smoothing
    assert np.abs(gradient).max() < 1e-6


@LOSSES
def test_large_float16_maps_do_not_overflow(case):
    # 512² ones are four times the largest float16.
    rng = np.random.default_rng(6)
    logits = rng.normal(size=(1, 512, 512, 2)).astype(np.float16)
    labels = (rng.random((1, 512, 512)) < 0.02).astype(np.uint8)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        loss = make(case)
        value = loss(labels, keras.ops.convert_to_tensor(logits))
    finally:
        keras.config.set_dtype_policy("float32")
    assert value.dtype == loss.dtype == "float32"
    assert float(value) == pytest.approx(reference(case, labels, logits), rel=1e-4)


@LOSSES
@pytest.mark.parametrize("from_logits", [True, False])
def test_one_channel_is_the_second_of_two_classes(case, from_logits):
    labels, logits = random_batch(7, classes=2)
    single = logits[..., 1:] - logits[..., :1]
    scores = single if from_logits else 1 / (1 + np.exp(-single))
    loss = make(case, class_weights=[0.3, 2.0], from_logits=from_logits)
    expected = reference(case, labels, logits, [0.3, 2.0])
    assert float(loss(labels, scores)) == pytest.approx(expected, rel=1e-4)
    assert float(loss(labels[..., None], scores)) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ModelError, match=r"Expected 2 `class_weights`.*received 1"):
        make(case, class_weights=[1.0])(labels, single)


@LOSSES
def test_unknown_labels_are_loud(case):
    labels, logits = random_batch(8)
    labels[0, 0, 0] = 5
    # TensorFlow's CPU kernel of the entropy names the label; elsewhere it is NaN.
    try:
        value = float(make(case)(labels, logits))
    except tf.errors.InvalidArgumentError as error:
        assert "label value of 5" in str(error)
    else:
        assert np.isnan(value)


@LOSSES
def test_wrong_input_is_refused(case):
    labels, logits = random_batch(9)
    with pytest.raises(ModelError, match=r"finite, not negative.*received \[1.0, -1"):
        make(case, class_weights=[1, -1])
    with pytest.raises(ModelError, match="Expected 5 `class_weights`"):
        make(case, class_weights=[1, 2])(labels, logits)
    with pytest.raises(ModelError, match="class indices, not one-hot"):
        make(case)(np.eye(5)[labels % 5], logits)
    with pytest.raises(ModelError, match=f"sample_weight.*`{CASES[case][0].__name__}`"):
        make(case)(labels, logits, sample_weight=np.ones(1 + len(labels)))


@LOSSES
def test_config_survives_json(case):
    loss = make(
        case, ignore_class=None, class_weights=(1, 2), from_logits=False, name="own"
    )
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored) is CASES[case][0]
    assert restored.get_config() == loss.get_config()
    own = {"ignore_class": None, "class_weights": [1, 2], "from_logits": False}
    assert {**CASES[case][1], **own, "name": "own"}.items() <= config["config"].items()
    assert config["registered_name"] == f"landslide_tf>{CASES[case][0].__name__}"


@pytest.mark.slow
@LOSSES
def test_a_compiled_model_learns_a_rare_class(case):
    # 2 % landslide, told apart by one band: every loss has to find it.
    rng = np.random.default_rng(10)
    labels = (rng.random((4, 16, 16)) < 0.02).astype(np.uint8)
    images = rng.normal(0, 0.1, (4, 16, 16, 3)).astype(np.float32)
    images[..., 1] += labels
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(2, 1)(image))
    model.compile(keras.optimizers.Adam(0.2), loss=make(case), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    before = model.evaluate(images, labels, verbose=0)
    logits = model.predict(images, verbose=0)
    assert before == pytest.approx(reference(case, labels, logits), rel=1e-4)
    steps = (np.concatenate([images] * 60), np.concatenate([labels] * 60))
    model.fit(*steps, batch_size=4, shuffle=False, verbose=0)
    assert model.evaluate(images, labels, verbose=0) < 0.25 * before
    assert (model.predict(images, verbose=0).argmax(-1) == labels).mean() > 0.99

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.errors import ModelError
from landslide_tf.losses import SegmentationCrossEntropy

LOGITS = np.array([(2, 0), (1, 0), (5, 5), (0, 9)], np.float32)
LABELS = np.array([0, 1, 255, 255], np.uint8)


def random_batch(seed, classes=5, shape=(3, 7, 6)):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, shape).astype(np.uint8)
    labels[rng.random(shape) < 0.3] = 255
    return labels, (3 * rng.normal(size=(*shape, classes))).astype(np.float32)


def reference(labels, logits, weights):
    """Σ w·ce / Σ w over the valid pixels, in float64."""
    logits = logits.astype(np.float64)
    log_sum = np.log(np.exp(logits).sum(-1, keepdims=True))
    valid = labels != 255
    classes = labels[valid]
    entropy = -(logits - log_sum)[valid][np.arange(classes.size), classes]
    weight = np.asarray(weights, float)[classes]
    return (weight * entropy).sum() / weight.sum()


def test_golden():
    loss = SegmentationCrossEntropy()(LABELS, LOGITS)
    assert loss.shape == ()
    assert loss.dtype == "float32"
    assert float(loss) == pytest.approx(0.72009485, abs=1e-7)


@pytest.mark.parametrize("weights", [None, [1.0] * 5, [4.0] * 5])
def test_equal_weights_give_the_mean_of_keras(weights):
    labels, logits = random_batch(0)
    expected = keras.losses.SparseCategoricalCrossentropy(True, ignore_class=255)(
        labels, logits
    )
    received = SegmentationCrossEntropy(class_weights=weights)(labels, logits)
    assert float(received) == pytest.approx(float(expected), rel=1e-6)


def test_class_weights():
    labels, logits = random_batch(1)
    weights = [0.2, 3.0, 0.0, 1.0, 10.0]
    received = SegmentationCrossEntropy(class_weights=weights)(labels, logits)
    expected = reference(labels, logits, weights)
    assert float(received) == pytest.approx(expected, rel=1e-5)
    scaled = SegmentationCrossEntropy(class_weights=np.multiply(weights, 7))
    assert float(scaled(labels, logits)) == pytest.approx(expected, rel=1e-5)


def test_probabilities_and_labels_with_a_channel():
    labels, logits = random_batch(2)
    expected = float(SegmentationCrossEntropy()(labels, logits))
    probabilities = keras.ops.softmax(logits)
    received = SegmentationCrossEntropy(from_logits=False)(labels, probabilities)
    assert float(received) == pytest.approx(expected, rel=1e-4)
    received = SegmentationCrossEntropy()(labels[..., None].astype("int64"), logits)
    assert float(received) == pytest.approx(expected, rel=1e-6)


def test_ignored_pixels_have_no_gradient_and_their_share_does_not_matter():
    labels, logits = random_batch(3)
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = SegmentationCrossEntropy()(labels, variable)
    gradient = tape.gradient(loss, variable).numpy()
    assert not gradient[labels == 255].any()
    assert np.abs(gradient[labels != 255]).sum(-1).min() > 0
    more = np.concatenate([labels, np.full_like(labels, 255)])
    twice = SegmentationCrossEntropy()(more, np.concatenate([logits, logits]))
    assert float(twice) == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.parametrize("weights", [None, [0.0, 1.0]])
def test_no_pixel_that_counts_gives_zero_with_zero_gradients(weights):
    # With weights: the only valid pixels are of a class of weight 0.
    labels = np.full((1, 4, 4), 255 if weights is None else 0, np.uint8)
    logits = tf.Variable(np.random.default_rng(4).normal(size=(1, 4, 4, 2)))
    with tf.GradientTape() as tape:
        loss = SegmentationCrossEntropy(class_weights=weights)(labels, logits)
    assert float(loss) == 0.0
    assert not tape.gradient(loss, logits).numpy().any()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_sums_stay_float32(policy):
    # 512² ones overflow a float16 sum, and bfloat16 has three digits.
    keras.config.set_dtype_policy(policy)
    try:
        labels = np.zeros((1, 512, 512), np.uint8)
        logits = np.zeros((1, 512, 512, 3), np.float16)
        logits[..., 0] = -np.log(0.5 * (np.e - 1))  # cross-entropy 1 for every pixel
        loss = SegmentationCrossEntropy()
        value = loss(labels, keras.ops.convert_to_tensor(logits))
        assert value.dtype == "float32"
        assert float(value) == pytest.approx(1.0, abs=1e-3)
        assert loss.dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


def test_extreme_logits_stay_finite():
    labels = np.array([[[0, 1]]])
    logits = np.array([[[[1e4, -1e4], [1e4, -1e4]]]], np.float32)
    assert float(SegmentationCrossEntropy()(labels, logits)) == pytest.approx(1e4)


def test_fit_and_evaluate_report_it():
    labels, _ = random_batch(5, shape=(4, 6, 6))
    images = np.random.default_rng(6).random((4, 6, 6, 3)).astype(np.float32)
    weights = [1.0, 2.0, 3.0, 4.0, 5.0]
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(5, 1)(image))
    model.compile(
        optimizer="sgd",
        loss=SegmentationCrossEntropy(class_weights=weights),
        jit_compile=False,
    )
    before = model.evaluate(images, labels, batch_size=4, verbose=0)
    logits = model.predict(images, verbose=0)
    assert before == pytest.approx(reference(labels, logits, weights), rel=1e-5)
    model.fit(images, labels[..., None], batch_size=2, epochs=3, verbose=0)
    assert model.evaluate(images, labels, batch_size=4, verbose=0) < before


def test_unknown_labels_are_loud():
    labels, logits = random_batch(7)
    labels[0, 0, 0] = 5
    # TensorFlow's CPU kernels name the label, the deterministic one in other words;
    # elsewhere the loss is NaN.
    named = r"label value of 5|indices\[.*\] = 5 is not in \[0, 5\)"
    with pytest.raises(tf.errors.InvalidArgumentError, match=named):
        SegmentationCrossEntropy()(labels, logits)


@pytest.mark.parametrize("weights", [[1, -1], [0, 0], [1, np.nan], [1, np.inf], []])
def test_bad_class_weights_are_refused(weights):
    with pytest.raises(ModelError, match="Expected `class_weights`"):
        SegmentationCrossEntropy(class_weights=weights)


def test_shapes_that_do_not_fit_are_refused():
    labels, logits = random_batch(8)
    with pytest.raises(ModelError, match="Expected 5 `class_weights`"):
        SegmentationCrossEntropy(class_weights=[1, 2])(labels, logits)
    with pytest.raises(ModelError, match="class indices, not one-hot"):
        SegmentationCrossEntropy()(np.eye(5)[labels % 5], logits)


def test_config_survives_json():
    loss = SegmentationCrossEntropy(None, (1, 2), from_logits=False, name="ce")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    restored = keras.saving.deserialize_keras_object(config)
    assert isinstance(restored, SegmentationCrossEntropy)
    assert restored.get_config() == loss.get_config()
    assert config["registered_name"] == "landslide_tf>SegmentationCrossEntropy"

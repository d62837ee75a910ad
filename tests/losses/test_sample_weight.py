"""Weights of examples and pixels, as `fit` gives them to a loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf import losses
from landslide_tf.errors import ModelError

CLASS_WEIGHTS = [0.5, 3.0, 1.0]


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (4, 6, 5)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.2] = 255
    return labels, rng.normal(size=(4, 6, 5, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(1)
    return {
        "examples": rng.random(4).astype(np.float32),
        "pixels": rng.random((4, 6, 5)).astype(np.float32),
        "channel": rng.random((4, 6, 5, 1)).astype(np.float32),
        "alike": np.float32(2.5),
    }


KINDS = pytest.mark.parametrize("kind", ["examples", "pixels", "channel", "alike"])


def each_pixel(weight):
    """The weights of examples or pixels as (4, 6, 5)."""
    weight = weight[..., 0] if weight.ndim == 4 else weight
    weight = weight[:, None, None] if weight.ndim == 1 else weight
    return np.broadcast_to(weight, (4, 6, 5))


@KINDS
def test_cross_entropy_is_weighed_as_by_keras(batch, weights, kind):
    labels, logits = batch
    theirs = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=255
    )
    expected = float(theirs(labels, logits, sample_weight=each_pixel(weights[kind])))
    loss = losses.SegmentationCrossEntropy()
    received = float(loss(labels, logits, sample_weight=weights[kind]))
    assert received == pytest.approx(expected, rel=1e-5)
    received = float(loss(labels[..., None], logits, sample_weight=weights[kind]))
    assert received == pytest.approx(expected, rel=1e-5)


@KINDS
def test_focal_and_class_weights(batch, weights, kind):
    labels, logits = batch
    p = np.exp(logits.astype(float))
    p /= p.sum(-1, keepdims=True)
    total = mass = 0.0
    for position in np.ndindex(labels.shape):
        if labels[position] == 255:
            continue
        own = p[(*position, labels[position])]
        class_weight = CLASS_WEIGHTS[labels[position]]
        mass += class_weight
        value = class_weight * (1 - own) ** 2 * -np.log(own)
        total += each_pixel(weights[kind])[position] * value
    loss = losses.FocalLoss(class_weights=CLASS_WEIGHTS)
    received = float(loss(labels, logits, sample_weight=weights[kind]))
    assert received == pytest.approx(total / mass, rel=1e-5)


def test_boundary_weighed_on_one_pixel_is_that_pixels_share(batch):
    labels, logits = batch
    parts = []
    for position in np.argwhere(labels != 255):
        weight = np.zeros(labels.shape, np.float32)
        weight[tuple(position)] = 1
        parts.append(float(losses.BoundaryLoss()(labels, logits, weight)))
    assert min(parts) > 0
    whole = float(losses.BoundaryLoss()(labels, logits))
    assert sum(parts) == pytest.approx(whole, rel=1e-4)


def test_the_weight_of_an_ignored_pixel_does_not_matter(batch):
    labels, logits = batch
    weight = np.where(labels == 255, np.nan, 1).astype(np.float32)
    loss = losses.SegmentationCrossEntropy()
    found = []
    for given in (weight, None):
        scores = tf.Variable(logits)
        with tf.GradientTape() as tape:
            value = loss(labels, scores, given)
        found.append((float(value), tape.gradient(value, scores)))
    (weighed, slopes), (plain, wanted) = found
    assert weighed == pytest.approx(plain, rel=1e-6)
    np.testing.assert_allclose(slopes, wanted, atol=1e-7)


@KINDS
@pytest.mark.parametrize("form", ["mse", "kd_bce"])
def test_responses(weights, kind, form):
    old, new = np.random.default_rng(2).random((2, 4, 6, 5, 1)).astype(np.float32)
    loss = losses.ResponsePreservationLoss(form, temperature=1.0)
    if form == "mse":
        values = np.square(old - new)
    else:
        p, r = (np.clip(v.astype(float), 1e-6, 1 - 1e-6) for v in (new, old))
        values = -(r * np.log(p) + (1 - r) * np.log(1 - p))
    expected = np.mean(each_pixel(weights[kind]) * values[..., 0])
    received = float(loss(old, new, sample_weight=weights[kind]))
    assert received == pytest.approx(expected, rel=1e-4)


def test_soft_dice_of_images(batch, weights):
    labels = np.where(batch[0] == 2, 0, batch[0])
    p = np.random.default_rng(3).random((4, 6, 5, 1)).astype(np.float32)
    loss = losses.SoftDiceLoss(per_image=True)
    single = [float(loss(labels[i : i + 1], p[i : i + 1])) for i in range(4)]
    expected = np.mean(weights["examples"] * np.array(single))
    received = float(loss(labels, p, sample_weight=weights["examples"]))
    assert received == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ModelError, match=r"of shape \(4,\) in `SoftDiceLoss`"):
        loss(labels, p, sample_weight=weights["pixels"])


@pytest.mark.parametrize(
    "loss",
    [
        losses.DiceLoss(),
        losses.TverskyLoss(),
        losses.CrossEntropyDiceLoss(),
        losses.SoftDiceLoss(),
        losses.ReleasedLoss("focal"),
    ],
)
def test_losses_of_a_whole_batch_refuse_weights(batch, loss):
    labels, logits = batch
    with pytest.raises(ModelError, match=f"`{type(loss).__name__}`.*`class_weights=`"):
        loss(np.where(labels == 2, 0, labels), logits[..., :2], np.ones(4))


@pytest.mark.parametrize("shape", [(3,), (4, 6), (4, 5, 6), (4, 6, 5, 3), (4, 1)])
def test_other_shapes_are_refused(batch, shape):
    with pytest.raises(ModelError, match=r"\(4,\) or \(4, 6, 5\)"):
        losses.SegmentationCrossEntropy()(*batch, np.ones(shape, np.float32))


def model_of(batch):
    image = keras.Input((None, None, 3))
    head = keras.layers.Conv2D(3, 1, kernel_initializer="ones")
    model = keras.Model(image, head(image))
    model.compile("sgd", losses.SegmentationCrossEntropy(), jit_compile=False)
    return model


def test_class_weight_of_fit_is_that_of_each_pixel(batch):
    labels, images = batch
    data = tf.data.Dataset.from_tensors((images, labels[..., None]))
    model = model_of(batch)
    logits = model.predict(images, verbose=0)
    p = np.exp(logits.astype(float))
    p /= p.sum(-1, keepdims=True)
    by_label = {0: 0.5, 1: 3.0, 2: 1.0, 255: 0.0}
    valid = labels != 255
    own = np.take_along_axis(p[valid], labels[valid][:, None].astype(int), 1)[:, 0]
    weight = np.array([by_label[v] for v in labels[valid]])
    expected = np.mean(weight * -np.log(own))
    logs = model.fit(data, class_weight=by_label, shuffle=False, verbose=0).history
    assert logs["loss"] == [pytest.approx(expected, rel=1e-5)]


def test_sample_weight_of_fit(batch):
    labels, images = batch
    model = model_of(batch)
    before = model.get_weights()
    ones = {"sample_weight": np.ones(4, np.float32), "batch_size": 4, "verbose": 0}
    plain = model.fit(images, labels, batch_size=4, verbose=0).history["loss"]
    after = model.get_weights()
    model.set_weights(before)
    assert model.fit(images, labels, **ones).history["loss"] == pytest.approx(plain)
    for mine, theirs in zip(model.get_weights(), after, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)

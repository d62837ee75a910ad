"""The step of adversarial adaptation against its parts, taken one by one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.losses import SegmentationCrossEntropy
from landslide_tf.metrics import ConfusionMatrix
from landslide_tf.models import output_space_discriminator
from landslide_tf.train.optimizers import LossScaleOptimizer, SplitOptimizer
from landslide_tf.train.transfer.adversarial import AdversarialModel, InferenceAfter

LEVELS = ("main", "aux")
WEIGHTS = {"main": 0.3, "aux": 0.07}  # large enough to be seen in gradients
SEGMENTATION = {"main": 1.0, "aux": 0.5}
BCE = keras.losses.BinaryCrossentropy(from_logits=True)


def networks():
    """A network with two outputs, and the part of it that is kept."""
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="first")(x)
    x = keras.layers.BatchNormalization(momentum=0.5, name="norm")(x)
    feature = keras.layers.ReLU()(x)
    score = {"padding": "same", "dtype": "float32"}
    aux = keras.layers.Conv2D(2, 1, name="aux_conv", **score)(feature)
    main = keras.layers.Conv2D(2, 3, name="main_conv", **score)(feature)
    return keras.Model([image], {"main": main, "aux": aux}), keras.Model([image], main)


def players(levels=LEVELS, **changes):
    generator, network = networks()
    arguments = {
        "loss": SegmentationCrossEntropy(),
        "segmentation": SEGMENTATION,
        "adversarial": WEIGHTS,
        "confusion": ConfusionMatrix(2, landslide_class=1),
        **changes,
    }
    judges = {v: output_space_discriminator(filters=2, name=f"d_{v}") for v in levels}
    return AdversarialModel(
        generator if len(levels) > 1 else network, network, judges, **arguments
    )


def batch(seed=0, count=2):
    random = np.random.default_rng(seed)
    x = {
        name: random.uniform(0, 255, (count, 32, 32, 3)).astype("float32")
        for name in ("image", "target_image")
    }
    return x, random.integers(0, 2, (count, 32, 32)).astype("uint8")


def variables_of(model):
    judges = list(model.discriminators.values())
    return (
        [v.value for v in model.generator.trainable_variables],
        [v.value for judge in judges for v in judge.trainable_variables],
    )


def gradients_of(model, x, y):
    """Gradients of the model's one loss, by player."""
    generator, judges = variables_of(model)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True), training=True)
    found = tape.gradient(loss, generator + judges)
    return found[: len(generator)], found[len(generator) :]


def assert_close(one, other):
    for a, b in zip(one, other, strict=True):
        a, b = (np.zeros(1) if v is None else v.numpy() for v in (a, b))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def filled(scores, value):
    return tf.fill(tf.shape(scores), value)


def test_one_loss_has_the_gradients_of_both_players():
    """Each player's own loss on a tape of its own (Tsai et al. 2018, section 3.2)."""
    model = players()
    x, y = batch()
    own, judged = gradients_of(model, x, y)
    generator, judges = variables_of(model)
    with tf.GradientTape() as tape:
        source = model.generator({"image": x["image"]}, training=True)
        target = model.generator({"image": x["target_image"]}, training=True)
        loss = 0.0
        for level in LEVELS:
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
                y.astype("int32"), source[level]
            )
            loss += SEGMENTATION[level] * tf.reduce_mean(entropy)
            says = model.discriminators[level](tf.nn.softmax(target[level]))
            loss += WEIGHTS[level] * BCE(filled(says, 0.0), says)
    assert_close(own, tape.gradient(loss, generator))
    with tf.GradientTape() as tape:
        loss = 0.0
        for level in LEVELS:
            for maps, label in ((source, 0.0), (target, 1.0)):
                says = model.discriminators[level](tf.nn.softmax(maps[level]))
                loss += 0.5 * BCE(filled(says, label), says)
    assert_close(judged, tape.gradient(loss, judges))
    assert any(np.abs(g).max() > 1e-4 for g in judged)


def test_discriminators_do_not_feel_what_deceives_them():
    x, y = batch()
    plain = gradients_of(players(adversarial={"main": 0.0, "aux": 0.0}), x, y)
    strong = gradients_of(players(adversarial={"main": 50.0, "aux": 50.0}), x, y)
    assert_close(plain[1], strong[1])
    assert np.abs(plain[0][0] - strong[0][0]).max() > 1e-3


def test_deceiving_reaches_the_second_classifier_through_its_own_discriminator_only():
    x, y = batch()
    alone = {"main": 1.0, "aux": 0.0}
    model = players(segmentation=alone, adversarial={"main": 5.0, "aux": 0.0})
    paths = [v.path for v in model.generator.trainable_variables]
    place = paths.index("aux_conv/kernel")
    assert np.abs(gradients_of(model, x, y)[0][place]).max() == 0
    model = players(segmentation=alone, adversarial={"main": 0.0, "aux": 5.0})
    assert np.abs(gradients_of(model, x, y)[0][place]).max() > 1e-6


def trained(model, x, y, policy="float32"):
    count = len(model.generator.trainable_variables)
    optimizer = SplitOptimizer(
        keras.optimizers.SGD(0.1, momentum=0.9), keras.optimizers.Adam(1e-3), count
    )
    if policy == "mixed_float16":
        optimizer = LossScaleOptimizer(optimizer)
    model.compile(optimizer)
    model.optimizer.build(model.trainable_variables)
    return model.train_on_batch(x, y, return_dict=True)


def test_without_adversary_the_step_is_the_supervised_one():
    x, y = batch()
    model = players(["main"], adversarial={"main": 0.0})
    trained(model, x, y)
    _, network = networks()
    network.compile(keras.optimizers.SGD(0.1, momentum=0.9), SegmentationCrossEntropy())
    network.train_on_batch(x["image"], y)
    for mine, its in zip(
        model.network.trainable_variables, network.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(mine.numpy(), its.numpy(), rtol=1e-5, atol=1e-7)


def test_moving_statistics_follow_source_then_target_each_with_its_own():
    x, y = batch()
    model = players(["main"])
    kernel = model.network.get_layer("first").kernel.numpy()
    trained(model, x, y)

    def mean(image):
        features = tf.nn.conv2d(image / 255.0, kernel, 1, "SAME")
        return features.numpy().mean((0, 1, 2))

    # Momentum a half: 0 → source → target.
    expected = 0.5 * (0.5 * mean(x["image"])) + 0.5 * mean(x["target_image"])
    found = model.network.get_layer("norm").moving_mean.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_labels_of_the_discriminators_are_drawn_within_the_noise(noise):
    model = players(["main"], label_noise=noise)
    seen = []

    def game(labels, scores):
        seen.append(labels.numpy())
        return BCE(labels, scores)

    model.game = game
    x, y = batch(count=64)
    model.compute_loss(x, y, model(x, training=True), training=True)
    source, target, deceived = seen
    assert not deceived.any()
    if not noise:
        assert not source.any() and (target == 1).all()
        return
    assert source.shape == (64, 1, 1, 1)  # a draw for every cell
    assert 0 <= source.min() < 0.1 and 0.2 < source.max() <= 0.3
    assert 0.7 <= target.min() < 0.8 and 0.9 < target.max() <= 1
    model.compute_loss(x, y, model(x, training=True), training=True)
    assert not np.array_equal(source, seen[3])  # drawn anew


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "game"),
    [
        ("float32", "least_squares"),
        ("mixed_float16", "cross_entropy"),
        ("mixed_bfloat16", "cross_entropy"),
    ],
)
def test_trains_under_every_policy(policy, game):
    keras.config.set_dtype_policy(policy)
    try:
        model = players(game=game, label_noise=0.3)
    finally:
        keras.config.set_dtype_policy("float32")
    x, y = batch()
    before = [v.numpy() for v in model.trainable_variables]
    logs = trained(model, x, y, policy)
    assert np.isfinite([v for v in logs.values() if not isinstance(v, dict)]).all()
    moved = [
        np.any(a != v.numpy())
        for a, v in zip(before, model.trainable_variables, strict=True)
    ]
    assert sum(moved) > 0.8 * len(moved)
    assert model(x)["main"].dtype == "float32"


def test_scores_of_a_validation_by_hand():
    """Maps that are the images' first two bands, and a judge that likes bright ones."""
    image = keras.Input((None, None, 3), name="image")
    scores = keras.layers.Conv2D(2, 1, use_bias=False, name="take")
    network = keras.Model([image], scores(image))
    scores.set_weights([np.eye(3)[None, None, :, :2]])
    maps = keras.Input((None, None, 2))
    pool = keras.layers.AveragePooling2D(32)(maps)
    judge = keras.layers.Conv2D(1, 1, name="judge")
    judge_network = keras.Model(maps, judge(pool))
    judge.set_weights([np.array([[[[0.0], [1.0]]]]), np.array([-0.5])])
    model = AdversarialModel(
        network,
        network,
        {"main": judge_network},
        loss=SegmentationCrossEntropy(),
        segmentation=SEGMENTATION,
        adversarial=WEIGHTS,
        confusion=ConfusionMatrix(2, landslide_class=1),
        oracle=True,
    )
    model.compile()
    random = np.random.default_rng(5)
    image = random.normal(size=(4, 32, 32, 3)).astype("float32")
    labels = random.integers(0, 2, (4, 32, 32)).astype("uint8")
    labels[0, :5] = 255
    domain = np.array([0, 0, 1, 1], "int32")
    found = model.evaluate(
        {"image": image, "domain": domain},
        labels,
        batch_size=2,
        verbose=0,
        return_dict=True,
    )
    odds = np.exp(image[..., :2].astype("float64"))
    share = odds / odds.sum(-1, keepdims=True)
    entropy = -(share * np.log(share)).sum(-1)
    predicted = share[..., 1] > 0.5
    judged = share[..., 1].mean((1, 2)) > 0.5
    valid = labels[:2] < 2
    expected = {
        "target_entropy": entropy[2:].mean(),
        "target_fraction": predicted[2:].mean(),
        "source_fraction": (labels[:2] == 1).sum() / valid.sum(),
        "discriminator_source_accuracy": (~judged[:2]).mean(),
        "discriminator_target_accuracy": judged[2:].mean(),
        "landslide_iou": iou(labels[:2][valid], predicted[:2][valid]),
        "target_landslide_iou": iou(labels[2:], predicted[2:]),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-5), name
    says = share[..., 1].mean((1, 2)) - 0.5
    deceived = WEIGHTS["main"] * np.log1p(np.exp(says[2:])).mean()
    assert found["adversarial_loss"] == pytest.approx(deceived, abs=1e-5)
    right = np.where(
        valid,
        np.take_along_axis(
            np.log(share[:2]), (labels[:2] * valid)[..., None].astype(int), -1
        )[..., 0],
        0,
    )
    assert found["segmentation_loss"] == pytest.approx(
        -right.sum() / valid.sum(), abs=1e-5
    )


def iou(labels, predicted):
    both = (labels == 1) & predicted
    return both.sum() / ((labels == 1) | predicted).sum()


class Statistics(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        norm = self.model.network.get_layer("norm")
        self.seen.append(norm.moving_mean.numpy().copy())


@pytest.mark.integration
def test_the_released_trainer_ends_its_epochs_in_inference_mode():
    model = players(["main"])
    trained(model, *batch())
    x, y = batch(count=8)
    seen = Statistics()
    model.fit(
        x, y, batch_size=2, epochs=2, verbose=0, callbacks=[InferenceAfter(2), seen]
    )
    moved = [np.any(a != b) for a, b in zip(seen.seen, seen.seen[1:], strict=False)]
    # Steps 2 and 3 of each epoch of four leave the statistics alone.
    assert moved == [True, False, False, True, True, False, False]

import inspect
import json
import math

import keras
import numpy as np
import pytest

from landslide_tf import mapping, metrics
from landslide_tf.errors import DataError, ModelError
from landslide_tf.metrics import ConfusionMatrix, Scores


def scores_of(metric):
    return {name: float(value) for name, value in metric.result().items()}


def random_batch(seed, classes=4, shape=(2, 9, 7)):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, shape).astype(np.uint8)
    labels[rng.random(shape) < 0.2] = 255
    return labels, rng.normal(size=(*shape, classes)).astype(np.float32)


def expected_matrix(labels, logits):
    matrix = np.zeros((logits.shape[-1],) * 2, np.int64)
    valid = labels != 255
    np.add.at(matrix, (labels[valid], logits.argmax(-1)[valid]), 1)
    return matrix


@pytest.mark.parametrize("absent", [None, 1, 3])
def test_result_equals_the_host_scores(absent):
    labels, logits = random_batch(0)
    if absent is not None:  # in neither the reference nor the prediction
        labels[labels == absent] = 255
        logits[..., absent] = -9
    metric = ConfusionMatrix(4, landslide_class=2)
    metric.update_state(labels, logits)
    np.testing.assert_array_equal(metric.matrix(), expected_matrix(labels, logits))
    host = Scores.from_matrix(metric.matrix())
    received = scores_of(metric)
    averages = ("oa", "miou", "mean_f1", "mean_precision", "mean_recall", "g_mean")
    for name in averages:
        assert received.pop(name) == pytest.approx(getattr(host, name), rel=1e-5)
    for name in ("iou", "f1", "precision", "recall"):
        expected = host.of_class(2)[name]
        assert received.pop(f"landslide_{name}") == pytest.approx(expected, rel=1e-6)
    assert not received


def test_labels_with_a_channel_probabilities_and_batches_make_no_difference():
    labels, logits = random_batch(1, shape=(4, 6, 5))
    whole, parts = (
        ConfusionMatrix(4, landslide_class=0),
        ConfusionMatrix(4, landslide_class=0),
    )
    whole.update_state(labels, logits)
    probabilities = keras.ops.softmax(logits)
    for index in (2, 0, 3, 1):
        one = slice(index, index + 1)
        parts.update_state(labels[one, ..., None].astype("float32"), probabilities[one])
    np.testing.assert_array_equal(whole.matrix(), parts.matrix())


def test_ignored_pixels_never_count_and_nothing_counted_is_nan():
    labels, logits = random_batch(2)
    metric = ConfusionMatrix(4, landslide_class=0)
    metric.update_state(np.full_like(labels, 255), logits)
    assert all(math.isnan(value) for value in scores_of(metric).values())
    assert not metric.matrix().any()
    metric.update_state(labels, logits)
    before = scores_of(metric)
    metric.update_state(np.full_like(labels, 255), logits)
    assert scores_of(metric) == before
    metric.reset_state()
    assert not metric.matrix().any()


def test_a_class_may_be_ignored():
    metric = ConfusionMatrix(3, ignore_class=0, landslide_class=1)
    metric.update_state(np.array([0, 1, 2]), np.eye(3)[[1, 1, 0]])
    assert metric.matrix().tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_unknown_labels_poison_the_result_and_are_named():
    labels, logits = random_batch(3)
    labels[0, 0, :3] = 7
    metric = ConfusionMatrix(4, landslide_class=0)
    metric.update_state(labels, logits)
    assert all(math.isnan(value) for value in scores_of(metric).values())
    with pytest.raises(DataError, match="0 to 3 or 255, received 3 pixels"):
        metric.matrix()
    metric.reset_state()
    metric.update_state(np.zeros_like(labels), logits)
    assert not math.isnan(scores_of(metric)["oa"])


def test_every_integer_of_a_large_count_is_kept():
    # float32 loses single pixels here.
    metric = ConfusionMatrix(2, landslide_class=0)
    start = np.zeros((3, 2), np.int64)
    start[1, 1] = 2**31 + 2**24
    metric.counts.assign(start)
    metric.update_state(np.array([1, 0]), np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert metric.matrix().tolist() == [[1, 0], [0, 2**31 + 2**24 + 1]]


def test_class_names_add_their_iou():
    labels, logits = random_batch(4)
    metric = ConfusionMatrix(
        4, class_names=["landslide", "road", "water", "bare"], landslide_class=0
    )
    metric.update_state(labels, logits)
    received = scores_of(metric)
    host = Scores.from_matrix(metric.matrix())
    assert received["bare_iou"] == pytest.approx(host.iou[3])
    assert received["landslide_iou"] == pytest.approx(host.iou[0])


@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_sigmoid_models(threshold):
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, (2, 8, 8, 1))
    probabilities = rng.random((2, 8, 8, 1)).astype(np.float32)
    logits = np.log(probabilities / (1 - probabilities))
    matrices = []
    for from_logits, values in ((False, probabilities), (True, logits)):
        metric = ConfusionMatrix(
            2, landslide_class="sigmoid", threshold=threshold, from_logits=from_logits
        )
        metric.update_state(labels, values)
        matrices.append(metric.matrix())
    np.testing.assert_array_equal(*matrices)
    two = np.concatenate([probabilities < threshold, probabilities >= threshold], -1)
    np.testing.assert_array_equal(
        matrices[0], expected_matrix(labels[..., 0].astype(np.uint8), two)
    )
    host = Scores.from_matrix(matrices[0])
    assert scores_of(metric)["landslide_iou"] == pytest.approx(host.iou[1])


def tiny_model(classes=4):
    image = keras.Input((None, None, 3), name="image")
    features = keras.layers.Conv2D(4, 1, activation="relu")(image)
    outputs = keras.layers.Conv2D(classes, 1, dtype="float32")(features)
    return keras.Model(image, outputs)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_fit_logs_scores_of_the_whole_epoch(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = tiny_model()
        metric = ConfusionMatrix(4, landslide_class=0)
        model.compile(
            optimizer=keras.optimizers.SGD(0.0),
            loss=keras.losses.SparseCategoricalCrossentropy(True, ignore_class=255),
            metrics=[metric],
            steps_per_execution=2,
            jit_compile=False,
        )
        labels, _ = random_batch(6, shape=(6, 8, 8))
        images = np.random.default_rng(7).random((6, 8, 8, 3)).astype(np.float32)
        history = model.fit(
            images, labels, batch_size=1, verbose=0, validation_data=(images, labels)
        ).history
        np.testing.assert_array_equal(
            metric.matrix(),
            expected_matrix(labels, model.predict(images, verbose=0)),
        )
        host = Scores.from_matrix(metric.matrix())
        # The learning rate is 0: training and validation see the same weights.
        for key in ("miou", "val_miou"):
            assert history[key] == [pytest.approx(host.miou, rel=1e-5)]
        assert {"val_oa", "val_landslide_iou", "val_mean_f1"} <= history.keys()
        assert {str(v.dtype) for v in metric.variables} == {"int64"}
        assert {str(v.dtype) for v in metric.result().values()} == {
            "<dtype: 'float32'>"
        }
    finally:
        keras.config.set_dtype_policy("float32")


def test_config_survives_json():
    metric = ConfusionMatrix(
        3, ignore_class=None, class_names=("a", "b", "c"), landslide_class=2, name="cm"
    )
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
    restored = keras.saving.deserialize_keras_object(config)
    assert isinstance(restored, ConfusionMatrix)
    assert restored.get_config() == metric.get_config()
    assert config["registered_name"] == "landslide_tf>ConfusionMatrix"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 3, "landslide_class": 3}, "0 to 2, received 3"),
        ({"num_classes": 3, "landslide_class": -1}, "0 to 2, received -1"),
        ({"num_classes": 3, "landslide_class": "sigmoid"}, "num_classes=2.*received 3"),
        (
            {"num_classes": 3, "landslide_class": 1, "class_names": ["a"]},
            "Expected 3 `class_names`",
        ),
        ({"num_classes": 3, "landslide_class": 1, "threshold": 1.0}, "threshold"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ModelError, match=message):
        ConfusionMatrix(**arguments)


def test_wrong_channels_and_weights_are_refused():
    labels, logits = random_batch(9)
    with pytest.raises(ModelError, match=r"Expected 6 output channels.*received 4"):
        ConfusionMatrix(6, landslide_class=0).update_state(labels, logits)
    with pytest.raises(ModelError, match="sample_weight"):
        ConfusionMatrix(4, landslide_class=0).update_state(labels, logits, np.ones(2))


@pytest.mark.parametrize(
    "function",
    [
        ConfusionMatrix,
        metrics.cas_scores,
        metrics.mean_image_scores,
        mapping.first_step,
        mapping.from_class,
        mapping.new_landslides,
        mapping.new_objects,
        mapping.stable,
        mapping.vanished,
    ],
)
def test_which_class_is_landslide_is_never_guessed(function):
    taken = inspect.signature(function).parameters
    own = taken["landslide_class" if "landslide_class" in taken else "landslide"]
    assert own.default is inspect.Parameter.empty

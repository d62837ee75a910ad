"""Pictures in TensorBoard: which, when, of what, and without effect on training."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

from landslide_tf.palette import IGNORE, class_palette
from landslide_tf.pipelines import EvaluationBatches, InputSelection, load
from landslide_tf.train import Session, load_recipe, train
from landslide_tf.train.run.pictures import (
    ValidationPictures,
    examples_to_show,
    rgb_image,
)

BANDS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def store(tiny_data):
    return load("synthetic_landslides/tiny", split="validation[:6]", data_dir=tiny_data)


def pictures(folder):
    """Decoded pictures by (step, tag) from every event file."""
    found = {}
    for file in sorted(folder.rglob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "images":
                    png = value.tensor.string_val[2]
                    found[event.step, value.tag] = tf.io.decode_png(png).numpy()
    return found


def drawn(store, folder, every, epochs):
    """What a network that answers class 1 everywhere draws."""
    inputs = keras.Input((None, None, 3), name="image")
    layer = keras.layers.Conv2D(6, 1, kernel_initializer="zeros")
    model = keras.Model([inputs], layer(inputs))
    layer.bias.assign([0, 5, 0, 0, 0, 0])
    batches = EvaluationBatches(store, InputSelection(BANDS, ()))
    callback = ValidationPictures(folder, batches, every)
    callback.set_model(model)
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        callback.on_test_end()
    return pictures(folder)


def test_image_truth_and_prediction_stand_side_by_side(store, tmp_path):
    found = drawn(store, tmp_path, every=2, epochs=5)
    names = {store.ids[number] for number in examples_to_show(store, 4)}
    assert len(names) == 4
    assert set(found) == {(step, name) for step in (1, 3) for name in names}
    colours = class_palette(store.description.classes)
    for (_, name), picture in found.items():
        example = store.examples[store.ids.index(name)]
        label = example["mask"].reshape(example["mask"].shape[:2])
        height, width = label.shape
        assert picture.shape == (height, 3 * width + 8, 3)
        image, truth, prediction = (
            picture[:, place * (width + 4) :][:, :width] for place in range(3)
        )
        truth_expected = colours[np.where(label == 255, 0, label)]
        truth_expected[label == 255] = IGNORE
        np.testing.assert_array_equal(truth, truth_expected)
        assert (prediction == colours[1]).all()
        assert image.std() > 1


def test_absent_colours_take_the_first_band():
    image = np.array([[[300.0, -5.0, 7.0]]])
    found = rgb_image(image, ("nir", "blue", "red"))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, [[[7, 255, 0]]])


def rows(run):
    with run.metrics.open() as stream:
        return [
            {k: v for k, v in row.items() if k != "seconds"}
            for row in csv.DictReader(stream)
        ]


@pytest.mark.slow
def test_pictures_change_nothing_of_a_training(tiny_data, tmp_path):
    changes = [
        "data.train=train[:8]",
        "data.validation=validation[:4]",
        "model.arguments={width: 0.125, backbone: resnet18, "
        "backbone_layout: torchvision, dropout: 0.5}",
        "training.epochs=2",
        "training.batch_size=4",
        "training.patch=32",
        "training.deterministic=false",
        "optimizer.ema=0.5",
    ]
    runs = {}
    for name, more in (("without", []), ("with", ["training.pictures=1"])):
        recipe = load_recipe("rae_d_synthetic", [*changes, *more])
        runs[name] = train(recipe, tmp_path / name, Session(tiny_data, verbose=0))
    assert rows(runs["with"]) == rows(runs["without"])
    found = pictures(runs["with"].tensorboard)
    assert {step for step, _ in found} == {0, 1} and len(found) == 8
    assert not pictures(runs["without"].tensorboard)

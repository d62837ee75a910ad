"""A process that leaves an open stream of batches: `leaving.py FORM WAY`."""

import os
import signal
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from landslide_tf.pipelines import (
    Augmentation,
    Channel,
    DataDescription,
    EvaluationBatches,
    InputSelection,
    TrainingBatches,
    evaluation_stream,
    from_examples,
    training_stream,
)
from landslide_tf.pipelines.sequences import TrainingSequence

BANDS = ("red", "green", "blue")
CHANGE = Augmentation(dihedral=True, brightness=0.1, contrast=0.1)


def batches():
    channels = {name: Channel(name, "image", k) for k, name in enumerate(BANDS)}
    description = DataDescription("made", "train", channels, ("no", "yes"), 1)
    random = np.random.default_rng(0)
    examples = [
        {
            "image": random.integers(0, 255, (512, 512, 3), np.uint8),
            "mask": np.zeros((512, 512), np.uint8),
            "id": str(number),
        }
        for number in range(16)
    ]
    store, selection = from_examples(examples, description), InputSelection(BANDS)
    return (
        TrainingBatches(store, selection, 4, 0, CHANGE, patch=512),
        EvaluationBatches(store, selection, 2),
    )


def leave(way):
    if way == "exception":
        raise RuntimeError("left by an exception")
    if way == "exit":
        sys.exit(0)
    if way == "interrupt":
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)


class Leave(keras.callbacks.Callback):
    def __init__(self, way):
        super().__init__()
        self.way = way

    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            leave(self.way)


def fit(data, way, strategy):
    with strategy.scope():
        image = keras.Input((None, None, 3), name="image")
        logits = keras.layers.Conv2D(2, 1)(image)
        model = keras.Model({"image": image}, logits)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss)
    model.fit(data, steps_per_epoch=4, verbose=0, callbacks=[Leave(way)])


def main(form, way):
    strategy = tf.distribute.get_strategy()
    if form == "devices":
        cpu = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    training, evaluation = batches()
    data = training_stream(training)
    if form == "sequence":
        data = TrainingSequence(training)
    if form in ("fit", "devices", "sequence"):
        return fit(data, way, strategy)
    if form == "prefetch":
        data = data.prefetch(2)
    if form == "parallel":
        same = tf.function(lambda x, y: (x, y))
        data = data.map(same, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
    if form == "interleave":
        data = tf.data.Dataset.range(4).interleave(
            lambda _: training_stream(training), cycle_length=2, num_parallel_calls=2
        )
    if form == "evaluation":
        data = evaluation_stream(evaluation).prefetch(2)
    global iterator  # the process ends with it open
    iterator = iter(data)
    next(iterator)
    leave(way)
    print("left")
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])

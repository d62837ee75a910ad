"""Trains a two-layer network in a process that ends itself with SIGKILL.

usage: killable.py FOLDER VARIANT [KILL_AT [PORT PROCESS]]

Events are counted: every step of training and validation, every flush and every rename
of a file, before and after. At number KILL_AT the process is gone, as if the machine
had killed it. Without KILL_AT it runs to the end and prints the number of events.

A VARIANT that starts with `devices` trains on two virtual CPUs. The network keeps
Keras's batch normalisation, whose statistics differ between them. A VARIANT with
`adversarial` in it has two regions and a discriminator. `jax-float64` computes in
float64. With PORT, this is PROCESS 0 or 1 of two that train together; KILL_AT 0 kills
nothing.
"""

import contextlib
import os
import signal
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np

from landslide_tf.errors import LandslideTFError
from landslide_tf.losses import SegmentationCrossEntropy
from landslide_tf.metrics import ConfusionMatrix
from landslide_tf.models import output_space_discriminator
from landslide_tf.pipelines import (
    Augmentation,
    Channel,
    DataDescription,
    EvaluationBatches,
    InputSelection,
    TrainingBatches,
    from_examples,
)
from landslide_tf.pipelines.sequences import training_input
from landslide_tf.train.optimizers import LossScaleOptimizer, SplitOptimizer
from landslide_tf.train.recipe.schema import TrainingSection
from landslide_tf.train.run.devices import computed_together, replicated
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.run.hosts import Hosts
from landslide_tf.train.run.loop import run_fits
from landslide_tf.train.run.processes import ALONE, joined
from landslide_tf.train.run.recorder import RunRecorder
from landslide_tf.train.run.supervision import MET, supervised
from landslide_tf.train.run.validation import own_share, validation_parts
from landslide_tf.train.transfer.adversarial import AdversarialModel, InferenceAfter
from landslide_tf.train.transfer.paired_batches import PairedTraining, PairedValidation

STEPS = 11
COLOURS = ("red", "green", "blue")


class Events:
    def __init__(self, kill_at):
        self.kill_at = kill_at
        self.count = 0

    def __call__(self):
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function):
        def called(*arguments, **keywords):
            self()
            result = function(*arguments, **keywords)
            self()
            return result

        return called


class StepEvents(keras.callbacks.Callback):
    def __init__(self, events):
        super().__init__()
        self.events = events

    def on_train_batch_end(self, batch, logs=None):
        self.events()

    def on_test_batch_end(self, batch, logs=None):
        self.events()


def store(count, seed, side=12):
    rng = np.random.default_rng(seed)
    channels = {n: Channel(n, "image", k) for k, n in enumerate(COLOURS)}
    description = DataDescription("made", "train", channels, ("other", "slide"), 1)
    examples = []
    for k in range(count):
        image = rng.integers(0, 255, (side, side, 3)).astype(np.uint8)
        mask = (image.mean(-1) > 140).astype(np.uint8)
        examples.append({"image": image, "mask": mask, "id": f"{seed}-{k}"})
    return from_examples(examples, description)


def network(policy):
    keras.config.set_dtype_policy(policy)
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(8, 3, padding="same")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.SpatialDropout2D(0.2)(x)
    # Of Keras's type, not of a mixed policy.
    logits = keras.layers.Conv2D(2, 3, padding="same", dtype=keras.config.floatx())(x)
    return keras.Model([image], logits)


def optimizer(variant):
    if variant == "adamw":
        return keras.optimizers.AdamW(0.01, weight_decay=0.01)
    schedule = keras.optimizers.schedules.PolynomialDecay(0.1, 4 * STEPS)
    return keras.optimizers.SGD(schedule, momentum=0.9)


def two_cpus():
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)


def compiled(variant):
    keras.utils.set_random_seed(3)
    policies = {"float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}
    model = network(policies.get(variant.rpartition("-")[2], keras.config.floatx()))
    metric = ConfusionMatrix(2, landslide_class=1)
    chosen = optimizer(variant)
    if "adversarial" in variant:
        judge = keras.optimizers.Adam(1e-3, beta_2=0.99)
        chosen = SplitOptimizer(chosen, judge, len(model.trainable_variables))
    if variant.endswith("-float16"):
        chosen = LossScaleOptimizer(chosen)
    if "adversarial" in variant:
        model = AdversarialModel(
            model,
            model,
            {"main": output_space_discriminator(filters=2)},
            loss=SegmentationCrossEntropy(),
            segmentation={"main": 1.0},
            adversarial={"main": 0.01},
            label_noise=0.3,
            confusion=metric,
        )
        model.compile(chosen)
    else:
        loss = SegmentationCrossEntropy()
        # A loss computes in float32 by itself, as a function in Keras's type.
        wide = keras.config.floatx() == "float64"
        model.compile(chosen, loss.call if wide else loss, metrics=[metric])
    model.optimizer.build(model.trainable_variables)
    return model


def batches(variant):
    selection = InputSelection(COLOURS)
    change = Augmentation(dihedral=True, brightness=0.1)
    side = 32 if "adversarial" in variant else 12
    training = TrainingBatches(
        store(STEPS * 4, 1, side), selection, 4, seed=5, augmentation=change
    )
    # The last batch is one example: no two devices can share it.
    examples = EvaluationBatches(store(13, 2, side), selection, 4)
    if "adversarial" not in variant:
        return training, examples
    # Of another length: its epochs end within those of the source.
    target = TrainingBatches(
        store(21, 3, side), selection, 4, seed=5, augmentation=change
    )
    others = EvaluationBatches(store(8, 4, side), selection, 4)
    return PairedTraining(training, target), PairedValidation(examples, others)


def start(devices):
    """Sets what a process of TensorFlow can set once."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if devices == 2:
            two_cpus()
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()


def train(folder, variant, kill_at, devices=1, processes=ALONE):
    """Trains a variant, or goes on with it, and returns the number of events."""
    with computed_together(devices, processes):
        with replicated(devices):
            model = compiled(variant)
        return _train(model, folder, variant, kill_at, devices, processes)


def _train(model, folder, variant, kill_at, devices, processes):
    training, examples = batches(variant)
    validation = validation_parts(examples)
    with validation[0].layout():
        model.evaluate(validation[0].batches, steps=1, verbose=0)
    model.reset_metrics()
    section = TrainingSection(
        epochs=4, batch_size=4, save_steps=3, save_minutes=None, devices=devices
    )
    if variant == "patience":
        section.patience, section.epochs, section.mode = 2, 30, "min"
    recorder = RunRecorder(RunFolder(Path(folder)), section, processes)
    recorder.run.path.mkdir(exist_ok=True)
    recorder.resume(model)
    events = Events(kill_at)
    os.replace = events.around(os.replace)
    os.fsync = events.around(os.fsync)
    callbacks = [StepEvents(events)]
    if variant == "adversarial-inference":
        callbacks.append(InferenceAfter(4))
    run_fits(
        model,
        partial(training_input, training, share=own_share()),
        recorder,
        callbacks,
        steps=STEPS,
        validation=validation,
        verbose=0,
    )
    recorder.restore_best(model)
    return events.count


def together(hosts, folder, variant, kill_at, devices):
    """Trains as one of two processes, each started by `watched.py`."""
    assert supervised()
    try:
        with joined(hosts) as processes:
            print(MET, processes.number, flush=True)
            print(train(folder, variant, kill_at, devices, processes))
    except LandslideTFError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    return 0


def precision(variant):
    """Returns the context in which a variant computes."""
    if not variant.endswith("float64"):
        return contextlib.nullcontext()
    from tests.contracts.float64 import in_float64

    return in_float64()


def main(folder, variant, kill_at=None, port=None, process=None):
    devices = 2 if variant.startswith("devices") else 1
    start(devices)
    kill_at = kill_at and int(kill_at)
    with precision(variant):
        if port is None:
            print(train(folder, variant, kill_at, devices))
        else:
            hosts = Hosts(f"127.0.0.1:{port}", 2, int(process), wait=200)
            sys.exit(together(hosts, folder, variant, kill_at, devices))


if __name__ == "__main__":
    main(*sys.argv[1:])

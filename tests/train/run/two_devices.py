"""Trains on one and on two virtual CPUs in one process and prints what happened.

usage: two_devices.py FOLDER DATA_DIR

The last line is JSON. A second strategy cannot live in one process, so that all that
needs two devices runs here.
"""

import json
import shutil
import sys
import warnings
from pathlib import Path

import keras
import numpy as np

from landslide_tf.errors import LandslideTFError
from landslide_tf.layers import Conv2D, conv_bn_relu
from landslide_tf.losses import SegmentationCrossEntropy
from landslide_tf.metrics import ConfusionMatrix
from landslide_tf.pipelines import (
    EvaluationBatches,
    InputSelection,
    TrainingBatches,
    evaluation_stream,
    training_stream,
)
from landslide_tf.train import Session, load_recipe, resume, train
from landslide_tf.train.optimizers import CoupledSGD, LossScaleOptimizer
from landslide_tf.train.run.devices import replicated
from landslide_tf.train.run.recorder import NoLandslideWarning
from tests.train.conftest import RECIPE
from tests.train.run.killable import COLOURS, store, two_cpus

# Without dropout, whose masks differ. The last validation batch holds one example for
# two devices.
CHANGES = [
    "model={name: basic_fcn, arguments: {width: 0.0625, dropout: 0.0}}",
    "data.train='train[:8]'",
    "data.validation='validation[:5]'",
    "optimizer={name: coupled_sgd, learning_rate: 0.0001}",
    "schedule.kind=constant",
    "loss.class_weights=null",
    "training.epochs=1",
]
REFUSED = {
    "batch": ["training.batch_size=3"],
    "accumulation": ["optimizer.accumulation=2"],
    "clipnorm": ["optimizer.clipnorm=1.0"],
    "jit_compile": ["training.jit_compile=true"],
    "execution": ["training.steps_per_execution=2"],
    "too many": ["training.devices=3"],
}


class Program:
    def __init__(self, folder, data_dir):
        self.folder = folder
        self.session = Session(data_dir, verbose=0)
        self.file = folder / "small.yaml"
        self.file.write_text(RECIPE)

    def train(self, name, *changes):
        recipe = load_recipe(self.file, [*CHANGES, *changes])
        return train(recipe, self.folder / name, self.session)

    def message(self, function, *arguments):
        try:
            function(*arguments)
        except LandslideTFError as error:
            return str(error)
        return None

    def resume_on_one(self):
        """Goes on with a run of two devices whose recipe was changed to one."""
        changed = self.folder / "changed"
        shutil.copytree(self.folder / "two", changed)
        (changed / "model.keras").unlink()
        recipe = load_recipe(changed / "recipe.yaml", ["training.devices=1"])
        recipe.write(changed / "recipe.yaml")
        return resume(changed, self.session)


def fitted(devices):
    """Trains a network of two layers and returns everything that came of it.

    It is shallow, because rounding turns a ReLU on or off in a deep one.
    """
    selection = InputSelection(COLOURS)
    training = TrainingBatches(store(16, 1), selection, 4, seed=5)
    validation = EvaluationBatches(store(9, 2), selection, 4)
    with replicated(devices):
        keras.utils.set_random_seed(3)
        image = keras.Input((None, None, 3), name="image")
        x = keras.layers.Rescaling(1 / 255)(image)
        x = conv_bn_relu(x, 8, 3, name="first")
        logits = Conv2D(2, 3, padding="same", name="second")(x)
        model = keras.Model({"image": image}, logits)
        metric = ConfusionMatrix(2, landslide_class=1)
        model.compile(CoupledSGD(0.1), SegmentationCrossEntropy(), metrics=[metric])
    model.fit(
        training_stream(training),
        steps_per_epoch=training.steps_per_epoch,
        epochs=4,
        shuffle=False,
        verbose=0,
    )
    logs = model.evaluate(evaluation_stream(validation), return_dict=True, verbose=0)
    return {
        "variables": {v.path: v.numpy().tolist() for v in model.variables},
        "logs": logs,
        "matrix": metric.matrix().tolist(),
    }


def overflow_on_the_second():
    """Takes a float16 step in which the second replica alone overflows."""
    import tensorflow as tf

    with replicated(2):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        chosen = LossScaleOptimizer(CoupledSGD(0.1), initial_scale=8.0)
        model.compile(chosen, "mse")
        chosen.build(model.trainable_variables)
    before = model.get_weights()
    x = np.ones((4, 2), "float32")
    x[3] = 3e38
    data = tf.data.Dataset.from_tensors((x, np.ones((4, 1), "float32")))
    model.fit(data, verbose=0, shuffle=False)
    after = model.get_weights()
    same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    scales = [float(v.numpy()) for v in chosen.dynamic_scale.value.values]
    return {"unchanged": all(same), "scales": scales}


def main(folder, data_dir):
    warnings.simplefilter("ignore", NoLandslideWarning)
    two_cpus()
    program = Program(Path(folder), data_dir)
    program.train("one")
    two = program.train("two", "training.devices=all")
    found = {
        "devices": two.read_recipe().training.devices,
        "refused": {
            key: program.message(program.train, key, "training.devices=2", *changes)
            for key, changes in REFUSED.items()
        },
        "resumed on one": program.message(program.resume_on_one),
        "overflow": overflow_on_the_second(),
        "fitted": [fitted(1), fitted(2)],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

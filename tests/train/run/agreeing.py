"""Two processes that do not fit each other, in everything they compare.

usage: agreeing.py FOLDER PORT PROCESS

The last line is JSON: by case the message, or null.
"""

import json
import sys
from pathlib import Path

import numpy as np

from landslide_tf.errors import DataError, LandslideTFError
from landslide_tf.pipelines import EvaluationBatches, InputSelection, TrainingBatches
from landslide_tf.train.recipe.schema import read_recipe
from landslide_tf.train.run.agreement import check_data, check_folder, check_program
from landslide_tf.train.run.hosts import Hosts
from landslide_tf.train.run.processes import joined
from landslide_tf.train.tasks.data import RunData
from tests.train.run.killable import COLOURS, store


def message(work):
    try:
        work()
    except LandslideTFError as error:
        return str(error)
    return None


def data(count, sides=(12,)):
    selection = InputSelection(COLOURS)
    examples = store(count, 1)
    if len(sides) > 1:
        for number, example in enumerate(examples.examples):
            side = sides[number % len(sides)]
            example["image"] = example["image"][:side]
            example["mask"] = example["mask"][:side]
    training = TrainingBatches(examples, selection, 4, seed=5)
    validation = EvaluationBatches(store(5, 2), selection, 4)
    return RunData(examples, training, validation, validation)


def main(folder, port, process):
    number, folder = int(process), Path(folder)
    recipe = read_recipe("unet_visible")
    other = read_recipe("unet_visible", [f"training.seed={number}"])

    def fails():
        if number == 1:
            raise DataError("`x.tif` is corrupt.")

    with joined(Hosts(f"127.0.0.1:{port}", 2, number, wait=200)) as processes:
        values = processes.exchange({"from": number, "text": "é" * 3 * number})
        assert [value["from"] for value in values] == [0, 1]
        assert values[1]["text"] == "ééé"
        own = folder / str(number) / "runs" / "a"
        own.parent.mkdir(parents=True)
        found = {
            "the same": message(lambda: check_program(recipe, processes)),
            "recipe": message(lambda: check_program(other, processes)),
            "versions": message(
                lambda: processes.agree("installed", {"jax": f"0.{number}"}, "update")
            ),
            "one fails": message(lambda: processes.each(fails)),
            "shared": message(lambda: check_folder(folder / "runs/a", processes)),
            "apart": message(lambda: check_folder(own, processes)),
            "same data": message(lambda: check_data(recipe, data(8), processes)),
            "data": message(lambda: check_data(recipe, data(8 + number), processes)),
            "sizes": message(lambda: check_data(recipe, data(8, (12, 10)), processes)),
        }
        np.testing.assert_equal(list(folder.rglob("*shared*")), [])
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

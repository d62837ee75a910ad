"""Every network in every format: written, run on its runtime, equal to Keras.

    python -m tests.serving.formats [--models unet fstf_net ...] [--formats onnx ...]

Prints a Markdown table with a row for each network: the largest difference of the
outputs from those of the Keras model, on two random batches, or why there is no file.
"""

import argparse
import gc
import tempfile

import keras
import numpy as np

from landslide_tf import models, serving
from landslide_tf.errors import LandslideTFError, first_line
from landslide_tf.metadata import describe

WIDTH = 0.125
FORMATS = ("saved_model", "onnx", "openvino", "litert", "deepness")
ARGUMENTS = {"evidential_net": {"branch_size": 64}, "tsmu_net": {"regions": ["a", "b"]}}
SIZES = ((2, 64, 96), (1, 70, 75))


def built(name):
    """Returns a small network with weights of a fixed seed."""
    keras.utils.set_random_seed(0)
    return getattr(models, name)(width=WIDTH, **ARGUMENTS.get(name, {}))


def drawn(model, shape):
    """Returns a random batch by the names of the inputs."""
    random = np.random.default_rng(0)
    found = {}
    for tensor in model.inputs:
        if tensor.name == "region":
            found["region"] = np.arange(shape[0], dtype=np.int32)
        else:
            top = 255 if tensor.name == "image" else 1
            values = random.uniform(0, top, (*shape, tensor.shape[-1]))
            found[tensor.name] = values.astype(np.float32)
    return found


def difference(model, served, shape):
    """Returns the largest difference of the outputs on a batch."""
    inputs = drawn(model, shape)
    wanted = model.predict(inputs, verbose=0)
    if not isinstance(wanted, dict):
        wanted = {"probabilities": wanted}
    if "main" in wanted:  # the output that counts, beside one for the training
        wanted = {"probabilities": wanted["main"]}
    found = served(inputs)
    return max(float(np.abs(found[name] - wanted[name]).max()) for name in wanted)


def cell(model, metadata, kind):
    """Returns what the table says of a network in a format."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = serving.export(
                model, folder, metadata=metadata, format=kind, warm_up=None
            )
            if kind == "deepness":  # one input of its own, compared by the export
                return "equal at export"
            served = serving.load(path)
            return f"{max(difference(model, served, size) for size in SIZES):.0e}"
        except LandslideTFError as error:
            return first_line(error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = [*models.list_models(), "landslide_classifier", "evidential_net"]
    parser.add_argument("--models", nargs="+", default=sorted({*every, "tsmu_net"}))
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    arguments = parser.parse_args()
    print("| network |", " | ".join(arguments.formats), "|")
    print("|---" * (1 + len(arguments.formats)) + "|")
    for name in arguments.models:
        model = built(name)
        # One channel is the landslide; of several it is the second.
        one = name == "tsmu_net"
        metadata = describe(model, landslide_class=None if one else 1)
        cells = [cell(model, metadata, kind) for kind in arguments.formats]
        print(f"| `{name}` |", " | ".join(cells), "|", flush=True)
        keras.backend.clear_session()
        gc.collect()


if __name__ == "__main__":
    main()

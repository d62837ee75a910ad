"""Times of one network exported for TensorFlow, OpenVINO, ONNX Runtime and LiteRT.

    python -m tests.benchmarks.runtimes [--size 256] [--batches 1 4] [--width 1]
        [--calls 10] [--repeats 3] [--cases saved_model openvino/bfloat16 ...]
        [--out FILE.json]

Writes FSTF-Net with random weights in each format and precision, then loads and calls
every file in a process of its own, the cases in turn, since threads of some runtimes
spin. A process calls the model once to warm it up, then `--calls` times for each batch
size. Prints one JSON record with the medians in milliseconds and their ratio to the
SavedModel. Asserts nothing about time.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.processes import publish, record_of

CASES = (
    "saved_model",
    "openvino/float32",
    "openvino/bfloat16",
    "openvino/int8",
    "onnx/float32",
    "onnx/int8",
    "litert/float32",
    "litert/int8",
)
PACKAGES = ("tensorflow", "openvino", "onnxruntime", "ai-edge-litert")


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def inputs_of(batch, size):
    import numpy as np

    random = np.random.default_rng(0)
    shape = (batch, size, size, 3)
    return {
        name: random.uniform(0, 255, shape).astype("float32")
        for name in ("image", "factors")
    }


def export(arguments, folder):
    """Writes every case into a folder of its own."""
    import keras

    from landslide_tf.metadata import describe
    from landslide_tf.models import fstf_net

    keras.utils.set_random_seed(0)
    model = fstf_net(num_classes=2, width=arguments.width)
    metadata = describe(model, landslide_class=1)
    calibration = [inputs_of(1, arguments.size)]
    for case in arguments.cases:
        write(model, metadata, folder / case, case, calibration)


def write(model, metadata, folder, case, calibration):
    """Exports a model in the format and precision of a case."""
    from landslide_tf import serving

    kind, _, precision = case.partition("/")
    serving.export(
        model,
        folder,
        metadata=metadata,
        format=kind,
        precision=precision or "float32",
        calibration=calibration if precision == "int8" else (),
    )


def measured(arguments):
    """Returns the median milliseconds of a call for each batch size."""
    from landslide_tf import serving

    model = serving.load(arguments.child)
    found = {}
    for batch in arguments.batches:
        inputs = inputs_of(batch, arguments.size)
        model(inputs)
        times = []
        for _ in range(arguments.calls):
            start = time.perf_counter()
            model(inputs)
            times.append(time.perf_counter() - start)
        found[str(batch)] = 1000 * statistics.median(times)
    return found


def child(arguments, folder):
    sizes = ("--size", arguments.size, "--calls", arguments.calls)
    batches = ("--batches", *arguments.batches)
    return record_of("runtimes", "--child", folder, *sizes, *batches)


def main():
    arguments = parsed()
    if arguments.child:
        print(json.dumps(measured(arguments)))
        return
    runs = {case: [] for case in arguments.cases}
    with tempfile.TemporaryDirectory() as folder:
        export(arguments, Path(folder))
        load = os.getloadavg()[0]
        for _ in range(arguments.repeats):
            for case in arguments.cases:
                runs[case].append(child(arguments, Path(folder, case)))
    cases = {}
    for case, found in runs.items():
        median = {key: statistics.median(run[key] for run in found) for key in found[0]}
        cases[case] = {"ms": {key: round(value, 1) for key, value in median.items()}}
    first = cases[arguments.cases[0]]["ms"]
    for case in cases.values():
        case["ratio"] = {k: round(v / first[k], 3) for k, v in case["ms"].items()}
    record = {
        "benchmark": "runtimes",
        "size": arguments.size,
        "width": arguments.width,
        "calls a process": arguments.calls,
        "processes a case": arguments.repeats,
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load before the first process": round(load, 1),
        "versions": {name: version(name) for name in PACKAGES},
        "cases": cases,
    }
    publish(record, arguments.out)


if __name__ == "__main__":
    main()

"""Peak memory and time of MFFENet's two decoder implementations.

    python -m tests.benchmarks.mffe_decoder [--size 512] [--batch 2] [--width 1]
        [--repeats 2] [--calls 1] [--modes inference training] [--out FILE.json]

Every measurement is a process of its own, the two implementations in turn. A process
builds the network, calls it once to trace and allocate, then `--calls` times; it
reports its largest resident memory less that before the first call, and the median
time of a call. Prints one JSON record with the medians and the ratio, partial /
concat. Asserts nothing about time.
"""

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

from tests.benchmarks.processes import peak_mib, publish, record_of

IMPLEMENTATIONS = ("concat", "partial")


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--modes", nargs="+", default=["inference", "training"])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", choices=IMPLEMENTATIONS, help=argparse.SUPPRESS)
    return parser.parse_args()


def measured(arguments):
    """Runs one implementation in one mode in this process."""
    import keras
    import numpy as np
    import tensorflow as tf

    from landslide_tf.losses import BoundaryLoss
    from landslide_tf.models import mffe_net

    keras.utils.set_random_seed(0)
    model = mffe_net(
        decoder_impl=arguments.child, width=arguments.width, classifier_activation=None
    )
    side = (arguments.batch, arguments.size, arguments.size)
    random = np.random.default_rng(0)
    image = tf.constant(random.uniform(0, 255, (*side, 3)), "float32")
    labels = tf.constant(random.integers(0, 2, side), "uint8")
    (mode,) = arguments.modes
    if mode == "training":
        optimizer = keras.optimizers.SGD(1e-3, momentum=0.9)
        model.compile(optimizer, BoundaryLoss(), jit_compile=False)
        optimizer.build(model.trainable_variables)

        def call():
            model.train_on_batch({"image": image}, labels)
    else:
        step = tf.function(lambda x: model({"image": x}, training=False))

        def call():
            step(image).numpy()

    before = peak_mib()
    call()
    times = []
    for _ in range(arguments.calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return {"mb": peak_mib() - before, "seconds": statistics.median(times)}


def child(arguments, mode, implementation):
    sizes: list[object] = []
    for name in ("size", "batch", "width", "calls"):
        sizes += [f"--{name}", getattr(arguments, name)]
    return record_of("mffe_decoder", "--child", implementation, "--modes", mode, *sizes)


def main():
    arguments = parsed()
    if arguments.child:
        print(json.dumps(measured(arguments)))
        return
    cases = {}
    for mode in arguments.modes:
        runs = {implementation: [] for implementation in IMPLEMENTATIONS}
        for _ in range(arguments.repeats):
            for implementation in IMPLEMENTATIONS:
                runs[implementation].append(child(arguments, mode, implementation))
        medians = {
            k: {key: statistics.median(run[key] for run in v) for key in v[0]}
            for k, v in runs.items()
        }
        ratio = {
            key: round(medians["partial"][key] / medians["concat"][key], 3)
            for key in ("mb", "seconds")
        }
        rounded = {
            k: {key: round(value, 1) for key, value in v.items()}
            for k, v in medians.items()
        }
        cases[mode] = {**rounded, "partial / concat": ratio}
    record = {
        "benchmark": "mffe_decoder",
        "size": arguments.size,
        "batch": arguments.batch,
        "width": arguments.width,
        "processes a case": arguments.repeats,
        "calls a process": arguments.calls,
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load at the end": round(os.getloadavg()[0], 1),
        "cases": cases,
    }
    publish(record, arguments.out)


if __name__ == "__main__":
    main()

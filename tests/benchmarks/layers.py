"""Times our layers against Keras's own, interleaved in one process.

    python -m tests.benchmarks.layers [--repeats 10] [--out FILE.json]

Prints one JSON record: milliseconds (median, smallest, largest) a case and the ratio
of medians, ours / Keras's. Asserts nothing about time.
"""

import argparse
import os
import platform
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from landslide_tf.layers.batch_norm import BatchNormalization
from landslide_tf.layers.conv import Conv2D
from tests.benchmarks.processes import publish

# The dilated convolutions of an ASPP at 256 px and output stride 16, and of a dilated
# ResNet stage; batch norms of a ResNet's first and second stage.
CONVOLUTIONS = {
    f"conv {channels}->{filters} rate {rate}": (channels, filters, rate)
    for channels, filters, rate in (
        (2048, 256, 6),
        (2048, 256, 12),
        (2048, 256, 18),
        (512, 512, 2),
    )
}
NORMALISATIONS = {
    "batch norm 4x128x128x64": (4, 128, 128, 64),
    "batch norm 4x64x64x256": (4, 64, 64, 256),
}


def cases():
    """Yields name, input and the two layers, Keras's and ours, with equal weights."""
    random = np.random.default_rng(0)
    for name, (channels, filters, rate) in CONVOLUTIONS.items():
        x = random.normal(size=(4, 16, 16, channels)).astype("float32")
        options = {"dilation_rate": rate, "padding": "same", "use_bias": False}
        layers = (
            keras.layers.Conv2D(filters, 3, **options),
            Conv2D(filters, 3, **options),
        )
        yield name, x, layers
    for name, shape in NORMALISATIONS.items():
        x = random.normal(size=shape).astype("float32")
        yield name, x, (keras.layers.BatchNormalization(), BatchNormalization())


def forward(layer, shape):
    """Returns a traced forward pass in training."""

    @tf.function(input_signature=[tf.TensorSpec(shape)], autograph=False)
    def run(x):
        return tf.reduce_sum(layer(x, training=True))

    return run


def forward_and_backward(layer, shape):
    """Returns a traced forward pass with the gradients by input and weights."""

    @tf.function(input_signature=[tf.TensorSpec(shape)], autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(y * y)
        gradients = tape.gradient(loss, [x, *layer.trainable_variables])
        return [loss] + [tf.reduce_sum(g) for g in gradients]

    return run


def milliseconds(functions, x, repeats):
    """Times functions A B A B and returns the lists of milliseconds."""
    x = tf.constant(x)
    times = [[] for _ in functions]
    for turn in range(repeats + 2):
        for taken, function in zip(times, functions, strict=True):
            start = time.perf_counter()
            tf.nest.map_structure(lambda t: t.numpy(), function(x))
            if turn >= 2:  # the first calls trace and warm up
                taken.append(1e3 * (time.perf_counter() - start))
    return times


def summary(times):
    return {
        "median": round(statistics.median(times), 2),
        "smallest": round(min(times), 2),
        "largest": round(max(times), 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, help="also write the record to this file")
    arguments = parser.parse_args()
    results = []
    for name, x, (theirs, ours) in cases():
        theirs.build(x.shape)
        ours.build(x.shape)
        ours.set_weights(theirs.get_weights())
        for make in (forward, forward_and_backward):
            functions = [make(theirs, x.shape), make(ours, x.shape)]
            keras_times, our_times = milliseconds(functions, x, arguments.repeats)
            ratio = statistics.median(our_times) / statistics.median(keras_times)
            results.append(
                {
                    "case": name,
                    "run": make.__name__,
                    "keras_ms": summary(keras_times),
                    "ours_ms": summary(our_times),
                    "ratio": round(ratio, 3),
                }
            )
    record = {
        "benchmark": "layers",
        "repeats": arguments.repeats,
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "devices": [d.device_type for d in tf.config.list_physical_devices()],
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "results": results,
    }
    publish(record, arguments.out)


if __name__ == "__main__":
    main()

"""Times training steps and exported inference against segmentation_models_pytorch.

    python -m tests.benchmarks.segmentation --peer-python PEER/bin/python
        [--models separable dense unet] [--repeats 10] [--out FILE.json]

PEER is an environment of its own:

    python -m venv PEER
    PEER/bin/pip install torch==2.13.0 segmentation_models_pytorch==0.6.0

Each side of a case is a process of its own with two threads; the timings of a case go
round all its processes (A B C A B C), so that a load from elsewhere meets all of them.
Prints one JSON record. Asserts nothing about time.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
PEER = HERE.with_name("segmentation_peer.py")
SIZE, CLASSES, THREADS = 256, 6, 2
TRAINING, INFERENCE = ("eager", "channels_last"), ("eager", "channels_last", "jit")
# (mode, batch) of each case.
CASES = (("train", 4), ("infer", 1), ("infer", 4))


def our_model(name, side=None):
    """Builds the network that has the peer's layers, for any size or one."""
    from landslide_tf import models

    options = {
        "num_classes": CLASSES,
        "input_shape": (side, side, 3),
        "backbone_layout": "torchvision",
        "classifier_activation": None,
    }
    if name == "unet":
        return models.get("unet")(**options | {"backbone": "resnet50"})
    separable = name == "separable"
    return models.deeplab_v3_plus(
        **options, separable=separable, separable_aspp=separable
    )


def multiplications(model):
    """Returns the multiply-adds of the convolutions for one image, in 1e9."""
    import keras

    total = 0
    for operation in model.operations:
        if isinstance(operation, keras.layers.Conv2DTranspose):
            _, height, width, _ = operation.input.shape
            total += height * width * int(keras.ops.size(operation.kernel))
        elif isinstance(operation, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            _, height, width, _ = operation.output.shape
            total += height * width * int(keras.ops.size(operation.kernel))
    return total / 1e9


def peak_mib():
    """Returns the largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def our_side(name, mode, batch):
    """Returns the function to time, and what is to be known of it."""
    import keras
    import numpy as np
    import tensorflow as tf

    imported = peak_mib()
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    random = np.random.default_rng(0)
    image = random.uniform(0, 255, (batch, SIZE, SIZE, 3)).astype("float32")
    keras.utils.set_random_seed(0)
    model = our_model(name)
    facts = {
        "parameters": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
        "imported_mib": imported,
    }
    if mode == "train":
        from landslide_tf.losses import SegmentationCrossEntropy

        labels = random.integers(0, CLASSES, (batch, SIZE, SIZE)).astype("uint8")
        optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
        model.compile(optimizer, SegmentationCrossEntropy())
        optimizer.build(model.trainable_variables)
        return lambda: model.train_on_batch(image, labels), facts
    from landslide_tf import serving
    from landslide_tf.metadata import Band, ModelMetadata

    bands = [
        Band(name=band, unit="digital number", range=(0, 255))
        for band in ("red", "green", "blue")
    ]
    classes = ["landslide", *(f"other {number}" for number in range(1, CLASSES))]
    metadata = ModelMetadata(
        name=model.name,
        builder=model.name,
        arguments={},
        inputs=bands,
        classes=classes,
        landslide_class=0,
    )
    folder = tempfile.mkdtemp()
    serving.export(model, folder, metadata=metadata)
    served = serving.load(folder)
    return lambda: served({"image": image}), facts


def work(name):
    """Prints the multiply-adds of a network of ours at the size of the benchmark."""
    model = our_model(name, SIZE)
    print(json.dumps({"gmac": round(multiplications(model), 2)}))


def serve(make):
    """Answers each line on the standard input with one timing, in JSON."""
    start = time.perf_counter()
    function, facts = make()
    ready = time.perf_counter()
    function()
    first = time.perf_counter()
    answer = {"build_s": ready - start, "first_s": first - ready, **facts}
    function()
    print(json.dumps(answer), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        function()
        taken = 1e3 * (time.perf_counter() - start)
        print(json.dumps({"ms": taken, "peak_mib": peak_mib()}), flush=True)


class Side:
    """One process that times one side of a case."""

    def __init__(self, command):
        environment = os.environ | {
            "OMP_NUM_THREADS": str(THREADS),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.facts = self._answer()
        self.times = []
        self.peak = 0.0

    def _answer(self):
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self._process.args} ended: {self._process.wait()}")

    def time(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._answer()
        self.times.append(answer["ms"])
        self.peak = answer["peak_mib"]

    def close(self):
        self._process.stdin.close()
        self._process.wait(60)

    def record(self):
        return {
            "median_ms": round(statistics.median(self.times), 1),
            "smallest_ms": round(min(self.times), 1),
            "largest_ms": round(max(self.times), 1),
            "peak_mib": round(self.peak),
            **{k: round(v, 2) for k, v in self.facts.items()},
        }


def measure(name, mode, batch, peer_python, repeats):
    """Returns the record of one case."""
    variants = TRAINING if mode == "train" else INFERENCE
    case = [name, mode, batch]
    sides = {"ours": Side([sys.executable, HERE, "--side", *case])}
    try:
        for variant in variants:
            sides[variant] = Side([peer_python, PEER, *case, variant])
        for _ in range(repeats):
            for side in sides.values():
                side.time()
    finally:
        for side in sides.values():
            side.close()
    records = {key: side.record() for key, side in sides.items()}
    best = min(records[v]["median_ms"] for v in variants)
    return {
        "model": name,
        "mode": mode,
        "batch": batch,
        "ratio": round(records["ours"]["median_ms"] / best, 3),
        "memory_ratio": round(
            records["ours"]["peak_mib"] / min(records[v]["peak_mib"] for v in variants),
            2,
        ),
        "sides": records,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument(
        "--models", nargs="+", default=["separable", "dense", "unet"], metavar="NAME"
    )
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, help="also write the record to this file")
    parser.add_argument("--side", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        name, mode, batch = arguments.side
        return serve(lambda: our_side(name, mode, int(batch)))
    if arguments.work:
        return work(arguments.work)
    if arguments.peer_python is None:
        parser.error("--peer-python is needed")
    results = []
    for name in arguments.models:
        commands = (
            [sys.executable, str(HERE), "--work", name],
            [str(arguments.peer_python), str(PEER), name, "work", "1", "eager"],
        )
        outputs = [
            subprocess.run(c, capture_output=True, text=True, check=True).stdout
            for c in commands
        ]
        ours, peer = (json.loads(o.splitlines()[-1])["gmac"] for o in outputs)
        for mode, batch in CASES:
            case = measure(name, mode, batch, arguments.peer_python, arguments.repeats)
            results.append(case | {"gmac": {"ours": ours, "peer": peer}})
            print(json.dumps(results[-1]), file=sys.stderr)
    record = {
        "benchmark": "segmentation",
        "repeats": arguments.repeats,
        "size": SIZE,
        "threads": THREADS,
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "results": results,
    }
    text = json.dumps(record, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    return None


if __name__ == "__main__":
    main()

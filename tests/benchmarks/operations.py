"""Which operations the time of a training step and of an exported call goes to.

    python -m tests.benchmarks.operations [--models separable dense unet] [--calls 3]
        [--out FILE.json]

The networks and batches of `segmentation`, each in a process of its own with one
thread, so that the time of an operation is its own. TensorFlow's profiler follows some
calls after one that traces; the time of the operations is added by their type, and
`share` is that of the time of all. Prints one JSON record with the largest rows.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.benchmarks import segmentation
from tests.benchmarks.processes import publish, record_of

EVENT = re.compile(r"[^:]+:(_?[A-Z]\w+)")  # as TensorFlow names what its executor runs
CASES = {"train 4": ("train", 4), "infer 1": ("infer", 1)}


def milliseconds(folder: str, calls: int) -> Counter:
    """Returns the time of each type of operation in one call."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    found = Counter()
    for path in Path(folder).rglob("*.xplane.pb"):
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
        for plane in space.planes:
            for line in plane.lines:
                for event in line.events:
                    name = plane.event_metadata[event.metadata_id].name
                    if match := EVENT.fullmatch(name):
                        found[match[1]] += event.duration_ps / 1e9 / calls
    return found


def one(model: str, case: str, calls: int) -> dict:
    """Profiles a case in this process."""
    segmentation.THREADS = 1
    call, _ = segmentation.our_side(model, *CASES[case])
    import tensorflow as tf

    call()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(calls):
            call()
        tf.profiler.experimental.stop()
        found = milliseconds(folder, calls)
    whole = found.total()
    return {
        "ms": round(whole, 1),
        "largest": [
            {"operation": name, "ms": round(ms, 1), "share": round(ms / whole, 3)}
            for name, ms in found.most_common(6)
        ],
    }


def main() -> None:
    """Runs all and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ("separable", "dense", "unet")
    parser.add_argument("--models", nargs="+", choices=names, default=list(names))
    parser.add_argument("--calls", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(*given.one, given.calls)))
        return
    record = {"cores": os.cpu_count(), "calls": given.calls, "cases": {}}
    for model in given.models:
        for case in CASES:
            arguments = ("--one", model, case, "--calls", given.calls)
            record["cases"][f"{model}, {case}"] = record_of("operations", *arguments)
            print(model, case, file=sys.stderr, flush=True)
    publish(record, given.out)


if __name__ == "__main__":
    main()

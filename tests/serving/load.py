"""Many callers at once: no request fails, each answer is the Keras network's.

    python -m tests.serving.load --callers 32 --seconds 60 --out record.json

Prints, and with `--out` writes, how many calls there were and their times.
"""

import argparse
import json
import os
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tests.serving.server import asked, running
from tests.serving.shipped import VERSION, draw, keras_prediction

SIZES = ((1, 64, 64), (2, 37, 53), (4, 48, 48), (1, 128, 96))
TOLERANCE = 1e-4  # another library of convolutions in a process of its own


def requests():
    """Returns pairs of inputs and the network's probabilities."""
    predict, random = keras_prediction(), np.random.default_rng(0)
    drawn = [draw(random, *size) for size in SIZES]
    return [(inputs, predict(inputs)) for inputs in drawn]


def over_rest(address, inputs):
    """Sends a request in columns; JSON has no NaN, so what lacks is -9999."""
    columns = {k: np.nan_to_num(v, nan=-9999.0).tolist() for k, v in inputs.items()}
    body = json.dumps({"inputs": columns}).encode()
    with urllib.request.urlopen(address, body, timeout=300) as answer:
        return np.array(json.load(answer)["outputs"], np.float32)


def load(callers, seconds):
    """Lets callers ask until the time is over.

    Args:
        callers: How many at once; every eighth speaks REST.
        seconds: How long.

    Returns:
        Calls, wrong and failed ones, and milliseconds of the calls over gRPC.
    """
    known = requests()
    times, wrong, failed = [], [], []
    lock = threading.Lock()

    def call(number, stub, address):
        inputs, wanted = known[number % len(known)]
        start = time.perf_counter()
        if number % 8 == 7:
            found = over_rest(address, inputs)
        else:
            found = asked(stub, "serving_default", inputs)["probabilities"]
        took = time.perf_counter() - start
        off = float(np.abs(found - wanted).max())
        with lock:
            times.append((number % 8 == 7, took))
            if off > TOLERANCE:
                wrong.append(off)

    def keep_calling(number, stub, address, end):
        while time.monotonic() < end:
            try:
                call(number, stub, address)
            except Exception as error:
                failed.append(repr(error)[:500])
            number += 1

    with running(VERSION) as (process, stub, address):
        call(0, stub, address)  # the first traces nothing, but plans its graph
        times.clear()
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(callers) as pool:
            for number in range(callers):
                pool.submit(keep_calling, number, stub, address, end)
        alive = process.poll() is None
    spread = np.percentile([1000 * t for is_rest, t in times if not is_rest], [50, 99])
    return {
        "callers": callers,
        "seconds": seconds,
        "calls": len(times),
        "wrong": wrong,
        "failed": failed,
        "alive": alive,
        "p50_ms": round(float(spread[0]), 1),
        "p99_ms": round(float(spread[1]), 1),
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def main():
    """Runs the load and says what came of it; status 1 where a call went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = load(arguments.callers, arguments.seconds)
    text = json.dumps(found, indent=1)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n")
    raise SystemExit(bool(found["wrong"] or found["failed"] or not found["alive"]))


if __name__ == "__main__":
    main()

"""Times saliency and fusion, and compares the variants of the fusion.

    python -m tests.benchmarks.evidence speed [--repeats 5] [--out FILE.json]
    python -m tests.benchmarks.evidence table
    python -m tests.benchmarks.evidence simulation [--seeds 5]

`speed` prints one JSON record, images a second (median, smallest, largest) a case,
among them the stages of the saliency written with OpenCV's functions where it is
installed (`pip install opencv-python-headless`), and the fusion of one image after the
other; `table` and `simulation` print Markdown. Asserts nothing about time.
"""

import argparse
import os
import platform
import statistics
import time
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from landslide_tf.evidence import (
    VARIANTS,
    combine_branches,
    fuse_branches,
    multiscale_saliency,
)
from tests.benchmarks.processes import publish
from tests.benchmarks.tables import shown, spread

SIDE, BATCH, FUSED = 224, 16, 20_000
COLUMNS = ("released", "inverse", "support", "mean")
BRANCHES = (
    (1, 1, 0),
    (1, 1, 0.5),
    (1, 0.9, 0.2),
    (0.999999, 0.999, 0.01),
    (0.0003, 0.0025, 0.9153),
    (0.02, 0.8, 0.8),
    (0.98, 0.4, 0.4),
    (0.6, 0.6, 0.6),
)
POSITIVE = 0.278
SAMPLES = 1500


def two_classes(landslide):
    return np.stack([1 - landslide, landslide], axis=-1)


def opencv_spectral(grey):
    """The map of the spectral residual of one image, scaled to [0, 1]."""
    import cv2

    spectrum = cv2.dft(grey, flags=cv2.DFT_COMPLEX_OUTPUT)
    amplitude, phase = cv2.cartToPolar(spectrum[..., 0], spectrum[..., 1])
    log = np.log(np.maximum(amplitude, 1e-8))
    power = np.exp(log - cv2.blur(log, (3, 3), borderType=cv2.BORDER_REPLICATE))
    parts = cv2.merge(cv2.polarToCart(power, phase))
    back = cv2.idft(parts, flags=cv2.DFT_SCALE)
    squares = cv2.magnitude(back[..., 0], back[..., 1]) ** 2
    blurred = cv2.GaussianBlur(squares, (7, 7), 8, borderType=cv2.BORDER_CONSTANT)
    return cv2.normalize(blurred, None, 0, 1, cv2.NORM_MINMAX)


def opencv_saliency(images):
    """The same stages as `multiscale_saliency`, as OpenCV rounds, pads and resizes."""
    import cv2

    found = []
    for image in images:
        blurred = cv2.GaussianBlur(image, (3, 3), 0.5)
        grey = cv2.cvtColor(blurred, cv2.COLOR_RGB2GRAY).astype(np.float64)
        x, y = cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1)
        edges = np.abs(x) + np.abs(y)
        total, weights, maps = edges / edges.max(), [], []
        for part in (3, 2, 1):
            size = (part * SIDE // 3, part * SIDE // 3)
            small = cv2.resize(grey / 255, size, interpolation=cv2.INTER_CUBIC)
            whole = (SIDE, SIDE)
            spectral = cv2.resize(opencv_spectral(small), whole, None, 0, 0, 2)
            levels = cv2.convertScaleAbs(spectral, alpha=255)
            counts = cv2.calcHist([levels], [0], None, [256], [0, 256]) / levels.size
            weights.append(-np.sum(counts * np.log2(np.maximum(counts, 1e-12))))
            maps.append(spectral)
        shares = np.array(weights) / sum(weights)
        total += sum(share * map_ for share, map_ in zip(shares, maps, strict=True))
        found.append(total / total.max())
    return np.stack(found)


def cases():
    """Yields name, number of images and a function without arguments."""
    import tensorflow as tf

    from landslide_tf.layers import EvidentialFusion, MultiScaleSaliency
    from landslide_tf.pipelines import branch_map

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (BATCH, SIDE, SIDE, 3), "uint8")
    size = f"{SIDE} px"
    yield f"saliency NumPy {size}", BATCH, lambda: multiscale_saliency(images)
    if find_spec("cv2"):
        yield f"saliency OpenCV {size}", BATCH, lambda: opencv_saliency(images)
    tensor = tf.constant(images)
    for precision in ("float64", "float32"):
        layer = tf.function(MultiScaleSaliency(precision=precision))
        yield f"saliency layer {precision} {size}", BATCH, lambda f=layer: f(tensor)
    examples = tf.data.Dataset.from_tensor_slices({"image": images})
    mapped = examples.map(branch_map("h"), num_parallel_calls=tf.data.AUTOTUNE)
    yield f"tf.data branch image {size}", BATCH, lambda: list(mapped)
    probabilities = two_classes(random.uniform(size=(FUSED, 3)))
    yield "fusion NumPy", FUSED, lambda: fuse_branches(probabilities)
    fusion = tf.function(EvidentialFusion())
    yield "fusion layer", FUSED, lambda: fusion(tf.constant(probabilities))
    few = probabilities[:200]
    yield "fusion, a loop", len(few), lambda: [fuse_branches(one[None]) for one in few]
    rules = ("dempster", "murphy", "xiao")
    for rule in rules:
        yield f"{rule} NumPy", FUSED, lambda r=rule: combine_branches(probabilities, r)


def speed(repeats, out):
    import keras
    import tensorflow as tf

    every = list(cases())
    rates = {name: [] for name, _, _ in every}
    for run in range(repeats + 1):  # the first traces and is not counted
        for name, number, function in every:
            start = time.perf_counter()
            function()
            if run:
                rates[name].append(number / (time.perf_counter() - start))
    record = {
        "unit": "images/s",
        "repeats": repeats,
        "cores": os.cpu_count(),
        "load": [round(v, 1) for v in os.getloadavg()],
        "machine": platform.machine(),
        "numpy": np.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "cases": {
            name: [round(f(v), 1) for f in (statistics.median, min, max)]
            for name, v in rates.items()
        },
    }
    publish(record, out)


def table():
    probabilities = two_classes(np.array(BRANCHES, float))
    fused = [fuse_branches(probabilities, v).probabilities[:, 1] for v in COLUMNS]
    print("| P(landslide) of the branches | " + " | ".join(COLUMNS) + " |")
    print("|---" * (1 + len(COLUMNS)) + "|")
    for branches, row in zip(BRANCHES, np.transpose(fused), strict=True):
        shown = ", ".join(f"{p:g}" for p in branches)
        print(f"| {shown} | " + " | ".join(f"{v:.4f}" for v in row) + " |")


def simulated(scenario, seed):
    """Returns probabilities (samples, 3, 2) and labels of one simulated set.

    Scores are Gaussian around -strength and +strength with a correlation of 0.3
    between branches; a branch gives its true posterior unless the scenario says so.
    """
    random = np.random.default_rng(seed)
    labels = (random.uniform(size=SAMPLES) < POSITIVE).astype(int)
    weak = scenario.startswith("one weak")
    strength = np.array([1.5, 1.5, 0.35] if weak else [1.2, 1.2, 1.2])
    noise = np.sqrt(0.3) * random.normal(size=(SAMPLES, 1))
    noise = noise + np.sqrt(0.7) * random.normal(size=(SAMPLES, 3))
    logits = 2 * strength * ((2 * labels - 1)[:, None] * strength + noise)
    if scenario == "40 % outliers in one":
        wrong = random.uniform(size=SAMPLES) < 0.4
        logits[wrong, 2] = 4 * random.normal(size=wrong.sum())
    logits += np.log(POSITIVE / (1 - POSITIVE))
    if scenario == "one weak and over-confident":
        logits[:, 2] *= 8
    return two_classes(1 / (1 + np.exp(-logits))), labels


def simulation(seeds):
    rules = (*VARIANTS, "probability_mean", "vote", "dempster", "murphy", "xiao")
    print("| scenario | branches | " + " | ".join(rules) + " |")
    print("|---" * (2 + len(rules)) + "|")
    for scenario in (
        "equal",
        "one weak",
        "one weak and over-confident",
        "40 % outliers in one",
    ):
        columns = {rule: [] for rule in ("branches", *rules)}
        for seed in range(seeds):
            probabilities, labels = simulated(scenario, seed)
            right = (probabilities[..., 1] > 0.5) == labels[:, None]
            columns["branches"].append(right.mean(axis=0))
            for rule in rules:
                fused = combine_branches(probabilities, rule)[:, 1]
                columns[rule].append(np.mean((fused > 0.5) == labels))
        single = np.mean(columns.pop("branches"), axis=0)
        row = [scenario, " ".join(f"{v:.3f}" for v in single)]
        for found in columns.values():
            row.append(shown(spread(found)))
        print("| " + " | ".join(row) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["speed", "table", "simulation"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.what == "speed":
        speed(arguments.repeats, arguments.out)
    elif arguments.what == "table":
        table()
    else:
        simulation(arguments.seeds)


if __name__ == "__main__":
    main()

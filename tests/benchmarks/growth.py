"""How cost grows as work grows: exponents of processor time, and memory.

    python -m tests.benchmarks.growth [--kinds KIND ...] [--repeats N] [--out FILE.json]

Work of each kind is done at several sizes, each in a process of its own: maps of square
scenes with a model that does nothing, sets of small tiles that are built, indexed and
read once, landslides of one density that are measured and written, and networks for
several regions. `exponent` is the slope of the logarithm of the processor time against
that of the size, from each size to the next; 1 = in proportion. Processor time holds
beside other work on the machine, though not exactly: of N repeats the shortest counts.
Prints one JSON record.
"""

import argparse
import itertools
import json
import math
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.processes import peak_mib, publish, record_of

TILE = 32  # pixels; decoding is not what grows
OBJECTS = ("attributes", "polygons", "inventory", "evaluate", "recognise", "changes")
KINDS = {
    "scene": ("megapixels", [1, 4, 16, 64, 256]),
    "tiles": ("tiles", [250, 1000, 4000, 20_000]),
    "objects": ("landslides", [1000, 10_000, 100_000]),
    "regions": ("regions", [1, 2, 4, 8, 16, 32]),
}


def clocked(steps):
    """Runs functions by name; processor seconds of each."""
    found = {}
    for name, step in steps.items():
        start = time.process_time()
        step()
        found[name] = round(time.process_time() - start, 2)
    return found


def scene(size):
    """Maps a square scene of so many megapixels."""
    from landslide_tf.mapping import MapOptions, Outputs, SceneFiles, map_scene
    from tests.benchmarks import scene as scenes

    side = 1024 * math.isqrt(size)
    with tempfile.TemporaryDirectory() as folder:
        small, image = Path(folder, "small.tif"), Path(folder, "s.tif")
        scenes.write_scene(small, 256, 256)
        scenes.write_scene(image, side, side)

        def whole(path, name):
            outputs = Outputs(
                Path(folder, f"{name}.tif"), Path(folder, f"{name}_p.tif")
            )
            options = MapOptions(window=256, overlap=64)
            files = SceneFiles((str(path),))
            map_scene([scenes.identity()], files, outputs, options)

        whole(small, "first")  # imports what is needed
        return clocked({"map": lambda: whole(image, "map")})


def tiles(size):
    """Builds a set, indexes it and reads every tile once."""
    from landslide_tf import pipelines
    from landslide_tf.datasets.synthetic_landslides import (
        synthetic_landslides_dataset_builder as module,
    )

    with tempfile.TemporaryDirectory() as folder:

        def build(count):
            config = module.Config(
                name=f"n{count}", regions=(0,), counts=(count, 2, 2), size=TILE
            )
            builder = module.Builder(config=config, data_dir=folder)
            builder.download_and_prepare()
            return str(builder.data_dir)

        def read(path):
            store = pipelines.load(f"{path}:train")
            return [len(store.examples[k]["id"]) for k in range(len(store.examples))]

        def index(path):
            pipelines.load(f"{path}:train").overview.labels.sum()

        small = build(20)
        index(small)
        read(small)
        made = []
        return clocked(
            {
                "build": lambda: made.append(build(size)),
                "index": lambda: index(made[0]),
                "read": lambda: read(made[0]),
            }
        )


def landslides(size):
    """Measures and writes landslides of one density."""
    from tests.benchmarks import objects

    side = round(10_000 * math.sqrt(size / 100_000))
    with tempfile.TemporaryDirectory() as name:
        folder, first = Path(name, "all"), Path(name, "first")
        for place, cells, number in ((first, 300, 30), (folder, side, size)):
            place.mkdir()
            objects.write_scene(place, cells, number)
        for step in OBJECTS:
            objects.run(step, first, 300)
        return clocked(
            {
                step: lambda step=step: objects.run(step, folder, side)
                for step in OBJECTS
            }
        )


def regions(size):
    """Builds, keeps and loads a network for so many regions, and asks it for one."""
    import keras
    import numpy as np

    from landslide_tf import models

    image = np.zeros((1, 64, 64, 6), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path, made = Path(folder, "regions.keras"), []

        def build(count):
            names = [f"region {k}" for k in range(count)]
            return models.tsmu_net(names, width=0.125)

        build(1)
        return clocked(
            {
                "build": lambda: made.append(build(size)),
                "save": lambda: made[0].save(path),
                "load": lambda: keras.models.load_model(path),
                "predict": lambda: made[0].predict(
                    {"image": image, "region": np.zeros(1, np.int32)}, verbose=0
                ),
            }
        )


def shortest(runs):
    """Returns the shortest time of every step, and the most memory."""
    steps = runs[0]["seconds"]
    return {
        "size": runs[0]["size"],
        "seconds": {step: min(run["seconds"][step] for run in runs) for step in steps},
        "mib": max(run["mib"] for run in runs),
    }


def exponents(rows):
    """Returns the slope between neighbouring sizes of each step."""
    return {
        step: [
            round(
                math.log(max(b["seconds"][step], 0.01) / max(a["seconds"][step], 0.01))
                / math.log(b["size"] / a["size"]),
                2,
            )
            for a, b in itertools.pairwise(rows)
        ]
        for step in rows[0]["seconds"]
    }


def main():
    """Runs all and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, size = options.one[0], int(options.one[1])
        step = {"scene": scene, "tiles": tiles, "objects": landslides}
        seconds = step.get(kind, regions)(size)
        print(json.dumps({"size": size, "seconds": seconds, "mib": round(peak_mib())}))
        return
    record = {"cpu": platform.machine(), "cores": os.cpu_count(), "kinds": {}}
    if options.out and options.out.exists():  # the other kinds stay
        record = json.loads(options.out.read_text(encoding="utf-8"))
    for kind in options.kinds:
        unit, sizes = KINDS[kind]
        rows = []
        for size in sizes:
            # No network but for the regions: JAX spares TensorFlow's memory.
            backend = {} if kind == "regions" else {"KERAS_BACKEND": "jax"}
            runs = [
                record_of("growth", "--one", kind, size, **backend)
                for _ in range(options.repeats)
            ]
            rows.append(shortest(runs))
            print(rows[-1], file=sys.stderr, flush=True)
        record["kinds"][kind] = {
            "unit": unit,
            "repeats": options.repeats,
            "sizes": rows,
            "exponents": exponents(rows),
        }
    publish(record, options.out)


if __name__ == "__main__":
    main()

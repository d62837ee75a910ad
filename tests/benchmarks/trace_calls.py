"""Counts how often one `train` and one `map` enter each module of the package.

    python -m tests.benchmarks.trace_calls [train] [map] [--steps]

A stop is a call from one module of the package straight into another: to a function, a
method or a class. No stops are what the same line calls again (a loop), what Keras or
another library calls, and where an object only gives one of its values (a property, the
fields of a data class). A stop in a module that was left before is a step back. Both
commands run in this process, on generated tiles and on a small generated
scene; threads that read ahead are not followed. `--steps` prints every stop in order.
Prints one table a command and asserts nothing.
"""

import argparse
import functools
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

PACKAGE = "landslide_tf"
TRAIN = [
    "train",
    "unet_visible",
    "--set=training.epochs=1",
    "--set=training.batch_size=32",
    "--set=model.arguments.width=0.03125",
    "--out=run",
]
MAP = [
    "map",
    "fstf_net_synthetic",
    "--image=scene.tif",
    "--dem=dem.tif",
    "--out=map.tif",
    "--vector=map.gpkg",
]


class Trace:
    """Follows calls between modules of the package in this thread."""

    def __init__(self):
        self.stops = []
        self._seen = set()

    def __call__(self, frame, event, argument):
        if event != "call" or not _module(frame).startswith(PACKAGE):
            return
        caller = frame.f_back
        if caller is None or not _module(caller).startswith(PACKAGE):
            return
        if "<module>" in (frame.f_code.co_name, caller.f_code.co_name):
            return
        if _module(caller) == _module(frame) or _gives_a_value(frame):
            return
        site = caller.f_code, caller.f_lineno, frame.f_code
        if site not in self._seen:
            self._seen.add(site)
            self.stops.append((_module(frame), frame.f_code.co_qualname))


def _gives_a_value(frame):
    name, owner = frame.f_code.co_name, frame.f_locals.get("self")
    if frame.f_code.co_filename == "<string>" or name == "__getattr__":
        return True
    found = getattr(type(owner), name, None) if owner is not None else None
    return isinstance(found, property | functools.cached_property)


def _module(frame):
    return frame.f_globals.get("__name__") or ""


def scene(folder):
    """Writes a small scene and its elevations."""
    import numpy as np
    import rasterio

    draw = np.random.default_rng(0)
    place = rasterio.Affine(2, 0, 500000, 0, -2, 5000000)
    common = {"driver": "GTiff", "crs": "EPSG:32633", "transform": place}
    common |= {"height": 160, "width": 160}
    image = draw.integers(1, 255, (4, 160, 160)).astype(np.uint8)
    heights = np.add.outer(np.arange(160.0), np.zeros(160)).astype(np.float32)
    for name, values in (("scene.tif", image), ("dem.tif", heights[None])):
        with rasterio.open(
            folder / name, "w", count=len(values), dtype=values.dtype, **common
        ) as file:
            file.write(values)
            if len(values) == 4:
                file.descriptions = ("red", "green", "blue", "nir")


def run(command):
    """Returns the stops of a command that ends well."""
    from landslide_tf.cli.main import main

    trace = Trace()
    sys.argv = ["landslide-tf", *command]
    sys.setprofile(trace)
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.setprofile(None)
    return trace.stops


def table(name, stops):
    """Prints what a command entered how often."""
    modules = [module for module, _ in stops]
    entered = Counter(modules)
    back = len(modules) - len(entered)
    print(f"{name}: {len(modules)} stops in {len(entered)} modules, {back} steps back")
    for module, count in entered.most_common():
        print(f"{count:5d}  {module.removeprefix(PACKAGE + '.')}")


def main():
    """Runs the commands in a folder of their own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", default=["train", "map"])
    parser.add_argument("--steps", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        scene(Path(folder))
        os.environ.setdefault("TFDS_DATA_DIR", str(Path(folder) / "data"))
        for name in chosen.commands:
            stops = run({"train": TRAIN, "map": MAP}[name])
            table(name, stops)
            if chosen.steps:
                for module, function in stops:
                    print(f"    {module.removeprefix(PACKAGE + '.')}.{function}")
        os.chdir("/")


if __name__ == "__main__":
    main()

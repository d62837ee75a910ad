"""How long a user waits before anything happens, as shares of TensorFlow's import.

    python -m tests.benchmarks.first_seconds [--repeats 10] [--out FILE.json]

Each case is a process of its own, and the cases take turns: `import tensorflow` alone,
the help of every command, commands that print or refuse something, the imports of
the package and of TFDS, a map of a scene of 512 x 512 pixels by the shipped network,
and the first training step of DeepLabv3+ (its own record: seconds without the imports).
`share` is the median of a case divided by that of `import tensorflow`; for the help it
is the slowest command's. Prints one JSON record. Asserts nothing about time.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import scene
from tests.benchmarks.processes import publish, record_of

CALLS = {
    "import tensorflow": ("-c", "import tensorflow"),
    "import tensorflow_datasets": ("-c", "import tensorflow_datasets"),
    "import landslide_tf": ("-c", "import landslide_tf"),
}
COMMANDS = {
    "recipes list": 0,
    "recipes show fstf_net_mmls": 0,
    "train nosuch": 2,
    "train fstf_net_mmls --set training.epoch=1": 2,
    "evaluate nosuch --data mmls:test": 2,
    "map nosuch --image a.tif --out b.tif": 2,
    "doctor": 0,
}
MAP = "map fstf_net_synthetic --image s.tif --dem d.tif --out m.tif --overwrite"
ALONE = "import tensorflow"
SIDE = 512  # pixels of the scene that is mapped


def helps() -> Iterator[str]:
    """Yields the line that prints the help of each command."""
    import typer

    from landslide_tf.cli.main import app

    waiting = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        yield f"{name} --help".strip()
        for word, inner in getattr(command, "commands", {}).items():
            waiting.append((f"{name} {word}".strip(), inner))


def seconds(line: tuple[str, ...], folder: str, wanted: int = 0) -> float:
    """Returns what a Python process takes on the wall."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *line], cwd=folder, capture_output=True, text=True, check=False
    )
    found = time.perf_counter() - start
    if done.returncode != wanted:
        raise SystemExit(f"{line} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return found


def command(line: str) -> tuple[str, ...]:
    """Returns the arguments of Python for a line of the command."""
    start = "from landslide_tf.cli.main import main; main()"
    return ("-c", start, *line.split())


def first_step() -> dict[str, float]:
    """Builds DeepLabv3+ as `segmentation` trains it, and takes two steps."""
    from tests.benchmarks.segmentation import our_side

    start = time.perf_counter()
    step, _ = our_side("separable", "train", 4)
    found = {"build": time.perf_counter() - start}
    for name in ("first step", "second step"):
        start = time.perf_counter()
        step()
        found[name] = time.perf_counter() - start
    return found


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Returns the medians of records with the same keys."""
    return {
        key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]
    }


def turn(folder: str) -> dict[str, float]:
    """Runs every case but the help once."""
    found = {name: seconds(line, folder) for name, line in CALLS.items()}
    for line, status in COMMANDS.items():
        found[line] = seconds(command(line), folder, status)
    found["map of 512 x 512"] = seconds(command(MAP), folder)
    return found


def main() -> None:
    """Runs all and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--step", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(json.dumps(first_step()))
        return
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        scene.write_scene(Path(folder, "s.tif"), SIDE, SIDE)
        scene.write_dem(Path(folder, "d.tif"), SIDE)
        turn(folder)  # fills the file system's cache
        runs = [turn(folder) for _ in range(given.repeats)]
        lines = sorted(helps())
        pages = [
            {line: seconds(command(line), folder) for line in lines}
            for _ in range(max(1, given.repeats // 3))
        ]
    steps = [record_of("first_seconds", "--step") for _ in range(given.repeats // 3)]
    found, page = medians(runs), medians(pages)
    slowest = max(page, key=page.__getitem__)
    shares = {name: round(value / found[ALONE], 3) for name, value in found.items()}
    record = {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "load_1min": load,
        "repeats": given.repeats,
        "seconds": found,
        "share": shares,
        "help": {
            "pages": len(lines),
            "slowest": slowest,
            "seconds": page[slowest],
            "share": round(page[slowest] / found[ALONE], 3),
        },
        "deeplab_v3_plus": medians(steps) if steps else None,
    }
    publish(record, given.out)


if __name__ == "__main__":
    main()

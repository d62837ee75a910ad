"""Scores of our networks beside those of segmentation_models_pytorch, on MMLS v2.

    python -m tests.benchmarks.peer_scores --peer-python PEER/bin/python --out DIR
        [--seeds 0 1 2] [--models ROW ...] [--set KEY=VALUE ...] [--record FILE]

PEER is the environment of `segmentation.py`. Ours are the rows of `peer_scores.yaml`.
The peer gets the very batches of ours, already augmented, through a pipe, and has the
same loss, optimiser, schedule and number of epochs; the same code chooses its epoch on
the validation tiles and scores it on the test tiles. Prints a table with paired
intervals; FILE keeps every number. The same command goes on after an interruption. The
data come from `TFDS_DATA_DIR` and `LANDSLIDE_TF_MANUAL_DIR`.
"""

from __future__ import annotations

import argparse
import os
import pickle
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from landslide_tf.imagenet import imagenet_file
from landslide_tf.metadata import ModelMetadata
from landslide_tf.train import (
    Session,
    evaluate_model,
    load_grid,
    summarize_grid,
    versions,
)
from landslide_tf.train.benchmark.grid import GridChoice, GridRun
from landslide_tf.train.benchmark.runner import BenchmarkFolder, run_apart
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.tasks import task_of
from tests.benchmarks.processes import publish
from tests.benchmarks.tables import Table

HERE = Path(__file__)
GRID = HERE.with_suffix(".yaml")
PEER = HERE.with_name("peer_scores_torch.py")
SCORES = ("landslide_iou", "landslide_f1", "miou")


class Peer:
    """A network of the other library, in a process of its own environment."""

    def __init__(self, python: str, recipe: Recipe) -> None:
        arguments = recipe.model.arguments
        pretrained = arguments.get("backbone_weights") == "imagenet"
        self._process = subprocess.Popen(
            [python, PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.ask(
            "build",
            network=recipe.model.name,
            encoder=arguments["backbone"],
            rates=arguments.get("aspp_rates"),
            weights=str(imagenet_file(arguments["backbone"])) if pretrained else None,
            bands=len(recipe.data.image),
            seed=recipe.training.seed,
            decay=recipe.optimizer.weight_decay,
        )

    def ask(self, what: str, **values: Any) -> Any:
        """Sends a request and returns its answer."""
        pipes = self._process.stdin, self._process.stdout
        if pipes[0] is None or pipes[1] is None:
            raise TypeError("the process has no pipes")
        pickle.dump((what, values), pipes[0], protocol=5)
        pipes[0].flush()
        return pickle.load(pipes[1])

    def predict(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Returns probabilities (B, H, W, classes)."""
        return self.ask("predict", image=np.asarray(inputs["image"], np.float32))

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def train_peer(python: str, recipe: Recipe, metadata: ModelMetadata) -> dict[str, Any]:
    """Trains a network of the other library and scores its best epoch.

    Args:
        python: The interpreter of its environment.
        recipe: That of ours.
        metadata: The `model.json` of ours, which says what the classes are.
    """
    peer = Peer(python, recipe)
    batches = task_of(recipe).load(Session(), resumed=False)[1].training
    epochs, steps = recipe.training.epochs, batches.steps_per_epoch
    start, best = time.perf_counter(), -1.0
    for epoch in range(epochs):
        for step in range(steps):
            inputs, labels = batches.batch(epoch, step)
            through = (epoch * steps + step) / (epochs * steps)
            rate = recipe.optimizer.learning_rate * (1 + np.cos(np.pi * through)) / 2
            loss = peer.ask(
                "train", image=inputs["image"], labels=labels, rate=float(rate)
            )
        data = f"{recipe.data.name}:validation"
        found = evaluate_model(peer.predict, metadata, data=data, pictures=0)
        print(epoch, f"loss {loss:.4f} miou {found.scores.miou:.4f}", flush=True)
        if found.scores.miou > best:
            best = found.scores.miou
            peer.ask("keep")
    facts = peer.ask("restore")
    seconds = time.perf_counter() - start
    data = f"{recipe.data.name}:test"
    found = evaluate_model(peer.predict, metadata, data=data, pictures=0)
    peer.close()
    return {"evaluation": found, "training_seconds": round(seconds, 1), **facts}


def missing(planned: GridRun, place: BenchmarkFolder, python: str | None) -> None:
    """Trains and scores a run that is not recorded, of ours or of the peer."""
    if place.read(planned) is not None:
        return
    place.counts("").parent.mkdir(parents=True, exist_ok=True)
    session = Session(command="tests/benchmarks/peer_scores.py")
    if python is None:
        record = run_apart(planned, place, session)
    else:
        ours = replace(planned, key=planned.key.removeprefix("peer-"))
        metadata = place.run(ours).read_metadata()
        trained = train_peer(python, planned.recipe, metadata)
        found = trained.pop("evaluation")
        counts = place.counts(planned.key)
        np.savez_compressed(
            counts, ids=np.array(found.ids, str), matrices=found.matrices
        )
        record = {
            "key": planned.key,
            "row": planned.row,
            "seed": planned.seed,
            "data": found.data,
            "classes": list(found.classes),
            "landslide_class": found.landslide,
            **trained,
        }
    place.append(record)
    print(planned.row, planned.seed, record["training_seconds"], "s", flush=True)


def peer_of(planned: GridRun) -> GridRun:
    """Returns the run of the other library that a run of ours is compared with."""
    return replace(planned, row=f"{planned.row}, peer", key=f"peer-{planned.key}")


def compared(runs: Sequence[GridRun], place: BenchmarkFolder) -> list[dict[str, Any]]:
    """Returns every row with the peer's scores, ours, and the paired difference."""
    records, found = place.read_records(), []
    for row in dict.fromkeys(run.row for run in runs):
        own = [run for run in runs if run.row == row]
        both = [r for r in own if r.key in records and peer_of(r).key in records]
        if not both:
            continue
        planned = [*map(peer_of, both), *both]
        peer, ours = summarize_grid(planned, place.path)["rows"]
        sides = {"peer": peer, "ours": ours}
        point: dict[str, Any] = {"row": row, "seeds": ours["seeds"]}
        for side, values in sides.items():
            point[side] = {
                key: {s: values[key][s] for s in SCORES}
                for key in ("values", "mean", "std")
            }
            run = both[0] if side == "ours" else peer_of(both[0])
            point[side]["parameters"] = records[run.key]["parameters"]
        point["difference"] = {s: ours["difference"][s] for s in SCORES}
        found.append(point)
    return found


def table(points: Sequence[dict[str, Any]]) -> Table:
    """Arranges the rows."""
    rows = []
    for point in points:
        seeds = ", ".join(map(str, point["seeds"]))
        cells = [
            {key: point[side][key]["landslide_iou"] for key in ("mean", "std")}
            for side in ("ours", "peer")
        ]
        rows.append([point["row"], seeds, *cells, point["difference"]["landslide_iou"]])
    head = ["network", "seeds", "landslide IoU, ours", "the peer's"]
    return Table([*head, "difference, 95 % interval over tiles"], rows)


def main() -> None:
    """Runs what is missing, prints the table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[])
    parser.add_argument("--models", nargs="+", default=[])
    parser.add_argument("--set", nargs="+", default=[])
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    choice = GridChoice(
        models=tuple(options.models),
        seeds=tuple(options.seeds),
        changes=tuple(options.set),
    )
    runs, place = load_grid(GRID, choice)[1], BenchmarkFolder(options.out)
    for run in runs:
        missing(run, place, None)
        missing(peer_of(run), place, options.peer_python)
        print(table(compared(runs, place)).markdown(), flush=True)
    record = {
        "command": " ".join(["python -m tests.benchmarks.peer_scores", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "rows": compared(runs, place),
    }
    publish(record, options.record)


if __name__ == "__main__":
    main()

"""Learning curves of the recipe that `landslide-tf prepare` writes.

usage: python -m tests.benchmarks.learning_curve {bijie,hokkaido,generated} --out DIR
    [--samples 5 10 20 50] [--seeds 0 1 2] [--patch 96] [--record FILE]

Trains RAE-D (with terrain FSTF-Net) at width 0.125, the recipe as it is written with
ImageNet weights installed, and as it is written without them, on a few examples of a
data set's training part and scores them on its whole test part. All see the same
examples and random patches of the same size, and choose their epoch on the same
validation examples. Prints a table; FILE keeps every number. The same command goes on
after an interruption. The data come from `TFDS_DATA_DIR` and `LANDSLIDE_TF_MANUAL_DIR`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import yaml

from landslide_tf.pipelines import load, sample_examples
from landslide_tf.prepare.recipe import (
    Sections,
    Statistics,
    Tiles,
    network_sections,
)
from landslide_tf.train import Session, load_grid, summarize_grid, versions
from landslide_tf.train.benchmark.grid import GridRun
from landslide_tf.train.benchmark.runner import BenchmarkFolder, train_and_evaluate
from tests.benchmarks.tables import Table

RGB = ["red", "green", "blue"]
UNUSED = Statistics([0.5] * 3, [0.25] * 3)  # plain colours need none
SCORES = ("landslide_iou", "landslide_f1", "miou")
RECIPES = ("width 0.125", "imagenet", "scratch")


@dataclass(frozen=True)
class Ground:
    """A data set, and how many of its validation examples choose the epoch."""

    name: str
    factors: tuple[str, ...] = ()
    validation: int | None = None


GROUNDS = {
    "bijie": Ground("bijie_landslide/segmentation"),
    "hokkaido": Ground("hokkaido_iburi/clean"),
    "generated": Ground(
        "synthetic_landslides/visible", ("slope", "aspect", "ndvi"), validation=16
    ),
}


def recipe_of(made: Sections, ground: Ground, samples: int, patch: int) -> dict:
    """Puts data into the sections of a recipe."""
    data = {
        "name": ground.name,
        "image": RGB,
        "factors": list(ground.factors),
        "samples": samples,
        "validation_samples": ground.validation,
    }
    training = {**made.content["training"], "patch": patch}
    return {
        "description": made.title,
        "source": made.source,
        "data": data,
        **made.content,
        "training": training,
    }


def small_network(factors: tuple[str, ...], samples: int) -> Sections:
    """Returns a short training of the paper's network, made narrow for a CPU."""
    return Sections(
        "FSTF-Net" if factors else "RAE-D",
        "Xia et al. 2021, Remote Sens. 13, 5116 (network)",
        {
            "model": {
                "name": "fstf_net" if factors else "rae_d",
                "arguments": {"width": 0.125, "dropout": 0.3},
            },
            "loss": {"class_weights": "median_frequency"},
            "optimizer": {"name": "adam", "learning_rate": 0.002},
            "schedule": {"kind": "cosine"},
            "augmentation": {"dihedral": True, "brightness": 0.1, "contrast": 0.1},
            "training": {"epochs": 25, "batch_size": min(8, samples)},
        },
    )


def plan(
    ground: Ground, samples: int, seed: int, patch: int, out: Path
) -> list[GridRun]:
    """Writes the recipes for a draw of examples, and returns their runs."""
    drawn = sample_examples(load(ground.name, split="train"), samples, seed)
    tiles = Tiles(samples, patch, float(drawn.positive.mean()))
    sections = [small_network(ground.factors, samples)]
    for pretrained in (True, False):
        sections.append(
            network_sections(RGB, ground.factors, UNUSED, tiles, pretrained=pretrained)
        )
    made = dict(zip(RECIPES, sections, strict=True))
    folder = out / "grids" / f"{samples}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, each in made.items():
        file = folder / f"{name.replace(' ', '_')}.yaml"
        recipe = recipe_of(each, ground, samples, patch)
        file.write_text(yaml.safe_dump(recipe, sort_keys=False))
        rows.append({"recipe": file.name, "name": f"{name}, {samples}"})
    grid = {"description": "Learning curve", "rows": rows, "seeds": [seed]}
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump(grid, sort_keys=False))
    return load_grid(path)[1]


def run_missing(planned: GridRun, place: BenchmarkFolder, session: Session) -> None:
    """Trains and scores a run that is not recorded yet, in this process.

    Small runs take less time than a process needs to start.
    """
    if place.read(planned) is not None:
        return
    keras.backend.clear_session()
    place.counts("").parent.mkdir(parents=True, exist_ok=True)
    record = train_and_evaluate(planned, place, session)
    place.append(record)
    print(planned.row, "seed", planned.seed, record["scores"]["miou"], flush=True)


def points_of(every: list[GridRun], runs: Path, samples: int) -> list[dict]:
    """Returns what a record keeps of the rows at a number of examples.

    `weights` is the difference between the recipe with weights and that without them.
    """
    kept = ("name", "seeds", "images", "values", "mean", "std", "difference")
    points = []
    for row in summarize_grid(every, runs)["rows"]:
        found = {key: row[key] for key in kept}
        for key in ("values", "mean", "std", "difference"):
            if found[key] is not None:
                found[key] = {score: found[key][score] for score in SCORES}
        found["name"] = row["name"].partition(",")[0]
        points.append({"samples": samples, **found})
    names = {name: f"{name}, {samples}" for name in RECIPES}
    pair = [
        run for name in RECIPES[:0:-1] for run in every if run.row == names[name]
    ]  # without weights first: the other is compared with it
    rows = summarize_grid(pair, runs)["rows"]
    for point in points:
        if point["name"] == RECIPES[1] and len(rows) == 2:
            point["weights"] = {s: rows[1]["difference"][s] for s in SCORES}
    return points


def table(points: list[dict]) -> Table:
    """Arranges the rows at every number of examples."""
    rows = []
    for samples in sorted({point["samples"] for point in points}):
        own = {point["name"]: point for point in points if point["samples"] == samples}
        if set(own) != set(RECIPES):
            continue
        new = own["imagenet"]
        scores = [score_of(own[name]) for name in RECIPES]
        gains = [new[key]["landslide_iou"] for key in ("difference", "weights")]
        rows.append([str(samples), str(len(new["seeds"])), *scores, *gains])
    head = ["examples", "seeds", *RECIPES, "by the recipe", "by the weights"]
    return Table(head, rows)


def score_of(row: dict[str, Any]) -> dict[str, float | None]:
    """Returns the landslide IoU of a row over its seeds."""
    return {key: row[key]["landslide_iou"] for key in ("mean", "std")}


def main() -> None:
    """Runs what is missing, prints the table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ground", choices=GROUNDS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--patch", type=int, default=96)
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    ground = GROUNDS[options.ground]
    session = Session(command="tests/benchmarks/learning_curve.py")
    runs = options.out / "runs"
    most = len(load(ground.name, split="train"))
    planned: dict[int, list[GridRun]] = {
        samples: [] for samples in sorted({min(n, most) for n in options.samples})
    }
    for seed in options.seeds:  # every number has some seeds after a part of the time
        for samples, so_far in planned.items():
            drawn = plan(ground, samples, seed, options.patch, options.out)
            so_far += drawn
            for run in drawn:
                run_missing(run, BenchmarkFolder(runs), session)
            points = []
            for number, every in planned.items():
                points += points_of(every, runs, number)
            print(table(points).markdown(), flush=True)
            if options.record is not None:
                write_record(options.record, ground, points)


def write_record(path: Path, ground: Ground, points: list[dict]) -> None:
    """Puts the points of a data set into the file of all of them."""
    content = json.loads(path.read_text()) if path.is_file() else {}
    content[ground.name] = {
        "command": " ".join(
            ["python -m tests.benchmarks.learning_curve", *sys.argv[1:]]
        ),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "points": points,
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Trains recipes with several seeds and tabulates mean and spread.

usage: python -m tests.benchmarks.seeds RECIPE [RECIPE ...] --out DIR [--seeds 0 1 2]

Every run is a process of its own. DIR holds the runs, which are taken up again where a
run was interrupted, `record.json` with every number and `table.md`. The data come from
`TFDS_DATA_DIR` and `LANDSLIDE_TF_MANUAL_DIR`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from landslide_tf.report import markdown_table
from landslide_tf.train import RunFolder, versions
from tests.benchmarks.tables import shown, spread

SCORES = ("f1", "iou")


def command(*arguments):
    line = [sys.executable, "-m", "landslide_tf.cli.main", *map(str, arguments)]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)


def run_one(recipe, seed, folder):
    """Trains one seed and returns its landslide scores by part."""
    run = RunFolder(folder / f"{recipe}-{seed}")
    if not run.model.is_file():
        if run.recipe.is_file():
            command("train", "--resume", run.path)
        else:
            command("train", recipe, "--out", run.path, f"--set=training.seed={seed}")
    data = run.read_recipe().data
    found = {}
    for part in (data.validation, data.test):
        out = run.report / part
        command("evaluate", run.path, "--data", f"{data.name}:{part}", "--out", out)
        found[part] = json.loads((out / "evaluation.json").read_text())
    return found


def landslide(evaluation):
    name = evaluation["classes"][evaluation["landslide_class"]]
    scores = evaluation["scores"]
    return {
        **{score: scores["classes"][name][score] for score in SCORES},
        "miou": scores["miou"],
    }


def all_landslide(evaluation):
    """Scores of a map on which everything is landslide."""
    truth = [sum(row) for row in evaluation["scores"]["confusion_matrix"]]
    share = truth[evaluation["landslide_class"]] / sum(truth)
    return {"f1": 2 * share / (1 + share), "iou": share, "miou": share / len(truth)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    results, floor = {}, {}
    for recipe in arguments.recipes:
        for seed in arguments.seeds:
            for part, evaluation in run_one(recipe, seed, arguments.out).items():
                entry = results.setdefault(recipe, {}).setdefault(part, {})
                entry[seed] = landslide(evaluation)
                floor[part] = all_landslide(evaluation)
            print(recipe, seed, json.dumps(results[recipe]), flush=True)
    parts = list(floor)
    header = ["model", *(f"{p} {s}" for p in parts for s in (*SCORES, "miou"))]
    rows = [["all landslide", *(floor[p][s] for p in parts for s in floor[p])]]
    for recipe, by_part in results.items():
        cells = []
        for part in parts:
            for score in (*SCORES, "miou"):
                values = [entry[score] for entry in by_part[part].values()]
                cells.append(shown(spread(values)))
        rows.append([recipe, *cells])
    record = {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "all landslide": floor,
        "results": results,
    }
    (arguments.out / "record.json").write_text(json.dumps(record, indent=2) + "\n")
    table = markdown_table(header, rows)
    (arguments.out / "table.md").write_text(table)
    print(table)


if __name__ == "__main__":
    main()

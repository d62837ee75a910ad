"""What trained rows of a benchmark lose when an input comes from another tile.

usage: python -m tests.benchmarks.permuted FOLDER --rows ROW [...] --inputs NAME [...]
    [--record FILE]

FOLDER is that of `landslide-tf benchmark`; the runs of every seed are scored again on
their test tiles, as they are and with each input, band or factor from a far tile, as
`landslide-tf evaluate --permute` does. The interval is that of the paired bootstrap
over the tiles, of the mean over the seeds. The data come from `TFDS_DATA_DIR` and
`LANDSLIDE_TF_MANUAL_DIR`.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from landslide_tf.metrics import paired_bootstrap, score_of_matrices
from landslide_tf.models.prediction import prediction_function
from landslide_tf.train import Evaluation, RunFolder, evaluate_run, versions
from landslide_tf.train.benchmark.runner import BenchmarkFolder
from tests.benchmarks.processes import publish
from tests.benchmarks.tables import Table


def evaluations(folder: Path, names: list[str | None]) -> dict[str | None, Evaluation]:
    """Scores a run with each input permuted; None is the run as it is."""
    run = RunFolder(folder)
    predict = prediction_function(run.load_model())
    return {
        name: evaluate_run(run, predict=predict, permute=name, pictures=0)
        for name in names
    }


def permuted(row: str, runs: list[Path], names: list[str]) -> list[dict[str, Any]]:
    """Scores the seeds of a row with each input permuted, against as they are."""
    each = [evaluations(run, [None, *names]) for run in runs]
    landslide = each[0][None].landslide
    iou = functools.partial(
        score_of_matrices, score="landslide_iou", landslide=landslide
    )
    found = []
    plain = np.stack([seed[None].matrices for seed in each])
    for name in (None, *names):
        counts = np.stack([seed[name].matrices for seed in each])
        values = iou(counts.sum(axis=1))
        loss = None if name is None else asdict(paired_bootstrap(plain, counts, iou))
        found.append(
            {
                "row": row,
                "permuted": name,
                "values": values.tolist(),
                "mean": float(values.mean()),
                "std": float(values.std(ddof=1)) if len(values) > 1 else None,
                "difference": loss,
            }
        )
    return found


def table(points: list[dict[str, Any]]) -> Table:
    """Arranges the rows."""
    rows = []
    for point in points:
        name = f"{point['row']}: {point['permuted'] or 'as it is'}"
        value = {key: point[key] for key in ("mean", "std")}
        rows.append([name, value, point["difference"]])
    return Table(["row: permuted", "landslide IoU", "change"], rows)


def main() -> None:
    """Scores every row, prints the table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", nargs="+", required=True)
    parser.add_argument("--inputs", nargs="+", required=True)
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    records = BenchmarkFolder(options.folder).read_records().values()
    points = []
    for row in options.rows:
        runs = [options.folder / r["run"] for r in records if r["row"] == row]
        points += permuted(row, runs, options.inputs)
    print(table(points).markdown(), flush=True)
    record = {
        "command": " ".join(["python -m tests.benchmarks.permuted", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "points": points,
    }
    publish(record, options.record)


if __name__ == "__main__":
    main()

"""Scores runs of `fstf_net_mmlsv2` and the shipped weights, with intervals.

usage: python -m tests.benchmarks.mmlsv2 MODEL=DATA [MODEL=DATA ...] --out DIR

MODEL is a run, an export or a shipped name, DATA a split such as `mmlsv2/random:test`.
Each is scored as it is and with test-time augmentation. DIR gets `record.json` with
every number and `table.md`. The interval is that of 2000 resamples of the test tiles;
it says nothing of other seeds. The data come from `TFDS_DATA_DIR` and
`LANDSLIDE_TF_MANUAL_DIR`.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

import numpy as np

from landslide_tf.cli.model_files import load_member
from landslide_tf.metrics import score_of_matrices
from landslide_tf.report import markdown_table
from landslide_tf.train import evaluate_model, versions

SCORES = ("landslide_f1", "landslide_iou", "miou")
SAMPLES = 2000


def scored(model, data, tta):
    member = load_member(model)
    evaluation = evaluate_model(
        member.predict, member.metadata, data=data, tta=tta, pictures=0
    )
    matrices, landslide = evaluation.matrices, evaluation.landslide
    drawn = np.random.default_rng(0).integers(
        len(matrices), size=(SAMPLES, len(matrices))
    )
    found = {"tiles": len(matrices), "threshold": member.metadata.threshold}
    for score in SCORES:
        value = score_of_matrices(matrices.sum(axis=0), score, landslide)
        resampled = score_of_matrices(matrices[drawn].sum(axis=1), score, landslide)
        low, high = np.nanquantile(resampled, [0.025, 0.975])
        found[score] = {"value": float(value), "low": float(low), "high": float(high)}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL=DATA")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    results, rows = [], []
    for text in arguments.models:
        model, data = text.rsplit("=", 1)
        for tta in (False, True):
            found = scored(model, data, tta)
            results.append({"model": model, "data": data, "tta": tta, **found})
            cells = (
                "{value:.3f} [{low:.3f}, {high:.3f}]".format(**found[s]) for s in SCORES
            )
            rows.append([model, data, "yes" if tta else "", found["tiles"], *cells])
            print(*rows[-1], flush=True)
    record = {
        "command": " ".join(["python -m tests.benchmarks.mmlsv2", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "interval": f"95 %, {SAMPLES} resamples of the tiles",
        "results": results,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "record.json").write_text(json.dumps(record, indent=2) + "\n")
    header = ["model", "data", "test-time augmentation", "tiles", *SCORES]
    (arguments.out / "table.md").write_text(markdown_table(header, rows))


if __name__ == "__main__":
    main()

"""Scores the shipped weights and runs of `fstf_net_mmlsv2`, with intervals.

usage: python -m tests.benchmarks.mmlsv2 MODEL[,MODEL...]=DATA [...] --out DIR

MODEL is a run, an export or a shipped name, one for each seed; DATA a split such as
`mmlsv2/random:test`. All are scored with the threshold that their recipe fitted and
with the most probable class, as they are and with test-time augmentation. DIR gets
`record.json` with every number and `table.md`. The interval is that of the mean over
the seeds, of 2000 resamples of the test tiles, which are the same for every seed. The
data come from `TFDS_DATA_DIR` and `LANDSLIDE_TF_MANUAL_DIR`.
"""

import argparse
import json
import os
import platform
import sys
from itertools import product
from pathlib import Path

import numpy as np

from landslide_tf.cli.model_files import load_member
from landslide_tf.metrics import score_of_matrices
from landslide_tf.report import markdown_table
from landslide_tf.train import evaluate_model, versions

SCORES = ("landslide_f1", "landslide_iou", "miou")
SAMPLES = 2000


def scored(members, data, tta, fitted):
    """Scores the models of one group, one for each seed."""
    values = {score: [] for score in SCORES}
    resampled = {score: [] for score in SCORES}
    thresholds, drawn = [], None
    for member in members:
        metadata = member.metadata
        if not fitted:
            metadata = metadata.model_copy(update={"threshold": None})
        thresholds.append(metadata.threshold)
        found = evaluate_model(member.predict, metadata, data=data, tta=tta, pictures=0)
        matrices = found.matrices
        if drawn is None:  # the same tiles for every seed
            size = len(matrices)
            drawn = np.random.default_rng(0).integers(size, size=(SAMPLES, size))
        for score in SCORES:
            whole = score_of_matrices(matrices.sum(axis=0), score, found.landslide)
            values[score].append(float(whole))
            resampled[score].append(
                score_of_matrices(matrices[drawn].sum(axis=1), score, found.landslide)
            )
    summary = {"tiles": len(drawn[0]), "thresholds": thresholds}
    for score in SCORES:
        means = np.mean(resampled[score], axis=0)
        low, high = np.nanquantile(means, [0.025, 0.975])
        own = values[score]
        summary[score] = {
            "values": own,
            "mean": float(np.mean(own)),
            "std": float(np.std(own, ddof=1)) if len(own) > 1 else None,
            "low": float(low),
            "high": float(high),
        }
    return summary


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="+", metavar="MODEL[,MODEL...]=DATA")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    results, rows = [], []
    for text in arguments.groups:
        names, data = text.rsplit("=", 1)
        models = names.split(",")
        members = [load_member(model) for model in models]
        for fitted, tta in product((True, False), (False, True)):
            found = scored(members, data, tta, fitted)
            made = {"models": models, "data": data, "tta": tta}
            results.append({**made, "fitted threshold": fitted, **found})
            decision = "fitted threshold" if fitted else "most probable class"
            cells = (
                "{mean:.3f} [{low:.3f}, {high:.3f}]".format(**found[s]) for s in SCORES
            )
            tiles = found["tiles"]
            rows.append([data, decision, "yes" if tta else "", tiles, *cells])
            print(*rows[-1], flush=True)
    record = {
        "command": " ".join(["python -m tests.benchmarks.mmlsv2", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "interval": f"95 %, {SAMPLES} resamples of the tiles, mean over the seeds",
        "results": results,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "record.json").write_text(json.dumps(record, indent=2) + "\n")
    header = ["data", "decision", "test-time augmentation", "tiles", *SCORES]
    (arguments.out / "table.md").write_text(markdown_table(header, rows))


if __name__ == "__main__":
    main()

"""What fine-tuning with few samples gives back of what a new region costs.

usage: python -m tests.benchmarks.finetune --out DIR [--seeds 0 1 2]
    [--samples 0 1 5 10 50] [--targets 1 2 3] [--data-dir DIR]

Trains `unet_visible` on region 0 of the generated tiles, goes on with a few tiles of
each other region and prints the table of `docs/results.md`; `DIR/curve.json` keeps
every number. The same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from landslide_tf.train import Session, finetune, load_recipe
from landslide_tf.train.engine import train_or_resume
from tests.benchmarks.tables import Table, spread

DATA = "synthetic_landslides/visible-region{}"


def table(points: list[dict]) -> Table:
    """Arranges mean and spread over the seeds, each the mean over the targets."""
    seeds = sorted({point["seed"] for point in points})
    rows = []
    home = _mean(points, 0, seeds, "source", "landslide_iou")
    zero = _mean(points, 0, seeds, "target", "landslide_iou")
    for samples in sorted({point["samples"] for point in points}):
        iou = _mean(points, samples, seeds, "target", "landslide_iou")
        others = _mean(points, samples, seeds, "target", "miou")
        kept = _mean(points, samples, seeds, "source", "landslide_iou")
        recovered = (iou - zero) / (home - zero)
        rows.append([str(samples), *map(spread, (iou, others, recovered, kept))])
    head = ["samples", "landslide IoU", "mean IoU", "of the loss recovered"]
    return Table([*head, "landslide IoU on the source"], rows)


def _mean(
    points: list[dict], samples: int, seeds: list[int], where: str, score: str
) -> np.ndarray:
    """The mean over the targets for each seed."""
    return np.array(
        [
            np.mean(
                [
                    point[where][score]
                    for point in points
                    if (point["samples"], point["seed"]) == (samples, seed)
                ]
            )
            for seed in seeds
        ]
    )


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, nargs="+", default=[0, 1, 5, 10, 50])
    parser.add_argument("--targets", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    session = Session(options.data_dir, command="tests/benchmarks/finetune.py")
    points = []
    for seed in options.seeds:
        recipe = load_recipe("unet_visible", [f"training.seed={seed}"])
        source = train_or_resume(recipe, options.out / f"region0-{seed}", session)
        for target in options.targets:
            data = DATA.format(target)
            folder = options.out / f"region{target}-{seed}"
            found = finetune(source.path, data, options.samples, folder, None, session)
            for point in found:
                values = point.as_dict()
                del values["run"]  # a path of this machine
                points.append({"seed": seed, "region": target, **values})
            text = json.dumps(points, indent=1) + "\n"
            (options.out / "curve.json").write_text(text)
            print(f"seed {seed}, region {target}", flush=True)
        print(table(points).markdown(), flush=True)


if __name__ == "__main__":
    main()

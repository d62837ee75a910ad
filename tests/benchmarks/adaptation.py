"""What adapting to a region without labels gives, beside fine-tuning with labels.

usage: python -m tests.benchmarks.adaptation {visible,hokkaido} --out DIR
    [--network unet] [--seeds 0 1 2] [--rows KEY ...] [--samples N ...]
    [--target DATA] [--data-dir DIR] [--manual-dir DIR]

`visible`: generated tiles, a network trained on region 0. `hokkaido`: one trained on
Bijie, adapted to unlabelled crops of Hokkaido, whose labelled tiles are for scoring and
for the rows that say so. `--network mffe_net` is ADANet itself; a small U-Net, adapted
on two levels as well, takes a fifth of its time. Every row but the last goes on from
the run "source only" of its seed. The same command goes on after an interruption;
`DIR/adaptation.json` keeps every number and `DIR/table.md` is the table of
`docs/results.md`.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from landslide_tf.metrics import landslide_index, paired_bootstrap, score_of_matrices
from landslide_tf.train import (
    Recipe,
    RunFolder,
    Session,
    adapt_recipe,
    evaluate_run,
    load_recipe,
    versions,
)
from landslide_tf.train.engine import train_or_resume
from landslide_tf.train.transfer.finetuning import finetune_recipe
from tests.benchmarks.tables import Table, spread

SOURCE_ONLY = "source only"
# The recipe's network, and the layer at 1/16 whose second classifier is adapted too.
NETWORKS = {
    "unet": (("model={name: unet, arguments: {width: 0.125}}",), "enc5_b_relu"),
    "mffe_net": ((), "aspp_dropout"),
}
ROWS = {
    "adanet": "ADANet's settings",
    "batchnorm": "the same without adversary",
    "adaptsegnet": "AdaptSegNet's settings",
    "chosen": "ADANet's, epoch chosen by target labels (oracle)",
    "finetuned": "fine-tuned with {} labelled",
    "target": "trained on the target (oracle)",
}
NO_ADVERSARY = ("adaptation.weight=0.0", "adaptation.aux_weight=0.0")
ADAPTSEGNET = (
    "adaptation.weight=0.001",
    "adaptation.aux_weight=0.0002",
    "adaptation.aux_segmentation=0.1",
    "adaptation.label_noise=0.0",
    "adaptation.freeze_affine=true",
    "adaptation.kernel_initializer=glorot_uniform",
    "loss.name=cross_entropy",
)
ORACLE = (
    "adaptation.oracle=true",
    "adaptation.select=target_iou",
    "adaptation.validation=validation",
)


@dataclass(frozen=True)
class Study:
    """A source, a target and the rows of the table.

    Attributes:
        source: Recipe of the source.
        method: Recipe of the adaptation.
        unlabelled: Target without labels, as `adapt` takes it.
        target: Data set of the labelled target.
        samples: Numbers of labelled samples to fine-tune with.
        upper: Values of the source recipe that train it on the target.
    """

    source: str
    method: str
    unlabelled: str
    target: str
    samples: tuple[int, ...]
    upper: tuple[str, ...]


def study_of(name: str, target: str | None) -> Study:
    """Returns a study by name."""
    if name == "visible":
        data = target or "synthetic_landslides/visible-region3"
        upper = (f"data.name={data}",)
        return Study(
            "mffe_net_visible", "ada_net_visible", f"{data}:train", data, (5,), upper
        )
    data = "hokkaido_iburi/clean"
    upper = (f"data.name={data}", "training.draws=6")
    return Study(
        "mffe_net_bijie",
        "ada_net_bijie",
        f"{data}:unlabelled",
        data,
        (1, 5, 10),
        upper,
    )


def recipes(
    study: Study, source: RunFolder, network: str, keys: list[str], session: Session
) -> dict[str, Recipe]:
    """Returns the recipe of every row but the first, from the source's run."""
    changed, layer = NETWORKS[network]
    adapted = partial(
        adapt_recipe, source, study.unlabelled, recipe=study.method, aux_layer=layer
    )
    seed = source.read_recipe().training.seed
    changes = {
        "adanet": (),
        "batchnorm": NO_ADVERSARY,
        "adaptsegnet": ADAPTSEGNET,
        "chosen": ORACLE,
    }
    found = {ROWS[k]: adapted(changes=changes[k]) for k in keys if k in changes}
    if "finetuned" in keys:
        for number in study.samples:
            found[ROWS["finetuned"].format(number)] = finetune_recipe(
                source, study.target, number, None, session
            )
    if "target" in keys:
        upper = (*changed, *study.upper, f"training.seed={seed}")
        found[ROWS["target"]] = load_recipe(study.source, upper)
    return found


def trained(recipe: Recipe, folder: Path, session: Session) -> RunFolder:
    """Trains a run or resumes it; a finished one stays as it is."""
    run = RunFolder(folder)
    return run if run.model.is_file() else train_or_resume(recipe, folder, session)


def table(points: list[dict[str, Any]]) -> Table:
    """Arranges mean and spread over the seeds, and the gain over the source alone."""
    by_row: dict[str, dict[int, dict[str, Any]]] = {}
    for point in points:
        by_row.setdefault(point["row"], {})[point["seed"]] = point
    rows = []
    for row, found in by_row.items():
        counts = np.array([found[seed]["matrices"] for seed in sorted(found)])
        landslide = next(iter(found.values()))["landslide_class"]
        cells: list[Any] = [row]
        for name in ("iou", "f1", "precision", "recall"):
            summed = counts.sum(axis=1)
            cells.append(
                spread(score_of_matrices(summed, f"landslide_{name}", landslide))
            )
        gain = None
        if row != SOURCE_ONLY:
            own = by_row[SOURCE_ONLY]
            first = np.array([own[seed]["matrices"] for seed in sorted(found)])
            score = partial(
                score_of_matrices, score="landslide_iou", landslide=landslide
            )
            gain = asdict(paired_bootstrap(first, counts, score))
        rows.append([*cells, gain])
    head = ["target test", "landslide IoU", "F1", "precision", "recall"]
    against = "IoU against source only, 95 % interval over images"
    return Table([*head, against], rows)


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=("visible", "hokkaido"))
    parser.add_argument("--network", choices=NETWORKS, default="unet")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--samples", type=int, nargs="*", help="for `finetuned`")
    parser.add_argument("--target", help="visible: another region's data set")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--manual-dir", type=Path)
    options = parser.parse_args()
    session = Session(options.data_dir, options.manual_dir, "adaptation.py", verbose=0)
    study = study_of(options.study, options.target)
    if options.samples is not None:
        study = replace(study, samples=tuple(options.samples))
    points = []
    for seed in options.seeds:
        changes = (*NETWORKS[options.network][0], f"training.seed={seed}")
        recipe = load_recipe(study.source, changes)
        source = trained(recipe, options.out / f"source-{seed}", session)
        rows = recipes(study, source, options.network, options.rows, session)
        for row, recipe in {SOURCE_ONLY: None, **rows}.items():
            run = source
            if recipe is not None:
                name = re.sub(r"\W+", "-", row)
                run = trained(recipe, options.out / f"{name}-{seed}", session)
            found = evaluate_run(
                run,
                data=f"{study.target}:test",
                pictures=0,
                session=Session(options.data_dir, options.manual_dir),
            )
            points.append(
                {
                    "row": row,
                    "seed": seed,
                    "landslide_iou": found.landslide_iou,
                    "landslide_class": landslide_index(found.metadata.landslide_class),
                    "matrices": found.matrices.tolist(),
                }
            )
            print(f"seed {seed}, {row}: {found.landslide_iou:.3f}", flush=True)
        record = {"target": study.target, "versions": versions(), "points": points}
        text = json.dumps(record) + "\n"
        (options.out / "adaptation.json").write_text(text)
        (options.out / "table.md").write_text(table(points).markdown() + "\n")
    print(table(points).markdown())


if __name__ == "__main__":
    main()

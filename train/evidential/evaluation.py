"""Evaluation of branches and of their fusion, over seeds and degraded images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from landslide_tf import models
from landslide_tf.array_types import IntArray
from landslide_tf.errors import DataError
from landslide_tf.evidence import multiscale_saliency
from landslide_tf.metrics import (
    IMAGE_SCORES,
    ReliabilityAccumulator,
    image_confusion,
    image_scores,
    paired_bootstrap,
    score_of_matrices,
)
from landslide_tf.metrics.classification import BINS
from landslide_tf.pipelines import DEGRADATIONS, branch_stores, read_batches
from landslide_tf.train.evidential.branches import (
    Networks,
    load_part,
    predict_part,
    section_of,
)
from landslide_tf.train.evidential.folder import FUSED, BranchFolder
from landslide_tf.train.evidential.fusion import (
    all_methods,
    calibrated,
    fit_temperatures,
    fuse_table,
)
from landslide_tf.train.evidential.predictions import CLASSES, BranchTable, join
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.session import Session
from landslide_tf.train.tasks.classification import Classification

BASELINE = "original"


@dataclass(frozen=True)
class Method:
    """What one branch or one rule decides about the test images of one seed.

    Attributes:
        name: A branch or a rule.
        scores: `IMAGE_SCORES` by name.
        confusion: int64 (2, 2), rows = truth.
        reliability: Rows of the reliability diagram.
        correct: Confusion matrix of each image, (images, 2, 2).
    """

    name: str
    scores: dict[str, float]
    confusion: IntArray
    reliability: list[dict[str, Any]]  # as ReliabilityAccumulator.table gives them
    correct: IntArray


Methods: TypeAlias = Mapping[str, Method]


@dataclass(frozen=True)
class EvidentialEvaluation:
    """Result of an evaluation of branches.

    Attributes:
        facts: What was evaluated and how, for a report's head.
        rows: One row a method, as `fusion.summarise` gives them.
        raw: The same without calibration.
        temperatures: By branch, one of each seed.
        reliability: Reliability diagram of the first seed, by method.
        degraded: Mean accuracy by method, then by degradation, `"none"` among them.
        pictures: Keyword arguments of `report.BranchPicture` for chosen images.
    """

    facts: dict[str, str | int | float]
    rows: list[dict[str, Any]]
    raw: list[dict[str, Any]]
    temperatures: dict[str, list[float]]
    reliability: dict[str, list[dict[str, Any]]]
    degraded: dict[str, dict[str, float]]
    pictures: list[dict[str, Any]]


def evaluate_branches(
    folders: Sequence[str | Path],
    *,
    degradations: bool = True,
    pictures: int = 4,
    data_dir: str | Path | None = None,
    manual_dir: str | Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> EvidentialEvaluation:
    """Scores branches and rules on the test part, after calibration on validation.

    Args:
        folders: Folders of `train_branches` that differ in their seed.
        degradations: Whether noise and blur are evaluated too.
        pictures: Images of the first folder to explain.
        data_dir: Folder of built data sets.
        manual_dir: Folder with files the user has to provide.
        report: Called with a line about each step.

    Returns:
        The evaluation.

    Raises:
        RunError: If a folder is not one of trained branches, or lacks one to fuse.
        DataError: If data are missing, or the folders are not for the same images.
    """
    found = [BranchFolder(Path(folder)) for folder in folders]
    recipe, *_ = [folder.read_recipe(FUSED) for folder in found]
    session = Session(data_dir, manual_dir)
    fitted: list[dict[str, float]] = []
    raw: list[Methods] = []
    scored: dict[str, list[Methods]] = {"none": []}  # by degradation, one a folder
    for folder in found:
        report(f"evaluating {folder.path}")
        networks: Networks = {}
        validation = predict_part(folder, "validation", session, networks=networks)
        fitted.append(fit_temperatures(join(validation)))
        for degradation in (None, *(DEGRADATIONS if degradations else ())):
            table = join(
                predict_part(
                    folder, "test", session, degradation=degradation, networks=networks
                )
            )
            if degradation is None:
                raw.append(score_methods(table))
            name = "none" if degradation is None else degradation.name
            own = scored.setdefault(name, [])
            own.append(score_methods(calibrated(table, fitted[-1])))
    clean = scored["none"]
    degraded = {
        method: {
            name: float(np.mean([seed[method].scores["accuracy"] for seed in seeds]))
            for name, seeds in scored.items()
        }
        for method in clean[0]
    }
    explained = _explained(found[0], fitted[0], pictures, session) if pictures else []
    return EvidentialEvaluation(
        facts=_facts(found, recipe, clean[0]),
        rows=summarise(clean),
        raw=summarise(raw),
        temperatures={b: [t[b] for t in fitted] for b in fitted[0]},
        reliability={name: m.reliability for name, m in clean[0].items()},
        degraded=degraded if degradations else {},
        pictures=explained,
    )


def _facts(
    folders: Sequence[BranchFolder], recipe: Recipe, methods: Methods
) -> dict[str, str | int | float]:
    section, data = section_of(recipe), recipe.data
    images = next(iter(methods.values())).correct
    landslides = int(images[:, 1].sum())
    return {
        "data": f"{data.name}: {data.train}, {data.validation}, {data.test}",
        "test images": len(images),
        "landslides among them": landslides,
        "largest class": max(landslides, len(images) - landslides) / len(images),
        "seeds": ", ".join(str(f.read_recipe().training.seed) for f in folders),
        "network": ", ".join(f"{k} {v}" for k, v in recipe.model.arguments.items()),
        "saliency": f"{section.mode}, border {section.border}",
        "seen": f"{section.view}, {section.size} pixels",
        "folders": ", ".join(str(folder.path) for folder in folders),
    }


def _explained(
    folder: BranchFolder,
    temperatures: dict[str, float],
    wanted: int,
    session: Session,
) -> list[dict[str, Any]]:
    """Returns the keyword arguments of `report.BranchPicture` for a few test images."""
    recipe = folder.read_recipe()
    section = section_of(recipe)
    whole = load_part(recipe, "test", session)
    numbers = np.linspace(0, len(whole) - 1, min(wanted, len(whole)))
    store = whole.subset(numbers.round().astype(int).tolist())
    images = [example["image"] for example in store.examples]
    labels = np.array(store.positive, np.int64)
    rows, seen = [], {}
    for branch, own in branch_stores(
        store, folder.branches, mode=section.mode, border=section.border
    ).items():
        batches = Classification(recipe).evaluation(own, len(images))
        ((inputs, _),) = read_batches(batches)
        model = folder.run(branch).load_model()
        probabilities, maps = models.grad_cam(model, inputs["image"])
        seen[branch] = inputs["image"].round().astype(np.uint8), maps[..., 1]
        rows.append(probabilities)
    values = np.stack(rows, axis=1).astype(np.float64)
    table = BranchTable(folder.branches, tuple(store.ids), labels, values)
    table = calibrated(table, temperatures)
    _, fused = fuse_table(table)
    landslide = {b: table.of(b)[:, 1] for b in table.branches}
    landslide["fused"] = fused.probabilities[:, 1]
    return [
        {
            "id": name,
            "truth": int(labels[place]),
            "image": image,
            "saliency": multiscale_saliency(image, section.border),
            "branches": {
                b: (own[place], maps[place]) for b, (own, maps) in seen.items()
            },
            "probabilities": {b: float(p[place]) for b, p in landslide.items()},
            "weights": dict(zip(FUSED, fused.weights[place].tolist(), strict=True)),
        }
        for place, (name, image) in enumerate(zip(store.ids, images, strict=True))
    ]


def score_methods(table: BranchTable) -> dict[str, Method]:
    """Scores every branch and every rule on the images of a table.

    Args:
        table: The branches, calibrated.

    Returns:
        By name: branches, then rules.

    Raises:
        DataError: If a branch that is fused is missing.
    """
    return {
        name: _scored(name, values, table.labels)
        for name, values in all_methods(table).items()
    }


def _scored(name: str, values: NDArray[np.float64], labels: IntArray) -> Method:
    # Sums of masses may miss 1 by rounding.
    values = values / values.sum(axis=-1, keepdims=True)
    reliability = ReliabilityAccumulator(BINS, ignore_value=None)
    reliability.update(values, labels)
    each = np.zeros((len(labels), 2, 2), np.int64)
    decided = (values[:, 1] > values[:, 0]).astype(int)
    each[np.arange(len(labels)), labels, decided] = 1
    return Method(
        name,
        image_scores(values, labels),
        image_confusion(values, labels),
        reliability.table(),
        each,
    )


def summarise(seeds: Sequence[Methods]) -> list[dict[str, Any]]:
    """Returns one row a method: mean and spread over seeds, interval over images.

    Args:
        seeds: `score_methods` of each seed, on the same images.

    Returns:
        Rows with `method`; for each of `IMAGE_SCORES` the mean and `<score>_sd`, the
        sample deviation over seeds (None for one seed); `confusion`, summed over the
        seeds; `difference`, `low` and `high`: accuracy less that of the branch
        `original`, its 95 % interval over images drawn with replacement (None where
        there is no such branch).

    Raises:
        DataError: If the seeds are not of the same images or methods.
    """
    names = list(seeds[0])
    for methods in seeds[1:]:
        if list(methods) != names or len(methods[names[0]].correct) != len(
            seeds[0][names[0]].correct
        ):
            raise DataError(
                "Expected the same branches and test images in every folder; give "
                "folders that differ in their seed alone."
            )
    rows = []
    for name in names:
        row: dict[str, Any] = {"method": name}
        for score in IMAGE_SCORES:
            values = np.array([methods[name].scores[score] for methods in seeds])
            row[score] = float(values.mean())
            spread = values.std(ddof=1) if len(values) > 1 else None
            row[f"{score}_sd"] = None if spread is None else float(spread)
        matrices = [methods[name].confusion for methods in seeds]
        row["confusion"] = np.sum(matrices, axis=0).tolist()
        row |= _difference(seeds, name)
        rows.append(row)
    return rows


def _difference(seeds: Sequence[Methods], name: str) -> dict[str, float | None]:
    if BASELINE not in seeds[0] or name == BASELINE:
        return dict.fromkeys(("difference", "low", "high"))
    first, second = (
        np.stack([methods[method].correct for methods in seeds])
        for method in (BASELINE, name)
    )
    found = paired_bootstrap(
        first, second, lambda m: score_of_matrices(m, "oa", CLASSES.index("landslide"))
    )
    return {"difference": found.estimate, "low": found.low, "high": found.high}

"""Evaluation of trained branches and of their fusion, over seeds and harmed images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from landslide_tf import models
from landslide_tf.errors import RunError
from landslide_tf.evidence import multiscale_saliency
from landslide_tf.evidence.fusion import Variant
from landslide_tf.metadata import ModelMetadata
from landslide_tf.metrics import image_scores
from landslide_tf.pipelines import DEGRADATIONS, branch_stores
from landslide_tf.train.evidential.branches import (
    FUSED,
    RECIPE,
    BranchFolder,
    load_part,
    predict_part,
)
from landslide_tf.train.evidential.fusion import (
    calibrated,
    fit_temperatures,
    fuse_table,
    score_methods,
    summarise,
)
from landslide_tf.train.evidential.predictions import (
    BranchTable,
    read_branches,
    write_predictions,
)
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.run.folder import versions
from landslide_tf.train.tasks.classification import evaluation_batches
from landslide_tf.train.tasks.setup import input_selection

FUSED_FILE = "fused.csv"


class FusedFile(NamedTuple):
    """The fused predictions of three branches.

    Attributes:
        path: The file, as `write_predictions` writes it, with the further columns
            `weight_h`, `weight_s`, `weight_v`, `conflict` and `vacuity`.
        scores: `IMAGE_SCORES` of the fused decision.
        temperatures: That calibrated each branch; empty where none did.
    """

    path: Path
    scores: dict[str, float]
    temperatures: dict[str, float]


@dataclass(frozen=True)
class EvidentialEvaluation:
    """What an evaluation of branches found.

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


def fuse_folder(
    folder: str | Path,
    *,
    variant: Variant = "inverse",
    validation: str | Path | None = None,
    out: str | Path | None = None,
) -> FusedFile:
    """Fuses the predictions of the branches h, s and v into one file.

    Args:
        folder: A folder of `train_branches`, whose test part is fused, or one with
            `h.csv`, `s.csv` and `v.csv`.
        variant: See `evidence.fuse_branches`.
        validation: Folder with the same files for other images, which calibrate each
            branch first; None takes a trained folder's own, and does without in a
            folder of files.
        out: File to write; None is `fused.csv` beside the others.

    Returns:
        The file, the scores of the fused decision, and the temperatures.

    Raises:
        DataError: If files are missing or do not fit each other.
    """
    folder = Path(folder)
    if (folder / RECIPE).is_file():
        validation, folder = validation or folder / "validation", folder / "test"
    table = read_branches(folder, FUSED)
    temperatures = {}
    if validation is not None:
        temperatures = fit_temperatures(read_branches(validation, FUSED))
        table = calibrated(table, temperatures)
    predictions, result = fuse_table(table, variant)
    weights = {f"weight_{b}": result.weights[:, i] for i, b in enumerate(FUSED)}
    path = write_predictions(
        predictions,
        out or folder / FUSED_FILE,
        {**weights, "conflict": result.conflict, "vacuity": result.vacuity},
    )
    scores = image_scores(predictions.probabilities, predictions.labels)
    return FusedFile(path, scores, temperatures)


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
    recipes = [_checked(folder) for folder in found]
    data: dict[str, Any] = {"data_dir": data_dir, "manual_dir": manual_dir}
    fitted, raw, clean, harmed = [], [], [], {d.name: [] for d in DEGRADATIONS}
    for folder in found:
        report(f"evaluating {folder.path}")
        data["networks"] = {}
        predict_part(folder, "validation", **data)
        fitted.append(fit_temperatures(folder.predictions("validation")))
        table = folder.predictions(predict_part(folder, "test", **data))
        raw.append(score_methods(table))
        clean.append(score_methods(calibrated(table, fitted[-1])))
        for degradation in DEGRADATIONS if degradations else ():
            name = predict_part(folder, "test", degradation=degradation, **data)
            table = calibrated(folder.predictions(name), fitted[-1])
            harmed[degradation.name].append(score_methods(table))
    accuracy = {"none": clean, **{k: v for k, v in harmed.items() if v}}
    return EvidentialEvaluation(
        facts=_facts(found, recipes[0], clean),
        rows=summarise(clean),
        raw=summarise(raw),
        temperatures={b: [t[b] for t in fitted] for b in fitted[0]},
        reliability={name: m.reliability for name, m in clean[0].items()},
        degraded={
            method: {
                name: float(
                    np.mean([seed[method].scores["accuracy"] for seed in seeds])
                )
                for name, seeds in accuracy.items()
            }
            for method in clean[0]
        }
        if degradations
        else {},
        pictures=_explained(
            found[0],
            recipes[0],
            fitted[0],
            pictures,
            data_dir=data_dir,
            manual_dir=manual_dir,
        )
        if pictures
        else [],
    )


def _checked(folder: BranchFolder) -> Recipe:
    recipe = folder.read_recipe()
    for branch in FUSED:
        if branch not in folder.branches:
            raise RunError(
                f"`{folder.path}` has no trained branch `{branch}`: go on with the "
                "`landslide-tf evidential train` that began it."
            )
    return recipe


def _facts(
    folders: Sequence[BranchFolder], recipe: Recipe, clean: Sequence[dict[str, Any]]
) -> dict[str, str | int | float]:
    section, data = recipe.classification, recipe.data
    images = next(iter(clean[0].values())).correct
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
    recipe: Recipe,
    temperatures: dict[str, float],
    wanted: int,
    **data: str | Path | None,
) -> list[dict[str, Any]]:
    """Returns the keyword arguments of `report.BranchPicture` for a few test images."""
    section = recipe.classification
    whole = load_part(recipe, "test", **data)
    numbers = np.linspace(0, len(whole) - 1, min(wanted, len(whole)))
    chosen = numbers.round().astype(int).tolist()
    store = whole.subset(chosen)
    stores = branch_stores(
        store, folder.branches, mode=section.mode, border=section.border
    )
    rows, seen = [], {}
    for branch, images in stores.items():
        run = folder.run(branch)
        model = run.load_model()
        batches = evaluation_batches(
            images, input_selection(recipe), section, len(chosen)
        )
        ((inputs, labels),) = batches
        probabilities, maps = models.grad_cam(model, inputs["image"])
        seen[branch] = {
            "image": inputs["image"].round().astype(np.uint8),
            "map": maps[..., 1],
        }
        rows.append(probabilities)
    table = BranchTable(
        folder.branches,
        tuple(store.ids),
        labels.astype(np.int64),
        np.stack(rows, axis=1).astype(np.float64),
    )
    table = calibrated(table, temperatures)
    _, fused = fuse_table(table)
    return [
        {
            "id": name,
            "truth": int(labels[place]),
            "image": store.examples[place]["image"],
            "saliency": multiscale_saliency(
                store.examples[place]["image"], section.border
            ),
            "branches": {
                b: (seen[b]["image"][place], seen[b]["map"][place]) for b in seen
            },
            "probabilities": {b: float(table.of(b)[place, 1]) for b in table.branches}
            | {"fused": float(fused.probabilities[place, 1])},
            "weights": dict(zip(FUSED, fused.weights[place].tolist(), strict=True)),
        }
        for place, name in enumerate(store.ids)
    ]


def evidential_model(
    folder: str | Path, variant: Variant = "inverse", command: str | None = None
) -> tuple[keras.Model, ModelMetadata]:
    """Joins trained branches to one network with saliency and fusion in its graph.

    Args:
        folder: A folder of `train_branches`.
        variant: See `evidence.fuse_branches`.
        command: The command line, kept in the metadata.

    Returns:
        An `evidential_net` with the temperatures of the branches, and its metadata.

    Raises:
        RunError: If the branches are not trained, or saw the centre of images only.
        DataError: If the predictions that calibrate are missing.
    """
    found = BranchFolder(Path(folder))
    recipe = _checked(found)
    section = recipe.classification
    if section.view != "whole":
        raise RunError(
            f"`{folder}` is evaluated on the centre of images and the network in one "
            "graph sees whole ones: train with `--set classification.view=whole`."
        )
    temperatures = fit_temperatures(found.predictions("validation", FUSED))
    metadata = found.run("h").read_metadata()
    own = {
        k: v
        for k, v in metadata.arguments.items()
        if k not in ("num_classes", "input_shape", "weights")
    }
    arguments = {
        **own,
        "mode": section.mode,
        "border": section.border,
        "branch_size": section.size,
        "temperatures": [temperatures[branch] for branch in FUSED],
        "variant": variant,
    }
    model = models.evidential_net(
        **arguments, branch_weights={b: found.run(b).model for b in FUSED}
    )
    update = {
        "name": found.path.resolve().name,
        "builder": "evidential_net",
        "arguments": arguments,
        "stride": 1,
        "threshold": None,
        "temperature": temperatures,
        "metrics": {},
        "versions": versions(),
        "command": command,
    }
    return model, metadata.model_copy(update=update)

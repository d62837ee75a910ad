"""Branches calibrated and fused: as tables, as a file and as one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from landslide_tf import models
from landslide_tf.choices import Variant
from landslide_tf.errors import DataError, RunError
from landslide_tf.evidence import RULES, FusionResult, combine_branches, fuse_branches
from landslide_tf.metadata import ModelMetadata
from landslide_tf.metrics import apply_temperature, fit_temperature, image_scores
from landslide_tf.outputs import check_apart, check_own
from landslide_tf.train.evidential.branches import section_of
from landslide_tf.train.evidential.folder import FUSED, RECIPE, BranchFolder
from landslide_tf.train.evidential.predictions import (
    COLUMNS,
    BranchTable,
    Predictions,
    read_branches,
    write_predictions,
)
from landslide_tf.train.run.folder import versions

FUSED_FILE = "fused.csv"
_SMALLEST = np.finfo(np.float64).tiny


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


def fit_temperatures(validation: BranchTable) -> dict[str, float]:
    """Fits one temperature a branch (Guo et al. 2017, section 4.2).

    Args:
        validation: Softmax values of the branches on validation images.

    Returns:
        Temperature by branch, in [0.05, 20].

    Raises:
        DataError: If there is no image.
    """
    # Logarithms of softmax values are logits up to a constant.
    return {
        branch: fit_temperature(
            np.log(np.maximum(validation.of(branch), _SMALLEST)), validation.labels
        )
        for branch in validation.branches
    }


def calibrated(table: BranchTable, temperatures: Mapping[str, float]) -> BranchTable:
    """Returns the branches with softmax(logits / temperature)."""
    values = [apply_temperature(table.of(b), temperatures[b]) for b in table.branches]
    return replace(table, probabilities=np.stack(values, axis=1))


def fuse_table(
    table: BranchTable,
    variant: Variant = "inverse",
    branches: Sequence[str] = FUSED,
) -> tuple[Predictions, FusionResult]:
    """Fuses the branches of every image.

    Args:
        table: The branches, calibrated.
        variant: See `evidence.fuse_branches`.
        branches: Which of them to fuse.

    Returns:
        The fused predictions, with images called as the branches call them, and
        everything the fusion gives.

    Raises:
        DataError: If a branch is missing, or the variant is unknown.
    """
    result = fuse_branches(_chosen(table, branches), variant)
    files = table.files or table.stems
    return Predictions(files, table.labels, result.probabilities), result


def all_methods(table: BranchTable) -> dict[str, NDArray[np.float64]]:
    """Returns the probabilities (images, 2) of every branch and every rule."""
    found = {branch: table.of(branch) for branch in table.branches}
    chosen = _chosen(table, FUSED)
    for rule in RULES:  # rules first, then the variants of the published fusion
        found[rule] = np.asarray(combine_branches(chosen, rule))
    return found


def _chosen(table: BranchTable, branches: Sequence[str]) -> NDArray[np.float64]:
    missing = [b for b in branches if b not in table.branches]
    if missing:
        raise DataError(
            f"Expected predictions of the branches {tuple(branches)}, received none of "
            f"`{missing[0]}`; train it with `landslide-tf evidential train`."
        )
    return np.stack([table.of(b) for b in branches], axis=1)


def fuse_folder(
    folder: str | Path,
    *,
    variant: Variant = "inverse",
    validation: str | Path | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> FusedFile:
    """Fuses the predictions of the branches h, s and v into one file.

    Args:
        folder: A folder of `train_branches`, whose test part is fused, or one with
            `h.csv`, `s.csv` and `v.csv`.
        variant: See `evidence.fuse_branches`.
        validation: Folder with the same files for other images, which calibrate each
            branch first; None takes a trained folder's own, and does without in a
            folder of files.
        out: File to write; None is `fused.csv` beside the others. An earlier fusion is
            replaced.
        overwrite: Also replaces another file.

    Returns:
        The file, the scores of the fused decision, and the temperatures.

    Raises:
        DataError: If files are missing or do not fit each other, or `out` is read or
            something else.
    """
    folder = Path(folder)
    if (folder / RECIPE).is_file():
        validation, folder = validation or folder / "validation", folder / "test"
    out = Path(out or folder / FUSED_FILE)
    places = [folder] if validation is None else [folder, Path(validation)]
    check_apart([out], [place / f"{b}.csv" for place in places for b in FUSED])
    check_own(out, "fusion", _is_fused, overwrite=overwrite)
    table = read_branches(folder, FUSED)
    temperatures = {}
    if validation is not None:
        temperatures = fit_temperatures(read_branches(validation, FUSED))
        table = calibrated(table, temperatures)
    predictions, result = fuse_table(table, variant)
    weights = {f"weight_{b}": result.weights[:, i] for i, b in enumerate(FUSED)}
    path = write_predictions(
        predictions,
        out,
        {**weights, "conflict": result.conflict, "vacuity": result.vacuity},
    )
    scores = image_scores(predictions.probabilities, predictions.labels)
    return FusedFile(path, scores, temperatures)


def _is_fused(path: Path) -> bool:
    """Whether a file is an earlier fusion."""
    with path.open(encoding="utf-8") as stream:
        return stream.readline().startswith(",".join([*COLUMNS, "weight_"]))


def evidential_model(
    folder: str | Path, variant: Variant = "inverse", command: str | None = None
) -> tuple[keras.Model, ModelMetadata]:
    """Joins trained branches into one network that includes saliency and fusion.

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
    section = section_of(found.read_recipe(FUSED))
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

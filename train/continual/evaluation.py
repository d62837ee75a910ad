"""Regions by steps: what every decoder scores after every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from landslide_tf.array_types import IntArray
from landslide_tf.ecoregions import NO_REGION
from landslide_tf.errors import DataError
from landslide_tf.metrics import (
    ConfusionMatrix,
    Scores,
    mean_image_scores,
    warn_of_one_class,
)
from landslide_tf.models import tsmu
from landslide_tf.pipelines import RegionBatches, RegionExamples, WholeRegion
from landslide_tf.train.run.series import read_record, write_record

THRESHOLD = 0.5
TABLE = "matrix.json"
CLASSES = ("background", "landslide")

Cell = dict[str, Any]  # JSON values
Matrix = dict[str, Any]  # JSON values


def region_counts(
    network: keras.Model, region: int, examples: RegionExamples, *, batch_size: int = 4
) -> IntArray:
    """Counts pixels by truth and prediction, image by image.

    Args:
        network: A model of `tsmu_net`.
        region: Index of the decoder; -1 for the mean of all.
        examples: The images.
        batch_size: Images at once.

    Returns:
        int64 (images, 2, 2), rows = reference, landslide second; landslide is predicted
        where its probability is at least 0.5.
    """
    whole = WholeRegion(RegionBatches(examples, batch_size))
    counts = []
    for numbers in whole.numbers():
        images, labels = whole.load(numbers)
        index = np.full(len(numbers), region, np.int32)
        found = network.predict_on_batch({**images, "region": index})
        for truth, probabilities in zip(labels["mask"], found, strict=True):
            metric = ConfusionMatrix(2, landslide_class="sigmoid", threshold=THRESHOLD)
            metric.update_state(truth[None], probabilities[None])
            counts.append(metric.matrix())
    return np.stack(counts)


def cell(ids: Sequence[str], counts: IntArray) -> Cell:
    """Returns the scores of one decoder on one region.

    Args:
        ids: Ids of the images.
        counts: From `region_counts`.

    Returns:
        `ids`, `counts` ([tp, fp, fn, tn] an image), `iou`, `f1`, `precision` and
        `recall` of all pixels, `mean_image_iou` and `mean_image_f1`; a region without
        landslide in reference and prediction scores 1.
    """
    scores = Scores.from_matrix(counts.sum(axis=0), empty="one").of_class(1)
    by_image = [[m[1, 1], m[0, 1], m[1, 0], m[0, 0]] for m in counts]
    return {
        "ids": list(ids),
        "counts": np.array(by_image).tolist(),
        **{name: scores[name] for name in ("iou", "f1", "precision", "recall")},
        **mean_image_scores(counts, landslide=1),
    }


def evaluate_step(
    network: keras.Model,
    regions: Sequence[str],
    load: Callable[[str], RegionExamples],
    *,
    batch_size: int = 4,
) -> dict[str, Cell | None]:
    """Evaluates a network on every region whose images can still be had.

    Args:
        network: The network after a step.
        regions: All regions in the order of arrival, those to come included.
        load: Returns the test examples of a region, or raises DataError.
        batch_size: Images at once.

    Returns:
        A cell a region: of its own decoder, or, for one that has none yet, of the mean
        of all decoders; None where there are no images.
    """
    known = tsmu.regions(network)
    cells: dict[str, Cell | None] = {}
    for name in regions:
        try:
            examples = load(name)
        except DataError:
            cells[name] = None
            continue
        index = known.index(name) if name in known else NO_REGION
        if index == NO_REGION and tsmu.routing(network) == "partition":
            cells[name] = None
            continue
        counts = region_counts(network, index, examples, batch_size=batch_size)
        total = Scores.from_matrix(counts.sum(axis=0), class_names=CLASSES)
        warn_of_one_class(total, f"region `{name}`")
        cells[name] = cell(examples.store.ids, counts)
    return cells


def read_matrix(folder: str | Path) -> Matrix:
    """Reads `matrix.json` of a state; empty where there is none.

    Raises:
        RunError: If the file is damaged.
    """
    found = read_record(Path(folder) / TABLE, "its steps are evaluated anew")
    return found or {"regions": [], "steps": []}


def write_step(
    folder: str | Path,
    regions: Sequence[str],
    step: int,
    cells: dict[str, Cell | None],
) -> Matrix:
    """Puts a step's row into `matrix.json`.

    Args:
        folder: The state's folder.
        regions: All regions in the order of arrival.
        step: The step, 0-based; a former row of it is replaced.
        cells: From `evaluate_step`.

    Returns:
        What the file says: `regions`, `steps` (the cells of each), `R` (IoU of decoder
        k on region k after step t, null for k > t), `F1` likewise, and `Z` (IoU of the
        mean of all decoders on regions to come, null for k ≤ t).
    """
    matrix = read_matrix(folder)
    steps = [row for row in matrix["steps"] if row["step"] < step]
    steps.append({"step": step, "cells": cells})

    def table(score: str, own: bool) -> list[list[float | None]]:
        return [
            [
                (row["cells"].get(name) or {}).get(score)
                if (k <= row["step"]) == own
                else None
                for k, name in enumerate(regions)
            ]
            for row in steps
        ]

    matrix = {
        "regions": list(regions),
        "steps": steps,
        "R": table("iou", True),
        "F1": table("f1", True),
        "Z": table("iou", False),
    }
    write_record(Path(folder) / TABLE, matrix, indent=1)
    return matrix

"""What a run was and how far it came, as plain data for a report."""

from __future__ import annotations

import csv
import json
from typing import Any

from landslide_tf.metadata import FILE_NAME
from landslide_tf.train.recipe.schema import TrainingSection
from landslide_tf.train.run.folder import RunFolder
from landslide_tf.train.tasks import task_of
from landslide_tf.words import counted


def run_facts(run: RunFolder) -> dict[str, Any]:
    """Reads a run folder, finished or not.

    Args:
        run: The run.

    Returns:
        `title`, `facts` (by name), `epochs` (rows of `metrics.csv`), `recipe` (YAML
        text) and `environment` (JSON values): keyword arguments of
        `report.write_run_page`.

    Raises:
        RunError: If this is not a run folder or its `model.json` is damaged.
    """
    recipe = run.read_recipe()
    task = task_of(recipe)
    rows: list[dict[str, str]] = []
    if run.metrics.is_file():
        with run.metrics.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    facts: dict[str, Any] = {
        "recipe": recipe.description,
        "source": recipe.source,
        "network": recipe.model.name,
        "data": f"{recipe.data.name}: {recipe.data.train}, {recipe.data.validation}",
        "epochs": _length(recipe.training, len(rows)),
        "best epoch": task.best_epoch(rows),
        "seed": recipe.training.seed,
        "precision": recipe.training.precision,
        **task.facts(),
    }
    if (run.path / FILE_NAME).is_file():
        metadata = run.read_metadata()
        threshold = metadata.threshold
        facts["threshold"] = "argmax" if threshold is None else threshold
        facts["temperature"] = metadata.temperature or 1.0
        facts["command"] = metadata.command
    environment = {}
    if run.environment.is_file():
        environment = json.loads(run.environment.read_text("utf-8"))
    return {
        "title": f"Training run “{run.path.resolve().name}”",
        "facts": facts,
        "epochs": rows,
        "recipe": run.recipe.read_text(encoding="utf-8"),
        "environment": environment,
    }


def _length(section: TrainingSection, trained: int) -> str:
    text = f"{trained} of {section.epochs}"
    if trained < section.epochs and section.patience is not None:
        epochs = counted(section.patience, "epoch")
        return f"{text}; ends after {epochs} without a better one"
    return text

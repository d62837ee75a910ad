"""The page of one training run, from what its folder holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landslide_tf.errors import DataError
from landslide_tf.report.chart import Chart, Line
from landslide_tf.report.evaluation import (
    average_rows,
    class_rows,
    confusion_rows,
    object_rows,
)
from landslide_tf.report.page import (
    Block,
    Charts,
    Code,
    Figure,
    KeyNumbers,
    Section,
    Table,
    write_page,
)
from landslide_tf.report.tables import Cell, format_cell

# Shown first and in this order, where a run has them; others follow.
FIRST = ("loss", "landslide_iou", "miou", "landslide_f1", "oa")


def write_run_page(
    path: str | Path,
    *,
    title: str,
    facts: Mapping[str, Cell],
    epochs: Sequence[Mapping[str, str]],
    recipe: str,
    environment: Mapping[str, Any],
    evaluations: Sequence[str | Path],
) -> Path:
    """Writes a page about a run that needs no other file.

    Args:
        path: The HTML file.
        title: Heading.
        facts: What was trained, on what, for how long and with what result, by name.
        epochs: Rows of `metrics.csv`, as `csv.DictReader` gives them; may be empty.
        recipe: The resolved recipe as YAML.
        environment: JSON values of `environment.json`.
        evaluations: Folders that `write_evaluation` wrote.

    Returns:
        The path.

    Raises:
        DataError: If an evaluation cannot be read.
    """
    found = [_read_evaluation(Path(folder)) for folder in evaluations]
    rows = [[name, _text(value)] for name, value in facts.items()]
    opening: list[Block] = [
        Table(caption="The run", header=["fact", "value"], rows=rows)
    ]
    numbers = [
        (
            f"landslide IoU, {record['facts'].get('data', '')}",
            _landslide_iou(record),
            "",
        )
        for record, _ in found
    ]
    if numbers:
        opening.insert(0, KeyNumbers(numbers=numbers, digits=4))
    sections = [Section("", opening)]
    if epochs:
        sections.append(Section("Training", _training(epochs)))
    sections += [_evaluation(record, picture) for record, picture in found]
    if epochs:
        sections.append(Section("Log", [_log(epochs)]))
    flat = [[name, _text(value)] for name, value in _flat(environment)]
    sections += [
        Section(
            "Environment",
            [Table(caption="Where it ran", header=["fact", "value"], rows=flat)],
        ),
        Section("Recipe", [Code(recipe)]),
    ]
    return write_page(path, title, sections)


def _read_evaluation(folder: Path) -> tuple[dict[str, Any], Path]:
    """Returns `evaluation.json` and where its pictures would be."""
    file = folder / "evaluation.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        class_rows(record["scores"]), record["objects"], record["facts"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"`{file}` is not an evaluation ({type(error).__name__}): remove its "
            "folder or evaluate anew."
        ) from error
    return record, folder / "pictures.png"


def _landslide_iou(record: Mapping[str, Any]) -> float | None:
    index = record["landslide_class"]
    name = record["classes"][1 if index == "sigmoid" else index]
    return record["scores"]["classes"][name]["iou"]


def _training(epochs: Sequence[Mapping[str, str]]) -> list[Block]:
    names = {name.removeprefix("val_") for row in epochs for name in row}
    names -= {"epoch", "seconds"}
    ordered = [name for name in FIRST if name in names]
    ordered += sorted(names.difference(FIRST))
    charts = []
    for name in ordered:
        lines = [
            Line(label, _points(epochs, key))
            for label, key in (("training", name), ("validation", f"val_{name}"))
        ]
        lines = [line for line in lines if line.points]
        if lines:
            log = name == "learning_rate" and all(
                y > 0 for line in lines for _, y in line.points
            )
            charts.append(Chart(title=name, lines=lines, log=log))
    return ["Epochs are counted from 1.", Charts(charts)]


def _points(epochs: Sequence[Mapping[str, str]], key: str) -> list[tuple[float, float]]:
    points = []
    for number, row in enumerate(epochs):
        value = _number(row.get(key))
        if math.isfinite(value):
            points.append((_epoch(row, number), value))
    return points


def _epoch(row: Mapping[str, str], number: int) -> int:
    """The epoch counted from 1; the file counts from 0."""
    value = _number(row.get("epoch"))
    return 1 + (int(value) if math.isfinite(value) else number)


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan


def _log(epochs: Sequence[Mapping[str, str]]) -> Table:
    names = [n for n in dict.fromkeys(n for row in epochs for n in row) if n != "epoch"]
    rows = [
        [_epoch(row, number), *(_number(row.get(name)) for name in names)]
        for number, row in enumerate(epochs)
    ]
    return Table(
        caption="Every epoch; exact values are in `metrics.csv`",
        header=["epoch", *names],
        rows=rows,
        digits=4,
    )


def _evaluation(record: Mapping[str, Any], picture: Path) -> Section:
    scores, objects = record["scores"], record["objects"]
    tables = [
        ("Classes", class_rows(scores)),
        ("Averages over the classes where they are defined", average_rows(scores)),
        ("Confusion matrix in pixels, rows are truth", confusion_rows(scores)),
    ]
    if objects:
        tables.append(("Landslide objects", object_rows(objects)))
    blocks: list[Block] = [
        Table(caption=caption, header=header, rows=rows, digits=4)
        for caption, (header, rows) in tables
    ]
    data = record["facts"].get("data", "")
    if picture.is_file():
        blocks.insert(
            0,
            Figure(
                path=picture,
                alt=f"Image, truth and prediction of a few examples of {data}",
                caption="Outlines over the image: truth and prediction.",
            ),
        )
    blocks.append("; ".join(f"{k}: {_text(v)}" for k, v in record["facts"].items()))
    return Section(str(record["title"]), blocks)


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested values in one list, their names joined by dots."""
    found = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found


def _text(value: object) -> str:
    """A value of JSON for readers; numbers keep their digits."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    return format_cell(value)

"""The page of one training run, from what its folder holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landslide_tf.errors import DataError
from landslide_tf.report.chart import Chart, Line
from landslide_tf.report.evaluation import score_tables
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

_HEAD = b'<meta name="color-scheme" content="light dark">'
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
    found = [Path(folder) for folder in evaluations]
    records = [_read_evaluation(folder) for folder in found]
    told: list[Block] = [_facts("The run", facts)]
    if records:
        numbers = [
            (f"{name} IoU, {record['facts'].get('data', '')}", _iou(record), "")
            for name, record in zip(map(_landslide, records), records, strict=True)
        ]
        told.insert(0, KeyNumbers(numbers=numbers, digits=4))
    sections = [Section("", told)]
    if epochs:
        charts = Charts(learning_curves(epochs))
        sections.append(Section("Training", ["Epochs are counted from 1.", charts]))
    sections += map(evaluation_section, found)
    if epochs:
        sections.append(Section("Log", [_log(epochs)]))
    sections += [
        Section("Environment", [_facts("Where it ran", _flat(environment))]),
        Section("Recipe", [Code(recipe)]),
    ]
    return write_page(path, title, sections)


def is_run_page(path: Path) -> bool:
    """Returns whether a file is a page that `write_page` wrote, of any version."""
    with path.open("rb") as stream:
        return _HEAD in stream.read(1024)


def learning_curves(
    epochs: Sequence[Mapping[str, str]], names: Sequence[str] | None = None
) -> list[Chart]:
    """Draws training and validation values over the epochs, one chart per metric.

    Args:
        epochs: Rows of `metrics.csv`, as `csv.DictReader` gives them: `epoch`, counted
            from 0, and numbers named `x` and `val_x`; empty text means no value.
        names: The metrics `x` to show; None is all of them.

    Returns:
        The charts of the metrics that have numbers, their epochs counted from 1.
    """
    columns = _columns(epochs)
    if names is None:
        known = {name.removeprefix("val_") for name in columns}
        known -= {"epoch", "seconds"}
        names = [name for name in FIRST if name in known]
        names += sorted(known.difference(FIRST))
    charts = []
    for name in names:
        lines = []
        for label, key in (("training", name), ("validation", f"val_{name}")):
            pairs = zip(columns["epoch"], columns.get(key, ()), strict=False)
            if points := [(x, y) for x, y in pairs if math.isfinite(y)]:
                lines.append(Line(label, points))
        above = all(y > 0 for line in lines for _, y in line.points)
        if lines:
            log = above and name == "learning_rate"
            charts.append(Chart(title=name, lines=lines, log=log))
    return charts


def _facts(caption: str, facts: Mapping[str, object]) -> Table:
    rows = [[name, _text(value)] for name, value in facts.items()]
    return Table(caption=caption, header=["fact", "value"], rows=rows)


def evaluation_section(folder: Path) -> Section:
    """Arranges pictures, scores and facts of an evaluation.

    Args:
        folder: The folder it wrote.

    Returns:
        The part of a page; the picture, if there is one, is its first block.

    Raises:
        DataError: If the evaluation cannot be read.
    """
    record, picture = _read_evaluation(folder), folder / "pictures.png"
    blocks: list[Block] = [
        *score_tables(record["scores"], record["objects"], landslide=_landslide(record))
    ]
    if picture.is_file():
        data = record["facts"].get("data", "")
        figure = Figure(
            path=picture,
            alt=f"Image, truth and prediction of a few examples of {data}",
            caption="Outlines over the image: truth and prediction.",
        )
        blocks.insert(0, figure)
    blocks.append("; ".join(f"{k}: {_text(v)}" for k, v in record["facts"].items()))
    return Section(str(record["title"]), blocks)


def _read_evaluation(folder: Path) -> dict[str, Any]:
    file = folder / "evaluation.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        score_tables(record["scores"], record["objects"]), record["facts"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"`{file}` is not an evaluation ({type(error).__name__}): remove its "
            "folder or evaluate anew."
        ) from error
    return record


def _iou(record: Mapping[str, Any]) -> float | None:
    """Returns the IoU of the landslide class."""
    return record["scores"]["classes"][_landslide(record)]["iou"]


def _landslide(record: Mapping[str, Any]) -> str:
    """Returns what the labels call the landslide class."""
    index = record["landslide_class"]
    return record["classes"][1 if index == "sigmoid" else index]


def _columns(epochs: Sequence[Mapping[str, str]]) -> dict[str, list[float]]:
    """Returns the numbers by name, NaN where there is none; epochs counted from 1."""
    names = dict.fromkeys(name for row in epochs for name in row)
    found = {name: [_number(row.get(name)) for row in epochs] for name in names}
    counted = found.pop("epoch", [math.nan] * len(epochs))
    numbers = [
        1 + (value if math.isfinite(value) else number)
        for number, value in enumerate(counted)
    ]
    return {"epoch": numbers, **found}


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan


def _log(epochs: Sequence[Mapping[str, str]]) -> Table:
    columns = _columns(epochs)
    rows = [[int(x), *values] for x, *values in zip(*columns.values(), strict=True)]
    return Table(
        caption="Every epoch; exact values are in `metrics.csv`",
        header=list(columns),
        rows=rows,
        digits=4,
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values in one, their names joined by dots."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        key = prefix + name
        found |= _flat(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return found


def _text(value: object) -> str:
    """A value of JSON for readers; numbers keep their digits."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    return format_cell(value)

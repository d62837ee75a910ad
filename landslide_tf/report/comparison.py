"""Tables that compare runs: of a benchmark, and of fine-tuning with few samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landslide_tf.report.page import Block, Section, Table, markdown
from landslide_tf.report.tables import UNDEFINED, Row, json_text, write_texts
from landslide_tf.words import counted

NAMES = {
    "landslide_iou": "landslide IoU",
    "landslide_f1": "landslide F1",
    "landslide_precision": "precision",
    "landslide_recall": "recall",
    "mean_f1": "mean F1",
    "miou": "mean IoU",
    "oa": "overall accuracy",
}
# As `train.summarize_grid` gives it: nested JSON values.
Summary = Mapping[str, Any]
# JSON values: `samples`, and scores of `target` and `source` by name.
Point = Mapping[str, Any]
_ON_TARGET = ("landslide_iou", "landslide_f1", "miou", "oa")
_ON_SOURCE = ("landslide_iou", "miou")
# Beside the precision of each class in tables 3 and 6 of Xia et al. 2021, and the
# object scores of their table 4.
_AVERAGES = {
    "mean_recall": "mean recall",
    "mean_f1": "mean F1",
    "oa": "overall accuracy",
}
_OBJECTS = ("dp", "qp", "oe", "ce")


def write_benchmark(
    folder: str | Path, *, title: str, summary: Summary
) -> dict[str, Path]:
    """Writes the results of a benchmark so far.

    Args:
        folder: Where the files go; files of these names are replaced.
        title: Heading.
        summary: `train.summarize_grid()`: `scores`, `bootstrap`, `rows` and `tables`.

    Returns:
        The written files: `markdown` (`table.md`: means and spreads, and differences
        to the first row) and `json` (`summary.json`).
    """
    scores, rows = summary["scores"], summary["rows"]
    header = [NAMES[score] for score in scores]
    means: list[Row] = []
    for row in rows:
        cells = [_spread(row, score) for score in scores]
        means.append([row["name"], len(row["seeds"]), *cells])
        printed = row["published"] or {}
        if any(score in printed for score in scores):
            cells = [_number(printed.get(score, math.nan)) for score in scores]
            means.append([f"{row['name']}, published", UNDEFINED, *cells])
    data = dict.fromkeys(
        f"{row['data']} ({counted(row['images'], 'image')})" for row in rows
    )
    told = f"Data: {', '.join(data)}. Mean ± standard deviation over the seeds."
    notes = dict.fromkeys(
        f"{row['data']} holds one class only, `{row['only']}`: scores say nothing."
        for row in rows
        if row["only"]
    )
    blocks: list[Block] = [told, _table(["model", "seeds", *header], means), *notes]
    sections = [Section("", blocks)]
    sections += [_in_form_of(table) for table in summary["tables"]]
    if len(rows) > 1:
        how = summary["bootstrap"]
        told = (
            f"In brackets: {how['level']:.0%} interval of {how['samples']} paired "
            "bootstrap resamples of the images; it does not hold the spread over "
            f"seeds. {UNDEFINED}: not evaluated on the same images."
        )
        differences: list[Row] = [
            [row["name"], *(_interval(row, score) for score in scores)]
            for row in rows[1:]
        ]
        compared: list[Block] = [told, _table(["model", *header], differences)]
        sections.append(Section(f"Difference to {rows[0]['name']}", compared))
    return write_texts(
        folder,
        markdown=("table.md", markdown(title, sections)),
        json=("summary.json", json_text({"title": title, **summary})),
    )


def _in_form_of(table: Summary) -> Section:
    """Returns a table in the form of a publication's, its rows beside ours."""
    shown: list[Row] = []
    for row in table["rows"]:
        shown.append([row["name"], *(_spread(row, name) for name in table["columns"])])
        if printed := row["published"]:
            cells = [_number(printed.get(n, math.nan)) for n in table["columns"]]
            shown.append([f"{row['name']}, published", *cells])
    blocks: list[Block] = [table["note"]] if table["note"] else []
    return Section(
        table["title"], [*blocks, _table(["model", *table["columns"]], shown)]
    )


def write_curve(
    folder: str | Path, *, title: str, points: Sequence[Point]
) -> dict[str, Path]:
    """Writes a learning curve over numbers of samples.

    Args:
        folder: Where the files go; files of these names are replaced.
        title: Heading.
        points: At least one. For each number `samples`, and in `target` and `source`
            the scores `landslide_iou`, `landslide_f1`, `miou`, `oa`, `mean_recall` and
            `mean_f1`, `precision` by class and `objects` (`dp`, `qp`, `oe`, `ce`).

    Returns:
        The written files: `markdown` (`curve.md`: a row a number of samples, scores on
        the target, and what is left of them on the source; then the target's precision
        by class and landslides as objects) and `json` (`curve.json`).
    """
    header = ["samples", *(NAMES[name] for name in _ON_TARGET)]
    header += [f"{NAMES[name]} on the source" for name in _ON_SOURCE]
    rows: list[Row] = [
        [
            point["samples"],
            *(f"{point['target'][name]:.4f}" for name in _ON_TARGET),
            *(f"{point['source'][name]:.4f}" for name in _ON_SOURCE),
        ]
        for point in points
    ]
    classes = list(points[0]["target"]["precision"])
    names = [*classes, *_AVERAGES.values(), *(name.upper() for name in _OBJECTS)]
    by_class: list[Row] = [
        [
            point["samples"],
            *(_number(point["target"]["precision"][name]) for name in classes),
            *(_number(point["target"][name]) for name in _AVERAGES),
            *(_number(point["target"]["objects"][name]) for name in _OBJECTS),
        ]
        for point in points
    ]
    told = (
        "Precision of each class, means over the classes, and landslides as objects of "
        "at least 16 pixels, matched one to one: detection (DP), quality (QP), "
        "omission (OE) and commission (CE)."
    )
    sections = [
        Section("", [_table(header, rows)]),
        Section("Classes and objects", [told, _table(["samples", *names], by_class)]),
    ]
    return write_texts(
        folder,
        markdown=("curve.md", markdown(title, sections)),
        json=("curve.json", json_text({"title": title, "points": list(points)})),
    )


def _table(header: Sequence[str], rows: Sequence[Row]) -> Table:
    return Table(caption="", header=header, rows=rows)


def _spread(row: Summary, score: str) -> str:
    mean, std = row["mean"][score], row["std"][score]
    if not math.isfinite(mean) or std is None:
        return _number(mean)
    return f"{mean:.4f} ± {std:.4f}"


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else UNDEFINED


def _interval(row: Summary, score: str) -> str:
    if row["difference"] is None:
        return UNDEFINED
    found = row["difference"][score]
    if not all(math.isfinite(value) for value in found.values()):
        return UNDEFINED
    text = f"{found['estimate']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"
    return text.replace("-", "\u2212")

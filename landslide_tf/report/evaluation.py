"""The report of an evaluation: Markdown, JSON, CSV and pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from landslide_tf.errors import DataError
from landslide_tf.outputs import check_apart, check_own
from landslide_tf.report.page import Figure, Section, Table, markdown
from landslide_tf.report.pictures import Picture, prediction_grid
from landslide_tf.report.tables import Cell, Row, csv_text, json_text, write_texts

# Scores as `metrics.Scores.as_dict()` gives them: nested JSON values.
ScoreDict = Mapping[str, Any]
ObjectScores = Mapping[str, Mapping[str, Cell]]

_CLASS_COLUMNS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "iou": "IoU",
    "binary_accuracy": "binary accuracy",
}
_AVERAGES = {
    "oa": "overall accuracy",
    "miou": "mean IoU",
    "mean_f1": "mean F1",
    "mean_precision": "mean precision",
    "mean_recall": "mean recall",
    "g_mean": "G-mean",
}
_OBJECT_COLUMNS = {
    "tp": "TP",
    "fp": "FP",
    "fn": "FN",
    "dp": "DP",
    "qp": "QP",
    "oe": "OE",
    "ce": "CE",
    "ce_ref": "CE (reference)",
}
# What Markdown says of the tables of `score_tables`: heading and text of each.
_HEADINGS = (
    ("Classes", "The mapped class is **{landslide}**."),
    ("Averages", "Means run over the classes where a score is defined."),
    ("Confusion matrix", "Pixels; rows are truth, columns prediction."),
    (
        "{objects}",
        "DP detection, QP quality, OE omission and CE commission as fractions; CE "
        "(reference) is FP over the truth's count.",
    ),
)


def write_evaluation(
    folder: str | Path,
    *,
    title: str,
    scores: ScoreDict,
    objects: ObjectScores,
    classes: Sequence[str],
    landslide_class: int | Literal["sigmoid"],
    pictures: Sequence[Picture | Mapping[str, Any]],
    facts: Mapping[str, Cell],
) -> dict[str, Path]:
    """Writes an evaluation as page, tables and JSON.

    Args:
        folder: Where the files go; made when missing, files of these names replaced.
        title: Heading of the report.
        scores: `metrics.Scores.as_dict()`: averages by name, `classes` (scores by
            class name), `confusion_matrix` (rows = truth) and `pixels`.
        objects: Object scores by way of matching (`iou`, `overlap`, `pixel`): `tp`,
            `fp`, `fn`, `dp`, `qp`, `oe`, `ce`, `ce_ref`; may be empty.
        classes: Class names in label order.
        landslide_class: Index of the landslide class, or `"sigmoid"` (label 1).
        pictures: Examples to show, at most 60, or the keyword arguments of each; none,
            and no picture is written.
        facts: What was evaluated, on what, when and how, by name.

    Returns:
        The written files: `markdown`, `json`, `csv`, and `pictures` if there are any.

    Raises:
        DataError: If the scores do not belong to the classes, or a picture is not
            valid.
    """
    folder = Path(folder)
    if list(scores["classes"]) != list(classes):
        raise DataError(
            f"`scores` must be of the classes `{list(classes)}`, received "
            f"`{list(scores['classes'])}`: pass the names the scores were made with."
        )
    landslide = classes[1 if landslide_class == "sigmoid" else landslide_class]
    files: dict[str, Path] = {}
    shown: list[Section] = []
    if pictures:
        path = folder / "pictures.png"
        examples = [p if isinstance(p, Picture) else Picture(**p) for p in pictures]
        files["pictures"] = prediction_grid(examples, classes, landslide_class, path)
        figure = Figure(path=path, alt="Images, truth and predictions")
        shown.append(Section("Pictures", [figure]))
    told = Table(
        caption="", header=("fact", "value"), rows=list(facts.items()), digits=4
    )
    tables = zip(_HEADINGS, score_tables(scores, objects), strict=False)
    sections = [
        Section(
            heading.format(objects=_objects(landslide)),
            [text.format(landslide=landslide), replace(table, caption="")],
        )
        for (heading, text), table in tables
    ]
    sections = [Section("", [told] if facts else []), *sections, *shown]
    record = {
        "title": title,
        "facts": facts,
        "classes": classes,
        "landslide_class": landslide_class,
        "scores": scores,
        "objects": objects,
    }
    table = csv_text(("group", "item", "name", "value"), _records(scores, objects))
    return files | write_texts(
        folder,
        markdown=("evaluation.md", markdown(title, sections)),
        json=("evaluation.json", json_text(record)),
        csv=("evaluation.csv", table),
    )


def check_evaluation_folder(
    folder: str | Path,
    *more: str,
    read: Iterable[str | Path | None] = (),
    overwrite: bool = False,
) -> None:
    """Checks that an evaluation overwrites no input and no unrelated file.

    Args:
        folder: Where the files of an evaluation go; those of an earlier one may be
            there.
        more: Names of further files that are written there.
        read: Files and folders that are read.
        overwrite: Whether any file of these names is replaced.

    Raises:
        DataError: If something else is there, or the folder is read.

    >>> from landslide_tf.report import check_evaluation_folder
    >>> check_evaluation_folder("new")
    """
    check_apart([folder], read)
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise DataError(f"`{folder}` must be a folder, received a file: name a folder.")
    names = ("evaluation.json", "evaluation.md", "evaluation.csv", "pictures.png")
    for name in (*names, *more):
        check_own(Path(folder, name), "report", _is_of_evaluation, overwrite=overwrite)


def _is_of_evaluation(path: Path) -> bool:
    """Whether a file lies beside the record of an evaluation."""
    record = json.loads(path.with_name("evaluation.json").read_text(encoding="utf-8"))
    return isinstance(record, dict) and record.keys() >= {"title", "facts"}


def score_tables(
    scores: ScoreDict,
    objects: ObjectScores,
    digits: int = 4,
    landslide: str = "landslide",
) -> list[Table]:
    """Arranges the scores of an evaluation.

    Args:
        scores: `metrics.Scores.as_dict()`.
        objects: Object scores by way of matching; may be empty.
        digits: Digits after the point of real numbers.
        landslide: What the labels call the landslide class.

    Returns:
        A row a class with its truth pixels; the averages; the confusion matrix, rows
        are truth; and, if there are objects, a row a way of matching.
    """
    matrix = scores["confusion_matrix"]
    classes: list[Row] = [
        [name, *(values[key] for key in _CLASS_COLUMNS), sum(matrix[index])]
        for index, (name, values) in enumerate(scores["classes"].items())
    ]
    confusion: list[Row] = [
        [name, *counts] for name, counts in zip(scores["classes"], matrix, strict=True)
    ]
    counted: list[Row] = [
        [match, *(values[key] for key in _OBJECT_COLUMNS)]
        for match, values in objects.items()
    ]
    tables: list[tuple[str, list[str], list[Row]]] = [
        ("Classes", ["class", *_CLASS_COLUMNS.values(), "truth pixels"], classes),
        (
            "Averages over the classes where they are defined",
            list(_AVERAGES.values()),
            [[scores[name] for name in _AVERAGES]],
        ),
        (
            "Confusion matrix in pixels, rows are truth",
            ["truth \\ prediction", *scores["classes"]],
            confusion,
        ),
        (_objects(landslide), ["match", *_OBJECT_COLUMNS.values()], counted),
    ]
    return [
        Table(caption=caption, header=header, rows=rows, digits=digits)
        for caption, header, rows in tables
        if rows
    ]


def _objects(landslide: str) -> str:
    """Returns the heading of the scores of objects."""
    return f"{landslide[:1].upper()}{landslide[1:]} objects"


def _records(scores: ScoreDict, objects: ObjectScores) -> list[Row]:
    """All numbers in long form: one row a number."""
    names = list(scores["classes"])
    return [
        *(["average", "", name, scores[name]] for name in (*_AVERAGES, "pixels")),
        *(
            ["class", name, key, values[key]]
            for name, values in scores["classes"].items()
            for key in _CLASS_COLUMNS
        ),
        *(
            ["object", match, key, values[key]]
            for match, values in objects.items()
            for key in _OBJECT_COLUMNS
        ),
        *(
            ["confusion", truth, predicted, count]
            for truth, counts in zip(names, scores["confusion_matrix"], strict=True)
            for predicted, count in zip(names, counts, strict=True)
        ),
    ]

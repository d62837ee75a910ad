"""The report of an evaluation: Markdown, JSON, CSV and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from landslide_tf.errors import DataError
from landslide_tf.files import atomic_path
from landslide_tf.report.pictures import Picture, prediction_grid
from landslide_tf.report.tables import Cell, Row, csv_text, json_text, markdown_table

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


def write_evaluation(
    folder: str | Path,
    *,
    title: str,
    scores: ScoreDict,
    objects: ObjectScores,
    classes: Sequence[str],
    landslide_class: int | Literal["sigmoid"],
    pictures: Sequence[Picture],
    facts: Mapping[str, Cell],
) -> dict[str, Path]:
    """Writes everything a reader or a program wants to know of an evaluation.

    Args:
        folder: Where the files go; made when missing, files of these names replaced.
        title: Heading of the report.
        scores: `metrics.Scores.as_dict()`: averages by name, `classes` (scores by
            class name), `confusion_matrix` (rows = truth) and `pixels`.
        objects: Object scores by way of matching (`iou`, `overlap`, `pixel`): `tp`,
            `fp`, `fn`, `dp`, `qp`, `oe`, `ce`, `ce_ref`; may be empty.
        classes: Class names in label order.
        landslide_class: Index of the landslide class, or `"sigmoid"` (label 1).
        pictures: Examples to show, at most 60; none, and no picture is written.
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
    landslide = 1 if landslide_class == "sigmoid" else landslide_class
    files = {}
    if pictures:
        path = folder / "pictures.png"
        files["pictures"] = prediction_grid(pictures, classes, landslide_class, path)
    record = {
        "title": title,
        "facts": facts,
        "classes": classes,
        "landslide_class": landslide_class,
        "scores": scores,
        "objects": objects,
    }
    page = _markdown(title, scores, objects, classes[landslide], bool(pictures), facts)
    table = csv_text(("group", "item", "name", "value"), _records(scores, objects))
    for kind, name, text in (
        ("markdown", "evaluation.md", page),
        ("json", "evaluation.json", json_text(record)),
        ("csv", "evaluation.csv", table),
    ):
        files[kind] = folder / name
        with atomic_path(files[kind]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return files


def class_rows(scores: ScoreDict) -> tuple[list[str], list[Row]]:
    """Arranges the scores of the classes as a table.

    Args:
        scores: `metrics.Scores.as_dict()`.

    Returns:
        The header and one row a class, with its truth pixels.
    """
    matrix = scores["confusion_matrix"]
    header = ["class", *_CLASS_COLUMNS.values(), "truth pixels"]
    rows = [
        [name, *(values[key] for key in _CLASS_COLUMNS), sum(matrix[index])]
        for index, (name, values) in enumerate(scores["classes"].items())
    ]
    return header, rows


def average_rows(scores: ScoreDict) -> tuple[list[str], list[Row]]:
    """Arranges the averages over classes as a table.

    Args:
        scores: `metrics.Scores.as_dict()`.

    Returns:
        The header and one row of values.
    """
    return list(_AVERAGES.values()), [[scores[name] for name in _AVERAGES]]


def object_rows(objects: ObjectScores) -> tuple[list[str], list[Row]]:
    """Arranges the object scores as a table.

    Args:
        objects: Object scores by way of matching.

    Returns:
        The header and one row a way of matching.
    """
    header = ["match", *_OBJECT_COLUMNS.values()]
    return header, [
        [match, *(values[key] for key in _OBJECT_COLUMNS)]
        for match, values in objects.items()
    ]


def confusion_rows(scores: ScoreDict) -> tuple[list[str], list[Row]]:
    """Arranges the confusion matrix as a table.

    Args:
        scores: `metrics.Scores.as_dict()`.

    Returns:
        The header and one row a class of the truth; the columns are predictions.
    """
    names = list(scores["classes"])
    rows = zip(names, scores["confusion_matrix"], strict=True)
    return ["truth \\ prediction", *names], [[name, *counts] for name, counts in rows]


def _markdown(
    title: str,
    scores: ScoreDict,
    objects: ObjectScores,
    landslide: str,
    with_pictures: bool,
    facts: Mapping[str, Cell],
) -> str:
    parts = [f"# {' '.join(title.split())}\n"]
    if facts:
        parts.append(markdown_table(("fact", "value"), list(facts.items())))
    parts.append(f"## Classes\n\nThe landslide class is **{landslide}**.\n")
    parts.append(markdown_table(*class_rows(scores)))
    parts.append(
        "## Averages\n\nMeans run over the classes where a score is defined.\n"
    )
    parts.append(markdown_table(*average_rows(scores)))
    parts.append("## Confusion matrix\n\nPixels; rows are truth, columns prediction.\n")
    parts.append(markdown_table(*confusion_rows(scores)))
    if objects:
        parts.append(
            "## Landslide objects\n\nDP detection, QP quality, OE omission and CE "
            "commission as fractions; CE (reference) is FP over the truth's count.\n"
        )
        parts.append(markdown_table(*object_rows(objects)))
    if with_pictures:
        parts.append("## Pictures\n\n![Images, truth and predictions](pictures.png)\n")
    return "\n".join(parts)


def _records(scores: ScoreDict, objects: ObjectScores) -> list[Row]:
    """All numbers in long form: one row a number."""
    rows: list[Row] = [["average", "", name, scores[name]] for name in _AVERAGES]
    rows.append(["average", "", "pixels", scores["pixels"]])
    for name, values in scores["classes"].items():
        rows += [["class", name, key, values[key]] for key in _CLASS_COLUMNS]
    for match, values in objects.items():
        rows += [["object", match, key, values[key]] for key in _OBJECT_COLUMNS]
    names = list(scores["classes"])
    for truth, counts in zip(names, scores["confusion_matrix"], strict=True):
        pairs = zip(names, counts, strict=True)
        rows += [["confusion", truth, predicted, count] for predicted, count in pairs]
    return rows

"""The report of branches and their fusion: page, tables, JSON and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landslide_tf.report.branch_pictures import BranchPicture, branch_grid
from landslide_tf.report.chart import Chart, Line
from landslide_tf.report.page import (
    Block,
    Charts,
    Figure,
    KeyNumbers,
    Section,
    Table,
    markdown,
    write_page,
)
from landslide_tf.report.tables import (
    Cell,
    Row,
    csv_text,
    format_cell,
    json_text,
    write_texts,
)

# Scores by name, as `train.fusion.summarise` gives them.
MethodRow = Mapping[str, Any]

_COLUMNS = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auc": "AUC",
    "average_precision": "AP",
    "ece": "ECE",
    "mce": "MCE",
    "brier": "Brier",
    "nll": "NLL",
}
_MAIN = ("accuracy", "precision", "recall", "f1", "auc", "ece", "nll")
_NAMES = {
    "h": "branch h",
    "s": "branch s",
    "v": "branch v",
    "original": "branch original",
    "probability_mean": "mean of probabilities",
    "vote": "vote",
    "dempster": "Dempster",
    "murphy": "Murphy",
    "xiao": "Xiao",
}
FUSED = "inverse"


def write_evidential(
    folder: str | Path,
    *,
    title: str,
    facts: Mapping[str, Cell],
    rows: Sequence[MethodRow],
    raw: Sequence[MethodRow],
    temperatures: Mapping[str, Sequence[float]],
    reliability: Mapping[str, Sequence[Mapping[str, Any]]],
    degraded: Mapping[str, Mapping[str, float]],
    pictures: Sequence[BranchPicture | Mapping[str, Any]] = (),
) -> dict[str, Path]:
    """Writes an evaluation of branches and fusion as page, tables and JSON.

    Args:
        folder: Where the files go; made when missing, files of these names replaced.
        title: Heading of the page.
        facts: What was evaluated, on what and how, by name.
        rows: One row a method: `method`, scores by name, `<score>_sd` (None for one
            seed), `confusion` (2 × 2, rows = truth), and `difference`, `low`, `high` of
            the accuracy against the branch `original` (None without it).
        raw: The same without calibration.
        temperatures: By branch, one of each seed.
        reliability: By method, rows with `confidence`, `accuracy` and `pixels` (images
            in the bin).
        degraded: Accuracy by method, then by degradation, `none` first; may be empty.
        pictures: Images to explain, or the keyword arguments of each; none, and no
            picture is written.

    Returns:
        The written files: `page`, `markdown`, `json`, `csv`, and `pictures` if there
        are any.

    Raises:
        DataError: If a row lacks a score, or a picture is not valid.
    """
    folder = Path(folder)
    files: dict[str, Path] = {}
    explained: list[Section] = []
    if pictures:
        images = [
            p if isinstance(p, BranchPicture) else BranchPicture(**p) for p in pictures
        ]
        files["pictures"] = branch_grid(images, folder / "pictures.png")
        figure = Figure(
            path=files["pictures"],
            alt="Images, saliency, where each branch looks, and their weights",
            caption="Image, saliency, Grad-CAM of landslide over what each branch "
            "sees (each scaled by its own maximum), weights in the fusion.",
        )
        explained.append(Section("Explanations", [figure]))
    record = {
        "title": title,
        "facts": facts,
        "methods": rows,
        "uncalibrated": raw,
        "temperatures": temperatures,
        "reliability": reliability,
        "degraded": degraded,
    }
    names = ["method", *(n for n in rows[0] if n not in ("method", "confusion"))]
    table = csv_text(names, [[row[n] for n in names] for row in rows])
    shown = {row["method"]: row for row in rows}
    numbers = KeyNumbers(
        numbers=[
            (f"accuracy, {_name(name)}", shown[name]["accuracy"], "")
            for name in ("original", "probability_mean", FUSED)
            if name in shown
        ]
    )
    told = [[name, format_cell(value)] for name, value in facts.items()]
    what = Table(caption="What was evaluated", header=["fact", "value"], rows=told)
    calibration: list[Block] = [_BOUND, _before(raw, temperatures)]
    sections = [
        Section("", [numbers, what]),
        Section("Scores", [_MEANING, _scores(rows), _confusions(rows)]),
        Section("Calibration", [*calibration, Charts(_diagrams(reliability))]),
    ]
    if degraded:
        sections.append(Section("Noise and blur", [_degradations(degraded)]))
    files |= write_texts(
        folder,
        markdown=("evaluation.md", markdown(title, sections)),
        json=("evaluation.json", json_text(record)),
        csv=("evaluation.csv", table),
    )
    files["page"] = write_page(folder / "index.html", title, [*sections, *explained])
    return files


_MEANING = (
    "± is the standard deviation over seeds. The difference is that of the accuracy to "
    "the branch that sees the image as it is, with its 95 % interval over test images "
    "drawn with replacement. Rules and variants fuse the branches h, s and v, each "
    "calibrated by one temperature on validation images."
)

_BOUND = (
    "A temperature of 0.05 is a bound of the fit: such a branch is right on every "
    "validation image, and calibration then makes it all but certain of everything."
)


def _name(method: str) -> str:
    return _NAMES.get(method, f"variant {method}")


def _scores(rows: Sequence[MethodRow]) -> Table:
    body: list[Row] = [
        [
            _name(row["method"]),
            *(_spread(row, score) for score in _MAIN),
            _interval(row),
        ]
        for row in rows
    ]
    best = max(range(len(rows)), key=lambda n: rows[n]["accuracy"])
    return Table(
        caption="Branches and rules, after calibration",
        header=["method", *(_COLUMNS[score] for score in _MAIN), "difference"],
        rows=body,
        strong=best,
    )


def _spread(row: MethodRow, score: str) -> str:
    value, spread = row[score], row[f"{score}_sd"]
    text = format_cell(value, 3)
    return text if spread is None else f"{text} ± {format_cell(spread, 3)}"


def _interval(row: MethodRow) -> str:
    if row["difference"] is None:
        return ""
    # Rounded first: no negative zero.
    values = [round(row[name], 3) + 0.0 for name in ("difference", "low", "high")]
    mean, low, high = (
        ("+" if value >= 0 else "") + format_cell(value, 3) for value in values
    )
    return f"{mean} [{low}, {high}]"


def _confusions(rows: Sequence[MethodRow]) -> Table:
    return Table(
        caption="Images by truth and decision, summed over seeds",
        header=["method", "TN", "FP", "FN", "TP"],
        rows=[
            [_name(r["method"]), *r["confusion"][0], *r["confusion"][1]] for r in rows
        ],
    )


def _before(
    raw: Sequence[MethodRow], temperatures: Mapping[str, Sequence[float]]
) -> Table:
    return Table(
        caption="Without calibration, and the temperatures of the branches",
        header=["method", "accuracy", "AUC", "ECE", "NLL", "temperature of each seed"],
        rows=[
            [
                _name(row["method"]),
                *(_spread(row, score) for score in ("accuracy", "auc", "ece", "nll")),
                ", ".join(f"{t:.2f}" for t in temperatures.get(row["method"], ())),
            ]
            for row in raw
        ],
    )


def _degradations(degraded: Mapping[str, Mapping[str, float]]) -> Table:
    kinds = list(next(iter(degraded.values())))
    return Table(
        caption="Accuracy on test images with noise (grey levels) and blur (pixels)",
        header=["method", *kinds],
        rows=[
            [_name(method), *(values[kind] for kind in kinds)]
            for method, values in degraded.items()
        ],
    )


def _diagrams(
    reliability: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[Chart]:
    """One reliability diagram a method: accuracy over confidence, first seed."""
    return [
        Chart(
            title=_name(method),
            lines=[
                Line(
                    "observed",
                    [
                        (row["confidence"], row["accuracy"])
                        for row in rows
                        if row["pixels"]
                    ],
                ),
                Line("calibrated", [(0.5, 0.5), (1.0, 1.0)]),
            ],
            x_name="confidence",
        )
        for method, rows in reliability.items()
    ]

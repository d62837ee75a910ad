"""The report of branches and their fusion: page, tables, JSON and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landslide_tf.files import atomic_path
from landslide_tf.report.branch_pictures import BranchPicture, branch_grid
from landslide_tf.report.chart import Chart, Line
from landslide_tf.report.page import (
    Block,
    Charts,
    Figure,
    KeyNumbers,
    Section,
    Table,
    write_page,
)
from landslide_tf.report.tables import (
    Cell,
    Row,
    csv_text,
    format_cell,
    json_text,
    markdown_table,
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
    pictures: Sequence[BranchPicture] = (),
) -> dict[str, Path]:
    """Writes everything a reader or a program wants to know of branches and fusion.

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
        pictures: Images to explain; none, and no picture is written.

    Returns:
        The written files: `page`, `markdown`, `json`, `csv`, and `pictures` if there
        are any.

    Raises:
        DataError: If a row lacks a score, or a picture is not valid.
    """
    folder = Path(folder)
    files: dict[str, Path] = {}
    if pictures:
        files["pictures"] = branch_grid(pictures, folder / "pictures.png")
    tables = [
        _scores("Branches and rules, after calibration", rows),
        _confusions(rows),
        _before(raw, temperatures),
    ]
    if degraded:
        tables.append(_degradations(degraded))
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
    for kind, name, text in (
        ("markdown", "evaluation.md", _markdown(title, facts, tables)),
        ("json", "evaluation.json", json_text(record)),
        ("csv", "evaluation.csv", table),
    ):
        files[kind] = folder / name
        with atomic_path(files[kind]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    sections = _sections(rows, facts, tables, reliability, files.get("pictures"))
    files["page"] = write_page(folder / "index.html", title, sections)
    return files


def _sections(
    rows: Sequence[MethodRow],
    facts: Mapping[str, Cell],
    tables: Sequence[Table],
    reliability: Mapping[str, Sequence[Mapping[str, Any]]],
    picture: Path | None,
) -> list[Section]:
    shown = {row["method"]: row for row in rows}
    numbers = [
        (f"accuracy, {_name(name)}", shown[name]["accuracy"], "")
        for name in ("original", "probability_mean", FUSED)
        if name in shown
    ]
    told = Table(
        caption="What was evaluated",
        header=["fact", "value"],
        rows=[[name, format_cell(value)] for name, value in facts.items()],
    )
    explained: list[Block] = []
    if picture is not None:
        explained = [
            Figure(
                path=picture,
                alt="Images, saliency, where each branch looks, and their weights",
                caption="Image, saliency, Grad-CAM of landslide over what each branch "
                "sees (each scaled by its own maximum), weights in the fusion.",
            )
        ]
    sections = [
        Section("", [KeyNumbers(numbers=numbers), told]),
        Section("Scores", [_MEANING, tables[0], tables[1]]),
        Section("Calibration", [_BOUND, tables[2], Charts(_diagrams(reliability))]),
    ]
    if len(tables) > 3:
        sections.append(Section("Noise and blur", [tables[3]]))
    if explained:
        sections.append(Section("Explanations", explained))
    return sections


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


def _scores(caption: str, rows: Sequence[MethodRow]) -> Table:
    body: list[Row] = []
    for row in rows:
        cells: list[Cell] = [_name(row["method"])]
        cells += [_spread(row, score) for score in _MAIN]
        body.append([*cells, _interval(row)])
    best = max(range(len(rows)), key=lambda n: rows[n]["accuracy"])
    return Table(
        caption=caption,
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
    charts = []
    for method, rows in reliability.items():
        filled = [row for row in rows if row["pixels"]]
        points = [(row["confidence"], row["accuracy"]) for row in filled]
        charts.append(
            Chart(
                title=_name(method),
                lines=[
                    Line("observed", points),
                    Line("calibrated", [(0.5, 0.5), (1.0, 1.0)]),
                ],
                x_name="confidence",
            )
        )
    return charts


def _markdown(title: str, facts: Mapping[str, Cell], tables: Sequence[Table]) -> str:
    lines = [f"# {title}", "", markdown_table(["fact", "value"], list(facts.items()))]
    lines += [_MEANING, "", _BOUND, ""]
    for table in tables:
        lines += [f"{table.caption}:", ""]
        lines.append(markdown_table(table.header, table.rows, table.digits))
    return "\n".join(lines)

"""The comparison of continual methods as tables, pictures and a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from landslide_tf.report.page import (
    Block,
    Figure,
    Section,
    Table,
    markdown,
    write_page,
)
from landslide_tf.report.pictures import save_figure
from landslide_tf.report.tables import UNDEFINED, Row, json_text, write_texts
from landslide_tf.words import counted

# As `train.summarize_matrix` gives it: nested JSON values.
Summary = Mapping[str, Any]

_NAMES = {"iou": "IoU", "f1": "F1"}
_COLUMNS = {
    "final_average": "final average",
    "new_region_average": "new regions",
    "forgetting": "forgetting",
    "bwt": "backward transfer",
    "fwt_learn": "forward transfer (learnt)",
    "fwt_zero_shot": "forward transfer (zero-shot)",
}
_BY_REGION = {
    "forgetting_per_region": "Forgetting by region: the best score before the last "
    "step less the last.",
    "intransigence_per_region": "Intransigence: a fresh network's score less that "
    "right after the region's turn.",
    "gain_per_region": "Final score less a fresh network's.",
}


_LETTER = 0.075  # inches of a letter of a region's name in the picture


def write_continual(folder: str | Path, *, summary: Summary) -> dict[str, Path]:
    """Writes the results of a comparison of continual methods so far.

    Args:
        folder: Where the files go; files of these names are replaced.
        summary: `train.summarize_matrix()`.

    Returns:
        The written files: `markdown` (`matrix.md`), `json` (`matrix.json`), `picture`
        (`matrix.png`) and `page` (`matrix.html`).
    """
    folder = Path(folder)
    title = " ".join(summary["title"].split())
    sections = _sections(summary)
    files = write_texts(
        folder,
        markdown=("matrix.md", markdown(title, sections)),
        json=("matrix.json", json_text(summary)),
    )
    files["picture"] = _draw(folder / "matrix.png", summary)
    figure = Figure(
        path=files["picture"],
        alt="region by step matrices of IoU, one a method",
        caption="IoU after every step (rows) on every region (columns): mean over "
        "seeds.",
    )
    sections[0] = Section("", [*sections[0].blocks, figure])
    files["page"] = write_page(folder / "matrix.html", title, sections)
    return files


def _sections(summary: Summary) -> list[Section]:
    """Returns paragraphs and tables, for the page and for Markdown."""
    sections = [Section("", _introduction(summary))]
    for score, name in _NAMES.items():
        blocks: list[Block] = [_averages(summary, score), _final(summary, score)]
        for key, caption in _BY_REGION.items():
            blocks += _by_region(summary, score, key, caption)
        sections.append(Section(name, blocks))
    for score, name in _NAMES.items():
        blocks = [
            _matrix(summary, f"`{method}`", entry[score])
            for method, entry in summary["methods"].items()
        ]
        if "cross" in summary:
            blocks.append(_cross(summary, score))
        sections.append(Section(f"{name} by step and region", blocks))
    return sections


def _introduction(summary: Summary) -> list[Block]:
    tested = zip(summary["regions"], summary["test_examples"], strict=False)
    names = ", ".join(f"{name} ({counted(n, 'test example')})" for name, n in tested)
    how, seeds = summary["bootstrap"], ", ".join(map(str, summary["seeds"]))
    about = [[method, entry["about"]] for method, entry in summary["methods"].items()]
    revisions = ", ".join(revision[:12] for revision in summary["revisions"])
    blocks: list[Block] = [
        f"Regions in the order of arrival: {names}.",
        f"Seeds {seeds}: mean ± standard deviation. In brackets: {how['level']:.0%} "
        f"interval of {how['samples']} bootstrap resamples of the {how['over']}; it "
        "does not hold the spread over seeds. Scores are pooled over pixels, "
        "threshold 0.5.",
        Table(caption="Methods.", header=["method", "what is trained"], rows=about),
        summary["remark"] or "",
        f"Revision {revisions}." if revisions else "",
    ]
    return [block for block in blocks if block != ""]


def _averages(summary: Summary, score: str) -> Table:
    rows: list[Row] = [
        [
            method,
            len(entry["seeds"]),
            *(_text(entry[score]["scores"].get(name)) for name in _COLUMNS),
        ]
        for method, entry in summary["methods"].items()
    ]
    return Table(
        caption=f"{_NAMES[score]}: averages over the regions.",
        header=["method", "seeds", *_COLUMNS.values()],
        rows=rows,
    )


def _final(summary: Summary, score: str) -> Table:
    rows: list[Row] = [
        [method, *_cells(_part(entry[score]["matrix"], -1))]
        for method, entry in summary["methods"].items()
    ]
    if "cross" in summary:
        cross, count = summary["cross"][score], len(summary["regions"])
        own = [_text(_part(_part(cross, k), k)) for k in range(count)]
        rows.append(["fresh", *own])
    return Table(
        caption=f"Final {_NAMES[score]} by region; `fresh` is a network of its own for "
        "each.",
        header=["method", *summary["regions"]],
        rows=rows,
    )


def _by_region(summary: Summary, score: str, key: str, caption: str) -> list[Table]:
    """Returns a table of a score of each region; none where no method has it."""
    count = len(summary["regions"])
    rows: list[Row] = []
    for method, entry in summary["methods"].items():
        found = entry[score]["scores"].get(key)
        if found is not None:
            cells = _cells(found)
            rows.append([method, *cells, *[UNDEFINED] * (count - len(cells))])
    if not any(cell != UNDEFINED for row in rows for cell in row[1:]):
        return []
    return [Table(caption=caption, header=["method", *summary["regions"]], rows=rows)]


def _matrix(summary: Summary, title: str, entry: Summary) -> Table:
    rows: list[Row] = []
    for step, name in enumerate(summary["regions"]):
        own, before = (_cells(_part(entry[k], step)) for k in ("matrix", "zero_shot"))
        cells = zip(own, before, strict=True)
        shown = [f"({b})" if a == UNDEFINED != b else a for a, b in cells]
        rows.append([f"after {name}", *shown])
    return Table(
        caption=f"{title}; in parentheses the mean of all decoders on regions to come.",
        header=["step", *summary["regions"]],
        rows=[row for row in rows if any(cell != UNDEFINED for cell in row[1:])],
    )


def _cross(summary: Summary, score: str) -> Table:
    entry = summary["cross"][score]
    return Table(
        caption="`fresh`: the network of one region (rows) on every region (columns).",
        header=["trained on", *summary["regions"]],
        rows=[
            [name, *_cells(_part(entry, k))]
            for k, name in enumerate(summary["regions"])
        ],
    )


def _part(entry: Summary, number: int) -> Summary:
    """Returns one place of the first axis of an entry's numbers."""
    return {
        name: None if entry[name] is None else entry[name][number]
        for name in ("mean", "std", "low", "high")
    }


def _cells(entry: Summary) -> list[str]:
    return [_text(_part(entry, k)) for k in range(len(entry["mean"]))]


def _text(entry: Summary | None) -> str:
    if entry is None or not math.isfinite(entry["mean"]):
        return UNDEFINED
    text = f"{entry['mean']:.3f}"
    if entry["std"] is not None:
        text += f" ± {entry['std']:.3f}"
    text += f" [{entry['low']:.3f}, {entry['high']:.3f}]"
    return text.replace("-", "\u2212")


def _draw(path: Path, summary: Summary) -> Path:
    """Draws the matrices of IoU as squares of colour with their numbers."""
    matrices = {
        method: entry["iou"]["matrix"]["mean"]
        for method, entry in summary["methods"].items()
    }
    trained = dict.fromkeys(matrices, "trained up to")
    if "cross" in summary:
        matrices["fresh"] = summary["cross"]["iou"]["mean"]
        trained["fresh"] = "trained on"
    names = summary["regions"]
    columns = min(5, max(1, len(matrices)))
    rows = max(1, -(-len(matrices) // columns))
    side, room = 0.6 * len(names) + 0.9, _LETTER * max(map(len, names))
    # Names are below the last matrix of each column, which need not be in one row.
    named = 1 if rows * columns == len(matrices) else 2
    size = columns * side + room, rows * side + named * (0.75 * room + 0.3)
    canvas = Canvas(figsize=size, layout="constrained")
    axes = list(canvas.subplots(rows, columns, squeeze=False).flat)
    for number, (axis, method) in enumerate(zip(axes, matrices, strict=False)):
        _draw_matrix(axis, method, matrices[method])
        axis.set_ylabel(trained[method], fontsize=8)
        # Rows and columns are the same regions in every matrix.
        first, last = number % columns == 0, number + columns >= len(matrices)
        axis.set_yticks(range(len(names)), names if first else [""] * len(names))
        axis.set_xticks(
            range(len(names)), names if last else [""] * len(names),
            rotation=45, ha="right", rotation_mode="anchor",
        )  # fmt: skip
        if last:
            axis.set_xlabel("tested on", fontsize=8)
    for axis in axes[len(matrices) :]:
        axis.set_axis_off()
    return save_figure(canvas, path, dpi=130)


def _draw_matrix(axis: Axes, title: str, values: Sequence[Sequence[float]]) -> None:
    axis.imshow(values, vmin=0, vmax=1, cmap="viridis")
    axis.set_title(title, fontsize=9)
    axis.tick_params(labelsize=7)
    for step, row in enumerate(values):
        for region, value in enumerate(row):
            if math.isfinite(value):
                colour = "black" if value > 0.6 else "white"
                text = f"{value:.2f}"
                axis.text(
                    region, step, text, ha="center", va="center", color=colour, size=7
                )

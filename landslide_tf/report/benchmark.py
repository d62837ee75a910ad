"""The tables of a benchmark: mean and spread over seeds, differences with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from landslide_tf.files import atomic_path
from landslide_tf.report.tables import UNDEFINED, Row, json_text, markdown_table

NAMES = {
    "landslide_iou": "landslide IoU",
    "landslide_f1": "landslide F1",
    "landslide_precision": "precision",
    "landslide_recall": "recall",
    "mean_f1": "mean F1",
    "miou": "mean IoU",
    "oa": "overall accuracy",
}
# As `train.summarize` gives it: nested JSON values.
Summary = Mapping[str, Any]


def write_benchmark(
    folder: str | Path, *, title: str, summary: Summary
) -> dict[str, Path]:
    """Writes what a benchmark has found so far.

    Args:
        folder: Where the files go; files of these names are replaced.
        title: Heading.
        summary: `train.summarize()`: `scores`, `bootstrap` and `rows`.

    Returns:
        The written files: `markdown` (`table.md`) and `json` (`summary.json`).
    """
    folder = Path(folder)
    texts = {
        "table.md": benchmark_markdown(title, summary),
        "summary.json": json_text({"title": title, **summary}),
    }
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return {"markdown": folder / "table.md", "json": folder / "summary.json"}


def benchmark_markdown(title: str, summary: Summary) -> str:
    """Arranges a benchmark as Markdown.

    Args:
        title: Heading.
        summary: As in `write_benchmark`.

    Returns:
        A table of means and spreads, and one of the differences to the first row.
    """
    scores, rows = summary["scores"], summary["rows"]
    header = ["model", "seeds", *(NAMES[score] for score in scores)]
    means: list[Row] = []
    for row in rows:
        cells = [_spread(row, score) for score in scores]
        means.append([row["name"], len(row["seeds"]), *cells])
        printed = row["published"]
        if printed:
            cells = [_number(printed.get(score, math.nan)) for score in scores]
            means.append([f"{row['name']}, published", UNDEFINED, *cells])
    data = ", ".join(
        dict.fromkeys(f"{row['data']} ({row['images']} images)" for row in rows)
    )
    parts = [
        f"# {' '.join(title.split())}\n",
        f"Data: {data}. Mean ± standard deviation over the seeds.\n",
        markdown_table(header, means),
    ]
    if len(rows) > 1:
        how = summary["bootstrap"]
        parts.append(
            f"## Difference to {rows[0]['name']}\n\nIn brackets: {how['level']:.0%} "
            f"interval of {how['samples']} paired bootstrap resamples of the images; "
            "it does not hold the spread over seeds. "
            f"{UNDEFINED}: not evaluated on the same images.\n"
        )
        differences: list[Row] = [
            [row["name"], *(_interval(row, score) for score in scores)]
            for row in rows[1:]
        ]
        parts.append(
            markdown_table(["model", *(NAMES[s] for s in scores)], differences)
        )
    return "\n".join(parts)


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

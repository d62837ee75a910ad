"""The table of a fine-tuning: scores by number of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landslide_tf.files import atomic_path
from landslide_tf.report.tables import json_text, markdown_table

# JSON values: `samples`, and scores of `target` and `source` by name.
Point = Mapping[str, Any]


def write_curve(
    folder: str | Path, *, title: str, points: Sequence[Point]
) -> dict[str, Path]:
    """Writes what numbers of samples gave.

    Args:
        folder: Where the files go; files of these names are replaced.
        title: Heading.
        points: For each number `samples`, and in `target` and `source` the scores
            `landslide_iou`, `landslide_f1`, `miou` and `oa`.

    Returns:
        The written files: `markdown` (`curve.md`) and `json` (`curve.json`).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "curve.md": curve_markdown(title, points),
        "curve.json": json_text({"title": title, "points": list(points)}),
    }
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return {"markdown": folder / "curve.md", "json": folder / "curve.json"}


def curve_markdown(title: str, points: Sequence[Point]) -> str:
    """Arranges a learning curve as Markdown.

    Args:
        title: Heading.
        points: As in `write_curve`.

    Returns:
        A row a number of samples: scores on the target, and on the source what is
        left there.
    """
    header = [
        "samples",
        "landslide IoU",
        "landslide F1",
        "mean IoU",
        "overall accuracy",
        "landslide IoU on the source",
        "mean IoU on the source",
    ]
    rows = []
    for point in points:
        target, source = point["target"], point["source"]
        names = ("landslide_iou", "landslide_f1", "miou", "oa")
        rows.append(
            [
                point["samples"],
                *(f"{target[name]:.4f}" for name in names),
                f"{source['landslide_iou']:.4f}",
                f"{source['miou']:.4f}",
            ]
        )
    return f"# {' '.join(title.split())}\n\n{markdown_table(header, rows)}"

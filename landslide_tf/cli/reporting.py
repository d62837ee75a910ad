"""The evaluation of a run in its folder, and the page about the run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landslide_tf.train import Evaluation, RunFolder


def write_reports(
    run: RunFolder, result: Evaluation, out: Path | None = None
) -> dict[str, Path]:
    """Writes an evaluation, and the page of the run with all its evaluations.

    Args:
        run: The run.
        result: The evaluation.
        out: Its folder; None is `RUN/report/DATA`.

    Returns:
        The written files by kind.
    """
    from landslide_tf.report import Picture, write_evaluation, write_run_page
    from landslide_tf.train import run_facts

    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", result.data)
    if "permuted input" in result.facts:
        name += f"-permuted-{result.facts['permuted input']}"
    files = write_evaluation(
        out or run.report / name,
        title=f"{result.metadata.name} on {result.data}",
        scores=result.scores.as_dict(),
        objects=result.object_table(),
        classes=result.metadata.classes,
        landslide_class=result.metadata.landslide_class,
        pictures=[Picture(**picture) for picture in result.pictures],
        facts=result.facts,
    )
    found = sorted(run.report.glob("*/evaluation.json"))
    files["page"] = write_run_page(
        run.page, **run_facts(run), evaluations=[file.parent for file in found]
    )
    return files

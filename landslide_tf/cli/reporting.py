"""What commands print of their work, and the reports that several of them write."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from landslide_tf.cli.options import file_name

if TYPE_CHECKING:
    from landslide_tf.train import Evaluation, Outcome, RunFolder, Session

T = TypeVar("T")


def show(files: Mapping[str, Path], *, text: bool = True) -> None:
    """Prints a report's Markdown, unless `text` is false, and the files it wrote."""
    if text:
        typer.echo(files["markdown"].read_text(encoding="utf-8"))
    for path in files.values():
        typer.echo(path)


def show_next(*words: str | Path, **folders: Path | None) -> None:
    """Prints the command to give next, such that a shell runs it as it is.

    Args:
        words: Its words behind `landslide-tf`.
        folders: By option (`data_dir`, …) what the user gave: it finds the same data.
    """
    given = {name: path for name, path in folders.items() if path is not None}
    for name, path in given.items():
        words += (f"--{name.replace('_', '-')}", path)
    typer.echo(f"next: {shlex.join(map(str, ('landslide-tf', *words)))}")


def show_export(run: Path) -> None:
    """Prints the command that exports a run."""
    show_next("export", run, "--out", Path("exports", run.name))


def follow(
    parts: Iterable[tuple[T, bool]],
    total: int,
    name: Callable[[T], str],
    write: Callable[[], Mapping[str, Path]],
) -> None:
    """Says what part of a comparison is done, and writes its tables after each.

    Args:
        parts: Each part as it ends, and whether it had been recorded before.
        total: Their number, at least 1.
        name: Returns the name of a part.
        write: Writes the tables of what there is; returns the files by kind.
    """
    for number, (part, before) in enumerate(parts, 1):
        state = "recorded before" if before else "done"
        typer.echo(f"[{number}/{total}] {name(part)}: {state}")
        if not before or number == total:
            files = write()
    show(files)


def show_trial(outcome: Outcome, score: str = "IoU") -> None:
    """Prints how a trial of a search ended: its score, by name, or why it failed."""
    end = f"failed, {outcome.reason}"
    if outcome.score is not None:
        end = f"{score} {outcome.score:.4f}"
    values = ", ".join(f"{key}={value}" for key, value in outcome.values.items())
    typer.echo(f"trial {outcome.trial}: {end} ({values})")


def check_reports(
    run: RunFolder,
    out: Path | None,
    session: Session,
    *more: Path | None,
    overwrite: bool,
) -> None:
    """Refuses to write the evaluation of a run over what is read or is none.

    Args:
        run: The run.
        out: Folder of the evaluation; None is that of the run.
        session: Folders of data.
        more: What else is read.
        overwrite: Whether other files of these names are replaced.

    Raises:
        DataError: If there is something else.
    """
    from landslide_tf.outputs import check_own
    from landslide_tf.report import check_evaluation_folder
    from landslide_tf.report.run import is_run_page

    read = [*run.inputs, *session.inputs, *more]
    for folder in run.report.glob("*") if out is None else [out]:
        check_evaluation_folder(folder, read=read, overwrite=overwrite)
    if out is None:
        check_own(run.page, "page", is_run_page, overwrite=overwrite)


def write_report(folder: Path, result: Evaluation) -> dict[str, Path]:
    """Writes an evaluation into a folder and returns its files by kind."""
    from landslide_tf.report import write_evaluation

    return write_evaluation(
        folder,
        title=f"{result.metadata.name} on {result.data}",
        **result.contents(),
    )


def write_reports(
    run: RunFolder, result: Evaluation, out: Path | None = None
) -> dict[str, Path]:
    """Writes an evaluation, and in a run the page with all its evaluations.

    Args:
        run: The run.
        result: The evaluation.
        out: Its folder, and the run stays as it is; None is `RUN/report/DATA`.

    Returns:
        The written files by kind.
    """
    from landslide_tf.report import write_run_page
    from landslide_tf.train import run_facts

    name = file_name(result.data)
    if "permuted input" in result.facts:
        name += f"-permuted-{result.facts['permuted input']}"
    files = write_report(out or run.report / name, result)
    if out is not None:
        return files
    found = sorted(run.report.glob("*/evaluation.json"))
    files["page"] = write_run_page(
        run.page, **run_facts(run), evaluations=[file.parent for file in found]
    )
    return files

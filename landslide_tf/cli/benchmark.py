"""`landslide-tf benchmark`: trains a grid of recipes and seeds and compares them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli.options import DataDir, ManualDir, command_line
from landslide_tf.cli.startup import start_backend


def benchmark(
    grid: Annotated[str, typer.Argument(help="Shipped grid or YAML file.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder.", show_default="benchmarks/GRID")
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            help="A row of the grid, by its name, recipe or network. Repeatable.",
            show_default="all",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="name[/config] in place of the grid's data. Repeatable.",
            show_default="the grid's",
        ),
    ] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(min=0, help="A seed. Repeatable.", show_default="the grid's"),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change every run: section.key=value. Repeatable."),
    ] = None,
    data_dir: DataDir = None,
    manual_dir: ManualDir = None,
) -> None:
    """Train recipes with several seeds, one after the other, and compare them.

    The same command goes on after an interruption; what is recorded is not repeated.
    """
    start_backend()
    from landslide_tf.report import benchmark_markdown, write_benchmark
    from landslide_tf.train import (
        GridChoice,
        Session,
        load_grid,
        run_grid,
        summarize,
    )

    choice = GridChoice(
        tuple(models or ()), tuple(data or ()), tuple(seeds or ()), tuple(changes or ())
    )
    loaded, planned = load_grid(grid, choice)
    folder = out or Path("benchmarks") / Path(grid).stem
    session = Session(data_dir, manual_dir, command_line())
    for number, (run, before) in enumerate(run_grid(planned, folder, session), 1):
        state = "recorded before" if before else "done"
        typer.echo(f"[{number}/{len(planned)}] {run.row}, seed {run.seed}: {state}")
        if not before or number == len(planned):
            summary = summarize(planned, folder)
            files = write_benchmark(folder, title=loaded.description, summary=summary)
    typer.echo(benchmark_markdown(loaded.description, summary))
    for path in files.values():
        typer.echo(path)

"""`landslide-tf benchmark`: trains a grid of recipes and seeds and compares them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli import options, reporting


def benchmark(
    grid: Annotated[
        str, typer.Argument(help="Name of a shipped grid, or a YAML file.")
    ],
    out: Annotated[Path | None, options.folder("benchmarks/GRID")] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            help="Row of the grid to train: its name, recipe or network. Repeatable.",
            show_default="all rows",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[/CONFIG]",
            help="Data set to use instead of the grid's. Repeatable.",
            show_default="the grid's",
        ),
    ] = None,
    seeds: options.Seeds = None,
    changes: options.Changes = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Train recipes with several seeds and compare their scores.

    The tables hold mean, standard deviation and paired bootstrap intervals. The same
    command resumes it after an interruption.

    Example: landslide-tf benchmark synthetic --seeds 0 --seeds 1
    """
    from landslide_tf.train import GridChoice, load_grid

    choice = GridChoice(
        tuple(models or ()), tuple(data or ()), tuple(seeds or ()), tuple(changes or ())
    )
    loaded, planned = load_grid(grid, choice)
    from landslide_tf.report import write_benchmark
    from landslide_tf.train import run_grid, summarize_grid

    session = options.session(data_dir, manual_dir)
    read = [options.recipe_file(grid), *session.inputs]
    folder = options.run_folder(out, Path(grid).stem, read, "benchmarks")
    reporting.follow(
        run_grid(planned, folder, session),
        len(planned),
        lambda run: f"{run.row}, seed {run.seed}",
        lambda: write_benchmark(
            folder,
            title=loaded.description,
            summary=summarize_grid(planned, folder, loaded.tables),
        ),
    )

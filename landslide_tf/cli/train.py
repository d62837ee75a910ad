"""`landslide-tf train`: trains a recipe into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli.options import Arrays, DataDir, ManualDir, command_line
from landslide_tf.cli.startup import start_backend
from landslide_tf.errors import RecipeError


def train(
    recipe: Annotated[
        str | None, typer.Argument(help="Shipped recipe or YAML file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/RECIPE")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Run folder to go on with.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value: section.key=value. Repeatable."),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(help="GPUs (or CPUs) that share each batch: a number or `all`."),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Also export: folder of the model's versions.")
    ] = None,
    report: Annotated[
        bool, typer.Option(help="Evaluate the validation split, write report.html.")
    ] = True,
    arrays: Arrays = None,
    data_dir: DataDir = None,
    manual_dir: ManualDir = None,
) -> None:
    """Train a recipe; `--resume RUN` goes on with a run that was interrupted."""
    if (recipe is None) == (resume is None):
        raise RecipeError("Give either a recipe or `--resume RUN`.")
    if resume is not None and (changes or out or devices is not None):
        raise RecipeError(
            "`--resume` goes on with the run's own recipe: no `--set`, `--out` or "
            "`--devices`."
        )
    start_backend()
    from landslide_tf import train as room

    session = room.Session(data_dir, manual_dir, command_line(), arrays=arrays)
    if resume is not None:
        run = room.resume(resume, session)
    else:
        changes = list(changes or [])
        if devices is not None:
            changes.append(f"training.devices={devices}")
        loaded = room.load_recipe(recipe, changes)
        run = room.train(loaded, out or Path("runs") / Path(recipe).stem, session)
    whole = run.read_recipe().classification is not None
    if report and not whole:
        from landslide_tf.cli.reporting import write_reports

        data = run.read_recipe().data
        result = room.evaluate_run(
            run,
            data=f"{data.name}:{data.validation}",
            data_dir=data_dir,
            manual_dir=manual_dir,
        )
        typer.echo(f"report: {write_reports(run, result)['page']}")
    following = "export" if whole else "evaluate"
    typer.echo(f"trained: {run.path} (next: landslide-tf {following} {run.path})")
    if export is not None:
        from landslide_tf.cli.export import export as export_run

        export_run(run.path, export)

"""`landslide-tf train`: trains a recipe into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli import export as export_command
from landslide_tf.cli import options, reporting
from landslide_tf.cli.startup import start_backend


def train(
    recipe: options.NewRecipe = None,
    out: Annotated[Path | None, options.folder("runs/RECIPE")] = None,
    resume: options.Resume = None,
    changes: options.Changes = None,
    devices: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|all",
            help="GPUs (or CPUs, if there is none) that share each batch.",
            show_default="the recipe's",
        ),
    ] = None,
    export: options.Export = None,
    report: Annotated[
        bool, typer.Option(help="Evaluate the validation split and write report.html.")
    ] = True,
    coordinator: options.Coordinator = None,
    processes: options.Processes = None,
    process: options.Process = None,
    wait: options.Wait = 300,
    arrays: options.Arrays = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Train a network as a recipe says.

    `--resume RUN` resumes a run after an interruption, with the same numbers. With
    `--coordinator` the same commands resume it.

    Example: landslide-tf train fstf_net_synthetic --out runs/a
    """
    start = options.recipe_to_start(
        recipe, resume, set=changes, out=out, devices=devices
    )
    from landslide_tf import train as training

    # What is wrong with a file is told before Keras loads, which takes seconds.
    more = [] if devices is None else [f"training.devices={devices}"]
    wanted = [*(changes or ()), *more]
    loaded = None
    if resume is None:
        loaded = training.read_recipe(start, wanted)
    else:
        training.RunFolder(resume).check_recipe()
    hosts = None
    if coordinator is not None:
        from landslide_tf.train.run import supervision

        hosts = training.Hosts(coordinator, processes, process, wait)
        if not supervision.supervised():
            raise typer.Exit(supervision.supervise(options.own_command(), hosts))
    start_backend()
    if loaded is not None:
        training.check_network(loaded)
    session = options.session(data_dir, manual_dir, arrays)
    read = [options.recipe_file(start), *session.inputs]
    folder = resume or options.run_folder(out, Path(start).stem, read)
    if export is not None:
        from landslide_tf.serving import check_export

        check_export(export, read=[folder, *read])
    run: training.RunFolder | None
    if hosts is not None:
        run = training.train_together(loaded, folder, hosts, session)
    elif loaded is None:
        run = training.resume(folder, session)
    else:
        run = training.train(loaded, folder, session)
    if run is None:
        typer.echo(f"trained: process 0 writes {folder}")
        return
    task = training.task_of(run.read_recipe())
    if report and task.kind == "segmentation":
        data = f"{task.recipe.data.name}:{task.recipe.data.validation}"
        result = training.evaluate_run(run, data=data, session=session)
        typer.echo(f"report: {reporting.write_reports(run, result)['page']}")
    typer.echo(f"trained: {run.path}")
    if task.kind == "segmentation":
        folders = {"data_dir": data_dir, "manual_dir": manual_dir}
        reporting.show_next("evaluate", run.path, **folders)
    else:
        reporting.show_export(run.path)
    if export is not None:
        export_command.export(run.path, export)

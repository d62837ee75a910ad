"""`landslide-tf train`: trains a recipe into a run folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.cli import export as export_command
from landslide_tf.cli import options, reporting

if TYPE_CHECKING:
    from landslide_tf.train import Hosts, Recipe, RunFolder, Session

HOSTS = "Several processes"
Coordinator = Annotated[
    str | None,
    typer.Option(
        envvar="JAX_COORDINATOR_ADDRESS",
        metavar="HOST:PORT",
        rich_help_panel=HOSTS,
        help="Train together with other processes, on this host or others, which all "
        "run this command: address of process 0, with a free port. `auto` takes it "
        "from Slurm, Open MPI, Kubernetes or a Cloud TPU. Needs KERAS_BACKEND=jax.",
        show_default=False,
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(
        envvar=["LANDSLIDE_TF_PROCESSES", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"],
        min=1,
        rich_help_panel=HOSTS,
        help="With --coordinator: number of processes that train together.",
        show_default=False,
    ),
]
Process = Annotated[
    int | None,
    typer.Option(
        envvar=[
            "LANDSLIDE_TF_PROCESS",
            "SLURM_PROCID",
            "OMPI_COMM_WORLD_RANK",
            "JOB_COMPLETION_INDEX",
            "TPU_WORKER_ID",
        ],
        min=0,
        rich_help_panel=HOSTS,
        help="With --coordinator: number of this process, counted from 0.",
        show_default=False,
    ),
]
Wait = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="SECONDS",
        rich_help_panel=HOSTS,
        help="With --coordinator: how long to wait for the other processes to start.",
    ),
]


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
    coordinator: Coordinator = None,
    processes: Processes = None,
    process: Process = None,
    wait: Wait = 300,
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
        hosts = _supervised(training.Hosts(coordinator, processes, process, wait))
    if loaded is not None:
        training.check_network(loaded)
    session = options.session(data_dir, manual_dir, arrays)
    read = [options.recipe_file(start), *session.inputs]
    folder = resume or options.run_folder(out, Path(start).stem, read)
    if export is not None:
        from landslide_tf.serving import check_export

        check_export(export, read=[folder, *read])
    run = _trained(loaded, folder, hosts, session)
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


def _supervised(hosts: Hosts) -> Hosts:
    """Returns at once in the process that trains; the one that watches it ends here."""
    from landslide_tf.train.run import supervision

    if not supervision.supervised():
        command = [sys.executable, "-m", "landslide_tf.cli.main", *sys.argv[1:]]
        raise typer.Exit(supervision.supervise(command, hosts))
    return hosts


def _trained(
    recipe: Recipe | None, folder: Path, hosts: Hosts | None, session: Session
) -> RunFolder | None:
    """Returns the run that was trained; None where another process writes it."""
    from landslide_tf import train as training

    if hosts is not None:
        return training.train_together(recipe, folder, hosts, session)
    if recipe is None:
        return training.resume(folder, session)
    return training.train(recipe, folder, session)

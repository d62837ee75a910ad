"""`landslide-tf continual`: regions that arrive one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.cli import options, reporting

if TYPE_CHECKING:
    import keras

    from landslide_tf.train import ContinualFolder, ContinualRecipe

app = typer.Typer(
    help="Continual learning: train regions that arrive one after the other, without "
    "the images of earlier ones.",
    no_args_is_help=True,
)


@app.command("train")
def train(
    recipe: options.NewRecipe = None,
    out: Annotated[Path | None, options.folder("runs/RECIPE")] = None,
    resume: options.Resume = None,
    changes: options.Changes = None,
    export: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Also export every step as a version in this folder."
        ),
    ] = None,
    arrays: options.Arrays = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Train a sequence of regions, one after the other.

    `--resume RUN` resumes one after an interruption. It also trains regions that you
    append to the recipe.yaml of the run.

    Example: landslide-tf continual train tsmu_synthetic --out runs/regions
    """
    start = options.recipe_to_start(recipe, resume, set=changes, out=out)
    from landslide_tf import train as training

    given = None if resume else training.load_continual_recipe(start, changes or [])
    session = options.session(data_dir, manual_dir, arrays)
    read = [options.recipe_file(start), *session.inputs]
    folder = resume or options.run_folder(out, Path(start).stem, read)
    loaded = given or training.ContinualFolder(folder).read_recipe()
    if export is not None:
        from landslide_tf.serving import check_export

        check_export(export, read=[folder, *read])

    def report(step: int, network: keras.Model) -> None:
        region = loaded.arrivals()[step].name
        typer.echo(f"step {step}: {region} is done")
        if export is not None:
            _export(loaded, network, export, step + 1)

    if resume is not None:
        run = training.resume_continual(resume, session, report)
    else:
        run = training.train_continual(loaded, folder, session, report)
    _show(run)


def _export(
    recipe: ContinualRecipe, network: keras.Model, folder: str, version: int
) -> None:
    from landslide_tf import serving
    from landslide_tf.train import describe_network

    # It is there where a process was killed between export and state.
    if version not in serving.versions(folder):
        name = folder.rstrip("/").rpartition("/")[2]
        metadata = describe_network(recipe, network, name)
        typer.echo(serving.export(network, folder, metadata=metadata, version=version))


def _show(run: ContinualFolder) -> None:
    from landslide_tf.train import read_matrix

    matrix = read_matrix(run.state)
    typer.echo("IoU after every step: " + ", ".join(matrix["regions"]))
    for step, row in enumerate(matrix["R"]):
        cells = ["-" if v is None else f"{v:.3f}" for v in row]
        typer.echo(f"  step {step}: {' '.join(cells)}")
    typer.echo(f"trained: {run.path}")
    reporting.show_export(run.path)


@app.command("matrix")
def matrix(
    recipe: options.Recipe,
    out: Annotated[Path | None, options.folder("runs/RECIPE-matrix")] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD",
            help="Method to compare: fresh, finetune, feature_extraction, joint_all, "
            "joint_all_single, ewc, lwf, single_head, replay or tsmu. Repeatable.",
            show_default="all methods",
        ),
    ] = None,
    seeds: options.Seeds = None,
    changes: options.Changes = None,
    ewc_strength: Annotated[
        float, typer.Option(help="Weight λ of elastic weight consolidation.")
    ] = 100.0,
    buffer: Annotated[
        int,
        typer.Option(
            help="Number of examples of every earlier region that `replay` stores."
        ),
    ] = 10,
    balance: Annotated[
        bool, typer.Option(help="Let `joint_all` see every region equally often.")
    ] = False,
    arrays: options.Arrays = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Compare methods of continual learning: forgetting, transfer and upper bounds.

    The same command resumes it after an interruption.

    Example: landslide-tf continual matrix tsmu_synthetic --seeds 0 --seeds 1
    """
    from landslide_tf import train as training

    loaded = training.load_continual_recipe(recipe, changes or [])
    from landslide_tf.report import write_continual

    baselines = training.MethodOptions(ewc_strength, buffer, balance)
    planned = training.plan_matrix(loaded, methods or (), seeds or (), baselines)
    session = options.session(data_dir, manual_dir, arrays)
    read = [options.recipe_file(recipe), *session.inputs]
    folder = options.run_folder(out, f"{Path(recipe).stem}-matrix", read)
    reporting.follow(
        training.run_matrix(planned, folder, session),
        len(planned),
        lambda cell: f"{cell.method}, seed {cell.seed}",
        lambda: write_continual(
            folder, summary=training.summarize_matrix(planned, folder)
        ),
    )


@app.command("tune")
def tune(
    recipe: options.Recipe,
    out: Annotated[Path | None, options.folder("runs/RECIPE-search")] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Number of trials; the first is the recipe.")
    ] = 10,
    vary: options.Vary = None,
    seed: options.Seed = 0,
    changes: options.Changes = None,
    arrays: options.Arrays = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Search learning rates, λ, dropout and batch size of a recipe at random.

    The same command resumes it after an interruption, or adds trials.

    Example: landslide-tf continual tune tsmu_synthetic --trials 20
    """
    from landslide_tf import train as training

    loaded = training.load_continual_recipe(recipe, changes or [])
    session = options.session(data_dir, manual_dir, arrays)
    read = [options.recipe_file(recipe), *session.inputs]
    search = training.tune_continual(
        loaded,
        options.run_folder(out, f"{Path(recipe).stem}-search", read),
        trials=trials,
        seed=seed,
        vary=tuple(vary or ()),
        session=session,
        report=reporting.show_trial,
    )
    typer.echo(f"best: {search.best}")
    typer.echo(search.ranking)
    folders = {"data_dir": data_dir, "manual_dir": manual_dir, "arrays": arrays}
    reporting.show_next("continual", "train", search.best, **folders)

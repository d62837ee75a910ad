"""`landslide-tf continual`: regions that arrive one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.cli.options import Arrays, DataDir, ManualDir, command_line
from landslide_tf.cli.startup import start_backend
from landslide_tf.errors import RecipeError

if TYPE_CHECKING:
    import keras

    from landslide_tf.train import ContinualFolder, ContinualRecipe, Outcome

app = typer.Typer(
    help="Train regions one after the other, without old images.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("train")
def train(
    recipe: Annotated[
        str | None, typer.Argument(help="Shipped continual recipe or YAML file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder.", show_default="runs/RECIPE")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Folder to go on with.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value: section.key=value. Repeatable."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Also export every step as a version into this folder."),
    ] = None,
    arrays: Arrays = None,
    data_dir: DataDir = None,
    manual_dir: ManualDir = None,
) -> None:
    """Train a sequence of regions; `--resume` goes on with an interrupted one.

    Regions appended to the folder's recipe.yaml are trained by `--resume`, too.
    """
    if (recipe is None) == (resume is None):
        raise RecipeError("Give either a recipe or `--resume FOLDER`.")
    if resume is not None and (changes or out):
        raise RecipeError(
            "`--resume` goes on with the folder's own recipe: no `--set` or `--out`."
        )
    start_backend()
    from landslide_tf import train as room

    session = room.Session(data_dir, manual_dir, command_line(), arrays=arrays)
    if resume is not None:
        loaded = room.ContinualFolder(resume).read_recipe()
    else:
        loaded = room.load_continual_recipe(recipe, changes or [])

    def report(step: int, network: keras.Model) -> None:
        region = loaded.arrivals()[step].name
        typer.echo(f"step {step}: {region} is done")
        if export is not None:
            _export(loaded, network, export, step + 1)

    if resume is not None:
        place = room.resume_continual(resume, session, report)
    else:
        folder = out or Path("runs") / Path(recipe).stem
        place = room.train_continual(loaded, folder, session, report)
    _show(place)


def _export(
    recipe: ContinualRecipe, network: keras.Model, folder: Path, version: int
) -> None:
    from landslide_tf import serving
    from landslide_tf.train import describe_network

    # It is there where a process was killed between export and state.
    if not (folder / str(version)).exists():
        metadata = describe_network(recipe, network, folder.name)
        typer.echo(serving.export(network, folder, metadata=metadata, version=version))


def _show(place: ContinualFolder) -> None:
    from landslide_tf.train import read_matrix

    matrix = read_matrix(place.state)
    typer.echo("IoU after every step: " + ", ".join(matrix["regions"]))
    for step, row in enumerate(matrix["R"]):
        cells = ["-" if v is None else f"{v:.3f}" for v in row]
        typer.echo(f"  step {step}: {' '.join(cells)}")
    typer.echo(f"trained: {place.path} (next: landslide-tf export {place.path})")


@app.command("matrix")
def matrix(
    recipe: Annotated[
        str, typer.Argument(help="Shipped continual recipe or YAML file.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder.", show_default="runs/RECIPE-matrix")
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            help="fresh, finetune, feature_extraction, joint_all, joint_all_single, "
            "ewc, lwf, single_head, replay or tsmu. Repeatable.",
            show_default="all",
        ),
    ] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(min=0, help="A seed. Repeatable.", show_default="the recipe's"),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value: section.key=value. Repeatable."),
    ] = None,
    ewc_strength: Annotated[
        float, typer.Option(help="λ of elastic weight consolidation.")
    ] = 100.0,
    buffer: Annotated[
        int, typer.Option(help="Examples of every old region that `replay` keeps.")
    ] = 10,
    balance: Annotated[
        bool, typer.Option(help="`joint_all` trains equally often with every region.")
    ] = False,
    arrays: Arrays = None,
    data_dir: DataDir = None,
    manual_dir: ManualDir = None,
) -> None:
    """Compare methods by region and step: forgetting, transfer, upper bounds.

    The same command goes on after an interruption; what is there is not repeated.
    """
    start_backend()
    from landslide_tf import train as room
    from landslide_tf.report import continual_markdown, write_continual

    loaded = room.load_continual_recipe(recipe, changes or [])
    options = room.MethodOptions(ewc_strength, buffer, balance)
    planned = room.plan_matrix(loaded, methods or (), seeds or (), options)
    folder = out or Path("runs") / f"{Path(recipe).stem}-matrix"
    session = room.Session(data_dir, manual_dir, command_line(), arrays=arrays)
    cells = room.run_matrix(planned, folder, session)
    for number, (cell, before) in enumerate(cells, 1):
        state = "recorded before" if before else "done"
        name = f"{cell.method}, seed {cell.seed}"
        typer.echo(f"[{number}/{len(planned)}] {name}: {state}")
        if not before or number == len(planned):
            summary = room.summarize_matrix(planned, folder)
            files = write_continual(folder, summary=summary)
    typer.echo(continual_markdown(summary))
    for path in files.values():
        typer.echo(path)


@app.command("tune")
def tune(
    recipe: Annotated[
        str, typer.Argument(help="Shipped continual recipe or YAML file.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder.", show_default="runs/RECIPE-search")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="The first is the recipe.")] = 10,
    vary: Annotated[
        list[str] | None,
        typer.Option(help="A key that may differ. Repeatable.", show_default="all"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws other trials.")] = 0,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value: section.key=value. Repeatable."),
    ] = None,
    arrays: Arrays = None,
    data_dir: DataDir = None,
    manual_dir: ManualDir = None,
) -> None:
    """Search rates, λ, dropout, batch size and form of the preservation at random.

    The same command goes on with an interrupted search, or adds trials.
    """
    start_backend()
    from landslide_tf import train as room

    def show(outcome: Outcome) -> None:
        score = f"{outcome.score:.4f}" if outcome.score is not None else outcome.reason
        values = ", ".join(f"{key}={value}" for key, value in outcome.values.items())
        typer.echo(f"trial {outcome.trial}: {score} ({values})")

    search = room.tune_continual(
        room.load_continual_recipe(recipe, changes or []),
        out or Path("runs") / f"{Path(recipe).stem}-search",
        trials=trials,
        seed=seed,
        vary=tuple(vary or ()),
        session=room.Session(data_dir, manual_dir, command_line(), arrays=arrays),
        report=show,
    )
    typer.echo(
        f"best: {search.best} (next: landslide-tf continual train {search.best})"
    )
    typer.echo(search.ranking)

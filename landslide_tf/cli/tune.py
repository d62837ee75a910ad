"""`landslide-tf tune`: searches for a better recipe."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.cli.options import Arrays, DataDir, ManualDir, command_line
from landslide_tf.cli.startup import start_backend

if TYPE_CHECKING:
    from landslide_tf.train.search.folder import Outcome


class Oracle(StrEnum):
    """What chooses the trials."""

    random = "random"
    hyperband = "hyperband"
    bayesian = "bayesian"


def tune(
    recipe: Annotated[str, typer.Argument(help="Shipped recipe or YAML file.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder.", show_default="runs/RECIPE-search")
    ] = None,
    oracle: Annotated[
        Oracle, typer.Option(help="What chooses the trials.")
    ] = Oracle.random,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Most.", show_default="20; hyperband: its brackets"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Of the longest trial.", show_default="the recipe's"),
    ] = None,
    max_parameters: Annotated[
        int | None, typer.Option(min=1, help="Larger networks fail untrained.")
    ] = None,
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
    """Search around a recipe; the same command goes on with an interrupted search."""
    start_backend()
    from landslide_tf import train as room

    def show(outcome: Outcome) -> None:
        score = f"{start.training.monitor} {outcome.score or 0:.4f}"
        end = score if outcome.score is not None else f"failed, {outcome.reason}"
        values = ", ".join(f"{key}={value}" for key, value in outcome.values.items())
        typer.echo(f"trial {outcome.trial}: {end} ({values})")

    start = room.load_recipe(recipe, changes or [])
    options = room.SearchOptions(
        oracle=oracle.value,
        trials=trials,
        max_parameters=max_parameters,
        epochs=epochs,
        seed=seed,
        vary=tuple(vary or ()),
    )
    session = room.Session(data_dir, manual_dir, command_line(), arrays=arrays)
    folder = out or Path("runs") / f"{Path(recipe).stem}-search"
    search = room.tune(start, folder, options, session, show)
    if search.best.is_file():
        typer.echo(f"best: {search.best} (next: landslide-tf train {search.best})")
    typer.echo(search.ranking)

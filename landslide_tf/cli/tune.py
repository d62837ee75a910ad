"""`landslide-tf tune`: looks for a better recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.choices import OracleName
from landslide_tf.cli import options, reporting


def tune(
    recipe: options.Recipe,
    out: Annotated[Path | None, options.folder("runs/RECIPE-search")] = None,
    oracle: Annotated[
        OracleName,
        typer.Option(help="Search method that chooses the trials."),
    ] = "random",
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Largest number of trials.",
            show_default="20; for hyperband its brackets",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Epochs of the longest trial.", show_default="the recipe's"
        ),
    ] = None,
    max_parameters: Annotated[
        int | None,
        typer.Option(
            min=1, help="Largest number of weights; larger networks are not trained."
        ),
    ] = None,
    vary: options.Vary = None,
    seed: options.Seed = 0,
    changes: options.Changes = None,
    arrays: options.Arrays = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Search for a better recipe by training variants of it.

    The same command resumes it after an interruption, or adds trials. Started while it
    runs, also on another machine that shares the folder, it trains further trials.

    Example: landslide-tf tune fstf_net_synthetic --trials 8
    """
    from landslide_tf import train as training

    start = training.load_recipe(recipe, changes or [])
    session = options.session(data_dir, manual_dir, arrays)
    read = [options.recipe_file(recipe), *session.inputs]
    search = training.tune(
        start,
        options.run_folder(out, f"{Path(recipe).stem}-search", read),
        training.SearchOptions(
            oracle=oracle,
            trials=trials,
            max_parameters=max_parameters,
            epochs=epochs,
            seed=seed,
            vary=tuple(vary or ()),
        ),
        session,
        lambda outcome: reporting.show_trial(outcome, start.training.monitor),
    )
    if search.best.is_file():
        typer.echo(f"best: {search.best}")
        folders = {"data_dir": data_dir, "manual_dir": manual_dir, "arrays": arrays}
        reporting.show_next("train", search.best, **folders)
    typer.echo(search.ranking)

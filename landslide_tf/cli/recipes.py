"""`landslide-tf recipes`: what can be trained."""

from __future__ import annotations

from typing import Annotated

import typer

from landslide_tf.cli.startup import start_tensorflow

app = typer.Typer(
    help="Recipes: one YAML file is one run.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_recipes() -> None:
    """List the shipped recipes."""
    start_tensorflow()
    from landslide_tf import train

    for names, load, heading in (
        (train.shipped_recipes(), train.load_recipe, ""),
        (
            train.shipped_continual_recipes(),
            train.load_continual_recipe,
            "\nfor `landslide-tf continual train`:\n",
        ),
    ):
        typer.echo(heading, nl=False)
        for name in names:
            typer.echo(f"{name:28} {load(name).description}")


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="Recipe or YAML file.")]) -> None:
    """Print a recipe with every default filled in."""
    start_tensorflow()
    import yaml

    from landslide_tf import train

    continual = name in train.shipped_continual_recipes()
    load = train.load_continual_recipe if continual else train.load_recipe
    content = load(name).model_dump(mode="json")
    typer.echo(yaml.safe_dump(content, sort_keys=False), nl=False)

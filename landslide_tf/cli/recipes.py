"""`landslide-tf recipes`: what can be trained."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="Recipes: one YAML file is one run.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_recipes() -> None:
    """List the shipped recipes."""
    from landslide_tf import train

    for names, load, heading in (
        (train.shipped_recipes(), train.read_recipe, ""),
        (
            train.shipped_continual_recipes(),
            train.read_continual_recipe,
            "\nfor `landslide-tf continual train`:\n",
        ),
    ):
        typer.echo(heading, nl=False)
        for name in names:
            typer.echo(f"{name:28} {load(name).description}")


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="Recipe or YAML file.")]) -> None:
    """Print a recipe with every default filled in."""
    import yaml

    from landslide_tf import train

    continual = name in train.shipped_continual_recipes()
    load = train.read_continual_recipe if continual else train.read_recipe
    content = load(name).model_dump(mode="json")
    typer.echo(yaml.safe_dump(content, sort_keys=False), nl=False)

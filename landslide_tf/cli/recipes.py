"""`landslide-tf recipes`: what can be trained."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="List and show recipes: YAML files that describe a training run.",
    no_args_is_help=True,
)


@app.command("list")
def list_recipes() -> None:
    """List the recipes that come with the package.

    Example: landslide-tf recipes list
    """
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
def show(
    name: Annotated[
        str, typer.Argument(help="Name of a shipped recipe, or a YAML file.")
    ],
) -> None:
    """Print a recipe with every default filled in.

    Example: landslide-tf recipes show fstf_net_synthetic
    """
    import yaml

    from landslide_tf import train

    continual = name in train.shipped_continual_recipes()
    load = train.read_continual_recipe if continual else train.read_recipe
    content = load(name).model_dump(mode="json")
    typer.echo(yaml.safe_dump(content, sort_keys=False), nl=False)

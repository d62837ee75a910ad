"""`landslide-tf import-weights`: trained weights become a run of this backend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli import reporting
from landslide_tf.cli.options import Overwrite, command_line
from landslide_tf.files import check_exist


def import_weights(
    source: Annotated[
        Path,
        typer.Argument(help="Run folder, or a .keras, .weights.h5 or PyTorch file."),
    ],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    like: Annotated[
        Path | None,
        typer.Option(help="Run with the same network, if SOURCE is a file."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Network of the file, instead of `--like`."),
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Option(
            "--argument",
            metavar="NAME=VALUE",
            help="Argument of the network of `--model`. Repeatable.",
        ),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(
            help="YAML or JSON file that maps names in a PyTorch file to layers."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a run from weights that were trained on JAX or released for PyTorch.

    Example: landslide-tf import-weights runs/on_jax --out runs/imported
    """
    check_exist(source, like)
    from landslide_tf.train import import_weights as make_run

    run = make_run(
        source,
        out,
        like=like,
        model=model,
        arguments=arguments or (),
        names=names,
        command=command_line(),
        overwrite=overwrite,
    )
    typer.echo(f"imported: {run.path}")
    if (run.path / "model.json").is_file():
        reporting.show_export(run.path)

"""`landslide-tf import-weights`: trained weights become a run of this backend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli import reporting
from landslide_tf.cli.options import command_line
from landslide_tf.cli.startup import start_backend


def import_weights(
    source: Annotated[
        Path, typer.Argument(help="Run folder, or a .keras or .weights.h5 file.")
    ],
    out: Annotated[Path, typer.Option(help="New run folder.")],
    like: Annotated[
        Path | None,
        typer.Option(help="Run with the same network, where SOURCE is a file."),
    ] = None,
) -> None:
    """Make a run of weights trained elsewhere, such as on Keras's JAX backend."""
    start_backend()
    from landslide_tf.train import import_weights as make_run

    run = make_run(source, out, like=like, command=command_line())
    typer.echo(f"imported: {run.path}")
    reporting.show_export(run.path)

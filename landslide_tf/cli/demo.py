"""`landslide-tf demo`: the whole way from data to export, on generated tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli.startup import start_tensorflow


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the page and all files.")] = Path(
        "demo"
    ),
) -> None:
    """Build data, train FSTF-Net and RAE-D alike, evaluate, export, write a page.

    The same command resumes it after an interruption.
    """
    start_tensorflow()
    from landslide_tf.demo import run_demo

    page = run_demo(out)
    typer.echo(f"open {page}")

"""`landslide-tf demo`: the whole way from data to export, on generated tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[
        Path, typer.Option(help="Folder to write, with the page index.html.")
    ] = Path("demo"),
) -> None:
    """Try everything on generated data: train, evaluate, export, and see a page.

    Trains FSTF-Net and RAE-D in about two minutes on two CPU cores, without download.
    The same command resumes it after an interruption.

    Example: landslide-tf demo --out demo
    """
    from landslide_tf.demo import run_demo

    page = run_demo(out)
    typer.echo(f"open {page}")

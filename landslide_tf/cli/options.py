"""Options that several commands share."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="TFDS_DATA_DIR",
        help="Folder of built data sets.",
        show_default="TFDS's own",
    ),
]
ManualDir = Annotated[
    Path | None,
    typer.Option(
        "--manual-dir",
        envvar="LANDSLIDE_TF_MANUAL_DIR",
        help="Folder with files you have to provide.",
    ),
]
Arrays = Annotated[
    Path | None,
    typer.Option(
        "--arrays",
        help="Folder of `datasets export-arrays`, read instead of TFDS.",
        show_default="the recipe's",
    ),
]


def command_line() -> str:
    """Returns the command as the user gave it."""
    return shlex.join(["landslide-tf", *sys.argv[1:]])

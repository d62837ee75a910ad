"""`landslide-tf finetune`: a run goes on with a few samples of another region."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli.options import Arrays, DataDir, ManualDir, command_line
from landslide_tf.cli.startup import start_backend


def finetune(
    run: Annotated[Path, typer.Argument(help="Run folder to start from.")],
    data: Annotated[
        str, typer.Option(help="name[/config] of the target, with labels.")
    ],
    samples: Annotated[
        list[int],
        typer.Option(
            min=0,
            help="Labelled examples to train with; 0 = none. Repeat it for a curve.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder.", show_default="runs/RUN-on-DATA")
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            help="What stays: none, bn (batch norms as in inference), encoder, stage1 "
            "to stage5 of it, factors, or layer names such as `aspp_*`. Repeatable.",
            show_default="none; bn for fewer than 4 samples",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Draws the samples.", show_default="the run's"),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value: section.key=value. Repeatable."),
    ] = None,
    arrays: Arrays = None,
    data_dir: DataDir = None,
    manual_dir: ManualDir = None,
) -> None:
    """Fine-tune a run with few samples, and score it there and on its own data.

    The same command goes on after an interruption.
    """
    start_backend()
    from landslide_tf import train as room
    from landslide_tf.report import curve_markdown, write_curve

    session = room.Session(data_dir, manual_dir, command_line(), arrays=arrays)
    options = room.FinetuneOptions(
        tuple(freeze) if freeze else None, seed, tuple(changes or ())
    )
    name = re.sub(r"[^\w.-]+", "-", data)
    folder = out or Path("runs") / f"{run.name}-on-{name}"
    points = room.finetune(run, data, samples, folder, options, session)
    title = f"{run.name} fine-tuned on {data}"
    rows = [point.as_dict() for point in points]
    typer.echo(curve_markdown(title, rows))
    for path in write_curve(folder, title=title, points=rows).values():
        typer.echo(path)
    last = points[-1].run.path
    typer.echo(f"trained: {last} (next: landslide-tf evaluate {last})")

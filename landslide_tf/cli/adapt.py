"""`landslide-tf adapt`: adapts a run to a region without labels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli.options import Arrays, DataDir, ManualDir, command_line
from landslide_tf.cli.startup import start_backend


def adapt(
    run: Annotated[Path, typer.Argument(help="Run folder to start from.")],
    target: Annotated[
        str,
        typer.Option(help="name[/config][:split] of the region; labels are not used."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/RUN-to-TARGET")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="Method: shipped recipe or YAML file.")
    ] = "ada_net",
    aux_layer: Annotated[
        str | None,
        typer.Option(
            help="Layer for a second level of adaptation.",
            show_default="the method's, if the network has it",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value: section.key=value. Repeatable."),
    ] = None,
    arrays: Arrays = None,
    data_dir: DataDir = None,
    manual_dir: ManualDir = None,
) -> None:
    """Adapt a run to a region without labels, by adversarial training.

    An interrupted adaptation goes on with `train --resume`.
    """
    start_backend()
    from landslide_tf import train as room

    name = re.sub(r"[^\w.-]+", "-", target)
    adapted = room.adapt(
        run,
        target,
        out or Path("runs") / f"{run.name}-to-{name}",
        method=recipe,
        aux_layer=aux_layer,
        changes=changes or (),
        session=room.Session(data_dir, manual_dir, command_line(), arrays=arrays),
    )
    labelled = f"{target.partition(':')[0]}:test"
    typer.echo(
        f"adapted: {adapted.path} "
        f"(next: landslide-tf evaluate {adapted.path} --data {labelled})"
    )

"""`landslide-tf adapt`: adapts a run to a region without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli import options
from landslide_tf.cli.startup import start_backend


def adapt(
    run: options.Run,
    target: Annotated[
        str,
        typer.Option(help="name[/config][:split] of the region; labels are not used."),
    ],
    out: Annotated[Path | None, options.folder("runs/RUN-to-TARGET")] = None,
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
    changes: options.Changes = None,
    arrays: options.Arrays = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Adapt a run to a region without labels, by adversarial training.

    `train --resume RUN` resumes it after an interruption.
    """
    start_backend()
    from landslide_tf import train as training

    adapted = training.adapt(
        run,
        target,
        options.run_folder(out, f"{run.name}-to-{target}"),
        recipe=recipe,
        aux_layer=aux_layer,
        changes=changes or (),
        session=options.session(data_dir, manual_dir, arrays),
    )
    labelled = f"{target.partition(':')[0]}:test"
    typer.echo(
        f"adapted: {adapted.path} "
        f"(next: landslide-tf evaluate {adapted.path} --data {labelled})"
    )

"""`landslide-tf adapt`: adapts a run to a region without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli import options, reporting


def adapt(
    run: options.Run,
    target: Annotated[
        str,
        typer.Option(
            metavar="NAME[/CONFIG][:SPLIT]",
            help="Data of the new region; its labels are not used.",
        ),
    ],
    out: Annotated[Path | None, options.folder("runs/RUN-to-TARGET")] = None,
    recipe: Annotated[
        str, typer.Option(help="Recipe of the method: a shipped name or a YAML file.")
    ] = "ada_net",
    aux_layer: Annotated[
        str | None,
        typer.Option(
            help="Layer of the network that is adapted as well, besides its output.",
            show_default="the method's, if the network has it",
        ),
    ] = None,
    changes: options.Changes = None,
    arrays: options.Arrays = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Adapt a trained network to a new region without labels.

    The method is adversarial training (ADANet, AdaptSegNet). `train --resume RUN`
    resumes it after an interruption.

    Example: landslide-tf adapt runs/a --target hokkaido_iburi/clean:unlabelled
    """
    from landslide_tf import train as training

    training.RunFolder(run).check_recipe()
    from landslide_tf.pipelines import find_builder

    session = options.session(data_dir, manual_dir, arrays)
    read = [*training.RunFolder(run).inputs, options.recipe_file(recipe)]
    adapted = training.adapt(
        run,
        target,
        options.run_folder(out, f"{run.name}-to-{target}", [*read, *session.inputs]),
        recipe=recipe,
        aux_layer=aux_layer,
        changes=changes or (),
        session=session,
    )
    typer.echo(f"adapted: {adapted.path}")
    name = target.partition(":")[0]
    info = find_builder(name, data_dir=data_dir).info
    labelled = "test" in info.splits and "mask" in info.features
    words = ("--data", f"{name}:test") if labelled else ()
    folders = {"data_dir": data_dir, "manual_dir": manual_dir}
    reporting.show_next("evaluate", adapted.path, *words, **folders)

"""`landslide-tf finetune`: a run goes on with a few samples of another region."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli import options, reporting


def finetune(
    run: options.Run,
    data: Annotated[
        str,
        typer.Option(
            metavar="NAME[/CONFIG]", help="Labelled data set of the new region."
        ),
    ],
    samples: Annotated[
        list[int],
        typer.Option(
            min=0,
            help="Number of labelled examples to train with; 0 only scores. "
            "Repeatable, for a learning curve.",
        ),
    ],
    out: Annotated[Path | None, options.folder("runs/RUN-on-DATA")] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            help="Layers that are not trained: none, bn (batch norms), encoder, stage1 "
            "to stage5, factors, or names such as `aspp_*`. Repeatable.",
            show_default="none; bn for fewer than 4 samples",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Random seed of the samples. Change it to draw others.",
            show_default="the run's",
        ),
    ] = None,
    changes: options.Changes = None,
    arrays: options.Arrays = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Fine-tune a trained network with a few labelled examples of a new region.

    Scores it there and on the data of the run. The same command resumes it after an
    interruption.

    Example: landslide-tf finetune runs/a --data hokkaido_iburi --samples 5
    """
    from landslide_tf import train as training

    training.RunFolder(run).check_recipe()
    from landslide_tf.report import write_curve

    chosen = training.FinetuneOptions(
        tuple(freeze) if freeze else None, seed, tuple(changes or ())
    )
    session = options.session(data_dir, manual_dir, arrays)
    read = [*training.RunFolder(run).inputs, *session.inputs]
    folder = options.run_folder(out, f"{run.name}-on-{data}", read)
    points = training.finetune(run, data, samples, folder, chosen, session)
    title = f"{run.name} fine-tuned on {data}"
    rows = [point.as_dict() for point in points]
    reporting.show(write_curve(folder, title=title, points=rows))
    last = points[-1].run.path
    typer.echo(f"trained: {last}")
    reporting.show_next("evaluate", last, data_dir=data_dir, manual_dir=manual_dir)

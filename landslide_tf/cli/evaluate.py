"""`landslide-tf evaluate`: scores a run on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from landslide_tf.cli import options, reporting
from landslide_tf.cli.startup import start_backend


def evaluate(
    run: options.Run,
    data: Annotated[
        str | None,
        typer.Option(
            help="name[/config][:split]", show_default="the recipe's test split"
        ),
    ] = None,
    permute: Annotated[
        Literal["image", "factors"] | None,
        typer.Option(help="Give each example this input of another one."),
    ] = None,
    out: Annotated[Path | None, options.folder("RUN/report/DATA")] = None,
    overwrite: options.Overwrite = False,
    pictures: Annotated[int, typer.Option(min=0, max=60, help="Examples to show.")] = 6,
    arrays: options.Arrays = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Write pixel and object scores, tables and pictures of a run."""
    start_backend()
    from landslide_tf.train import RunFolder, evaluate_run

    folder, session = RunFolder(run), options.session(data_dir, manual_dir, arrays)
    reporting.check_reports(folder, out, session, overwrite=overwrite)
    result = evaluate_run(
        folder,
        data=data,
        permute=permute,
        pictures=pictures,
        session=session,
    )
    files = reporting.write_reports(folder, result, out)
    typer.echo(
        f"{result.data}: landslide IoU {result.landslide_iou:.4f}, "
        f"mean IoU {result.scores.miou:.4f}, overall accuracy {result.scores.oa:.4f}"
    )
    reporting.show(files, text=False)

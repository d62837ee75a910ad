"""`landslide-tf export`: a run becomes a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli import options
from landslide_tf.cli.startup import start_tensorflow


def export(
    run: options.Run,
    out: Annotated[Path, typer.Option(help="Folder of the model's versions.")],
    version: Annotated[
        int | None, typer.Option(min=1, help="Version.", show_default="the next")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="Of a model of several regions, the one to export alone."),
    ] = None,
) -> None:
    """Write a numbered SavedModel that TensorFlow Serving loads."""
    start_tensorflow()
    from landslide_tf.serving import check_export
    from landslide_tf.serving import export as export_model
    from landslide_tf.train import RunFolder

    folder = RunFolder(run)
    check_export(out, read=[run])
    metadata, model = folder.read_metadata(), folder.load_model()
    if region is not None:
        from landslide_tf.train import of_region

        metadata, model = of_region(metadata, model, region)
    path = export_model(model, out, metadata=metadata, version=version)
    typer.echo(path)

"""`landslide-tf export`: a run becomes a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli import options
from landslide_tf.cli.startup import start_tensorflow


def export(
    run: options.Run,
    out: Annotated[
        str, typer.Option(help="Folder of the model's versions; also gs:// and others.")
    ],
    version: Annotated[
        int | None, typer.Option(min=1, help="Version.", show_default="the next")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="Of a model of several regions, the one to export alone."),
    ] = None,
    signature: Annotated[
        list[str] | None,
        typer.Option(
            help="Signature beside `serving_default`, repeatable.",
            show_default="all that the model can have",
        ),
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Most pixels of a request, batch x height x width; 0 = any number.",
            show_default="4096 x 4096",
        ),
    ] = None,
    warm_up: Annotated[
        int,
        typer.Option(
            min=0, help="Side of the warm-up request's tile, pixels; 0 = no request."
        ),
    ] = 512,
    kit: Annotated[
        Path | None,
        typer.Option(
            help="Folder for what TensorFlow Serving is started with: its "
            "configuration, Compose and Kubernetes files; warm-up requests."
        ),
    ] = None,
) -> None:
    """Write a numbered SavedModel that TensorFlow Serving loads."""
    start_tensorflow()
    from landslide_tf.serving import MAX_PIXELS, check_export, check_kit, write_kit
    from landslide_tf.serving import export as export_model
    from landslide_tf.train import RunFolder

    folder = RunFolder(run)
    check_export(out, read=[run])
    if kit is not None:
        check_kit(kit, read=[run, out])
    metadata, model = folder.read_metadata(), folder.load_model()
    if region is not None:
        from landslide_tf.train import of_region

        metadata, model = of_region(metadata, model, region)
    path = export_model(
        model,
        out,
        metadata=metadata,
        version=version,
        warm_up=warm_up or None,
        signatures=signature,
        max_pixels=MAX_PIXELS if max_pixels is None else max_pixels or None,
    )
    typer.echo(path)
    if kit is not None:
        for file in write_kit(out, kit):
            typer.echo(file)

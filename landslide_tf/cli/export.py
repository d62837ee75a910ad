"""`landslide-tf export`: a run becomes a SavedModel, or a file of another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.choices import Format, Precision
from landslide_tf.cli import options
from landslide_tf.errors import ModelError

if TYPE_CHECKING:
    from landslide_tf.train import RunFolder, Session

_CALIBRATED = 64  # examples that int8 takes the ranges of values from


Out = Annotated[
    str,
    typer.Option(
        help="Folder of the model's versions to write into; also gs:// and other URLs."
    ),
]
Version = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of the version. Set it to number versions yourself.",
        show_default="the next free one",
    ),
]
Region = Annotated[
    str | None,
    typer.Option(help="Region to export alone, of a model for several regions."),
]
Signature = Annotated[
    list[str] | None,
    typer.Option(
        help="Signature to write besides `serving_default`. Repeatable.",
        show_default="all that the model can have",
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Largest request, batch x height x width in pixels; 0 for no limit.",
        show_default="4096 x 4096",
    ),
]
WarmUp = Annotated[
    int,
    typer.Option(
        min=0,
        help="Side of the tile of the warm-up request, pixels; 0 for no request.",
        rich_help_panel=options.DETAILS,
    ),
]
Kit = Annotated[
    Path | None,
    typer.Option(
        help="Folder to write with what TensorFlow Serving needs: configuration, "
        "Compose and Kubernetes files, warm-up requests."
    ),
]
FormatOption = Annotated[
    Format,
    typer.Option(
        help="File format: SavedModel for TensorFlow Serving, another runtime's, or "
        "Keras weights."
    ),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        help="Precision of the numbers in files of another format; lower is smaller."
    ),
]
Size = Annotated[
    tuple[int, int] | None,
    typer.Option(
        min=1,
        metavar="H W",
        help="Fixed height and width of the input, pixels; some runtimes need one.",
        show_default="any size",
        rich_help_panel=options.DETAILS,
    ),
]
Calibrate = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[/CONFIG]:SPLIT",
        help="Examples that give the ranges of values for int8.",
        rich_help_panel=options.DETAILS,
    ),
]


def export(
    run: options.Run,
    out: Out,
    version: Version = None,
    region: Region = None,
    signature: Signature = None,
    max_pixels: MaxPixels = None,
    warm_up: WarmUp = 512,
    kit: Kit = None,
    format: FormatOption = "saved_model",
    precision: PrecisionOption = "float32",
    size: Size = None,
    calibrate: Calibrate = None,
    arrays: options.Arrays = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Export a run as a numbered version: a SavedModel, or another format.

    A Keras model of your own is exported in Python:
    `landslide_tf.serving.export(keras.saving.load_model("mine.keras"), "models/mine")`

    Example: landslide-tf export runs/a --out models/landslides
    """
    from landslide_tf.serving import MAX_PIXELS, check_export, check_kit, write_kit
    from landslide_tf.serving import export as export_model
    from landslide_tf.serving.conversion import check_format
    from landslide_tf.train import RunFolder

    if run.is_file():
        raise ModelError(
            f"`{run}` is a file, not a run folder: a Keras model of your own is "
            "exported in Python, by `landslide_tf.serving.export`."
        )
    folder = RunFolder(run)
    metadata = folder.read_metadata()
    session = options.session(data_dir, manual_dir, arrays)
    check_export(out, read=[run, *session.inputs])
    if format != "saved_model" and format != "weights":
        check_format(format, precision)
    _check_together(format, precision, calibrate, kit)
    if kit is not None:
        check_kit(kit, read=[run, out, *session.inputs])
    from landslide_tf.train import example_inputs

    model = folder.load_model()
    if region is not None:
        from landslide_tf.train import of_region

        metadata, model = of_region(metadata, model, region)
    calibration = []
    if calibrate is not None:
        calibration = example_inputs(
            folder, calibrate, count=_CALIBRATED, session=session
        )
    path = export_model(
        model,
        out,
        metadata=metadata,
        version=version,
        warm_up=warm_up or None,
        signatures=signature,
        max_pixels=MAX_PIXELS if max_pixels is None else max_pixels or None,
        format=format,
        precision=precision,
        size=size,
        calibration=calibration,
    )
    typer.echo(path)
    if kit is not None:
        for file in write_kit(out, kit):
            typer.echo(file)
    # Deepness alone runs its files, and addresses are not read.
    if precision == "int8" and format != "deepness" and isinstance(path, Path):
        _show_loss(folder, path, session)


def _check_together(
    format: str, precision: str, calibrate: str | None, kit: Path | None
) -> None:
    """Refuses options that do not belong together."""
    if (precision == "int8") != (calibrate is not None):
        raise ModelError(
            "`--precision int8` and `--calibrate` belong together: the data give the "
            "ranges of values."
        )
    if kit is not None and format != "saved_model":
        raise ModelError(
            f"TensorFlow Serving takes a SavedModel, not `{format}`: leave out `--kit` "
            "or `--format`."
        )


def _show_loss(run: RunFolder, exported: Path, session: Session) -> None:
    """Prints what the test split's landslide IoU is before and after."""
    from landslide_tf import serving
    from landslide_tf.train import evaluate_run

    model = serving.load(exported)
    before = evaluate_run(run, session=session, pictures=0)
    after = evaluate_run(
        run,
        predict=lambda inputs: model(inputs)["probabilities"],
        session=session,
        pictures=0,
    )
    typer.echo(
        f"{before.data}: {before.landslide_name} IoU "
        f"{before.landslide_iou:.4f} before, {after.landslide_iou:.4f} after"
    )

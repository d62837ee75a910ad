"""`landslide-tf evaluate`: scores a model on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.cli import options, reporting
from landslide_tf.cli.model_files import (
    Metadata,
    Model,
    RuntimeOption,
    check_runtime,
    load_member,
)
from landslide_tf.errors import DataError

if TYPE_CHECKING:
    from landslide_tf.train import Evaluation


Data = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[/CONFIG][:SPLIT]",
        help="Data to score on.",
        show_default="the test split of the run",
    ),
]
Permute = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Give each example this input (image or factors), band or factor of "
        "another example, to see how much the model relies on it.",
    ),
]
Out = Annotated[
    Path | None, options.folder("RUN/report/DATA or evaluations/MODEL-DATA")
]
Pictures = Annotated[
    int, typer.Option(min=0, max=60, help="Number of example pictures.")
]


def evaluate(
    model: Model,
    data: Data = None,
    permute: Permute = None,
    tta: options.TTA = False,
    metadata: Metadata = None,
    runtime: RuntimeOption = None,
    out: Out = None,
    overwrite: options.Overwrite = False,
    pictures: Pictures = 6,
    arrays: options.Arrays = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Score a model by pixel and by landslide, with tables and pictures.

    Example: landslide-tf evaluate runs/a --tta
    """
    from landslide_tf.train import RunFolder

    session = options.session(data_dir, manual_dir, arrays)
    if (Path(model) / "recipe.yaml").is_file():
        from landslide_tf.train import evaluate_run

        check_runtime(model, runtime)
        folder = RunFolder(Path(model))
        reporting.check_reports(folder, out, session, metadata, overwrite=overwrite)
        result = evaluate_run(
            folder,
            data=data,
            permute=permute,
            tta=tta,
            pictures=pictures,
            session=session,
        )
        files = reporting.write_reports(folder, result, out)
    else:
        if data is None:
            raise DataError(
                f"`{model}` is no run, which knows its data: give `--data` as well."
            )
        from landslide_tf.report import check_evaluation_folder

        report = out or Path("evaluations", options.file_name(f"{model}-{data}"))
        read = [model, metadata, *session.inputs]
        check_evaluation_folder(report, read=read, overwrite=overwrite)
        member = load_member(model, metadata, runtime=runtime)
        from landslide_tf.train import evaluate_model

        result = evaluate_model(
            member.predict,
            member.metadata,
            data=data,
            permute=permute,
            tta=tta,
            pictures=pictures,
            session=session,
        )
        files = reporting.write_report(report, result)
    _print(result)
    reporting.show(files, text=False)


def _print(result: Evaluation) -> None:
    typer.echo(
        f"{result.data}: {result.landslide_name} IoU {result.landslide_iou:.4f}, "
        f"mean IoU {result.scores.miou:.4f}, overall accuracy {result.scores.oa:.4f}"
    )

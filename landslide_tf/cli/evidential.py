"""`landslide-tf evidential`: branches with saliency, their fusion, their scores."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.choices import Variant
from landslide_tf.cli import options, reporting
from landslide_tf.files import check_exist

app = typer.Typer(
    help="Evidential classification: three branches that see saliency, and their "
    "fusion.",
    no_args_is_help=True,
)


class Branch(StrEnum):
    """What a branch sees: `choices.Branch`, of which typer takes no list."""

    original = "original"
    h = "h"
    s = "s"
    v = "v"


@app.command("train")
def train(
    recipe: options.Recipe,
    out: Annotated[Path | None, options.folder("runs/RECIPE")] = None,
    branches: Annotated[
        list[Branch] | None,
        typer.Option(
            help="Branch to train: what it sees. Repeatable.", show_default="all four"
        ),
    ] = None,
    changes: options.Changes = None,
    arrays: options.Arrays = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Train each branch and write its predictions.

    The same command resumes it after an interruption.

    Example: landslide-tf evidential train evidential_bijie_small
    """
    from landslide_tf import train as training

    loaded = training.load_recipe(recipe, changes or [])
    session = options.session(data_dir, manual_dir, arrays)
    read = [options.recipe_file(recipe), *session.inputs]
    folder = training.train_branches(
        loaded,
        options.run_folder(out, Path(recipe).stem, read),
        session,
        branches=[b.value for b in branches or Branch],
        report=typer.echo,
    )
    typer.echo(f"trained: {folder.path}")
    folders = {"data_dir": data_dir, "manual_dir": manual_dir}
    reporting.show_next("evidential", "evaluate", folder.path, **folders)


@app.command("fuse")
def fuse(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder that `train` wrote, or one with h.csv, s.csv and v.csv."
        ),
    ],
    variant: Annotated[
        Variant,
        typer.Option(
            help="How branches are weighted; `released` gives the published weights."
        ),
    ] = "inverse",
    validation: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the same files of validation images, to calibrate with.",
            show_default="FOLDER/validation",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="CSV file to write.", show_default="FOLDER/fused.csv"),
    ] = None,
    export: options.Export = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Fuse the predictions of the branches, which must be of the same images.

    Example: landslide-tf evidential fuse runs/evidential_bijie_small
    """
    from landslide_tf import train as training

    check_exist(folder, validation)
    if export is not None:
        from landslide_tf.serving import check_export

        check_export(export, read=[folder, validation])
    found = training.fuse_folder(
        folder, variant=variant, validation=validation, out=out, overwrite=overwrite
    )
    fitted = ", ".join(f"{k} {t:.3f}" for k, t in found.temperatures.items())
    typer.echo(f"temperatures: {fitted or 'none, not calibrated (see --validation)'}")
    typer.echo(
        f"fused: {found.path} (accuracy {found.scores['accuracy']:.4f}, "
        f"F1 {found.scores['f1']:.4f})"
    )
    if export is not None:
        from landslide_tf.serving import export as export_model

        model, metadata = training.evidential_model(
            folder, variant, options.command_line()
        )
        written = export_model(model, export, metadata=metadata)
        typer.echo(f"exported: {written}")


@app.command("evaluate")
def evaluate(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders that `train` wrote, one per seed.")
    ],
    out: Annotated[Path | None, options.folder("FOLDER/report")] = None,
    overwrite: options.Overwrite = False,
    degradations: Annotated[
        bool, typer.Option(help="Also score degraded images, with noise and blur.")
    ] = True,
    pictures: Annotated[
        int, typer.Option(min=0, max=40, help="Number of images that are explained.")
    ] = 4,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Score the branches and every fusion rule, with tables, plots and pictures.

    Example: landslide-tf evidential evaluate runs/county-0 runs/county-1
    """
    from landslide_tf import train as training

    for folder in folders:
        training.BranchFolder(folder).check()
    from landslide_tf.report import check_evaluation_folder, write_evidential

    report = out or folders[0] / "report"
    read = [path for folder in folders for path in training.BranchFolder(folder).inputs]
    check_evaluation_folder(
        report, "index.html", read=[*read, data_dir, manual_dir], overwrite=overwrite
    )
    found = training.evaluate_branches(
        folders,
        degradations=degradations,
        pictures=pictures,
        data_dir=data_dir,
        manual_dir=manual_dir,
        report=typer.echo,
    )
    files = write_evidential(
        report,
        title=f"Branches and fusion on {found.facts['data']}",
        facts=found.facts,
        rows=found.rows,
        raw=found.raw,
        temperatures=found.temperatures,
        reliability=found.reliability,
        degraded=found.degraded,
        pictures=found.pictures,
    )
    for row in found.rows:
        typer.echo(f"{row['method']:17} accuracy {row['accuracy']:.4f}")
    reporting.show(files, text=False)

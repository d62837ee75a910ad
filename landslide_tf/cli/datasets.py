"""`landslide-tf datasets`: what there is, and building it."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli.options import DataDir, ManualDir, Overwrite
from landslide_tf.cli.reporting import show_next
from landslide_tf.words import counted

app = typer.Typer(
    help="List, describe, build and check data sets.", no_args_is_help=True
)
Data = Annotated[
    str,
    typer.Argument(
        metavar="NAME[/CONFIG]", help="Data set and configuration (`datasets list`)."
    ),
]


@app.command("list")
def list_datasets() -> None:
    """List the data sets and their configurations.

    Example: landslide-tf datasets list
    """
    from landslide_tf.datasets import configurations

    for name, configs in configurations().items():
        typer.echo(f"{name:24} {', '.join(configs)}")


@app.command("info")
def info(data: Data, data_dir: DataDir = None, manual_dir: ManualDir = None) -> None:
    """Show bands, factors, classes, splits and place of a data set.

    If it is not built, the files that you have to download are named.

    Example: landslide-tf datasets info mmls
    """
    from landslide_tf import datasets
    from landslide_tf.pipelines import describe, find_builder

    builder = find_builder(data, data_dir=data_dir)
    described = describe(builder.info.metadata, data, "")
    typer.echo(f"{builder.info.full_name}: {builder.info.description.splitlines()[0]}")
    for channel in described.channels.values():
        limits = "" if channel.range is None else f" {list(channel.range)}"
        typer.echo(f"  {channel.feature:8} {channel.name:10} {channel.unit}{limits}")
    for index, name in enumerate(described.classes):
        mark = " (landslide)" if index == described.landslide_class else ""
        typer.echo(f"  class {index:<2} {name}{mark}")
    for name, split in builder.info.splits.items():
        typer.echo(f"  split    {name:10} {counted(split.num_examples, 'example')}")
    if areas := builder.info.metadata.get("areas"):
        from landslide_tf.report import area_map

        for line in area_map(areas):
            typer.echo(line)
    if not builder.is_prepared():
        typer.echo("  not built")
        if files := builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            downloads = datasets.data_dir(data_dir) / "downloads"
            manual = datasets.manual_dir(manual_dir, download_dir=downloads)
            text = inspect.cleandoc(files).replace("<manual_dir>", str(manual))
            typer.echo(textwrap.indent(text, "  "))
            typer.echo("  in another folder: name it with `--manual-dir`")
        folders = {"data_dir": data_dir, "manual_dir": manual_dir}
        show_next("datasets", "build", data, **folders)


@app.command("build")
def build(
    data: Data,
    data_dir: DataDir = None,
    manual_dir: ManualDir = None,
    beam_runner: Annotated[
        str | None,
        typer.Option(
            help="Apache Beam runner, e.g. DirectRunner, for sets too large for one "
            "process.",
            show_default="without Beam",
        ),
    ] = None,
) -> None:
    """Build a data set for TensorFlow Datasets.

    Nothing of it is visible until it is complete.

    Example: landslide-tf datasets build synthetic_landslides/tiny
    """
    from landslide_tf.pipelines import prepared_builder

    builder = prepared_builder(
        data, data_dir=data_dir, manual_dir=manual_dir, beam_runner=beam_runner
    )
    for name, split in builder.info.splits.items():
        count = counted(split.num_examples, "example")
        typer.echo(f"{builder.info.full_name} {name}: {count}")


@app.command("export-arrays")
def export_arrays(
    data: Annotated[
        str,
        typer.Argument(
            metavar="NAME[/CONFIG][:SPLIT]",
            help="Data to write; all splits by default.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder to write, with one sub folder per split.")
    ],
    overwrite: Overwrite = False,
    data_dir: DataDir = None,
    manual_dir: ManualDir = None,
) -> None:
    """Write a data set as NumPy files, to train where TensorFlow is not installed.

    Example: landslide-tf datasets export-arrays mmls --out arrays
    """
    from landslide_tf.pipelines import export_arrays as write

    counts = write(
        data, out, data_dir=data_dir, manual_dir=manual_dir, overwrite=overwrite
    )
    for name, count in counts.items():
        typer.echo(f"{out / name}: {counted(count, 'example')}")
    typer.echo(f"to train on them give `train` a recipe and --arrays {out}")


@app.command("check")
def check(data: Data, data_dir: DataDir = None, manual_dir: ManualDir = None) -> None:
    """Check a data set for ground that its splits share.

    Prints class shares, files left out, equal images and every pair of examples of
    different splits that shows the same ground; the exit status is then 1. Builds the
    data set if it is missing.

    Example: landslide-tf datasets check mmls
    """
    from landslide_tf.datasets import check_dataset
    from landslide_tf.pipelines import prepared_builder

    builder = prepared_builder(data, data_dir=data_dir, manual_dir=manual_dir)
    found = check_dataset(builder)
    _tell(found.lines(), faulty=bool(found.leaks))


@app.command("plan")
def plan(
    table: Annotated[
        Path,
        typer.Argument(
            help="Table of the image pairs: the published workbook, or CSV."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder to write: MANUAL_DIR/ecoregion_landslides.")
    ],
    inventory: Annotated[
        Path | None,
        typer.Option(help="Inventory of the landslide events, CSV or XLSX."),
    ] = None,
    regions: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or code of an ecoregion. Repeatable.", show_default="all"
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Plan the image pairs of `ecoregion_landslides` that you collect yourself.

    Writes boxes, dates and file names as plan.csv, plan.geojson and pairs.csv, and the
    folders for the images.
    """
    from landslide_tf.datasets.ecoregion_landslides import plan_pairs, write_plan

    planned = plan_pairs(table, inventory=inventory, regions=regions or ())
    files = write_plan(out, planned, read=[table, inventory], overwrite=overwrite)
    for region in dict.fromkeys(p.pair.region for p in planned):
        own = [p for p in planned if p.pair.region == region]
        flagged = sum(bool(p.pair.flags) for p in own)
        typer.echo(f"{region}: {counted(len(own), 'pair')}, {flagged} with flags")
    for path in files.values():
        typer.echo(path)
    typer.echo("save and label the images, then check them")
    show_next("datasets", "collect", out)


@app.command("collect")
def collect(
    folder: Annotated[Path, typer.Argument(help="Folder that `datasets plan` wrote.")],
    overwrite: Overwrite = False,
) -> None:
    """Check collected images and labels against their plan, and draw masks.

    Masks come from polygons; masks that you have drawn yourself are not overwritten.
    The exit status is 1 if the builder would refuse a pair.
    """
    from landslide_tf.datasets.ecoregion_landslides import collect_pairs

    found = collect_pairs(folder, overwrite=overwrite)
    _tell(found.lines(), faulty=bool(found.faulty))


def _tell(lines: Iterable[str], *, faulty: bool) -> None:
    """Prints what a check has found, and ends with status 1 where it is a fault."""
    for line in lines:
        typer.echo(line)
    if faulty:
        raise typer.Exit(1)

"""`landslide-tf datasets`: what there is, and building it."""

from __future__ import annotations

from typing import Annotated

import typer

from landslide_tf.cli.options import DataDir, ManualDir
from landslide_tf.cli.startup import start_tensorflow

app = typer.Typer(help="Data sets.", no_args_is_help=True, rich_markup_mode=None)
Data = Annotated[str, typer.Argument(help="name[/config]")]


@app.command("list")
def list_datasets() -> None:
    """List the package's data sets with their configurations."""
    from landslide_tf.datasets import configurations

    for name, configs in configurations().items():
        typer.echo(f"{name:24} {', '.join(configs)}")


@app.command("info")
def info(data: Data, data_dir: DataDir = None) -> None:
    """Show bands, factors, classes and splits of a data set."""
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
        typer.echo(f"  split    {name:10} {split.num_examples} examples")
    if not builder.is_prepared():
        typer.echo(f"  not built: landslide-tf datasets build {data}")


@app.command("build")
def build(data: Data, data_dir: DataDir = None, manual_dir: ManualDir = None) -> None:
    """Build a data set; nothing of it is visible until it is complete."""
    start_tensorflow()
    from landslide_tf.pipelines import build as build_dataset
    from landslide_tf.pipelines import find_builder

    builder = find_builder(data, data_dir=data_dir)
    if not builder.is_prepared():
        build_dataset(builder, manual_dir=manual_dir)
    for name, split in builder.info.splits.items():
        typer.echo(f"{builder.info.full_name} {name}: {split.num_examples} examples")

"""`landslide-tf changes`: what is new between maps of several dates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def changes(
    maps: Annotated[list[Path], typer.Argument(help="Class maps, oldest first.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    align: Annotated[
        bool, typer.Option("--align", help="Move maps that lie off the first.")
    ] = False,
    persist: Annotated[
        int, typer.Option(min=1, help="Maps in a row that must show it.")
    ] = 1,
    min_area: Annotated[
        float | None, typer.Option(help="New object, m².", show_default="16 pixels")
    ] = None,
    landslide_class: Annotated[
        int | None, typer.Option(help="Value of the maps.", show_default="as they say")
    ] = None,
) -> None:
    """Find new landslides, and what became of each class, from map to map."""
    from landslide_tf.recognition import map_changes

    found = map_changes(
        maps,
        out,
        landslide_class=landslide_class,
        align=align,
        persist=persist,
        min_area=min_area,
    )
    for step in range(1, len(maps)):
        new = [item for item in found.objects if item.step == step]
        area = sum(item.area for item in new)
        typer.echo(f"{maps[step]}: {len(new)} new landslides, {area:.0f} m²")
    for path in sorted(found.folder.iterdir()):
        typer.echo(path)

"""`landslide-tf changes`: what is new between maps of several dates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli import map_report
from landslide_tf.cli import options as shared
from landslide_tf.words import counted

Maps = Annotated[
    list[str], typer.Argument(help="Class maps of several dates, oldest first.")
]
Align = Annotated[
    bool,
    typer.Option("--align", help="Shift maps that do not line up with the first."),
]
Persist = Annotated[
    int,
    typer.Option(min=1, help="Number of maps in a row that must show a new landslide."),
]
MinArea = Annotated[
    float | None,
    typer.Option(
        help="Smallest area of a new landslide, m².", show_default="16 pixels"
    ),
]
LandslideClass = Annotated[
    int | None,
    typer.Option(
        help="Value of landslides in the maps.", show_default="as the maps say"
    ),
]
Images = Annotated[
    list[str] | None,
    typer.Option(help="Image of each map, to show on the page of `--report`."),
]


def changes(
    maps: Maps,
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    align: Align = False,
    persist: Persist = 1,
    min_area: MinArea = None,
    landslide_class: LandslideClass = None,
    within: shared.Within = None,
    mask: shared.Masks = None,
    report: map_report.Report = None,
    image: Images = None,
    nodata: shared.Nodata = None,
    dem: shared.Dem = None,
    dem_unit: shared.DemUnit = None,
    dem_nodata: shared.DemNodata = None,
    overwrite: shared.Overwrite = False,
) -> None:
    """Find new landslides, and changes of every class, between maps of several dates.

    Example: landslide-tf changes 2019.tif 2020.tif --out changes --report changes.html
    """
    from landslide_tf.mapping import check_changes, map_changes
    from landslide_tf.raster.legend import in_plural

    map_report.check_report(report)
    heights = shared.dem_files(dem, dem_unit, dem_nodata)
    map_report.check_shown(image or (), heights, maps, nodata)
    masks = shared.mask_files(within, mask)
    read = [*(image or ()), *(dem or ()), *masks.read]
    check_changes(maps, out, read=read, report=report, overwrite=overwrite)
    found = map_changes(
        maps,
        out,
        landslide_class=landslide_class,
        align=align,
        persist=persist,
        min_area=min_area,
        masks=masks,
        overwrite=overwrite,
    )
    if found.taken:
        typer.echo(found.taken)
    one, several = f"new {found.mapped}", f"new {in_plural(found.mapped)}"
    for step in range(1, len(maps)):
        new = [item for item in found.objects if item.step == step]
        area = sum(item.area for item in new)
        typer.echo(f"{maps[step]}: {counted(len(new), one, several)}, {area:.0f} m²")
    for path in sorted(found.folder.iterdir()):
        typer.echo(path)
    if report is not None:
        page = map_report.write_changes_report(
            report, maps, image or (), heights, found, align=align, nodata=nodata
        )
        typer.echo(page)

"""`landslide-tf inventory`: a database of landslides that grows scene by scene."""

from __future__ import annotations

import datetime
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.cli import map_report, options
from landslide_tf.cli.inventory_scenes import Date, Map, Vector, mapped_scenes
from landslide_tf.errors import DataError
from landslide_tf.words import counted

if TYPE_CHECKING:
    from landslide_tf.inventory import AddedScene, Query

app = typer.Typer(
    help="Collect the landslides of many maps in one database.",
    no_args_is_help=True,
)

Database = Annotated[
    str,
    typer.Argument(
        metavar="DB", help="Database: a GeoPackage file, or postgresql://… (PostGIS)."
    ),
]
Box = Annotated[
    str | None,
    typer.Option(
        metavar="W,S,E,N",
        help="Use only this box, degrees of longitude and latitude.",
        rich_help_panel=options.AREA,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="DATE",
        help="Use only images from this date on, e.g. 2024-05-31.",
        rich_help_panel=options.AREA,
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="DATE",
        help="Use only images up to this date.",
        rich_help_panel=options.AREA,
    ),
]
Regions = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        help="Use only the scenes of this region. Repeatable.",
        rich_help_panel=options.AREA,
    ),
]
Confidence = Annotated[
    int | None,
    typer.Option(
        help="Lowest confidence on the USGS scale: 1, 2, 3, 5 or 8.",
        show_default="any",
    ),
]
Rejected = Annotated[
    bool,
    typer.Option("--rejected", help="Include landslides that a rule rejected."),
]


Before = Annotated[
    str | None,
    typer.Option(
        metavar="DATE",
        help="Date of an earlier image that does not show the landslides.",
    ),
]
Region = Annotated[
    str | None,
    typer.Option(help="Name of the region.", show_default="as the map says"),
]
Area = Annotated[
    Path | None,
    typer.Option(
        help="Polygons of the ground that was mapped.",
        show_default="all pixels with data",
    ),
]
Probabilities = Annotated[
    Path | None,
    typer.Option(
        help="Probabilities of the map, .tif.",
        show_default="those of the polygons",
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        help="Name of the scene.", show_default="the file names of its images"
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(help="Name of the model.", show_default="as the map says"),
]
Sensor = Annotated[str, typer.Option(help="Sensor of the image, e.g. Sentinel-2.")]
Trigger = Annotated[
    str,
    typer.Option(help="Cause: earthquake, rainfall, snowmelt, human or unknown."),
]
Kind = Annotated[
    str,
    typer.Option("--type", help="Landslide type after Hungr et al. 2014."),
]
OldRemoved = Annotated[
    bool,
    typer.Option(
        "--old-removed", help="The map leaves out landslides of earlier images."
    ),
]
MinArea = Annotated[
    float | None,
    typer.Option(
        help="Smallest area that was mapped, m².",
        show_default="as the map says, or 16 pixels",
    ),
]
VolumeLaw = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,ALPHA,GAMMA",
        help="Law of the volumes in m³: ALPHA · area^GAMMA.",
    ),
]
Thresholds = Annotated[
    str | None,
    typer.Option(
        "--confidence",
        help="Lowest probabilities of the confidence values 1, 2, 3, 5 and 8; only for "
        "a new database.",
        show_default="0.5,0.65,0.8,0.9,0.97",
    ),
]
Replace = Annotated[
    bool,
    typer.Option("--replace", help="Replace what the database holds of this scene."),
]


@app.command("add")
def add(
    database: Database,
    map_file: Map,
    vector: Vector = None,
    date: Date = None,
    before: Before = None,
    region: Region = None,
    regions: options.Regions = None,
    area: Area = None,
    probabilities: Probabilities = None,
    dem: options.Dem = None,
    dem_unit: options.DemUnit = None,
    dem_nodata: options.DemNodata = None,
    layer: options.Layer = None,
    scene: Name = None,
    model: ModelName = None,
    sensor: Sensor = "",
    trigger: Trigger = "unknown",
    kind: Kind = "unknown",
    old_removed: OldRemoved = False,
    min_area: MinArea = None,
    volume_law: VolumeLaw = None,
    confidence: Thresholds = None,
    replace: Replace = False,
) -> None:
    r"""Add the landslides of a map or a region; adding the same again changes nothing.

    Example: landslide-tf inventory add DB.gpkg --map map.tif \
        --vector map.gpkg --date 2024-05-31
    """
    from landslide_tf import inventory

    region_file, region_field = options.region_file(regions)
    shared = functools.partial(
        inventory.MappedScene,
        before=None if before is None else _date("--before", before),
        region=region, regions=region_file, region_field=region_field, layer=layer,
        area=area, probabilities=probabilities,
        dem=options.dem_files(dem, dem_unit, dem_nodata), model=model,
        sensor=sensor, trigger=trigger, type=kind, old_removed=old_removed,
        min_area=min_area, volume_law=None if volume_law is None else _law(volume_law),
    )  # fmt: skip
    settings = None
    if confidence is not None:
        settings = inventory.Settings(_numbers("--confidence", confidence))
    day = None if date is None else _date("--date", date)
    with mapped_scenes(database, map_file, vector, day, scene) as scenes:
        for polygons in scenes:
            mapped = shared(**polygons)
            _print_added(
                inventory.add_scene(
                    database, mapped, settings=settings, replace=replace
                )
            )


def _print_added(added: AddedScene) -> None:
    facts = added.scene.facts
    what = f"scene {added.scene.id}, {facts['name']} of {facts['date_max']}"
    if not added.changed:
        typer.echo(f"{what}: there already, nothing changed")
        return
    typer.echo(
        f"{what}: {counted(added.landslides, 'landslide')} on "
        f"{float(facts['mapped_m2'] or 0) / 1e6:.3f} km², region "
        f"{facts['region'] or 'none'}"
    )


@app.command("list")
def list_scenes(
    database: Database,
    box: Box = None,
    since: Since = None,
    until: Until = None,
    region: Regions = None,
) -> None:
    """List the scenes in the database.

    Example: landslide-tf inventory list DB.gpkg --from 2024-01-01
    """
    from landslide_tf import inventory

    query = _query(box, since, until, region)
    with inventory.open_inventory(database) as store:
        scenes = store.scenes(query)
    for scene in scenes:
        facts = scene.facts
        typer.echo(
            f"{scene.id}  {facts['date_max']}  {facts['region'] or 'none'}  "
            f"{counted(int(facts['landslides'] or 0), 'landslide')}  "
            f"{float(facts['mapped_m2'] or 0) / 1e6:.3f} km²  {facts['name']}  "
            f"{facts['model']} {facts['model_version']}".rstrip()
        )
    typer.echo(counted(len(scenes), "scene"))


@app.command("export")
def export(
    database: Database,
    out: Annotated[
        Path, typer.Argument(help="File to write: .gpkg, .geojson, or .csv for COOLR.")
    ],
    box: Box = None,
    since: Since = None,
    until: Until = None,
    region: Regions = None,
    confidence: Confidence = None,
    rejected: Rejected = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Write landslides as GeoPackage, GeoJSON or the CSV table of COOLR.

    Example: landslide-tf inventory export DB.gpkg landslides.geojson
    """
    from landslide_tf import inventory

    query = _query(box, since, until, region, confidence, rejected)
    inventory.check_export(out, database, overwrite=overwrite)
    with inventory.open_inventory(database) as store:
        landslides, scenes = store.landslides(query), store.scenes(query)
    inventory.export_inventory(landslides, scenes, out)
    typer.echo(
        f"{counted(len(landslides), 'landslide')} of {counted(len(scenes), 'scene')}"
    )
    typer.echo(out)


@app.command("stats")
def stats(
    database: Database,
    box: Box = None,
    since: Since = None,
    until: Until = None,
    region: Regions = None,
    confidence: Confidence = None,
    report: map_report.Report = None,
    density: Annotated[
        Path | None, typer.Option(help="Map of the densities to write, .tif.")
    ] = None,
    cell: Annotated[
        float | None,
        typer.Option(
            help="Cell size of the density map, metres.", show_default="1000 or more"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="JSON file to write, with all statistics.")
    ] = None,
    cutoff: Annotated[
        float | None,
        typer.Option(
            help="Cutoff area of the landslide magnitude mLS, m².",
            show_default="fitted",
        ),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(help="Power-law exponent of mLS, below 0.", show_default="fitted"),
    ] = None,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Compute statistics of the landslides: density, size distribution, magnitude.

    Example: landslide-tf inventory stats DB.gpkg --report landslides.html
    """
    from landslide_tf import inventory

    map_report.check_report(report)
    query = _query(box, since, until, region, confidence)
    inventory.check_statistics(
        database, density=density, out=out, report=report, overwrite=overwrite
    )
    with inventory.open_inventory(database) as store:
        landslides, scenes = store.landslides(query), store.scenes(query)
    found = inventory.inventory_statistics(
        landslides, scenes, query=query, cell_m=cell, cutoff=cutoff, beta=beta,
        seed=seed,
    )  # fmt: skip
    for line in found.lines():
        typer.echo(line)
    if density is not None:
        inventory.write_density(found, density)
        typer.echo(density)
    if out is not None:
        inventory.write_statistics(found, out)
        typer.echo(out)
    if report is not None:
        from landslide_tf.report import write_inventory_page

        title = f"Landslides of {Path(database).stem}"
        typer.echo(write_inventory_page(report, title, found))


def _query(
    box: str | None,
    since: str | None,
    until: str | None,
    region: list[str] | None,
    confidence: int | None = None,
    rejected: bool = False,
) -> Query:
    from landslide_tf.inventory import Query

    edges = None if box is None else _numbers("--box", box, 4)
    return Query(
        box=None if edges is None else (edges[0], edges[1], edges[2], edges[3]),
        since=None if since is None else _date("--from", since),
        until=None if until is None else _date("--to", until),
        regions=tuple(region or ()),
        confidence=confidence,
        rejected=rejected,
    )


def _date(option: str, text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise DataError(
            f"Expected `{option}` as year-month-day, such as 2024-05-31, received "
            f"`{text}`."
        ) from error


def _numbers(option: str, text: str, number: int | None = None) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in options.names(text))
    except ValueError:
        found = ()
    if not found or number not in (None, len(found)):
        how_many = "numbers" if number is None else f"{number} numbers"
        raise DataError(
            f"Expected `{option}` as {how_many} with commas between, received `{text}`."
        )
    return found


def _law(text: str) -> tuple[str, float, float]:
    name, _, numbers = text.partition(",")
    alpha, gamma = _numbers("--volume-law NAME,ALPHA,GAMMA", numbers, 2)
    return name.strip(), alpha, gamma

"""`landslide-tf inventory`: a database of landslides that grows scene by scene."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.cli import map_report, options
from landslide_tf.errors import DataError

if TYPE_CHECKING:
    from landslide_tf.inventory import Query

app = typer.Typer(
    help="Keep the landslides of many maps in one database.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Database = Annotated[
    str, typer.Argument(metavar="DB", help="GeoPackage, or postgresql://…")
]
Box = Annotated[str | None, typer.Option(help="WEST,SOUTH,EAST,NORTH in degrees.")]
Since = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="First image after.")
]
Until = Annotated[
    str | None, typer.Option("--to", metavar="DATE", help="Last image after.")
]
Regions = Annotated[list[str] | None, typer.Option("--region", help="Repeatable.")]
Confidence = Annotated[
    int | None, typer.Option(help="At least: 1, 2, 3, 5 or 8 of the USGS.")
]
Rejected = Annotated[
    bool, typer.Option("--rejected", help="Also what a rule rejected.")
]


Map = Annotated[Path, typer.Option("--map", help="Class map.")]
Vector = Annotated[Path, typer.Option(help="Its polygons.")]
Date = Annotated[str, typer.Option(help="Of the image, as 2024-05-31.")]
Before = Annotated[
    str | None, typer.Option(help="Date of an image without the landslides.")
]
Region = Annotated[
    str | None, typer.Option(help="Its name.", show_default="as the map says")
]
Area = Annotated[
    Path | None,
    typer.Option(help="Outline of what was mapped.", show_default="the map's data"),
]
Probabilities = Annotated[
    Path | None, typer.Option(help="GeoTIFF.", show_default="the polygons' own")
]
Name = Annotated[
    str | None, typer.Option(help="Name.", show_default="the map's images")
]
ModelName = Annotated[
    str | None, typer.Option(help="Name.", show_default="as the map says")
]
Sensor = Annotated[str, typer.Option(help="What took the image.")]
Trigger = Annotated[str, typer.Option(help="earthquake, rainfall, snowmelt, human.")]
Kind = Annotated[str, typer.Option("--type", help="Type after Hungr et al. 2014.")]
OldRemoved = Annotated[
    bool, typer.Option("--old-removed", help="Landslides of before are not in it.")
]
MinArea = Annotated[
    float | None,
    typer.Option(help="Smallest mapped, m².", show_default="map's or 16 pixels"),
]
VolumeLaw = Annotated[
    str | None, typer.Option(help="NAME,ALPHA,GAMMA: ALPHA area^GAMMA, m³.")
]
Thresholds = Annotated[
    str | None,
    typer.Option(
        "--confidence",
        help="Least probability of the values 1, 2, 3, 5, 8; of a new inventory.",
        show_default="0.5,0.65,0.8,0.9,0.97",
    ),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="The scene's former content goes.")
]


@app.command("add")
def add(
    database: Database,
    map_file: Map,
    vector: Vector,
    date: Date,
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
    """Add the landslides of a map; the same map again changes nothing."""
    from landslide_tf import inventory

    region_file, region_field = options.region_file(regions)
    mapped = inventory.MappedScene(
        map=map_file, polygons=vector, date=_date("--date", date),
        before=None if before is None else _date("--before", before),
        region=region, regions=region_file, region_field=region_field, layer=layer,
        area=area, probabilities=probabilities,
        dem=options.dem_files(dem, dem_unit, dem_nodata), name=scene, model=model,
        sensor=sensor, trigger=trigger, type=kind, old_removed=old_removed,
        min_area=min_area, volume_law=None if volume_law is None else _law(volume_law),
    )  # fmt: skip
    settings = None
    if confidence is not None:
        settings = inventory.Settings(_numbers("--confidence", confidence))
    added = inventory.add_scene(database, mapped, settings=settings, replace=replace)
    facts = added.scene.facts
    what = f"scene {added.scene.id}, {facts['name']} of {facts['date_max']}"
    if not added.changed:
        typer.echo(f"{what}: there already, nothing changed")
        return
    typer.echo(
        f"{what}: {added.landslides} landslides on "
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
    """List the mapped scenes."""
    from landslide_tf import inventory

    query = _query(box, since, until, region)
    with inventory.open_inventory(database) as store:
        scenes = store.scenes(query)
    for scene in scenes:
        facts = scene.facts
        typer.echo(
            f"{scene.id}  {facts['date_max']}  {facts['region'] or 'none'}  "
            f"{facts['landslides']} landslides  "
            f"{float(facts['mapped_m2'] or 0) / 1e6:.3f} km²  {facts['name']}  "
            f"{facts['model']} {facts['model_version']}".rstrip()
        )
    typer.echo(f"{len(scenes)} scenes")


@app.command("export")
def export(
    database: Database,
    out: Annotated[Path, typer.Argument(help=".gpkg, .geojson, or COOLR's .csv.")],
    box: Box = None,
    since: Since = None,
    until: Until = None,
    region: Regions = None,
    confidence: Confidence = None,
    rejected: Rejected = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Write landslides as GeoPackage, GeoJSON or the table of COOLR."""
    from landslide_tf import inventory

    query = _query(box, since, until, region, confidence, rejected)
    inventory.check_export(out, database, overwrite=overwrite)
    with inventory.open_inventory(database) as store:
        landslides, scenes = store.landslides(query), store.scenes(query)
    inventory.export_inventory(landslides, scenes, out)
    typer.echo(f"{len(landslides)} landslides of {len(scenes)} scenes")
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
        Path | None, typer.Option(help="Densities to write (GeoTIFF).")
    ] = None,
    cell: Annotated[
        float | None,
        typer.Option(help="Its cells, metres.", show_default="1000 or more"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    cutoff: Annotated[
        float | None, typer.Option(help="Of mLS, m².", show_default="as fitted")
    ] = None,
    beta: Annotated[
        float | None, typer.Option(help="Of mLS, below 0.", show_default="as fitted")
    ] = None,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Count and measure landslides: density, sizes, magnitude."""
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
    from landslide_tf.ecoregions import region_name
    from landslide_tf.inventory import Query

    edges = None if box is None else _numbers("--box", box, 4)
    return Query(
        box=None if edges is None else (edges[0], edges[1], edges[2], edges[3]),
        since=None if since is None else _date("--from", since),
        until=None if until is None else _date("--to", until),
        regions=tuple(region_name(name) for name in region or ()),
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

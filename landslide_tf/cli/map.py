"""`landslide-tf map`: a scene becomes a map of landslides."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from landslide_tf.cli import map_report
from landslide_tf.cli import options as shared
from landslide_tf.cli.model_files import Metadata, Models, RuntimeOption, load_member
from landslide_tf.errors import DataError
from landslide_tf.words import counted

if TYPE_CHECKING:
    from landslide_tf.mapping import MapSummary

Files = list[Path] | None
PREDICTION = "Prediction"
Factor = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=FILE",
        help="Raster of a further factor that the model takes. Repeatable.",
        rich_help_panel=shared.INPUT,
    ),
]
Scale = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|auto",
        help="Multiply the stored values by this, if they are not in the unit of the "
        "training; `auto` brings the brightest hundredth to the end of its range.",
        rich_help_panel=shared.INPUT,
    ),
]
Window = Annotated[
    int | None,
    typer.Option(
        help="Side of the windows that are predicted, pixels. Change it only if the "
        "model was trained on several sizes.",
        show_default="as in training",
        rich_help_panel=PREDICTION,
    ),
]
Overlap = Annotated[
    int | None,
    typer.Option(
        help="Pixels that neighbouring windows share; more removes visible seams.",
        show_default="a quarter of the window",
        rich_help_panel=PREDICTION,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Probability from which a pixel is a landslide. Lower finds more and "
        "raises more false alarms.",
        show_default="the model's",
        rich_help_panel=PREDICTION,
    ),
]
MinArea = Annotated[
    float | None,
    typer.Option(
        help="Smallest area of a polygon, m².",
        show_default="16 pixels",
        rich_help_panel=shared.OUTPUT,
    ),
]
Simplify = Annotated[
    float,
    typer.Option(
        help="Simplify outlines by at most this distance, metres.",
        rich_help_panel=shared.OUTPUT,
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        help="Batch size: windows that are predicted together. Lower it if memory "
        "is short.",
        show_default="by the size of the windows",
        rich_help_panel=PREDICTION,
    ),
]
AllClasses = Annotated[
    bool,
    typer.Option(
        "--all-classes",
        help="Write the probability of every class, not of landslide alone.",
        rich_help_panel=shared.OUTPUT,
    ),
]
Float32 = Annotated[
    bool,
    typer.Option(
        "--float",
        help="Write probabilities as float32 instead of 250 steps of 8 bits.",
        rich_help_panel=shared.OUTPUT,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse scenes whose cell size is not that of the training, instead of "
        "warning.",
        rich_help_panel=shared.DETAILS,
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        help="Region whose decoder a model for several regions uses.",
        rich_help_panel=shared.DETAILS,
    ),
]


Image = Annotated[
    list[str],
    typer.Option(help="Scene: one file, or repeat it for the files of one scene."),
]
Out = Annotated[
    Path, typer.Option(help="Class map to write, .tif (cloud optimised GeoTIFF).")
]
Vector = Annotated[
    Files,
    typer.Option(
        help="Polygons to write, .gpkg or .geojson. Repeatable.",
        rich_help_panel=shared.OUTPUT,
    ),
]
Probabilities = Annotated[
    Path | None,
    typer.Option(help="Probabilities to write, .tif.", rich_help_panel=shared.OUTPUT),
]
Uncertainty = Annotated[
    Path | None,
    typer.Option(
        help="Uncertainty to write, .tif: entropy, and mutual information of "
        "several models.",
        rich_help_panel=shared.OUTPUT,
    ),
]
AllowNoCrs = Annotated[
    bool,
    typer.Option(
        "--allow-no-crs",
        help="Map a scene that has no coordinate system.",
        rich_help_panel=shared.DETAILS,
    ),
]


def map_scene(
    model: Models,
    image: Image,
    out: Out,
    dem: shared.Dem = None,
    factor: Factor = None,
    vector: Vector = None,
    report: map_report.Report = None,
    probabilities: Probabilities = None,
    uncertainty: Uncertainty = None,
    bands: shared.Bands = "",
    nodata: shared.Nodata = None,
    within: shared.Within = None,
    mask: shared.Masks = None,
    min_slope: shared.MinSlope = None,
    scale: Scale = None,
    threshold: Threshold = None,
    tta: shared.TTA = False,
    all_classes: AllClasses = False,
    float32: Float32 = False,
    min_area: MinArea = None,
    simplify: Simplify = 0.0,
    window: Window = None,
    overlap: Overlap = None,
    batch: Batch = None,
    dem_unit: shared.DemUnit = None,
    dem_nodata: shared.DemNodata = None,
    allow_no_crs: AllowNoCrs = False,
    strict: Strict = False,
    metadata: Metadata = None,
    runtime: RuntimeOption = None,
    region: Region = None,
    regions: shared.Regions = None,
    overwrite: shared.Overwrite = False,
) -> None:
    """Map the landslides of a scene with a trained model.

    MODEL is a run folder, an export, a shipped name, a model file or a server's
    address; several models are averaged.

    The same command resumes it after an interruption.

    Example: landslide-tf map runs/a --image scene.tif --dem dem.tif --out map.tif
    """
    map_report.check_report(report)
    from landslide_tf import mapping

    files = mapping.SceneFiles(
        tuple(image),
        dem=shared.dem_files(dem, dem_unit, dem_nodata),
        factor=shared.named_values("--factor", factor or []),
        bands=shared.band_choice(bands),
        nodata=nodata,
        masks=shared.mask_files(within, mask),
        min_slope=min_slope,
        scale=read_scale(scale),
        allow_no_crs=allow_no_crs,
    )
    options = mapping.MapOptions(
        window, overlap, batch, threshold, tta, all_classes, float32, min_area,
        simplify, strict,
    )  # fmt: skip
    outputs = mapping.Outputs(
        out, probabilities, uncertainty, tuple(vector or ()), overwrite=overwrite
    )
    models = [*model, metadata, shared.region_file(regions)[0]]
    mapping.check_map(outputs, files, report=report, models=models)
    decoder = _region(region, regions, image[0])
    members = [load_member(name, metadata, decoder, runtime) for name in model]
    with map_report.with_layers(outputs, report) as layers:
        made = with_progress(
            lambda show: mapping.map_scene(
                members, files, layers, options, progress=show
            )
        )
        pages = map_report.write(report, members[0].metadata, files, layers, made)
    _print(made, pages)


def _print(made: MapSummary, pages: Sequence[Path]) -> None:
    """Prints what was mapped, and the files; layers of a page alone are gone."""
    share = made.landslide / max(1, made.valid)
    if made.taken:
        typer.echo(made.taken)
    known = "" if made.trained is None else f" (training: {made.trained})"
    typer.echo(
        f"{counted(made.pixels, 'pixel')}, {made.valid} with data, {share:.2%} of them "
        + made.mapped
        + ("" if made.objects is None else f", {counted(made.objects, 'polygon')}")
        + f"; windows of {made.window} pixels{known}, overlapping by {made.overlap}"
        + (f"; resumed after {counted(made.resumed, 'strip')}" if made.resumed else "")
    )
    for path in (*filter(Path.exists, made.files), *pages):
        typer.echo(path)


@contextlib.contextmanager
def progress_bars(stopped: str) -> Iterator[Progress]:
    """Shows how far tasks are on a terminal; says `stopped` when the user ends them."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:.0f} % {task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        try:
            yield bars
        except KeyboardInterrupt:
            typer.echo(stopped, err=True)
            raise


def with_progress(
    mapped: Callable[[Callable[[int, int], None]], MapSummary],
) -> MapSummary:
    """Shows on a terminal how far mapping is, its speed and the time left."""
    with progress_bars("stopped: the same command resumes it") as bar:
        task = bar.add_task("Mapping", total=None, speed="")

        def show(done: int, pixels: int) -> None:
            per_second = bar.tasks[0].speed or 0.0
            speed = f"{per_second / 1e6:.2f} Mpx/s"
            bar.update(task, total=pixels, completed=done, speed=speed)

        return mapped(show)


def _region(region: str | None, regions: str | None, image: str) -> str | None:
    """Returns the region whose decoder maps a scene, None where none is named."""
    from landslide_tf.ecoregions import check_one_region, region_name
    from landslide_tf.inventory import region_of_raster

    check_one_region(region, regions)
    path, field = shared.region_file(regions)
    if path is not None:
        return region_of_raster(path, field, image)
    return None if region is None else region_name(region)


def read_scale(text: str | None) -> float | str | None:
    """Returns what `--scale` says.

    Raises:
        DataError: If it is neither a number nor `auto`.
    """
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError as error:
        raise DataError(
            f"Expected `--scale` as a number or `auto`, received `{text}`."
        ) from error

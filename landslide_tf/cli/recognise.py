"""`landslide-tf recognise`: landslides that geology and an earlier date agree with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.cli import map as map_command
from landslide_tf.cli import map_report, options
from landslide_tf.cli.model_files import load_member
from landslide_tf.errors import DataError

if TYPE_CHECKING:
    from landslide_tf.mapping import Outputs, SceneFiles
    from landslide_tf.raster.dem import DemFiles
    from landslide_tf.recognition import Maps, Recognition, Reference, SchemeOptions
    from landslide_tf.terrain import Grid

_NO_RULES = "none"


Model = Annotated[
    list[str] | None, typer.Argument(help="As of `map`; or give `--map`.")
]
Image = Annotated[list[str] | None, typer.Option(help="Scene: one file, or several.")]
Before = Annotated[list[str] | None, typer.Option(help="Scene before the event.")]
Map = Annotated[
    Path | None, typer.Option("--map", help="Class map that is there already.")
]
MapBefore = Annotated[Path | None, typer.Option(help="Of before.")]
Probabilities = Annotated[Path | None, typer.Option(help="Of `--map`.")]
Rules = Annotated[
    str | None, typer.Option(help="YAML file, or none.", show_default="this project's")
]
Change = Annotated[str, typer.Option(help="Judge by object, or by pixel.")]
Buffer = Annotated[int, typer.Option(min=0, help="Widen what was before, pixels.")]
KeepPreExisting = Annotated[
    bool, typer.Option("--keep-pre-existing", help="Keep landslides of before.")
]
Vegetation = Annotated[
    bool, typer.Option("--vegetation", help="Vegetation must have gone.")
]
ReferenceFile = Annotated[
    Path | None, typer.Option(help="What is there, to score each stage.")
]


def recognise(
    model: Model = None,
    image: Image = None,
    before: Before = None,
    out: Annotated[Path, options.folder("recognised")] = Path("recognised"),
    map_file: Map = None,
    map_before: MapBefore = None,
    probabilities: Probabilities = None,
    dem: options.Dem = None,
    dem_unit: options.DemUnit = None,
    dem_nodata: options.DemNodata = None,
    bands: options.Bands = "",
    nodata: options.Nodata = None,
    scale: map_command.Scale = None,
    threshold: map_command.Threshold = None,
    rules: Rules = None,
    change: Change = "object",
    buffer: Buffer = 2,
    keep_pre_existing: KeepPreExisting = False,
    vegetation: Vegetation = False,
    reference: ReferenceFile = None,
    layer: options.Layer = None,
    class_field: options.ClassField = None,
    positive: options.Positive = "",
    outside: options.Outside = "background",
    metadata: map_command.Metadata = None,
) -> None:
    """Recognise landslides: map, filter by geology, compare with before."""
    from landslide_tf import recognition
    from landslide_tf.raster.labels import LabelOptions
    from landslide_tf.report import check_map_page

    scheme = _scheme(rules, change, buffer, keep_pre_existing)
    elevations = options.dem_files(dem, dem_unit, dem_nodata)
    files, files_before = (
        None if not paths else _scene(paths, elevations, bands, nodata, scale)
        for paths in (image, before)
    )
    made = _maps(model, out, map_file, map_before, probabilities, files, files_before)
    maps = recognition.Maps(
        *made,
        image_before=files_before if vegetation else None,
        image_after=files if vegetation else None,
        dem=elevations,
    )
    if vegetation and (files is None or files_before is None):
        raise DataError("`--vegetation` needs the images: `--image` and `--before`.")
    named = None if rules == _NO_RULES else rules
    scenes = (*(image or ()), *(before or ()))
    read = [reference, metadata, named, *scenes, *(model or ())]
    recognition.check_recognition(maps, out, read=read, with_maps=bool(model))
    if model and files is not None:
        _map(model, metadata, maps, files, files_before, threshold)
    elif files is not None:
        check_map_page(maps.after, files.image, nodata=files.nodata)

    def known(grid: Grid) -> Reference:
        labels = LabelOptions(
            positive=options.names(positive), outside=outside, field=class_field,
            layer=layer,
        )  # fmt: skip
        return recognition.Reference(reference or "", grid, labels)

    found = recognition.recognise(
        maps, out, scheme, reference=None if reference is None else known
    )
    _print(found, _page(found, maps, files))


def _scheme(
    rules: str | None, change: str, buffer: int, keep_pre_existing: bool
) -> SchemeOptions:
    from landslide_tf.errors import check_choice
    from landslide_tf.objects import DEFAULT_RULES, Rule, read_rules
    from landslide_tf.recognition import SchemeOptions

    check_choice("--change", change, ["object", "pixel"])
    tried: tuple[Rule, ...] = DEFAULT_RULES if rules is None else ()
    if rules is not None and rules != _NO_RULES:
        tried = read_rules(rules)
    return SchemeOptions(
        tried,
        change="pixel" if change == "pixel" else "object",
        buffer=buffer,
        keep_pre_existing=keep_pre_existing,
    )


def _scene(
    paths: list[str],
    dem: DemFiles | None,
    bands: str,
    nodata: float | None,
    scale: str | None,
) -> SceneFiles:
    from landslide_tf.mapping import SceneFiles

    return SceneFiles(
        tuple(paths),
        dem=dem,
        bands=options.band_choice(bands),
        nodata=nodata,
        scale=map_command.read_scale(scale),
    )


def _maps(
    model: list[str] | None,
    out: Path,
    map_file: Path | None,
    map_before: Path | None,
    probabilities: Path | None,
    files: SceneFiles | None,
    files_before: SceneFiles | None,
) -> tuple[Path, Path | None, Path | None]:
    """Returns the maps after, its probabilities, and before, made or given."""
    if bool(model) == (map_file is not None):
        raise DataError("Give either MODEL with `--image`, or `--map`.")
    if map_file is not None:
        return map_file, probabilities, map_before
    if files is None:
        raise DataError("MODEL needs the scene to map: `--image FILE`.")
    if map_before is not None or probabilities is not None:
        raise DataError(
            "`--map-before` and `--probabilities` belong to `--map`: MODEL maps both "
            "scenes itself."
        )
    earlier = None if files_before is None else out / "before.tif"
    return out / "map.tif", out / "probabilities.tif", earlier


def _map(
    model: list[str],
    metadata: Path | None,
    maps: Maps,
    files: SceneFiles,
    files_before: SceneFiles | None,
    threshold: float | None,
) -> None:
    """Maps the scenes of both dates with one model."""
    from landslide_tf import mapping

    members = [load_member(name, metadata) for name in model]
    how = mapping.MapOptions(threshold=threshold)
    maps.after.parent.mkdir(parents=True, exist_ok=True)

    def mapped(scene: SceneFiles, outputs: Outputs) -> None:
        map_command.with_progress(
            lambda show: mapping.map_scene(members, scene, outputs, how, progress=show)
        )

    mapped(files, mapping.Outputs(maps.after, maps.probabilities))
    if files_before is not None and maps.before is not None:
        mapped(files_before, mapping.Outputs(maps.before))


def _page(found: Recognition, maps: Maps, files: SceneFiles | None) -> Path:
    """Writes the page of what was recognised."""
    from landslide_tf.report import MapDate, write_map_page

    shown: list[tuple[str, int]] = []
    if files is not None and len(files.image) == 1:
        shown = map_report.shown_bands(files.image[0])
    facts: dict[str, int | str] = {
        f"After the stage `{stage.name}`": stage.line().partition(": ")[2]
        for stage in found.stages
    }
    for number, line in enumerate(found.statistics.lines(), 1):
        facts[f"Statistics {number}"] = line
    return write_map_page(
        found.folder / "report.html",
        f"Landslides recognised in {maps.after.name}",
        [
            MapDate(
                name=maps.after.name,
                map=found.folder / "mask.tif",
                image=shown,
                nodata=None if files is None else files.nodata,
                probabilities=maps.probabilities,
            )
        ],
        dem=maps.dem,
        polygons=found.folder / "landslides.gpkg",
        facts=facts,
    )


def _print(found: Recognition, page: Path) -> None:
    for stage in found.stages:
        typer.echo(stage.line())
    for rule, number in found.not_evaluated.items():
        typer.echo(f"{rule}: not tried on {number} objects, of which it is not known")
    for line in found.statistics.lines():
        typer.echo(line)
    typer.echo(found.folder)
    typer.echo(page)

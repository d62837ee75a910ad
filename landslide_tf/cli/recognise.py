"""`landslide-tf recognise`: landslides that geology and an earlier date agree with."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.cli import map as map_command
from landslide_tf.cli import map_report, options
from landslide_tf.cli.model_files import load_member
from landslide_tf.errors import DataError
from landslide_tf.words import counted

if TYPE_CHECKING:
    from landslide_tf.mapping import Outputs, Reference, SceneFiles
    from landslide_tf.raster.dem import DemFiles
    from landslide_tf.raster.labels import LabelOptions
    from landslide_tf.raster.masks import MaskFiles
    from landslide_tf.recognition import Maps, Recognition, SchemeOptions
    from landslide_tf.terrain import Grid

_NO_RULES = "none"
SCHEME, SCORES = "Scheme", "Scores"


Model = Annotated[
    list[str] | None,
    typer.Argument(help="Model that maps the scene, as in `map`; or give `--map`."),
]
Image = Annotated[
    list[str] | None,
    typer.Option(help="Scene: one file, or repeat it for the files of one scene."),
]
Before = Annotated[list[str] | None, typer.Option(help="Scene before the event.")]
Map = Annotated[
    Path | None,
    typer.Option("--map", help="Class map to start from, instead of a model."),
]
MapBefore = Annotated[
    Path | None, typer.Option(help="Class map of the scene before the event.")
]
Probabilities = Annotated[
    Path | None, typer.Option(help="Probabilities that belong to `--map`, .tif.")
]
Rules = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|none",
        help="YAML file of the geological rules; `none` applies no rule.",
        show_default="the rules of this package",
        rich_help_panel=SCHEME,
    ),
]
Change = Annotated[
    str,
    typer.Option(
        help="Compare the dates by `object` or by `pixel`.", rich_help_panel=SCHEME
    ),
]
Buffer = Annotated[
    int,
    typer.Option(
        min=0,
        help="Widen earlier landslides by this, pixels, against small shifts.",
        rich_help_panel=SCHEME,
    ),
]
KeepPreExisting = Annotated[
    bool,
    typer.Option(
        "--keep-pre-existing",
        help="Include landslides that the earlier scene shows.",
        rich_help_panel=SCHEME,
    ),
]
Vegetation = Annotated[
    bool,
    typer.Option(
        "--vegetation", help="Require a loss of vegetation.", rich_help_panel=SCHEME
    ),
]
ReferenceFile = Annotated[
    Path | None,
    typer.Option(
        help="True landslides (polygons or raster), to score each stage.",
        rich_help_panel=SCORES,
    ),
]
Adapt = Annotated[
    str | None,
    typer.Option(
        metavar="RECIPE",
        help="First adapt MODEL to the images by this recipe of `adapt`.",
        rich_help_panel=SCHEME,
    ),
]
TargetIou = Annotated[
    float | None,
    typer.Option(
        help="Search better bounds of the rules if the IoU is below this.",
        rich_help_panel=SCORES,
    ),
]
Validation = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Polygons of the ground on which bounds are searched.",
        rich_help_panel=SCORES,
    ),
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
    target_iou: TargetIou = None,
    within: options.Within = None,
    validation: Validation = None,
    layer: options.Layer = None,
    class_field: options.ClassField = None,
    positive: options.Positive = "",
    outside: options.Outside = "background",
    metadata: map_command.Metadata = None,
    adapt: Adapt = None,
    changes: options.Changes = None,
    data_dir: options.DataDir = None,
    manual_dir: options.ManualDir = None,
) -> None:
    """Map landslides, filter them by geology and compare them with an earlier date.

    Example: landslide-tf recognise runs/a --image after.tif --dem dem.tif
    """
    from landslide_tf import recognition
    from landslide_tf.report import check_map_page

    scheme = _scheme(rules, change, buffer, keep_pre_existing, target_iou)
    elevations = options.dem_files(dem, dem_unit, dem_nodata)
    files, files_before = (
        None if not paths else _scene(paths, elevations, bands, nodata, scale)
        for paths in (image, before)
    )
    made = _maps(model, out, map_file, map_before, probabilities, files, files_before)
    images = (files_before, files) if vegetation else (None, None)
    maps = recognition.Maps(*made, *images, dem=elevations)
    part = options.mask_files(validation, None)
    masks = options.mask_files(within, None)
    read = [reference, metadata, *masks.read, *part.read, *(model or ())]
    folders = (data_dir, manual_dir)
    read += [] if adapt is None else [options.recipe_file(adapt), *folders]
    read += [*(image or ()), *(before or ()), None if rules == _NO_RULES else rules]
    recognition.check_recognition(maps, out, read=read, with_maps=bool(model))
    _check_together(
        vegetation and None in images,
        {target_iou is None, validation is None, not (validation and reference)},
        adapt is not None and len(model or ()) != 1,
    )
    if model and files is not None:
        model = _adapted(model, (files, files_before), out, adapt, changes, folders)
        _map(model, metadata, maps, files, files_before, threshold)
    elif files is not None:
        check_map_page(maps.after, files.image, nodata=files.nodata)
    labels = _labels(positive, outside, class_field, layer)
    found = _recognised(maps, out, scheme, reference, labels, masks, part)
    _print(found, _page(found, maps, files))


def _labels(
    positive: str, outside: str, field: str | None, layer: str | None
) -> LabelOptions:
    from landslide_tf.raster.labels import LabelOptions

    named = options.names(positive)
    return LabelOptions(positive=named, outside=outside, field=field, layer=layer)


def _recognised(
    maps: Maps,
    out: Path,
    scheme: SchemeOptions,
    reference: Path | None,
    labels: LabelOptions,
    within: MaskFiles,
    part: MaskFiles,
) -> Recognition:
    """Recognises landslides, with the reference where there is one."""
    from landslide_tf import mapping, recognition

    if reference is None:
        return recognition.recognise(maps, out, scheme)

    def known(masks: MaskFiles, grid: Grid) -> Reference:
        return mapping.Reference(reference, grid, labels, masks)

    return recognition.recognise(
        maps,
        out,
        scheme,
        reference=functools.partial(known, within),
        validation=functools.partial(known, part) if part.read else None,
    )


def _check_together(no_images: bool, given: set[bool], several: bool) -> None:
    """Refuses options that need others."""
    if no_images:
        raise DataError("`--vegetation` needs the images: `--image` and `--before`.")
    if len(given) > 1:
        raise DataError(
            "`--target-iou`, `--validation` and `--reference` belong together: bounds "
            "are searched where it is known what is there."
        )
    if several:
        raise DataError("`--adapt` takes one MODEL, a run: name its folder.")


def _adapted(
    model: list[str],
    scenes: tuple[SceneFiles | None, ...],
    out: Path,
    method: str | None,
    changes: list[str] | None,
    folders: tuple[Path | None, Path | None],
) -> list[str]:
    """Adapts a run to the images first, where asked; returns what maps them then."""
    if method is None:
        return model
    from landslide_tf.recognition.adaptation import adapt_to_images

    adapted = adapt_to_images(
        model[0],
        [scene for scene in scenes if scene is not None],
        out / "adapted",
        recipe=method,
        changes=changes or (),
        session=options.session(*folders),
    )
    typer.echo(f"adapted: {adapted.path}")
    return [str(adapted.path)]


def _scheme(
    rules: str | None,
    change: str,
    buffer: int,
    keep_pre_existing: bool,
    target_iou: float | None,
) -> SchemeOptions:
    from landslide_tf.errors import check_choice
    from landslide_tf.objects import DEFAULT_RULES, Rule, read_rules
    from landslide_tf.recognition import SchemeOptions
    from landslide_tf.recognition.options import PRE_EXISTING

    check_choice("--change", change, ["object", "pixel"])
    tried: tuple[Rule, ...] = DEFAULT_RULES if rules is None else ()
    if rules is not None and rules != _NO_RULES:
        tried = read_rules(rules)
    return SchemeOptions(
        tried,
        change="pixel" if change == "pixel" else "object",
        buffer=buffer,
        pre_existing=None if keep_pre_existing else PRE_EXISTING,
        target_iou=target_iou,
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
    facts |= {
        name[0].upper() + name[1:]: text
        for name, text in found.statistics.facts().items()
    }
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
    if found.ious:
        values = ", ".join(f"{iou:.3f}" for iou in found.ious)
        typer.echo(f"IoU on the validation part, before and by round: {values}")
    for stage in found.stages:
        typer.echo(stage.line())
    for rule, number in found.not_evaluated.items():
        typer.echo(f"{rule}: not tried on {counted(number, 'object')} without values")
    for line in found.statistics.lines():
        typer.echo(line)
    typer.echo(found.folder)
    typer.echo(page)

"""`landslide-tf prepare`: a user's own scenes become a data set and a recipe."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import typer

from landslide_tf.cli import options as shared
from landslide_tf.errors import DataError
from landslide_tf.words import counted

if TYPE_CHECKING:
    from landslide_tf.datasets.common.sampling import SamplingMethod
    from landslide_tf.prepare import Prepared
    from landslide_tf.prepare.pool import Patches
    from landslide_tf.raster.dem import DemFiles
    from landslide_tf.raster.masks import MaskFiles

T = TypeVar("T")
Files = list[str] | None
TILES = "Tiles"
Dem = Annotated[
    list[str] | None,
    typer.Option(
        help="Elevation model on any grid: one for all scenes, one per scene, or tiles "
        "of one model.",
        rich_help_panel=shared.INPUT,
    ),
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        help="Layer of the vector file that holds the polygons.",
        show_default="the only one",
        rich_help_panel=shared.INPUT,
    ),
]
PointsLayers = Annotated[
    list[str] | None,
    typer.Option(
        help="Layer of the vector file that holds the points.",
        show_default="the only one",
        rich_help_panel=shared.INPUT,
    ),
]
Nodatas = Annotated[
    list[float] | None,
    typer.Option(
        help="Pixel value that stands for missing data.",
        show_default="the file's",
        rich_help_panel=shared.INPUT,
    ),
]
Withins = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE[:LAYER]",
        help="Use only the ground inside these polygons.",
        rich_help_panel=shared.AREA,
    ),
]
Classes = Annotated[
    str,
    typer.Option(
        metavar="NAME,…",
        help="Names of the classes, in the order of the mask's values.",
        rich_help_panel=shared.INPUT,
    ),
]
Gsd = Annotated[
    float | None,
    typer.Option(
        help="Cell size to resample to, metres, if scenes have several.",
        show_default="the image's",
        rich_help_panel=TILES,
    ),
]
Stride = Annotated[
    int | None,
    typer.Option(
        help="Distance between training tiles, pixels; less than TILE makes more of "
        "them.",
        show_default="TILE",
        rich_help_panel=TILES,
    ),
]
Patching = Annotated[
    str,
    typer.Option(
        help="Where training tiles lie: on a `grid`, or on `superpixels`.",
        rich_help_panel=TILES,
    ),
]
Sampling = Annotated[
    str,
    typer.Option(
        help="Which training tiles are taken: `original` takes all, `mus1` and `mus2` "
        "balance the classes.",
        rich_help_panel=TILES,
    ),
]


Images = Annotated[
    list[str], typer.Option(help="Image of a scene. Repeat it for several scenes.")
]
Labels = Annotated[
    list[str],
    typer.Option(help="Labels of a scene: polygons, a raster or labelme JSON."),
]
Ndvi = Annotated[
    Files,
    typer.Option(
        help="Raster of NDVI.",
        show_default="from near infrared and red",
        rich_help_panel=shared.INPUT,
    ),
]
Points = Annotated[
    Files,
    typer.Option(
        help="Points of landslides; tiles around them are training tiles too.",
        rich_help_panel=shared.INPUT,
    ),
]
Tile = Annotated[
    int,
    typer.Option(
        help="Side of a tile, pixels. Choose it larger than most landslides.",
        rich_help_panel=TILES,
    ),
]
Seed = Annotated[
    int,
    typer.Option(help="Random seed of split and sampling.", rich_help_panel=TILES),
]


def prepare(
    image: Images,
    labels: Labels,
    out: Annotated[Path, typer.Option(help="Folder to write: data set and recipe.")],
    dem: Dem = None,
    dem_unit: shared.DemUnit = None,
    dem_nodata: shared.DemNodata = None,
    distances: shared.Distances = "grid",
    ndvi: Ndvi = None,
    points: Points = None,
    layer: Layers = None,
    points_layer: PointsLayers = None,
    class_field: shared.ClassField = None,
    bands: shared.Bands = "",
    nodata: Nodatas = None,
    within: Withins = None,
    mask: shared.Masks = None,
    classes: Classes = "background,landslide",
    positive: shared.Positive = "",
    outside: shared.Outside = "background",
    gsd: Gsd = None,
    tile: Tile = 256,
    stride: Stride = None,
    patches: Patching = "grid",
    sampling: Sampling = "original",
    seed: Seed = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Make a data set and a recipe from your own scenes.

    Prints the command that trains the recipe.

    Example: landslide-tf prepare --image a.tif --labels a.geojson --out prepared
    """
    from landslide_tf import prepare as preparation
    from landslide_tf.raster.labels import LabelOptions

    options = preparation.Options(
        bands=shared.band_choice(bands),
        labels=LabelOptions(
            classes=shared.names(classes),
            positive=shared.names(positive),
            outside=outside,
            field=class_field,
        ),
        gsd=gsd,
        tile=tile,
        stride=stride,
        patches=cast("Patches", patches),  # `Options` checks both words
        sampling=cast("SamplingMethod", sampling),
        seed=seed,
        terrain={"distances": distances},
    )
    count = len(image)
    rows = zip(
        image,
        _each("labels", labels, count),
        _each("dem", _elevations(dem, dem_unit, dem_nodata, count), count),
        _each("ndvi", ndvi, count),
        _each("points", points, count),
        _each("layer", layer, count),
        _each("points-layer", points_layer, count),
        _each("nodata", nodata, count),
        _masks(within, mask, count),
        strict=True,
    )
    inputs = [preparation.Inputs(*row) for row in rows]
    _show(preparation.prepare(inputs, out, options, overwrite=overwrite))


def _masks(
    within: list[str] | None, masks: list[str] | None, count: int
) -> list[MaskFiles]:
    """Returns the masks of each scene; of several scenes each has one raster."""
    each = [masks] if count == 1 else [
        None if text is None else [text] for text in _each("mask", masks, count)
    ]  # fmt: skip
    areas = _each("within", within, count)
    return [shared.mask_files(*row) for row in zip(areas, each, strict=True)]


def _show(made: Prepared) -> None:
    from landslide_tf.raster.labels import LANDSLIDE

    report = made.report
    for line in made.taken:
        typer.echo(line)
    for split, number in made.counts.items():
        shares = report[split]["class_shares"].items()
        named = {LANDSLIDE: made.landslide}
        listed = ", ".join(f"{named.get(n, n)} {share:.2%}" for n, share in shares)
        typer.echo(f"{split}: {counted(number, 'tile')} ({listed} of labelled pixels)")
    typer.echo(
        f"left out: {counted(report['tiles_without_label'], 'tile')} without a label, "
        f"{report['tiles_in_gaps']} in gaps between the splits"
    )
    typer.echo(f"prepared: {made.folder}")
    if made.advice is not None:
        typer.echo(made.advice)
    typer.echo(f"next: {made.train_command}")


def _elevations(
    paths: list[str] | None, unit: str | None, nodata: float | None, count: int
) -> list[DemFiles | None]:
    """Returns one model a scene where there are as many files, else one of tiles."""
    given = paths or []
    models = [[path] for path in given] if len(given) == count else [given]
    return [shared.dem_files(model, unit, nodata) for model in models]


def _each(name: str, given: list[T] | None, count: int) -> list[T | None]:
    """Returns one value a scene; one for all is repeated."""
    if not given:
        return [None] * count
    if len(given) not in (1, count):
        raise DataError(
            f"Expected one `--{name}`, or one for each of the {count} images, received "
            f"{len(given)}."
        )
    return [value for value, _ in zip(cycle(given), range(count), strict=False)]

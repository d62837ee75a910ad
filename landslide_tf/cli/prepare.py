"""`landslide-tf prepare`: a user's own scenes become a data set and a recipe."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import typer

from landslide_tf.cli import options as shared
from landslide_tf.cli.startup import start_tensorflow
from landslide_tf.errors import DataError

if TYPE_CHECKING:
    from landslide_tf.datasets.common.sampling import SamplingMethod
    from landslide_tf.prepare import Prepared
    from landslide_tf.prepare.pool import Patches
    from landslide_tf.raster.dem import DemFiles
    from landslide_tf.raster.masks import MaskFiles

T = TypeVar("T")
Files = list[Path] | None
Dem = Annotated[
    list[str] | None,
    typer.Option(help="Elevations, any grid: one, one a scene, or tiles for all."),
]
Layers = Annotated[
    list[str] | None,
    typer.Option(help="Of the polygons.", show_default="its one"),
]
PointsLayers = Annotated[
    list[str] | None, typer.Option(help="Of the points.", show_default="its one")
]
Nodatas = Annotated[
    list[float] | None,
    typer.Option(help="Value of missing pixels.", show_default="the image's"),
]
Withins = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE[:LAYER]", help="Polygons: what lies in them counts."),
]
Classes = Annotated[str, typer.Option(help="Names of values.")]
Gsd = Annotated[
    float | None, typer.Option(help="Cell, metres.", show_default="the image's")
]
Stride = Annotated[
    int | None, typer.Option(help="From tile to tile.", show_default="TILE")
]
Patching = Annotated[str, typer.Option(help="Training tiles: grid or superpixels.")]
Sampling = Annotated[
    str, typer.Option(help="original, mus1 or mus2: even classes out.")
]


def prepare(
    image: Annotated[list[Path], typer.Option(help="GeoTIFF. One option a scene.")],
    labels: Annotated[
        list[Path], typer.Option(help="Polygons, a raster or labelme JSON.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    dem: Dem = None,
    dem_unit: shared.DemUnit = None,
    dem_nodata: shared.DemNodata = None,
    distances: shared.Distances = "grid",
    ndvi: Annotated[Files, typer.Option(help="NDVI; else of NIR and red.")] = None,
    points: Annotated[
        Files, typer.Option(help="Landslide points: train around them too.")
    ] = None,
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
    tile: Annotated[int, typer.Option(help="Rows and columns of a tile.")] = 256,
    stride: Stride = None,
    patches: Patching = "grid",
    sampling: Sampling = "original",
    seed: Annotated[int, typer.Option(help="Of split and sampling.")] = 0,
    overwrite: shared.Overwrite = False,
) -> None:
    """Make a data set and a recipe of your own scenes; prints the next command."""
    start_tensorflow()
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
    report = made.report
    for line in made.taken:
        typer.echo(line)
    for split, number in made.counts.items():
        shares = report[split]["class_shares"].items()
        listed = ", ".join(f"{name} {share:.2%}" for name, share in shares)
        typer.echo(f"{split}: {number} tiles ({listed} of labelled pixels)")
    typer.echo(
        f"left out: {report['tiles_without_label']} tiles without a label, "
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

"""`landslide-tf evaluate-map`: a map against what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslide_tf.cli import options
from landslide_tf.words import counted

# What the counts of each rule of `objects.object_counts` are of.
_COUNTED = {
    "iou": "landslides of one shape (IoU of at least 0.5)",
    "overlap": "landslides that touch",
    "pixel": "pixels of landslides",
}


def evaluate_map(
    map_file: Annotated[
        str, typer.Argument(metavar="MAP", help="Class map that `map` wrote.")
    ],
    reference: Annotated[
        str, typer.Option(help="True landslides: polygons, or a raster of 0 and 1.")
    ],
    layer: options.Layer = None,
    class_field: options.ClassField = None,
    positive: options.Positive = "",
    outside: options.Outside = "background",
    landslide_class: Annotated[
        int | None,
        typer.Option(
            help="Value of landslides in the map.", show_default="as the map says"
        ),
    ] = None,
    within: options.Within = None,
    mask: options.Masks = None,
    out: Annotated[
        Path | None, typer.Option(help="JSON file to write, with all scores.")
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Score a map against known landslides: pixels, objects and sizes.

    Example: landslide-tf evaluate-map map.tif --reference polygons.geojson
    """
    from landslide_tf import mapping

    masks = options.mask_files(within, mask)
    files = (map_file, reference)
    mapping.check_evaluation(out, [*files, *masks.read], overwrite=overwrite)
    found = mapping.evaluate_map(
        map_file,
        reference,
        positive=options.names(positive),
        outside=outside,
        landslide_class=landslide_class,
        masks=masks,
        layer=layer,
        class_field=class_field,
    )
    for line in found.taken:
        typer.echo(line)
    own = found.scores.of_class(1)
    typer.echo(
        "pixels: " + ", ".join(f"{name} {value:.4f}" for name, value in own.items())
    )
    for rule, counts in found.objects.items():
        scores = counts.scores()
        typer.echo(
            f"{_COUNTED[rule]}: {counts.tp} found, {counts.fn} missed, {counts.fp} "
            f"false (detection {scores.dp:.4f}, quality {scores.qp:.4f}, commission "
            f"error {scores.ce:.4f})"
        )
    for row in found.sizes:
        limit = " m² and more" if row.largest is None else f" to {row.largest:g} m²"
        typer.echo(f"{row.smallest:g}{limit}: {row.found} of {row.number} found")
    typer.echo(f"ignored: {counted(found.ignored, 'pixel')}")
    if out is not None:
        mapping.write_evaluation(found, out)
        typer.echo(out)

"""The pages of maps and of changes, from what their commands read and wrote."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landslide_tf.errors import DataError

if TYPE_CHECKING:
    from landslide_tf.mapping import Changes, MapSummary, Outputs, SceneFiles
    from landslide_tf.metadata import ModelMetadata
    from landslide_tf.raster.dem import DemFiles

Report = Annotated[
    Path | None,
    typer.Option(help="Web page to write, .html, that shows the result on a map."),
]


def check_report(report: Path | None) -> None:
    """Refuses the name of a page before anything expensive.

    Raises:
        DataError: If it is no name of an HTML file, or a folder.
    """
    if report is None:
        return
    if report.suffix.lower() not in (".html", ".htm") or report.is_dir():
        raise DataError(
            f"`--report` must name a file that ends in .html, received `{report}`."
        )


@contextlib.contextmanager
def with_layers(outputs: Outputs, report: Path | None) -> Iterator[Outputs]:
    """Adds the layers a page shows, for as long as it takes, where none are wanted.

    Args:
        outputs: What the user wants.
        report: The page; None adds nothing.

    Yields:
        What to write: with probabilities and polygons if there is a page.
    """
    if report is None:
        yield outputs
        return
    with tempfile.TemporaryDirectory(prefix="landslide-tf-") as folder:
        vector = outputs.vector or (Path(folder, "polygons.gpkg"),)
        chances = outputs.probabilities or Path(folder, "probabilities.tif")
        yield replace(outputs, probabilities=chances, vector=vector)


def write(
    report: Path | None,
    metadata: ModelMetadata,
    files: SceneFiles,
    outputs: Outputs,
    made: MapSummary,
) -> list[Path]:
    """Writes the page of a map, if one is wanted.

    Args:
        report: The page, or None.
        metadata: The (first) model.
        files: The scene.
        outputs: What was written, probabilities and polygons among it.
        made: What was mapped.

    Returns:
        The pages written.
    """
    if report is None:
        return []
    from landslide_tf.raster.bands import COLOURS, find_bands
    from landslide_tf.raster.legend import in_plural
    from landslide_tf.raster.names import short_name
    from landslide_tf.report import MapDate, write_map_page

    name = short_name(files.image[0])
    known = [band.name for band in metadata.inputs]
    shown = COLOURS if set(COLOURS) <= set(known) else known[: 3 if known[2:] else 1]
    bands = find_bands(files.image, shown, files.bands)
    share = made.landslide / max(1, made.valid)
    page = write_map_page(
        report,
        f"{in_plural(made.mapped).capitalize()} in {name}",
        [
            MapDate(
                name=name,
                map=outputs.out,
                image=[(band.path, band.number) for band in bands],
                nodata=files.nodata,
                probabilities=outputs.probabilities,
            )
        ],
        dem=files.dem,
        polygons=outputs.vector[0],
        facts={
            "Model": metadata.name,
            "Pixels with data": made.valid,
            made.mapped.capitalize(): f"{share:.2%}",
            "Polygons": made.objects,
            "Map": str(outputs.out),
            **{
                key.replace("_", " ").capitalize(): value
                for key, value in files.left_out.items()
            },
        },
        area=made.area,
    )
    return [page]


def check_shown(
    images: Sequence[str],
    dem: DemFiles | None,
    maps: Sequence[str],
    nodata: float | None = None,
) -> None:
    """Refuses images that are not one a map, and files that cannot be shown on maps.

    Raises:
        DataError: If their numbers differ, or one cannot be shown.
    """
    from landslide_tf.raster.bands import known_bands
    from landslide_tf.report import check_map_page

    if images and len(images) != len(maps):
        raise DataError(
            f"Expected one `--image` a map, {len(maps)}, received {len(images)}: give "
            "them in the order of the maps."
        )
    for path in images:
        known_bands(path)
    check_map_page(maps[0], images, dem=dem, nodata=nodata)


def shown_bands(image: str) -> list[tuple[str, int]]:
    """Returns file and number of the bands of an image that a page shows.

    Args:
        image: The image.

    Returns:
        Red, green and blue where they are known, else the first band.
    """
    from landslide_tf.raster.bands import COLOURS, known_bands

    numbers = known_bands(image)
    bands = [numbers[name] for name in COLOURS if name in numbers]
    chosen = bands if len(bands) == len(COLOURS) else [1]
    return [(image, band) for band in chosen]


def write_changes_report(
    report: Path,
    maps: Sequence[str],
    images: Sequence[str],
    dem: DemFiles | None,
    found: Changes,
    *,
    align: bool,
    nodata: float | None = None,
) -> Path:
    """Writes the page of what changed: the first and the last date to swipe between.

    Args:
        report: The page.
        maps: Class maps, oldest first.
        images: One image a map, or none.
        dem: Elevations for the hillshade.
        found: What changed.
        align: Whether the maps were moved by the shifts that were found.
        nodata: Number that stands for no data in the images; None = as they tag.

    Returns:
        The page.
    """
    from landslide_tf.raster.legend import in_plural
    from landslide_tf.raster.names import short_name
    from landslide_tf.report import MapDate, write_map_page

    dates = []
    for index in (0, len(maps) - 1):
        places = []
        if images:
            places = shown_bands(images[index])
        name = f"{index + 1}: {short_name(maps[index])}"
        moved = found.shifts[index] if align else None
        shift = (0.0, 0.0) if moved is None else moved
        dates.append(
            MapDate(
                name=name, map=maps[index], image=places, nodata=nodata, shift=shift
            )
        )
    several = in_plural(found.mapped)
    facts: dict[str, int | str] = {
        "Maps": len(maps),
        f"New {several}": len(found.objects),
    }
    if (last := found.shifts[-1]) and any(last):
        what = "moved back" if align else "shown where it lies"
        facts["Last map lies off the first"] = (
            f"{last[0]:+.1f} rows, {last[1]:+.1f} columns; {what}"
        )
    return write_map_page(
        report,
        f"New {several} from {short_name(maps[0])} to {short_name(maps[-1])}",
        dates,
        dem=dem,
        polygons=found.folder / "new_landslides.gpkg",
        facts=facts,
        area=sum(item.area for item in found.objects),
    )

"""`landslide-tf terrain`: slope, aspect, hillshade and NDVI as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from landslide_tf.cli import options as shared

if TYPE_CHECKING:
    from landslide_tf.choices import Distances, Edges, Method


def terrain(
    dem: Annotated[
        list[str] | None,
        typer.Argument(help="Elevation model: one file, or its tiles."),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            help="Image whose grid all layers get, and whose bands give NDVI."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write with all layers.")
    ] = None,
    slope: Annotated[
        Path | None, typer.Option(help="Slope to write, .tif, degrees.")
    ] = None,
    aspect: Annotated[
        Path | None,
        typer.Option(help="Aspect to write, .tif, degrees clockwise from north."),
    ] = None,
    hillshade: Annotated[
        Path | None, typer.Option(help="Hillshade to write, .tif, 1 to 255.")
    ] = None,
    ndvi: Annotated[
        Path | None, typer.Option(help="NDVI to write, .tif, -1 to 1.")
    ] = None,
    dem_unit: shared.DemUnit = None,
    dem_nodata: shared.DemNodata = None,
    bands: shared.Bands = "",
    nodata: shared.Nodata = None,
    method: Annotated[
        str, typer.Option(help="Formula of slopes: horn or zevenbergen_thorne.")
    ] = "horn",
    edges: Annotated[
        str,
        typer.Option(
            help="What becomes of cells beside missing ones: `compute` or `nodata`."
        ),
    ] = "compute",
    azimuth: Annotated[
        float,
        typer.Option(help="Direction of the hillshade's light, degrees from north."),
    ] = 315.0,
    altitude: Annotated[
        float, typer.Option(help="Height of the hillshade's light, degrees.")
    ] = 45.0,
    distances: shared.Distances = "grid",
    overwrite: shared.Overwrite = False,
) -> None:
    """Write slope, aspect, hillshade and NDVI as GeoTIFFs.

    Example: landslide-tf terrain dem.tif --image scene.tif --out terrain
    """
    from landslide_tf.raster.terrain_layers import TerrainFiles, write_terrain_layers

    files = TerrainFiles(
        shared.dem_files(dem, dem_unit, dem_nodata),
        tuple(image or ()),
        shared.band_choice(bands),
        nodata,
        cast("Method", method),  # `TerrainFiles` checks the words
        cast("Edges", edges),
        azimuth,
        altitude,
        cast("Distances", distances),
    )
    named = {"slope": slope, "aspect": aspect, "hillshade": hillshade, "ndvi": ndvi}
    outputs = {name: path for name, path in named.items() if path is not None}
    if out is not None:
        outputs = {name: out / f"{name}.tif" for name in files.layers} | outputs
    write_terrain_layers(files, outputs, overwrite=overwrite)
    for path in outputs.values():
        typer.echo(path)

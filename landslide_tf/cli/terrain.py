"""`landslide-tf terrain`: slope, aspect, hillshade and NDVI as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from landslide_tf.cli import options as shared

if TYPE_CHECKING:
    from landslide_tf.terrain.distances import Distances
    from landslide_tf.terrain.gradient import Edges, Method


def terrain(
    dem: Annotated[
        list[str] | None, typer.Argument(help="Elevations: one file, or tiles.")
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option(help="Its grid for all; NDVI of its bands.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for all layers, as slope.tif.")
    ] = None,
    slope: Annotated[Path | None, typer.Option(help="GeoTIFF, degrees.")] = None,
    aspect: Annotated[Path | None, typer.Option(help="GeoTIFF, degrees.")] = None,
    hillshade: Annotated[Path | None, typer.Option(help="GeoTIFF, 1 to 255.")] = None,
    ndvi: Annotated[Path | None, typer.Option(help="GeoTIFF, -1 to 1.")] = None,
    dem_unit: shared.DemUnit = None,
    dem_nodata: shared.DemNodata = None,
    bands: shared.Bands = "",
    nodata: shared.Nodata = None,
    method: Annotated[str, typer.Option(help="horn or zevenbergen_thorne.")] = "horn",
    edges: Annotated[
        str, typer.Option(help="Cells beside missing ones: compute or nodata.")
    ] = "compute",
    azimuth: Annotated[float, typer.Option(help="Of the sun, degrees.")] = 315.0,
    altitude: Annotated[float, typer.Option(help="Of the sun, degrees.")] = 45.0,
    distances: shared.Distances = "grid",
    overwrite: shared.Overwrite = False,
) -> None:
    """Write slope, aspect, hillshade and NDVI as GeoTIFFs, to look at them."""
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

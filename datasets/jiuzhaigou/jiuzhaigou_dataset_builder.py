"""jiuzhaigou: landslides of the 2017 earthquake with terrain, from your own folder."""

from __future__ import annotations

from typing import ClassVar

from landslide_tf.datasets.common.land_cover import (
    LAYOUT,
    LandCoverBuilder,
    LandCoverConfig,
)


class Builder(LandCoverBuilder):
    """Builder of jiuzhaigou."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    The authors' files are not released. Put your own into `<manual_dir>/jiuzhaigou/`:
    {LAYOUT}; `labels/*.gpkg|shp|geojson` with polygons of landslides may stand for the
    rasters of labels.
    """
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        **LandCoverBuilder.RELEASE_NOTES,
        "2.0.0": f"{LandCoverBuilder.RELEASE_NOTES['2.0.0']} Beyond polygons there is "
        "background; all pairs test unless the table says otherwise.",
    }
    POLYGONS = True
    TESTS = True
    BUILDER_CONFIGS: ClassVar[list[LandCoverConfig]] = [
        LandCoverConfig(
            name="binary",
            description="Landslide and background, which is all beyond polygons.",
            binary=True,
            background="background",
        ),
        LandCoverConfig(
            name="pairs", description="Six classes, from rasters of labels."
        ),
    ]

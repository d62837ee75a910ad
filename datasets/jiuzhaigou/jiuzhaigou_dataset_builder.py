"""jiuzhaigou: landslides of the 2017 earthquake with terrain, from your own folder."""

from __future__ import annotations

from typing import ClassVar

import tensorflow_datasets as tfds

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
    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "2.0.0": "Background beyond polygons; all pairs test unless the table says "
        "otherwise.",
        "1.0.0": "First release.",
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

"""mangkam: land cover of Mangkam County with terrain, from a folder of your own."""

from __future__ import annotations

from typing import ClassVar

from landslide_tf.datasets.common.land_cover import (
    LAYOUT,
    LandCoverBuilder,
    LandCoverConfig,
)


class Builder(LandCoverBuilder):
    """Builder of mangkam."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    The authors' files are not released. Put your own into `<manual_dir>/mangkam/`:
    {LAYOUT}.
    """
    BUILDER_CONFIGS: ClassVar[list[LandCoverConfig]] = [
        LandCoverConfig(name="pairs", description="Whole scenes, split by pair."),
        LandCoverConfig(
            name="patches",
            description="Training patches of 256 x 256 pixels around superpixels, "
            "sampled in two stages; whole scenes in validation and test.",
            patch=256,
        ),
    ]

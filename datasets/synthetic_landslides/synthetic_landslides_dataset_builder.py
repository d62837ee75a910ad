"""synthetic_landslides: generated tiles on which terrain is needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.info import (
    BINARY,
    LAND_COVER,
    RGB,
    TERRAIN,
    make_info,
)
from landslide_tf.datasets.common.splits import SPLITS

GSD = 2.0
SEED = 11


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """Which tiles a configuration holds.

    Attributes:
        regions: Regions of the generator.
        counts: Tiles of each region in train, validation and test.
        size: Rows and columns.
        visible: Whether colour alone tells landslides from bare land.
    """

    regions: tuple[int, ...] = (0, 1, 2, 3)
    counts: tuple[int, int, int] = (256, 64, 64)
    size: int = 128
    visible: bool = False


class Builder(LandslideBuilder[tuple[int, int]]):
    """Builder of synthetic_landslides."""

    BUILDER_CONFIGS: ClassVar[list[Config]] = [
        Config(name="default", description="Six classes, four regions, 128 pixels."),
        Config(
            name="tiny",
            description="Six classes, one region, 96 pixels: for tests and demos.",
            regions=(0,),
            counts=(160, 16, 40),
            size=96,
        ),
        Config(
            name="visible",
            description=(
                "Landslides that colour alone shows, four regions with a sun and a "
                "season each, 96 pixels."
            ),
            counts=(128, 32, 64),
            size=96,
            visible=True,
        ),
        *(
            Config(
                name=f"visible-region{region}",
                description=f"The tiles of `visible` from region {region} alone.",
                regions=(region,),
                counts=(128, 32, 64),
                size=96,
                visible=True,
            )
            for region in range(4)
        ),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        size, visible = self.builder_config.size, self.builder_config.visible
        scalar, tensor = tfds.features.Scalar, tfds.features.Tensor
        return make_info(
            self,
            bands=RGB,
            factors=TERRAIN,
            size=size,
            classes=BINARY if visible else LAND_COVER,
            inputs=("image", "factors"),
            licence="Apache-2.0",
            gsd=GSD,
            features={
                "dem": tensor(shape=(size, size, 1), dtype=np.float32, encoding="zlib"),
                "region": scalar(np.int32),
                "index": scalar(np.int32),
                "gsd": scalar(np.float32),
            },
        )

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[tuple[int, int]]]:
        """Lists region and number of every tile by split."""
        del dl_manager  # nothing to download
        regions, counts = self.builder_config.regions, self.builder_config.counts
        return {
            split: list(product(regions, range(count)))
            for split, count in zip(SPLITS, counts, strict=True)
        }

    def read(self, split: str, item: tuple[int, int]) -> Iterator[Example]:
        """Generates a tile."""
        # scipy and the terrain functions load only where tiles are made.
        from landslide_tf.datasets.synthetic_landslides.generate import generate_tile

        region, index = item
        size, visible = self.builder_config.size, self.builder_config.visible
        tile = generate_tile(
            SEED, region, split, index, size=size, cell=GSD, visible=visible
        )
        factors = [tile["slope"], tile["aspect"], tile["ndvi"]]
        yield {
            "image": tile["image"],
            "factors": np.stack(factors, axis=-1),
            "dem": tile["dem"][..., None],
            "mask": tile["mask"],
            "region": region,
            "index": index,
            "id": f"region{region}_{split}_{index:04d}",
            "gsd": GSD,
        }

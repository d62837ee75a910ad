"""synthetic_landslides: generated tiles on which terrain is needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.common.base import BandInfo, LandslideBuilder, make_metadata

GSD = 2.0
SEED = 11
SPLITS = ("train", "validation", "test")
CLASSES = ("landslide", "building", "forest", "water", "road", "bare")
VISIBLE_CLASSES = ("background", "landslide")

_BANDS = [
    BandInfo(name=name, unit="", range=[0.0, 255.0])
    for name in ("red", "green", "blue")
]
_FACTORS = [
    BandInfo(name="slope", unit="degree", range=[0.0, 90.0]),
    BandInfo(name="aspect", unit="degree", range=[0.0, 360.0]),
    BandInfo(name="ndvi", unit="1", range=[-1.0, 1.0]),
]


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


class Builder(LandslideBuilder):
    """Builder of synthetic_landslides."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
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
    DEFAULT_BUILDER_CONFIG_NAME = "default"
    pkg_dir_path = epath.Path(__file__).parent

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.size
        classes = VISIBLE_CLASSES if self.builder_config.visible else CLASSES
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(
                    shape=(size, size, 3), dtype=np.uint8, encoding_format="png"
                ),
                "factors": tfds.features.Tensor(
                    shape=(size, size, 3), dtype=np.float32, encoding="zlib"
                ),
                "dem": tfds.features.Tensor(
                    shape=(size, size, 1), dtype=np.float32, encoding="zlib"
                ),
                "mask": tfds.features.LabeledImage(
                    shape=(size, size, 1), labels=list(classes), encoding_format="png"
                ),
                "region": tfds.features.Scalar(np.int32),
                "index": tfds.features.Scalar(np.int32),
                "id": tfds.features.Text(),
                "gsd": tfds.features.Scalar(np.float32),
            }
        )
        return self.dataset_info_from_configs(
            features=features,
            supervised_keys=({"image": "image", "factors": "factors"}, "mask"),
            metadata=make_metadata(
                bands=_BANDS,
                factors=_FACTORS,
                classes=classes,
                landslide_class=classes.index("landslide"),
                licence="Apache-2.0",
                gsd=GSD,
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        del dl_manager  # nothing to download
        counts = zip(SPLITS, self.builder_config.counts, strict=True)
        return {split: self._generate_examples(split, n) for split, n in counts}

    def _generate_examples(
        self, split: str, count: int
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        # scipy and the terrain room load only where tiles are made.
        from landslide_tf.datasets.synthetic_landslides.generate import generate_tile

        config = self.builder_config
        for region in config.regions:
            for index in range(count):
                tile = generate_tile(
                    SEED,
                    region,
                    split,
                    index,
                    size=config.size,
                    cell=GSD,
                    visible=config.visible,
                )
                name = f"region{region}_{split}_{index:04d}"
                factors = [tile["slope"], tile["aspect"], tile["ndvi"]]
                yield (
                    name,
                    {
                        "image": tile["image"],
                        "factors": np.stack(factors, axis=-1),
                        "dem": tile["dem"][..., None],
                        "mask": tile["mask"][..., None],
                        "region": region,
                        "index": index,
                        "id": name,
                        "gsd": GSD,
                    },
                )

"""jiuzhaigou: landslides of the 2017 earthquake with terrain, from your own folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.common.base import LandslideBuilder, make_metadata
from landslide_tf.datasets.common.folders import find_manual
from landslide_tf.datasets.mangkam.mangkam_dataset_builder import (
    BANDS,
    CLASSES,
    FACTORS,
    LAYOUT,
    PATTERNS,
    SEED,
    make_features,
)
from landslide_tf.errors import DataError, did_you_mean
from landslide_tf.metadata import IGNORE_VALUE

if TYPE_CHECKING:
    from landslide_tf.datasets.common.terrain_pairs import Pair

BINARY = ("background", "landslide")


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """What a configuration's masks hold.

    Attributes:
        binary: Whether there are two classes, background and landslide.
        background: Class of pixels beyond polygons; None = no label.
        seed: Seed of the split by hash, where the table has no column `split`.
    """

    binary: bool = False
    background: str | None = None
    seed: int = SEED

    def __post_init__(self) -> None:
        """Refuses an unknown class."""
        known = BINARY if self.binary else CLASSES
        if self.background is not None and self.background not in known:
            raise DataError(
                f"`background` cannot be `{self.background}`."
                f"{did_you_mean(self.background, known)}"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the mask's values."""
        return BINARY if self.binary else CLASSES


class Builder(LandslideBuilder):
    """Builder of jiuzhaigou."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    The authors' files are not released. Put your own into `<manual_dir>/jiuzhaigou/`:
    {LAYOUT}; `labels/*.gpkg|shp|geojson` with polygons of landslides may stand for the
    rasters of labels.
    """
    BUILDER_CONFIGS: ClassVar[list[Config]] = [
        Config(
            name="pairs",
            description="Six classes; pixels beyond polygons have no label.",
        ),
        Config(
            name="binary",
            description="Landslide and background, which is all beyond polygons.",
            binary=True,
            background="background",
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "pairs"
    pkg_dir_path = epath.Path(__file__).parent

    def _info(self) -> tfds.core.DatasetInfo:
        classes = self.builder_config.classes
        return self.dataset_info_from_configs(
            features=make_features(classes),
            supervised_keys=({"image": "image", "factors": "factors"}, "mask"),
            metadata=make_metadata(
                bands=BANDS,
                factors=FACTORS,
                classes=classes,
                landslide_class=classes.index("landslide"),
                licence="the user's own files; the authors' are not released",
                gsd=None,
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        # GDAL loads only where pairs are read.
        from landslide_tf.datasets.common.terrain_pairs import find_pairs

        root = self.manual_root(dl_manager)
        layout = f"{LAYOUT}; or `labels/*.gpkg|shp|geojson` of landslides"
        found = find_manual(root, self.name, PATTERNS, layout)
        pairs, report = find_pairs(
            found.parent, seed=self.builder_config.seed, polygons=True
        )
        self.info.metadata["files"] = report
        return {
            split: self._generate_examples(split, members)
            for split, members in pairs.items()
        }

    def _generate_examples(
        self, split: str, pairs: list[Pair]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        from landslide_tf.datasets.common.terrain_pairs import read_pair

        config = self.builder_config
        # Rasters hold land cover; polygons are read as land cover, too.
        outside = IGNORE_VALUE
        if config.background is not None:
            chosen = "bare" if config.binary else config.background
            outside = CLASSES.index(chosen)
        counts = np.zeros(256, np.int64)
        for pair in pairs:
            example = read_pair(
                pair, background=outside, landslide=CLASSES.index("landslide")
            )
            if config.binary:
                mask = example["mask"]
                landslide = mask == CLASSES.index("landslide")
                binary = np.where(mask == IGNORE_VALUE, IGNORE_VALUE, landslide)
                example["mask"] = binary.astype(np.uint8)
            counts += np.bincount(example["mask"].ravel(), minlength=256)
            yield pair.id, example
        known = counts[: len(config.classes)]
        self.info.metadata["files"][split] = {
            "pairs": len(pairs),
            "class_shares": dict(
                zip(config.classes, (known / max(1, known.sum())).tolist(), strict=True)
            ),
        }

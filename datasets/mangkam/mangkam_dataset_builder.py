"""mangkam: land cover of Mangkam County with terrain, from a folder of your own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.common.base import BandInfo, LandslideBuilder, make_metadata
from landslide_tf.datasets.common.folders import find_manual

if TYPE_CHECKING:
    from landslide_tf.datasets.common.terrain_pairs import Pair

CLASSES = ("landslide", "building", "forest", "water", "road", "bare")
LAYOUT = (
    "`pairs.csv` (id,satellite,date,resolution_m and, if you like, split) beside "
    "`images/<id>.tif`, `labels/<id>.tif`, `dem/<id>.tif`, `ndvi/<id>.tif` and, "
    "optional, `slope/<id>.tif`, `aspect/<id>.tif`"
)
PATTERNS = ("pairs.csv", "*/pairs.csv")
SEED = 0

BANDS = [
    BandInfo(name=name, unit="", range=[0.0, 255.0])
    for name in ("red", "green", "blue")
]
FACTORS = [
    BandInfo(name="slope", unit="degree", range=[0.0, 90.0]),
    BandInfo(name="aspect", unit="degree", range=[0.0, 360.0]),
    BandInfo(name="ndvi", unit="1", range=[-1.0, 1.0]),
]


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """How a configuration splits.

    Attributes:
        seed: Seed of the split by hash, where the table has no column `split`.
    """

    seed: int = SEED


def make_features(classes: tuple[str, ...]) -> tfds.features.FeaturesDict:
    """Returns the features of a pair, whose size may vary."""
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(
                shape=(None, None, 3), dtype=np.uint8, encoding_format="png"
            ),
            "factors": tfds.features.Tensor(
                shape=(None, None, 3), dtype=np.float32, encoding="zlib"
            ),
            "mask": tfds.features.LabeledImage(
                shape=(None, None, 1), labels=list(classes), encoding_format="png"
            ),
            "id": tfds.features.Text(),
            "satellite": tfds.features.Text(),
            "date": tfds.features.Text(),
            "resolution_m": tfds.features.Scalar(np.float32),
            "transform": tfds.features.Tensor(shape=(6,), dtype=np.float64),
            "crs": tfds.features.Text(),
        }
    )


class Builder(LandslideBuilder):
    """Builder of mangkam."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    The authors' files are not released. Put your own into `<manual_dir>/mangkam/`:
    {LAYOUT}.
    """
    BUILDER_CONFIGS: ClassVar[list[Config]] = [
        Config(name="pairs", description="Whole scenes, split by pair."),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "pairs"
    pkg_dir_path = epath.Path(__file__).parent

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=make_features(CLASSES),
            supervised_keys=({"image": "image", "factors": "factors"}, "mask"),
            metadata=make_metadata(
                bands=BANDS,
                factors=FACTORS,
                classes=CLASSES,
                landslide_class=CLASSES.index("landslide"),
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
        found = find_manual(root, self.name, PATTERNS, LAYOUT)
        pairs, report = find_pairs(
            found.parent, seed=self.builder_config.seed, polygons=False
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

        counts = np.zeros(256, np.int64)
        for pair in pairs:
            example = read_pair(pair, background=255, landslide=0)
            counts += np.bincount(example["mask"].ravel(), minlength=256)
            yield pair.id, example
        shares = counts[: len(CLASSES)] / max(1, counts[: len(CLASSES)].sum())
        self.info.metadata["files"][split] = {
            "pairs": len(pairs),
            "class_shares": dict(zip(CLASSES, shares.tolist(), strict=True)),
        }

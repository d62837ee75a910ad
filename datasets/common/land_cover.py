"""The builder of mangkam and jiuzhaigou: land cover with terrain, a user's own files.

Reading them is apart, in `land_cover_files`: it needs GDAL, which is too slow for
`import landslide_tf`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.files import find_manual
from landslide_tf.datasets.common.info import (
    BINARY,
    LAND_COVER,
    RGB,
    TERRAIN,
    make_info,
)
from landslide_tf.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from landslide_tf.datasets.common.land_cover_files import LandCover
    from landslide_tf.datasets.common.land_cover_patches import CutPair, Labelled
    from landslide_tf.datasets.common.sampling import SamplingMethod

LAYOUT = (
    "`pairs.csv` (id,satellite,date,resolution_m and, if you like, split) beside "
    "`images/<id>.tif`, `labels/<id>.tif`, `dem/<id>.tif`, `ndvi/<id>.tif` and, "
    "optional, `slope/<id>.tif`, `aspect/<id>.tif`"
)


@dataclasses.dataclass
class LandCoverConfig(tfds.core.BuilderConfig):
    """What a configuration's masks hold, and how it splits.

    Attributes:
        binary: Whether there are two classes, background and landslide.
        background: Class of pixels beyond polygons; None = no label.
        seed: Seed of the split by hash, where the table has no column `split`, and of
            the sampling.
        patch: Rows and columns of training examples, cut around superpixels; None =
            whole pairs, as in validation and test.
        sampling: Which patches are drawn: `original`, `mus1` or `mus2`, as
            `landslide_tf.prepare.multistage_sample` explains them.
    """

    binary: bool = False
    background: str | None = None
    seed: int = 0
    patch: int | None = None
    sampling: SamplingMethod = "mus2"

    def __post_init__(self) -> None:
        """Refuses an unknown class."""
        if self.background is not None and self.background not in self.classes:
            raise DataError(
                f"`background` cannot be `{self.background}`."
                f"{did_you_mean(self.background, self.classes)}"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the mask's values."""
        return BINARY if self.binary else LAND_COVER


class LandCoverBuilder(LandslideBuilder["LandCover | CutPair"], skip_registration=True):
    """A builder of a folder of images with land cover and terrain.

    Attributes:
        POLYGONS: Whether polygons of landslides may stand for rasters of labels.
        TESTS: Whether the pairs test models of another region: they are all of the
            test part where the table does not say otherwise.
    """

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.0.0": "First release.",
        "2.0.0": "A pixel has no data where all bands hold the number for it, not one; "
        "scale and offset that files of slope, aspect and index tag are used.",
    }
    NOTED: ClassVar[Mapping[str, Sequence[str]]] = {"entries": ("class_shares",)}
    POLYGONS: ClassVar[bool] = False
    TESTS: ClassVar[bool] = False

    def _info(self) -> tfds.core.DatasetInfo:
        text = tfds.features.Text
        return make_info(
            self,
            bands=RGB,
            factors=TERRAIN,
            classes=self.builder_config.classes,
            inputs=("image", "factors"),
            licence="the user's own files; the authors' are not released",
            features={
                "satellite": text(),
                "date": text(),
                "resolution_m": tfds.features.Scalar(np.float32),
                "transform": tfds.features.Tensor(shape=(6,), dtype=np.float64),
                "crs": text(),
            },
        )

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[LandCover | CutPair]]:
        """Lists the pairs of the table by split, and what is cut of them to train."""
        from landslide_tf.datasets.common.land_cover_files import find_pairs

        layout = LAYOUT
        if self.POLYGONS:
            layout += "; or `labels/*.gpkg|shp|geojson` of landslides"
        patterns = ("pairs.csv", "*/pairs.csv")
        found = find_manual(self.manual_root(dl_manager), self.name, patterns, layout)
        config = self.builder_config
        splits, report = find_pairs(
            found.parent, seed=config.seed, polygons=self.POLYGONS, tests=self.TESTS
        )
        drawn = [p for pairs in splits.values() for p in pairs if p.polygons]
        if drawn and not config.binary and config.background is None:
            raise DataError(
                f"Pair `{drawn[0].id}` has polygons of landslides, which tell nothing "
                f"of the other classes: build `{self.name}/binary`, which scores land "
                f"cover, too, or add `{found.parent / 'labels'}/<id>.tif`."
            )
        counts = {split: {"pairs": len(pairs)} for split, pairs in splits.items()}
        self.info.metadata["files"] = report | counts
        if config.patch is None or not splits["train"]:
            return splits
        return {**splits, "train": self._cut(splits["train"], config.patch)}

    def _cut(self, pairs: Sequence[LandCover], size: int) -> list[CutPair]:
        """Chooses the training patches of pairs."""
        from landslide_tf.datasets.common.land_cover_files import read_labelled
        from landslide_tf.datasets.common.land_cover_patches import cut_pairs

        def read(pair: LandCover) -> Labelled:
            image, mask = read_labelled(pair, background=self._outside)
            return image, self._own_classes(mask)

        config = self.builder_config
        found = cut_pairs(
            pairs,
            read,
            len(config.classes),
            size=size,
            sampling=config.sampling,
            seed=config.seed,
        )
        self.info.metadata["files"]["train"]["patches"] = sum(
            len(item.draws) for item in found
        )
        return found

    def read(self, split: str, item: LandCover | CutPair) -> Iterator[Example]:
        """Reads a pair, or the patches of one."""
        from landslide_tf.datasets.common.land_cover_files import LandCover, read_pair

        pair = item if isinstance(item, LandCover) else item.pair
        example = read_pair(pair, background=self._outside)
        example["mask"] = self._own_classes(example["mask"])
        found = iter([example])
        if not isinstance(item, LandCover):
            from landslide_tf.datasets.common.land_cover_patches import cut_example

            found = (cut_example(example, draw) for draw in item.draws)
        for one in found:
            self.tally.add(split, one["image"], one["mask"])
            yield one

    @property
    def _outside(self) -> int:
        """Class of pixels beyond polygons, which are read as land cover, too."""
        config = self.builder_config
        if config.background is None:
            return IGNORE_VALUE
        return LAND_COVER.index("bare" if config.binary else config.background)

    def _own_classes(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Returns a mask of land cover in the configuration's classes."""
        if not self.builder_config.binary:
            return mask
        landslide = (mask == LAND_COVER.index("landslide")).astype(np.uint8)
        return np.where(mask == IGNORE_VALUE, mask, landslide)

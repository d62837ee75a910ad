"""hokkaido_iburi: coseismic landslides of Hokkaido, 2018."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import ClassVar

import tensorflow_datasets as tfds

from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.info import RGB, make_info
from landslide_tf.datasets.common.pairing import Found, Pair, pair_files
from landslide_tf.datasets.common.reading import read_mask, read_rgb
from landslide_tf.datasets.common.report import report_files, unlabelled

SIZE = 256
SPLITS = {
    "train": (370, 371, 372, 373, 374, 375, 407, 408, 411, 623, 638, 660),
    "validation": (664, 672),
    "test": (675, 742, 881, 914, 915, 949),
}
CROPS = tuple(range(1, 41))
# Crops that show ground of the tiles 672, 675 and 742.
SHARED_CROPS = (2, 3, 5, 6, 9, 17)

_LAYOUT = "`Images/N.tif`, `Masks/N.png` and, if there are any, `unlabelled/N.tif`"
_PATTERNS = ("Images", "data/train/Images", "train/Images", "*/data/train/Images")
_ARCHIVES = ("Coseismic-landslide-detection*.zip", "hokkaido_iburi*.zip")
_SUFFIXES = (".tif", ".tiff")


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """Which unlabelled crops a configuration leaves out.

    Attributes:
        dropped: Numbers of the crops.
    """

    dropped: tuple[int, ...] = ()


class Builder(LandslideBuilder[Pair[int]]):
    """Builder of hokkaido_iburi."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Clone or download https://github.com/XiaoAo2019/Coseismic-landslide-detection and
    put its tiles into `<manual_dir>/hokkaido_iburi/`: {_LAYOUT}.
    """
    BUILDER_CONFIGS: ClassVar[list[Config]] = [
        Config(
            name="clean",
            description="Without the six crops that show ground of labelled tiles.",
            dropped=SHARED_CROPS,
        ),
        Config(name="all-crops", description="With every unlabelled crop."),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return make_info(
            self,
            bands=RGB,
            size=SIZE,
            image_format=None,
            homepage="https://github.com/XiaoAo2019/Coseismic-landslide-detection",
            licence="none stated",
        )

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Pair[int]]]:
        """Lists the tiles and crops by split."""
        root = self.find_files(dl_manager, _PATTERNS, _ARCHIVES, _LAYOUT).parent
        split_of = {n: split for split, numbers in SPLITS.items() for n in numbers}
        labelled = pair_files(
            root / "Images",
            root / "Masks",
            key=lambda stem: _number(stem, split_of),
            suffixes=_SUFFIXES,
            mask_suffixes=(".png",),
        )
        splits: dict[str, list[Pair[int]]] = {split: [] for split in SPLITS}
        for pair in labelled.pairs:
            splits[split_of[pair.key]].append(pair)
        parts = {split: Found(pairs) for split, pairs in splits.items()}
        # Which split a leftover would belong to is not known: they are listed once.
        parts["train"] = dataclasses.replace(labelled, pairs=splits["train"])
        published = {split: len(numbers) for split, numbers in SPLITS.items()}
        crops = root / "unlabelled"
        if root.name == "train" and not crops.is_dir():
            crops = root.parent / "test"
        dropped: list[int] = []
        if crops.is_dir():
            found = parts["unlabelled"] = pair_files(
                crops, None, key=lambda s: _number(s, CROPS), suffixes=_SUFFIXES
            )
            out = self.builder_config.dropped
            dropped = [pair.key for pair in found.pairs if pair.key in out]
            splits["unlabelled"] = [p for p in found.pairs if p.key not in out]
            published["unlabelled"] = len(CROPS)
        self.info.metadata["files"] = report_files(
            self.name, parts, published, dropped={"unlabelled": dropped}
        )
        return splits

    def read(self, split: str, item: Pair[int]) -> Iterator[Example]:
        """Reads a tile or a crop."""
        image = read_rgb(item.image, SIZE)
        size = image.shape[:2]
        mask = unlabelled(size) if item.mask is None else read_mask(item.mask, size)
        self.tally.add(split, image, mask)
        # A crop and a tile may have one number.
        name = f"crop_{item.key}" if item.mask is None else str(item.key)
        yield {"image": image, "mask": mask, "id": name}


def _number(stem: str, known: Collection[int]) -> int | None:
    number = int(stem) if stem.isdecimal() else None
    return number if number in known else None

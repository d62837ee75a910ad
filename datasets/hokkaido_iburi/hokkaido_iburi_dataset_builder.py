"""hokkaido_iburi: coseismic landslides of Hokkaido, 2018."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.common.base import BandInfo, LandslideBuilder, make_metadata
from landslide_tf.datasets.common.pairing import (
    Found,
    Pair,
    Tally,
    pair_files,
    report_files,
    unlabelled,
)
from landslide_tf.datasets.common.reading import read_mask, read_rgb
from landslide_tf.errors import DataError

CLASSES = ("background", "landslide")
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


class Builder(LandslideBuilder):
    """Builder of hokkaido_iburi."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
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
    DEFAULT_BUILDER_CONFIG_NAME = "clean"
    pkg_dir_path = epath.Path(__file__).parent

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(SIZE, SIZE, 3)),
                "mask": tfds.features.LabeledImage(
                    shape=(SIZE, SIZE, 1), labels=list(CLASSES), encoding_format="png"
                ),
                "id": tfds.features.Text(),
            }
        )
        colours = ("red", "green", "blue")
        return self.dataset_info_from_configs(
            features=features,
            homepage="https://github.com/XiaoAo2019/Coseismic-landslide-detection",
            supervised_keys=("image", "mask"),
            metadata=make_metadata(
                bands=[BandInfo(name=c, unit="", range=[0.0, 255.0]) for c in colours],
                factors=[],
                classes=CLASSES,
                landslide_class=CLASSES.index("landslide"),
                licence="none stated",
                gsd=None,
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        root = self.find_files(dl_manager, _PATTERNS, _ARCHIVES, _LAYOUT).parent
        splits, report = self._find(root)
        self.info.metadata["files"] = report
        tally = Tally(self.info.metadata)
        return {
            split: self._generate_examples(split, pairs, tally)
            for split, pairs in splits.items()
            if pairs
        }

    def _find(
        self, root: epath.Path
    ) -> tuple[dict[str, list[Pair[int]]], dict[str, dict[str, Any]]]:
        """Lists the tiles and crops by split, and reports on the files."""
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
        dropped = []
        if crops.is_dir():
            found = pair_files(
                crops, None, key=lambda s: _number(s, CROPS), suffixes=_SUFFIXES
            )
            out = self.builder_config.dropped
            dropped = [pair.key for pair in found.pairs if pair.key in out]
            splits["unlabelled"] = [p for p in found.pairs if p.key not in out]
            parts["unlabelled"] = found
            published["unlabelled"] = len(CROPS)
        report = report_files(
            self.name, parts, published, dropped={"unlabelled": dropped}
        )
        return splits, report

    def _generate_examples(
        self, split: str, pairs: list[Pair[int]], tally: Tally
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for pair in pairs:
            image = read_rgb(pair.image)
            if image.shape[:2] != (SIZE, SIZE):
                raise DataError(
                    f"`{pair.image}` must have {SIZE} x {SIZE} pixels, received "
                    f"{image.shape[:2]}; restore the file."
                )
            mask = unlabelled(image.shape[:2])
            if pair.mask is not None:
                mask = read_mask(pair.mask, image.shape[:2])
            tally.add(split, image, mask)
            # A crop and a tile may have one number.
            name = f"crop_{pair.key}" if pair.mask is None else str(pair.key)
            yield name, {"image": image, "mask": mask[..., None], "id": name}


def _number(stem: str, known: dict[int, str] | tuple[int, ...]) -> int | None:
    number = int(stem) if stem.isdecimal() else None
    return number if number in known else None

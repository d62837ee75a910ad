"""mmls: multimodal Martian landslides, version 1 (Paheding et al., WACV 2024)."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.common.base import (
    BandInfo,
    IncompleteDataWarning,
    LandslideBuilder,
    make_metadata,
)
from landslide_tf.datasets.mmls.rasters import (
    BANDS,
    SIZE,
    SlopeCheck,
    read_image,
    read_mask,
)
from landslide_tf.datasets.mmls.tiles import (
    ARCHIVES,
    LAYOUT,
    PARTS,
    PATTERNS,
    Part,
    Position,
    Tile,
    find_part,
    near,
    published,
)

CLASSES = ("background", "landslide")

# Smallest and largest value of each band over the whole published set.
_RANGES = {
    "blue": [0.0706, 1.0],
    "green": [0.0706, 0.9059],
    "red": [0.0706, 0.8118],
    "dem": [0.0, 1.0],
    "thermal": [0.8719, 0.9881],
    "slope": [0.0, 0.975],
    "gray": [0.0, 1.0],
}


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """Which train tiles a configuration leaves out.

    Attributes:
        apart_from: Parts that no train tile may lie in or touch.
    """

    apart_from: tuple[str, ...] = ()


def _bands() -> list[BandInfo]:
    bands = [BandInfo(name=name, unit="1", range=_RANGES[name]) for name in BANDS]
    bands[BANDS.index("thermal")]["nodata"] = 0.0
    return bands


class Builder(LandslideBuilder):
    """Builder of mmls."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Clone or download https://github.com/MAIN-Lab/Multimodal-Martian-Landslides-Dataset
    and put it into `<manual_dir>/mmls/` or `<manual_dir>/`: {LAYOUT}; or the
    repository's zip archive as it is.
    """
    BUILDER_CONFIGS: ClassVar[list[Config]] = [
        Config(
            name="clean",
            description="Train without the 23 tiles in or touching the test part: 252.",
            apart_from=("test",),
        ),
        Config(
            name="clean-strict",
            description="As clean, also without those touching validation: 234.",
            apart_from=("test", "validation"),
        ),
        Config(
            name="published",
            description="As published: six tiles are in train and test alike.",
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "clean"
    pkg_dir_path = epath.Path(__file__).parent

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Tensor(
                    shape=(SIZE, SIZE, len(BANDS)), dtype=np.float32, encoding="zlib"
                ),
                "mask": tfds.features.LabeledImage(
                    shape=(SIZE, SIZE, 1), labels=list(CLASSES), encoding_format="png"
                ),
                "id": tfds.features.Text(),
                "row": tfds.features.Scalar(np.int32),
                "col": tfds.features.Scalar(np.int32),
            }
        )
        return self.dataset_info_from_configs(
            features=features,
            homepage="https://github.com/MAIN-Lab/Multimodal-Martian-Landslides-Dataset",
            supervised_keys=("image", "mask"),
            metadata=make_metadata(
                bands=_bands(),
                factors=[],
                classes=CLASSES,
                landslide_class=CLASSES.index("landslide"),
                licence="MIT",
                gsd=None,
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        root = self.find_files(dl_manager, PATTERNS, ARCHIVES, LAYOUT).parent
        positions = published(self.pkg_dir_path)
        parts = {part: find_part(root, part, positions[part]) for part in PARTS}
        dropped = self._shared_ground(positions)
        self.info.metadata["files"] = _report(parts, positions, dropped)
        return {
            part: self._generate_examples(part, found.tiles, dropped)
            for part, found in parts.items()
        }

    def _shared_ground(self, positions: dict[str, set[Position]]) -> set[Position]:
        """Finds the train tiles to leave out.

        The published grid counts, not the files that happen to be here: a test tile
        shares its ground with a train tile whether it was downloaded or not.
        """
        others = [positions[part] for part in self.builder_config.apart_from]
        return near(set().union(*others)) & positions["train"]

    def _generate_examples(
        self, part: str, tiles: list[Tile], dropped: set[Position]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        check = SlopeCheck()
        landslide = kept = 0
        for tile in tiles:
            image, mask = read_image(tile.image), read_mask(tile.mask)
            check.add(image)
            if part == "train" and tile.position in dropped:
                continue
            landslide += int(mask.sum())
            kept += mask.size
            row, col = tile.position
            name = f"{part}_{row}_{col}"
            yield (
                name,
                {
                    "image": image,
                    "mask": mask[..., None],
                    "id": name,
                    "row": row,
                    "col": col,
                },
            )
        check.finish(part)
        share = landslide / kept if kept else None
        self.info.metadata["files"][part]["landslide_share"] = share


def _report(
    parts: dict[str, Part],
    positions: dict[str, set[Position]],
    dropped: set[Position],
) -> dict[str, dict[str, Any]]:
    """Counts the files by part, and warns where some are missing or left over."""
    report = {}
    for part, found in parts.items():
        here = {tile.position for tile in found.tiles}
        report[part] = {
            "published": len(positions[part]),
            "found": len(here),
            "dropped": len(here & dropped) if part == "train" else 0,
            "masks_without_image": found.lone_masks,
            "ignored": found.ignored,
        }
    if short := [
        f"{part} {counts['found']} of {counts['published']}"
        for part, counts in report.items()
        if counts["found"] < counts["published"]
    ]:
        warnings.warn(
            f"`mmls` is built from less than was published: {', '.join(short)} tiles.",
            IncompleteDataWarning,
            stacklevel=2,
        )
    if lone := [name for found in parts.values() for name in found.lone_masks]:
        warnings.warn(
            f"`mmls` has {len(lone)} masks without an image, among them `{lone[0]}`: "
            "they are left out.",
            IncompleteDataWarning,
            stacklevel=2,
        )
    return report

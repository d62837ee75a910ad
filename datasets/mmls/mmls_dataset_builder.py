"""mmls: multimodal Martian landslides, version 1 (Paheding et al., WACV 2024)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.info import BandInfo, make_info
from landslide_tf.datasets.common.pairing import Found, Pair, pair_files
from landslide_tf.datasets.common.reading import read_mask, read_table
from landslide_tf.datasets.common.report import report_files
from landslide_tf.datasets.common.splits import SPLITS
from landslide_tf.datasets.common.tile_grid import Position, near
from landslide_tf.datasets.mmls.rasters import BANDS, SIZE, SlopeCheck, read_image
from landslide_tf.errors import DataError

LAYOUT = (
    "`dataset/{train,validation,test}_partition/{images,masks}/*.tif` of the "
    "repository MAIN-Lab/Multimodal-Martian-Landslides-Dataset"
)
PATTERNS = ("dataset/train_partition", "train_partition", "*/dataset/train_partition")
ARCHIVES = ("Multimodal-Martian-Landslides-Dataset*.zip", "mmls*.zip")

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


class Builder(LandslideBuilder[Pair[Position]]):
    """Builder of mmls."""

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
    NOTED: ClassVar[Mapping[str, Sequence[str]]] = {"entries": ("landslide_share",)}

    def _info(self) -> tfds.core.DatasetInfo:
        bands = [BandInfo(name=name, unit="1", range=_RANGES[name]) for name in BANDS]
        bands[BANDS.index("thermal")]["nodata"] = 0.0
        return make_info(
            self,
            bands=bands,
            size=SIZE,
            dtype="float32",
            homepage="https://github.com/MAIN-Lab/Multimodal-Martian-Landslides-Dataset",
            licence="MIT",
            features={
                "row": tfds.features.Scalar(np.int32),
                "col": tfds.features.Scalar(np.int32),
            },
        )

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Pair[Position]]]:
        """Lists the tiles by part."""
        root = self.find_files(dl_manager, PATTERNS, ARCHIVES, LAYOUT).parent
        positions = published(self.pkg_dir_path)
        parts = {part: find_part(root, part, positions[part]) for part in SPLITS}
        self._dropped = self._shared_ground(positions)
        counts = {part: len(positions[part]) for part in SPLITS}
        report = report_files(self.name, parts, counts, what="tiles")
        for part, entries in report.items():
            here = {pair.key for pair in parts[part].pairs}
            entries["dropped"] = len(here & self._dropped) if part == "train" else 0
            del entries["unlabelled"]  # every tile has a mask
        self.info.metadata["files"] = report
        return {part: found.pairs for part, found in parts.items()}

    def _shared_ground(self, positions: Mapping[str, set[Position]]) -> set[Position]:
        """Finds the train tiles to leave out.

        The published grid counts, not the files that happen to be here: a test tile
        shares its ground with a train tile whether it was downloaded or not.
        """
        others = [positions[part] for part in self.builder_config.apart_from]
        return near(set().union(*others)) & positions["train"]

    def _generate_examples(
        self, split: str, items: Sequence[Pair[Position]]
    ) -> Iterator[tuple[str, Example]]:
        self._check = SlopeCheck()
        yield from super()._generate_examples(split, items)
        self._check.finish(split)

    def read(self, split: str, item: Pair[Position]) -> Iterator[Example]:
        """Reads a tile, and checks it where it is left out, too."""
        image = read_image(item.image)
        mask = read_mask(item.mask, (SIZE, SIZE), (1,))
        self._check.add(image)
        if split != "train" or item.key not in self._dropped:
            self.tally.add(split, image, mask)
            row, col = item.key
            name = f"{split}_{row}_{col}"
            yield {"image": image, "mask": mask, "id": name, "row": row, "col": col}


def published(folder: epath.Path) -> dict[str, set[Position]]:
    """Reads the positions of all published tiles by part.

    Args:
        folder: The builder's folder, with `tiles.tsv`.

    Returns:
        Positions of `train`, `validation` and `test`.
    """
    positions: dict[str, set[Position]] = {part: set() for part in SPLITS}
    for row in read_table(folder / "tiles.tsv", ("part", "row", "col"), "\t"):
        positions[row["part"]].add((int(row["row"]), int(row["col"])))
    return positions


def find_part(root: epath.Path, part: str, known: set[Position]) -> Found[Position]:
    """Lists the tiles of a part.

    Args:
        root: The folder with `train_partition` and its sisters.
        part: `train`, `validation` or `test`.
        known: Positions that the part has as published.

    Returns:
        Its tiles, by row and column.

    Raises:
        DataError: If there is no image, an image has no mask, or a file's name is
            not one of the part's.
    """
    folder = root / f"{part}_partition"
    return pair_files(
        folder / "images",
        folder / "masks",
        key=_position(folder, part, known),
        suffixes=(".tif", ".tiff"),
        mask_name=lambda position: _name("Mask", part, position),
    )


def _name(kind: str, part: str, position: Position) -> str:
    return f"{kind}{'T' * (part == 'test')}_patch_{position[0]}_{position[1]}.tif"


def _position(
    folder: epath.Path, part: str, known: set[Position]
) -> Callable[[str], Position]:
    """Makes the function that reads a tile's position from its file's stem."""

    def read(stem: str) -> Position:
        numbers = re.findall(r"\d+", stem)[-2:]
        position = (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else (-1, -1)
        names = {_name(kind, part, position) for kind in ("Image", "Mask")}
        if position not in known or f"{stem}.tif" not in names:
            raise DataError(
                f"`{stem}.tif` in `{folder}` is not a file of the {part} part of "
                f"`mmls`, whose names are like `{_name('Image', part, min(known))}`: "
                "move it out of the folder."
            )
        return position

    return read

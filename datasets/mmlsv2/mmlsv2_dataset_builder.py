"""mmlsv2: multimodal Martian landslides, version 2 (Paheding et al. 2026)."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from landslide_tf.array_types import FloatArray
from landslide_tf.datasets.common.base import Example, LandslideBuilder
from landslide_tf.datasets.common.info import BandInfo, make_info
from landslide_tf.datasets.common.pairing import Found, Pair, pair_files
from landslide_tf.datasets.common.report import report_files, unlabelled
from landslide_tf.datasets.common.splits import SPLITS
from landslide_tf.datasets.common.tile_grid import Position, near
from landslide_tf.datasets.mmlsv2.rasters import (
    BANDS,
    CELL,
    DIVISORS,
    SIZE,
    Tile,
    read_tile,
    read_tile_mask,
)
from landslide_tf.errors import DataError

PUBLISHED = {"train": 465, "validation": 66, "test": 133, "test_isolated": 276}
LAYOUT = (
    "`phase1_dataset/{train,val,test}/{images,masks}/colC_rowR.tif` and "
    "`phase2_dataset/test/images/`, or `{train,val,test,isolated_test}/{images,masks}/`"
)
ARCHIVES = ("MMLS*2*.zip", "mmls*2*.zip")
BLOCK = 6  # grid cells along a side

_FOLDERS = {
    "train": ("phase1_dataset/train", "train"),
    "validation": ("phase1_dataset/val", "val", "validation"),
    "test": ("phase1_dataset/test", "test"),
    "test_isolated": ("phase2_dataset/test", "isolated_test", "test_isolated"),
}
_NAMES = [name for names in _FOLDERS.values() for name in names]
PATTERNS = [
    f"{start}{name}/images"
    for start in ("", "*/")
    for name in _NAMES
    if not start or "/" in name
]
_SUFFIXES = (".tif", ".tiff", ".npy")
_UNITS = {"dem": "metre", "slope": "degree"}


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
    """How a configuration splits and scales.

    Attributes:
        parts: `"blocks"`: labelled tiles are regrouped so that parts share no ground;
            `"tiles"`: the published train part alone is drawn, tile by tile;
            `"published"`: parts are the published ones.
        unit: Whether bands are divided by their ranges.
    """

    parts: Literal["blocks", "tiles", "published"] = "blocks"
    unit: bool = False


class Builder(LandslideBuilder[Pair[Position]]):
    """Builder of mmlsv2."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    Download https://huggingface.co/datasets/MarsLS/MMLSv2 or the data of the 2026
    challenge and unpack it into `<manual_dir>/mmlsv2/`: {LAYOUT}.
    """
    # The version of what has been there before stays: built folders remain readable.
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.0.0": "First release.",
        "1.1.0": "The configurations `random` and `random-unit`.",
    }
    BUILDER_CONFIGS: ClassVar[list[Config]] = [
        Config(name="clean", description="Labelled tiles by blocks of 6 x 6, raw."),
        Config(name="published", description="As published, raw.", parts="published"),
        Config(
            name="random",
            description="Train tiles, drawn, raw.",
            version=tfds.core.Version("1.1.0"),
            parts="tiles",
        ),
        Config(name="clean-unit", description="As clean, scaled.", unit=True),
        Config(
            name="published-unit", description="Scaled.", parts="published", unit=True
        ),
        Config(
            name="random-unit",
            description="As random, scaled.",
            version=tfds.core.Version("1.1.0"),
            parts="tiles",
            unit=True,
        ),
    ]
    NOTED: ClassVar[Mapping[str, bool]] = {"ranges": True}

    def _info(self) -> tfds.core.DatasetInfo:
        units = dict.fromkeys(BANDS, "1") if self.builder_config.unit else _UNITS
        scalar, tensor = tfds.features.Scalar, tfds.features.Tensor
        return make_info(
            self,
            bands=[BandInfo(name=name, unit=units.get(name, "")) for name in BANDS],
            size=SIZE,
            dtype="float32",
            homepage="https://github.com/MAIN-Lab/MMLS_v2",
            licence="MIT",
            gsd=CELL,
            features={
                "row": scalar(np.int32),
                "col": scalar(np.int32),
                # As bytes: TFDS stores float64 with the digits of float32 otherwise.
                "transform": tensor(shape=(6,), dtype=np.float64, encoding="bytes"),
                "crs": tfds.features.Text(),
            },
        )

    def find(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Pair[Position]]]:
        """Lists the tiles by part, regrouped where the configuration says so."""
        parts = find_parts(self.find_files(dl_manager, PATTERNS, ARCHIVES, LAYOUT))
        splits = {part: found.pairs for part, found in parts.items()}
        dropped: dict[str, list[str]] = {}
        if self.builder_config.parts != "published":
            isolated = splits.get("test_isolated", [])
            if self.builder_config.parts == "blocks":
                splits, dropped = regroup(parts)
            else:
                splits = draw(parts)
            splits["test_isolated"] = isolated
        # `random` takes the train part alone: the others may be absent without a word.
        alone = self.builder_config.parts == "tiles"
        known = {
            p: n for p, n in PUBLISHED.items() if not alone or p in ("train", *parts)
        }
        report = report_files(self.name, parts, known)
        for split, names in dropped.items():
            report.setdefault(split, {})["dropped"] = names
        self.info.metadata["files"] = report
        return splits

    def read(self, split: str, item: Pair[Position]) -> Iterator[Example]:
        """Reads a tile."""
        tile = read_tile(item.image)
        report = self.info.metadata["files"].setdefault(split, {})
        filled = report.get("slope_pixels_filled", 0) + tile.filled
        report["slope_pixels_filled"] = filled
        image = self._scaled(tile, item.image)
        size = image.shape[:2]
        mask = unlabelled(size) if item.mask is None else read_tile_mask(item.mask)
        self.tally.add(split, image, mask)
        row, col = item.key
        yield {
            "image": image,
            "mask": mask,
            "id": f"{split}_{row}_{col}",
            "row": row,
            "col": col,
            "transform": tile.transform,
            "crs": tile.crs,
        }

    def _scaled(self, tile: Tile, path: epath.Path) -> FloatArray:
        """Brings a tile to the configuration's units."""
        if not self.builder_config.unit and not tile.raw:
            raise DataError(
                f"`{path}` holds values scaled to 0..1, `mmlsv2/"
                f"{self.builder_config.name}` needs raw ones; build `mmlsv2/"
                f"{self.builder_config.name}-unit`, or download the challenge's files."
            )
        scale = self.builder_config.unit and tile.raw
        return tile.image / DIVISORS if scale else tile.image


def find_parts(found: epath.Path) -> dict[str, Found[Position]]:
    """Lists the tiles of every part that is there.

    Args:
        found: A folder that fits one of `PATTERNS`.

    Returns:
        Tiles by part; parts without a `masks` folder are unlabelled.

    Raises:
        DataError: If a folder is empty, or an image of a labelled part has no mask.
    """
    part = found.parent
    root = part.parent.parent if part.parent.name.startswith("phase") else part.parent
    parts = {}
    for name, choices in _FOLDERS.items():
        folder = next((root / c for c in choices if (root / c).is_dir()), None)
        if folder is not None:
            masks = folder / "masks"
            parts[name] = pair_files(
                folder / "images",
                masks if masks.is_dir() else None,
                key=_position,
                suffixes=_SUFFIXES,
                mask_suffixes=(*_SUFFIXES, ".png"),
            )
    return parts


def regroup(
    parts: dict[str, Found[Position]],
) -> tuple[dict[str, list[Pair[Position]]], dict[str, list[str]]]:
    """Splits the labelled tiles by blocks of the grid.

    A block goes where the SHA-256 of its row and column sends it: 70 % train, 10 %
    validation, 20 % test. Tiles overlap where the grid's last rows were shifted
    inwards, so no train tile may touch validation or test, no validation tile test.

    Args:
        parts: Tiles by published part.

    Returns:
        Tiles by split, and the names of the tiles left out by split.

    Raises:
        DataError: If one place of the grid is in both labelled parts, or no tile is
            labelled.
    """
    labelled = sorted(
        (
            pair
            for part in ("train", "validation")
            if part in parts
            for pair in parts[part].pairs
            if pair.mask is not None
        ),
        key=lambda pair: pair.key,
    )
    if not labelled:
        raise DataError(
            "`mmlsv2/clean` needs labelled train or validation tiles and found none; "
            "add them, or build `mmlsv2/published`."
        )
    for one, other in pairwise(labelled):
        if one.key == other.key:
            raise DataError(
                f"`{other.image}` shows the place of `{one.image}`: a labelled tile "
                "must be in one part only; remove one of them."
            )
    splits = _shared_out(labelled, BLOCK)
    dropped = {}
    for split, others in (("validation", ("test",)), ("train", ("validation", "test"))):
        kept = {pair.key for other in others for pair in splits[other]}
        touching = near(kept)
        dropped[split] = [p.image.name for p in splits[split] if p.key in touching]
        splits[split] = [p for p in splits[split] if p.key not in touching]
    return splits, dropped


def draw(parts: dict[str, Found[Position]]) -> dict[str, list[Pair[Position]]]:
    """Splits the published train part tile by tile, so that neighbours touch.

    As `regroup` does with blocks: 70 % train, 10 % validation, 20 % test. The published
    validation part is left out: what is trained and chosen on these tiles can be scored
    on it.

    Args:
        parts: Tiles by published part.

    Returns:
        Tiles by split.

    Raises:
        DataError: If there is no labelled train tile.
    """
    train = parts["train"].pairs if "train" in parts else []
    labelled = [pair for pair in train if pair.mask is not None]
    if not labelled:
        raise DataError(
            "`mmlsv2/random` draws from the labelled tiles of the published train part "
            "and found none; add them, or build `mmlsv2/published`."
        )
    return _shared_out(labelled, 1)


def _shared_out(
    pairs: Sequence[Pair[Position]], side: int
) -> dict[str, list[Pair[Position]]]:
    """Returns tiles by split, all of a square of `side` grid cells in the same one."""
    splits: dict[str, list[Pair[Position]]] = {split: [] for split in SPLITS}
    for pair in pairs:
        row, col = pair.key
        splits[_split_of(f"{row // side}_{col // side}")].append(pair)
    return splits


def _split_of(square: str) -> str:
    share = int.from_bytes(hashlib.sha256(square.encode()).digest()[:8], "big") / 2**64
    return "test" if share < 0.2 else "validation" if share < 0.3 else "train"


def _position(stem: str) -> Position | None:
    if match := re.fullmatch(r"col(\d+)_row(\d+)", stem):
        return int(match[2]), int(match[1])
    match = re.fullmatch(r"\w*?_(\d+)_(\d+)", stem)
    return (int(match[1]), int(match[2])) if match else None

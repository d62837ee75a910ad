"""Where the tiles of MMLS version 2 lie, and a split that keeps ground apart."""

from __future__ import annotations

import hashlib
import re

from etils import epath

from landslide_tf.datasets.common.pairing import Found, Pair, pair_files
from landslide_tf.errors import DataError

Position = tuple[int, int]  # row, column of the tile grid

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
    splits: dict[str, list[Pair[Position]]] = {
        "train": [],
        "validation": [],
        "test": [],
    }
    seen: dict[Position, epath.Path] = {}
    labelled = [
        p for k in ("train", "validation") if k in parts for p in parts[k].pairs
    ]
    for pair in sorted((p for p in labelled if p.mask), key=lambda p: p.key):
        if pair.key in seen:
            raise DataError(
                f"`{pair.image}` shows the place of `{seen[pair.key]}`: a labelled "
                "tile must be in one part only; remove one of them."
            )
        seen[pair.key] = pair.image
        splits[_split_of(pair.key)].append(pair)
    if not seen:
        raise DataError(
            "`mmlsv2/clean` needs labelled train or validation tiles and found none; "
            "add them, or build `mmlsv2/published`."
        )
    dropped = {}
    for split, others in (("validation", ("test",)), ("train", ("validation", "test"))):
        kept = {pair.key for other in others for pair in splits[other]}
        touching = near(kept)
        dropped[split] = [p.image.name for p in splits[split] if p.key in touching]
        splits[split] = [p for p in splits[split] if p.key not in touching]
    return splits, dropped


def near(positions: set[Position]) -> set[Position]:
    """Returns the given places and their eight neighbours."""
    around = (-1, 0, 1)
    return {(r + i, c + j) for r, c in positions for i in around for j in around}


def _split_of(position: Position) -> str:
    block = f"{position[0] // BLOCK}_{position[1] // BLOCK}"
    share = int.from_bytes(hashlib.sha256(block.encode()).digest()[:8], "big") / 2**64
    return "test" if share < 0.2 else "validation" if share < 0.3 else "train"


def _position(stem: str) -> Position | None:
    if match := re.fullmatch(r"col(\d+)_row(\d+)", stem):
        return int(match[2]), int(match[1])
    match = re.fullmatch(r"\w*?_(\d+)_(\d+)", stem)
    return (int(match[1]), int(match[2])) if match else None

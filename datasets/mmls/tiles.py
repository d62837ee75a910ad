"""Which tiles MMLS has, which of them share ground, and where a user's files lie."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Iterable

from etils import epath

from landslide_tf.errors import DataError

PARTS = ("train", "validation", "test")
LAYOUT = (
    "`dataset/{train,validation,test}_partition/{images,masks}/*.tif` of the "
    "repository MAIN-Lab/Multimodal-Martian-Landslides-Dataset"
)
PATTERNS = ("dataset/train_partition", "train_partition", "*/dataset/train_partition")
ARCHIVES = ("Multimodal-Martian-Landslides-Dataset*.zip", "mmls*.zip")

Position = tuple[int, int]  # row, column of the mosaic's tile grid


@dataclasses.dataclass(frozen=True)
class Tile:
    """Files of a tile."""

    position: Position
    image: epath.Path
    mask: epath.Path


@dataclasses.dataclass(frozen=True)
class Part:
    """What a folder of a part holds.

    Attributes:
        tiles: Tiles, by row and column.
        lone_masks: Names of masks without an image.
        ignored: Names of files that are no TIFF.
    """

    tiles: list[Tile]
    lone_masks: list[str]
    ignored: list[str]


def published(folder: epath.Path) -> dict[str, set[Position]]:
    """Reads the positions of all published tiles by part.

    Args:
        folder: The builder's folder, with `tiles.tsv`.

    Returns:
        Positions of `train`, `validation` and `test`.
    """
    positions: dict[str, set[Position]] = {part: set() for part in PARTS}
    lines = (folder / "tiles.tsv").read_text().splitlines()
    for row in csv.DictReader(lines, delimiter="\t"):
        positions[row["part"]].add((int(row["row"]), int(row["col"])))
    return positions


def near(positions: Iterable[Position]) -> set[Position]:
    """Returns the given tiles and their eight neighbours."""
    around = (-1, 0, 1)
    return {(r + i, c + j) for r, c in positions for i in around for j in around}


def find_part(root: epath.Path, part: str, known: set[Position]) -> Part:
    """Lists the tiles of a part.

    Args:
        root: The folder with `train_partition` and its sisters.
        part: `train`, `validation` or `test`.
        known: Positions that the part has as published.

    Returns:
        What is there.

    Raises:
        DataError: If there is no image, an image has no mask, or a file's name is
            not one of the part's.
    """
    images, ignored = _by_position(root, part, "images", known)
    masks, ignored_masks = _by_position(root, part, "masks", known)
    if not images:
        raise DataError(
            f"`{root / f'{part}_partition' / 'images'}` must hold the {part} images of "
            f"`mmls`, received no TIFF; the data set is {LAYOUT}."
        )
    for position in images.keys() - masks.keys():
        wanted = _name(part, "masks", position)
        raise DataError(
            f"`{images[position]}` has no mask: `{wanted}` is missing in "
            f"`{root / f'{part}_partition' / 'masks'}`; restore it or remove the image."
        )
    return Part(
        # As numbers, not as text: tile 9_8 comes before tile 10_1.
        tiles=[Tile(p, images[p], masks[p]) for p in sorted(images)],
        lone_masks=sorted(masks[p].name for p in masks.keys() - images.keys()),
        ignored=sorted(ignored + ignored_masks),
    )


def _name(part: str, kind: str, position: Position) -> str:
    stem = {"images": "Image", "masks": "Mask"}[kind] + "T" * (part == "test")
    return f"{stem}_patch_{position[0]}_{position[1]}.tif"


def _by_position(
    root: epath.Path, part: str, kind: str, known: set[Position]
) -> tuple[dict[Position, epath.Path], list[str]]:
    """Lists the TIFFs of a folder by position, and the names of all other files."""
    folder = root / f"{part}_partition" / kind
    found: dict[Position, epath.Path] = {}
    ignored = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() not in (".tif", ".tiff"):
            ignored.append(f"{kind}/{path.name}")
            continue
        numbers = re.findall(r"\d+", path.stem)
        position = (int(numbers[-2]), int(numbers[-1])) if len(numbers) > 1 else None
        if position not in known or path.name != _name(part, kind, position):
            example = _name(part, kind, min(known))
            raise DataError(
                f"`{path}` is not a file of the {part} part of `mmls`, whose names "
                f"are like `{example}`: move it out of the folder."
            )
        found[position] = path
    return found, ignored

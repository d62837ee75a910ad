"""Which files Bijie has, in each of the layouts it is passed on in.

Apart from the builder: the split (`partition`) needs the scenes, too.
"""

from __future__ import annotations

import dataclasses
import re

from etils import epath

from landslide_tf.datasets.common.pairing import Found, Pair, by_key, match_files
from landslide_tf.errors import DataError

KINDS = ("landslide", "non-landslide")
PUBLISHED = {"landslide": 770, "non-landslide": 2003}
LAYOUT = (
    "`Bijie-landslide-dataset/landslide/{image,mask,dem}/*.png` and "
    "`Bijie-landslide-dataset/non-landslide/{image,dem}/*.png`, or "
    "`{landslide,non-landslide}/*.png` (classification only), or "
    "`images/{ls,nls}_<number>.png` and `masks/`"
)
PATTERNS = (
    "Bijie*andslide*/landslide",
    "Bijie*andslide*/Bijie*andslide*/landslide",
    "landslide",
    "*/landslide",
    "images",
    "Bijie*andslide*/images",
)
ARCHIVES = ("[Bb]ijie*.zip", "archive.zip")

_PICTURES = (".png",)
_DEMS = (".png", ".tif", ".tiff")
_FLAT = {"landslide": "ls", "non-landslide": "nls"}


@dataclasses.dataclass(frozen=True)
class Scene:
    """An image and what belongs to it.

    Attributes:
        name: The file's stem.
        kind: One of `KINDS`.
        image: File of the image.
        mask: File of the mask; None = there is none.
        dem: File of the elevation; None = there is none.
        position: Place among the sorted original names of its kind, where the layout
            keeps that instead of the name.
    """

    name: str
    kind: str
    image: epath.Path
    mask: epath.Path | None = None
    dem: epath.Path | None = None
    position: int | None = None

    @property
    def prefix(self) -> str:
        """What stands before the first digit of the name, the county's initials."""
        return re.split(r"\d", self.name, maxsplit=1)[0]


@dataclasses.dataclass(frozen=True)
class Listing:
    """What the data set's folder holds.

    Attributes:
        scenes: Images by kind, in code point order of the file names.
        lone_masks: Names of masks without an image.
        ignored: Names of files that do not belong to the data set.
    """

    scenes: dict[str, list[Scene]]
    lone_masks: list[str]
    ignored: dict[str, list[str]]

    @property
    def without_mask(self) -> list[str]:
        """Names of landslide images that have no mask."""
        return [s.image.name for s in self.scenes["landslide"] if s.mask is None]

    def found(self, kind: str) -> Found[str]:
        """Returns the files of a kind as the reports count them."""
        return Found(
            [Pair(s.name, s.image, s.mask) for s in self.scenes[kind]],
            self.lone_masks if kind == "landslide" else [],
            self.ignored[kind],
        )


def list_scenes(place: epath.Path) -> Listing:
    """Lists the data set's files, whatever their layout.

    Args:
        place: The folder that fits one of `PATTERNS`.

    Returns:
        What is there.

    Raises:
        DataError: If a kind has no image, or two images have one name.
    """
    flat = place.name == "images"
    listing = _flat(place.parent) if flat else _by_kind(place.parent)
    for kind in KINDS:
        if not listing.scenes[kind]:
            folder = place if flat else place.parent / kind
            raise DataError(
                f"`{folder}` must hold the {kind} images of `bijie_landslide`, "
                f"received none; the data set is {LAYOUT}."
            )
    twice = {s.name for s in listing.scenes["landslide"]} & {
        s.name for s in listing.scenes["non-landslide"]
    }
    if twice:
        raise DataError(
            f"`{place.parent}` must hold each name once, received `{min(twice)}` "
            "with and without a landslide; restore the original names."
        )
    return listing


def _by_kind(root: epath.Path) -> Listing:
    listing = Listing({}, [], {})
    for kind in KINDS:
        folder = root / kind
        images = folder / "image" if (folder / "image").is_dir() else folder
        found = match_files(images, folder / "mask", key=str, suffixes=_PICTURES)
        dems, others = by_key(folder / "dem", str, _DEMS)
        listing.scenes[kind] = [
            Scene(pair.key, kind, pair.image, pair.mask, dems.get(pair.key))
            for pair in sorted(found.pairs, key=lambda pair: pair.image.name)
        ]
        listing.ignored[kind] = found.ignored + others
        listing.lone_masks.extend(found.lone_masks)
    return listing


def _flat(root: epath.Path) -> Listing:
    def number(stem: str) -> tuple[str, int] | None:
        match = re.fullmatch(r"(n?ls)_(\d+)", stem)
        return (match[1], int(match[2])) if match else None

    found = match_files(root / "images", root / "masks", key=number, suffixes=_PICTURES)
    scenes = {
        kind: [
            Scene(pair.image.stem, kind, pair.image, pair.mask, None, pair.key[1])
            for pair in found.pairs
            if pair.key[0] == _FLAT[kind]
        ]
        for kind in KINDS
    }
    ignored = {"landslide": found.ignored, "non-landslide": []}
    return Listing(scenes, found.lone_masks, ignored)

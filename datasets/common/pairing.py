"""Pairing images with their masks by name, and reporting what has no partner."""

from __future__ import annotations

import dataclasses
import logging
import warnings
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np
from etils import epath

from landslide_tf.datasets.common.base import IncompleteDataWarning
from landslide_tf.errors import DataError
from landslide_tf.metadata import IGNORE_VALUE

Key = TypeVar("Key", bound=Hashable)
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Pair(Generic[Key]):
    """An image and its mask; None = unlabelled."""

    key: Key
    image: epath.Path
    mask: epath.Path | None


@dataclasses.dataclass(frozen=True)
class Found(Generic[Key]):
    """What the folders of a part hold.

    Attributes:
        pairs: Images with their masks, in the order of their keys.
        lone_masks: Names of masks without an image.
        ignored: Names of files that do not belong to the data set.
    """

    pairs: list[Pair[Key]]
    lone_masks: list[str] = dataclasses.field(default_factory=list)
    ignored: list[str] = dataclasses.field(default_factory=list)


def pair_files(
    images: epath.Path,
    masks: epath.Path | None,
    *,
    key: Callable[[str], Key | None],
    suffixes: Collection[str],
    mask_suffixes: Collection[str] | None = None,
) -> Found[Key]:
    """Pairs the files of two folders.

    Args:
        images: Folder of the images.
        masks: Folder of their masks; None = the part is unlabelled.
        key: Tells from a file's stem what it shows; None = not a file of the set.
        suffixes: Suffixes of images, lower case with their dot.
        mask_suffixes: Suffixes of masks; None = as the images.

    Returns:
        Pairs and leftovers.

    Raises:
        DataError: If there is no image, two files have one key, or an image of a
            labelled part has no mask.
    """
    shown, ignored = by_key(images, key, suffixes)
    if not shown:
        raise DataError(
            f"`{images}` must hold images ({', '.join(sorted(suffixes))}), received "
            f"none among {len(ignored)} files; restore them or remove the folder."
        )
    if masks is None:
        return Found([Pair(k, shown[k], None) for k in sorted(shown)], [], ignored)
    labelled, others = by_key(masks, key, mask_suffixes or suffixes)
    for lone in sorted(shown.keys() - labelled.keys()):
        raise DataError(
            f"`{shown[lone]}` has no mask in `{masks}`; restore it or remove the image."
        )
    return Found(
        [Pair(k, shown[k], labelled[k]) for k in sorted(shown)],
        sorted(labelled[k].name for k in labelled.keys() - shown.keys()),
        sorted(ignored + others),
    )


def by_key(
    folder: epath.Path, key: Callable[[str], Key | None], suffixes: Collection[str]
) -> tuple[dict[Key, epath.Path], list[str]]:
    """Lists the files of a folder by what they show.

    Args:
        folder: The folder.
        key: Tells from a file's stem what it shows; None = not a file of the set.
        suffixes: Suffixes of wanted files, lower case with their dot.

    Returns:
        Files by key, and "folder/name" of all others.

    Raises:
        DataError: If two files have one key.
    """
    found: dict[Key, epath.Path] = {}
    ignored = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        wanted = path.suffix.lower() in suffixes and not path.name.startswith(".")
        name = key(path.stem) if wanted and path.is_file() else None
        if name is None:
            ignored.append(f"{folder.name}/{path.name}")
        elif name in found:
            raise DataError(
                f"`{path}` must be the only file of `{name}`, received "
                f"`{found[name].name}` as well; keep one of them."
            )
        else:
            found[name] = path
    return found, ignored


def report_files(
    name: str,
    parts: Mapping[str, Found],
    published: Mapping[str, int],
    **counts: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Counts the files by part, and warns where some are missing or left over.

    Args:
        name: The data set's name.
        parts: What was found of each part that is here.
        published: Number of images of each part as published.
        **counts: Further entries of the report, JSON values by part.

    Returns:
        JSON values by part: `published`, `found`, `unlabelled`, `masks_without_image`
        and `ignored` (names), and the further entries.
    """
    report = {
        part: {
            "published": published.get(part),
            "found": len(found.pairs),
            "unlabelled": sum(pair.mask is None for pair in found.pairs),
            "masks_without_image": found.lone_masks,
            "ignored": found.ignored,
        }
        | {entry: by_part[part] for entry, by_part in counts.items() if part in by_part}
        for part, found in parts.items()
    }
    _log.info("`%s`: %s", name, report)
    here = {part: report[part]["found"] if part in report else 0 for part in published}
    if short := [
        f"{part} {count} of {published[part]}"
        for part, count in here.items()
        if count < published[part]
    ]:
        _warn(
            f"`{name}` is built from less than was published: {', '.join(short)} "
            "images."
        )
    if lone := [mask for found in parts.values() for mask in found.lone_masks]:
        _warn(
            f"`{name}` has {len(lone)} masks without an image, among them "
            f"`{lone[0]}`: they are left out."
        )
    return report


class Tally:
    """Notes what a build stores: landslide share by split, range of each band.

    Args:
        metadata: `builder.info.metadata`, with `files` as `report_files` makes it.
        ranges: Whether the bands' ranges are those of the pixels and not known
            before.
    """

    def __init__(self, metadata: dict[str, Any], *, ranges: bool = False) -> None:
        self._metadata = metadata
        self._ranges = ranges
        self._pixels: dict[str, list[int]] = {}

    def add(self, split: str, image: np.ndarray, mask: np.ndarray) -> None:
        """Adds an example.

        Args:
            split: Where it goes.
            image: (H, W, bands).
            mask: Classes (H, W), 1 = landslide, 255 = unlabelled.
        """
        counts = self._pixels.setdefault(split, [0, 0])
        counts[0] += int((mask == 1).sum())
        counts[1] += int((mask != IGNORE_VALUE).sum())
        landslide, known = counts
        report = self._metadata["files"].setdefault(split, {})
        report["landslide_share"] = landslide / known if known else None
        report["examples"] = report.get("examples", 0) + 1
        if self._ranges:
            low, high = image.min(axis=(0, 1)), image.max(axis=(0, 1))
            for band, *limits in zip(self._metadata["bands"], low, high, strict=True):
                low_high = [float(limit) for limit in limits]
                known_range = band.get("range", low_high)
                band["range"] = [
                    min(known_range[0], low_high[0]),
                    max(known_range[1], low_high[1]),
                ]


def unlabelled(size: tuple[int, int]) -> np.ndarray:
    """Returns the mask of an image that has none: 255 everywhere, uint8 (H, W)."""
    return np.full(size, IGNORE_VALUE, np.uint8)


def _warn(message: str) -> None:
    warnings.warn(message, IncompleteDataWarning, stacklevel=3)

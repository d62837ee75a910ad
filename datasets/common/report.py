"""What a build reports in its metadata: files found and missing, shares of classes."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.datasets.common.pairing import Found
from landslide_tf.errors import warn
from landslide_tf.words import counted

_log = logging.getLogger(__name__)


class IncompleteDataWarning(UserWarning):
    """A data set is built from fewer files than were published."""


def warn_incomplete(message: str) -> None:
    """Warns that a data set is not built from all that was published.

    Args:
        message: What is missing or left out.
    """
    warn(message, IncompleteDataWarning)


def report_files(
    name: str,
    parts: Mapping[str, Found[Any]],
    published: Mapping[str, int],
    *,
    what: str = "images",
    **counts: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Counts the files by part, and warns where some are missing or left over.

    Args:
        name: The data set's name.
        parts: What was found of each part that is here.
        published: Number of images of each part as published.
        what: What is counted, for the warnings.
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
    here = {part: len(parts[part].pairs) if part in parts else 0 for part in published}
    warn_of_fewer(name, here, published, what)
    if lone := [mask for found in parts.values() for mask in found.lone_masks]:
        warn_incomplete(
            f"`{name}` leaves out {counted(len(lone), 'mask')} without an image, the "
            f"first `{lone[0]}`."
        )
    return report


def warn_of_fewer(
    name: str, found: Mapping[str, int], published: Mapping[str, int], what: str
) -> None:
    """Warns where a part has less than was published.

    Args:
        name: The data set's name.
        found: Number of files by part.
        published: The same as published, of the same parts.
        what: What is counted.
    """
    short = [
        f"{part} {count} of {published[part]}"
        for part, count in found.items()
        if count < published[part]
    ]
    if short:
        warn_incomplete(
            f"`{name}` is built from less than was published: {', '.join(short)} "
            f"{what}."
        )


class Tally:
    """Notes what a build stores: shares of classes by split, range of each band.

    Args:
        metadata: `builder.info.metadata`, with a report by split in `files`.
        ranges: Whether the bands' ranges are those of the pixels and not known
            before.
        entries: What is noted of a split: `landslide_share`, the share of class 1 of
            the labelled pixels; `examples`, their number; `class_shares`, the share of
            each class.
    """

    def __init__(
        self,
        metadata: dict[str, Any],
        *,
        ranges: bool = False,
        entries: Collection[str] = ("landslide_share", "examples"),
    ) -> None:
        self._metadata = metadata
        self._ranges = ranges
        self._entries = entries
        self._pixels: dict[str, np.ndarray] = {}

    def add(self, split: str, image: np.ndarray, mask: np.ndarray) -> None:
        """Adds an example.

        Args:
            split: Where it goes.
            image: (H, W, bands).
            mask: Classes, uint8 (H, W), 255 = unlabelled.
        """
        counts = np.bincount(mask.ravel(), minlength=IGNORE_VALUE + 1)
        counts = self._pixels[split] = self._pixels.get(split, 0) + counts
        known = counts[:IGNORE_VALUE].sum()
        report = self._metadata["files"].setdefault(split, {})
        if "landslide_share" in self._entries:
            report["landslide_share"] = float(counts[1] / known) if known else None
        if "examples" in self._entries:
            report["examples"] = report.get("examples", 0) + 1
        if "class_shares" in self._entries:
            report["class_shares"] = {
                name: float(counts[k] / max(1, known))
                for k, name in enumerate(self._metadata["classes"])
            }
        if self._ranges:
            low, high = image.min(axis=(0, 1)), image.max(axis=(0, 1))
            for band, *ends in zip(self._metadata["bands"], low, high, strict=True):
                ends += band.get("range", [])
                band["range"] = [float(min(ends)), float(max(ends))]


def unlabelled(size: tuple[int, int]) -> np.ndarray:
    """Returns the mask of an image that has none.

    Args:
        size: Rows and columns.

    Returns:
        uint8 (H, W), 255 everywhere.
    """
    return np.full(size, IGNORE_VALUE, np.uint8)

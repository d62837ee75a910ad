"""How good the scheme is after each of its stages, where it is known what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from landslide_tf.errors import DataError
from landslide_tf.mapping import Reference
from landslide_tf.objects import ObjectCounts
from landslide_tf.objects.strips import Mask, compare_strips
from landslide_tf.raster.grid import Window, rows_of
from landslide_tf.terrain import Grid
from landslide_tf.words import counted


@dataclass(frozen=True)
class Stage:
    """Objects that remain after a stage.

    Attributes:
        name: `map`, `rules`, `change`, …
        objects: Landslides that are left.
        pixels: Counts of pixels against the reference; None without one.
        matched: Counts of objects, matched at an IoU of a half; None without one.

    >>> from landslide_tf.objects import ObjectCounts
    >>> from landslide_tf.recognition import Stage
    >>> Stage("map", 3, ObjectCounts(8, 2, 2, "pixel"), None).line()
    'map: 3 objects; pixels: precision 0.800, recall 0.800'
    """

    name: str
    objects: int
    pixels: ObjectCounts | None
    matched: ObjectCounts | None

    def line(self) -> str:
        """Returns the stage as a line for a terminal."""
        found = f"{self.name}: {counted(self.objects, 'object')}"
        for what, counts in (("pixels", self.pixels), ("objects", self.matched)):
            if counts is not None:
                scores = counts.scores()
                found += (
                    f"; {what}: precision {1 - scores.ce:.3f}, recall {scores.dp:.3f}"
                )
        return found

    def as_dict(self) -> dict[str, Any]:
        """Returns the stage as JSON values."""
        found: dict[str, Any] = {"name": self.name, "objects": self.objects}
        for what, counts in (("pixels", self.pixels), ("matched", self.matched)):
            if counts is not None:
                found[what] = {"tp": counts.tp, "fp": counts.fp, "fn": counts.fn}
                found[what] |= counts.scores().as_dict()
        return found


def scored(
    names: Sequence[tuple[str, int]],
    masks: Callable[[Window], list[Mask]],
    there: Reference | None,
    beyond: Reference | None,
    grid: Grid,
) -> list[Stage]:
    """Returns the stages, with scores where it is known what is there.

    Args:
        names: Name and objects of each stage.
        masks: What is left after each stage, in a window (h, w).
        there: What is there; None = not known.
        beyond: Of this nothing counts: ground on which bounds were chosen.
        grid: The grid.
    """
    if there is None:
        return [Stage(name, number, None, None) for name, number in names]

    def strips() -> Iterator[tuple[Mask, list[Mask]]]:
        for window in rows_of(grid.shape):
            truth, ignored = there.read(window)
            if beyond is not None:
                ignored |= ~beyond.read(window)[1]
            yield truth & ~ignored, [mask & ~ignored for mask in masks(window)]

    pixels, overlaps, _ = compare_strips(strips, len(names))
    return [
        Stage(name, number, own, overlap.counts("iou"))
        for (name, number), own, overlap in zip(names, pixels, overlaps, strict=True)
    ]


def check_landslides(there: Reference, grid: Grid) -> None:
    """Refuses a reference without a landslide.

    Raises:
        DataError: If there is none where the map is.
    """
    if not any(there.read(window)[0].any() for window in rows_of(grid.shape)):
        raise DataError(
            f"The reference `{there.path}` must hold landslides where the map is, "
            "received none: recall has no value without one."
        )

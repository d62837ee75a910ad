"""The loop of the scheme: other bounds where accuracy on a labelled part is too low.

The flow chart repeats fine-tuning until the accuracy will do. What is tried, and how
often, is this project's: bound by bound, on the validation part alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import IntArray
from landslide_tf.errors import DataError
from landslide_tf.mapping import Reference
from landslide_tf.objects.cells import NumberedCells
from landslide_tf.raster.grid import rows_of
from landslide_tf.recognition.comparison import Index
from landslide_tf.recognition.judgement import judge
from landslide_tf.recognition.options import SchemeOptions
from landslide_tf.terrain import Grid

_STEPS = 20  # bounds that are tried of an attribute, between equal numbers of objects

Table = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Gains:
    """What keeping each object does to the score of the validation part.

    Attributes:
        right: Its pixels that are landslide (N,).
        wrong: Its pixels that are none (N,).
        landslide: All pixels of landslides.
    """

    right: IntArray
    wrong: IntArray
    landslide: int

    def iou(self, kept: NDArray[np.bool_]) -> float:
        """Returns the IoU of landslide pixels where some objects are kept."""
        right, wrong = self.right[kept].sum(), self.wrong[kept].sum()
        return float(right / (self.landslide + wrong))

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Objects with a pixel on the validation part (N,)."""
        return self.right + self.wrong > 0


def gains_of(cells: NumberedCells, number: int, part: Reference, grid: Grid) -> Gains:
    """Counts the pixels of objects on the validation part.

    Args:
        cells: Which object holds each pixel.
        number: How many there are.
        part: What is there, on the validation part.
        grid: The grid.

    Returns:
        The counts.

    Raises:
        DataError: If the part holds no landslide.
    """
    right, wrong = np.zeros((2, number + 1), np.int64)
    landslide = 0
    for window in rows_of(grid.shape):
        truth, ignored = part.read(window)
        of = cells.read(window)
        right += np.bincount(of[truth], minlength=number + 1)
        wrong += np.bincount(of[~truth & ~ignored], minlength=number + 1)
        landslide += int(truth.sum())
    if not landslide:
        raise DataError(
            f"The validation part of `{part.path}` must hold landslides, received none:"
            " an IoU has no value without one."
        )
    return Gains(right[1:], wrong[1:], landslide)


def search_bounds(
    table: Table, gains: Gains, options: SchemeOptions, index: Index | None
) -> tuple[SchemeOptions, list[float]]:
    """Tries other bounds, one after the other, until the IoU will do.

    In each round every bound takes the value that gives the largest IoU while the
    others stay: off, or one of those between which equal numbers of the validation
    part's objects lie. A bound that no other value betters stays as it is.

    Args:
        table: Attributes of the objects (N,) by name.
        gains: What keeping each does to the IoU.
        options: Where the search begins; its `target_iou` ends it.
        index: As of `judge`.

    Returns:
        The best options, and the IoU before the search and after each round.
    """
    bounds: list[float | None] = [rule.bound for rule in options.rules]
    tried = [[None, *_between(table, r.attribute, gains)] for r in options.rules]
    if "pre_overlap" in table:
        bounds.append(options.pre_existing)
        shares = _between(table, "pre_overlap", gains)
        tried.append([None, *(share for share in shares if share > 0)])
    if index is not None:
        bounds.append(options.veg_loss)
        tried.append([*_between(table, "veg_loss", gains)])

    def iou(values: list[float | None]) -> float:
        return gains.iou(judge(table, _with(values, table, options), index).kept)

    found = [iou(bounds)]
    while len(found) <= options.max_rounds and found[-1] < (options.target_iou or 0):
        top = found[-1]
        for place, values in enumerate(tried):
            for value in values:
                changed = [*bounds[:place], value, *bounds[place + 1 :]]
                if (reached := iou(changed)) > top:
                    top, bounds = reached, changed
        if top == found[-1]:
            break
        found.append(top)
    return _with(bounds, table, options), found


def _between(table: Table, attribute: str, gains: Gains) -> list[float]:
    """Returns values of an attribute between equal numbers of objects that are seen."""
    if attribute not in table:
        return []
    values = np.asarray(table[attribute], float)[gains.seen]
    values = values[np.isfinite(values)]
    if not values.size:
        return []
    edges = np.quantile(values, np.linspace(0, 1, _STEPS + 1))
    return [float(value) for value in np.unique(edges)]


def _with(
    bounds: list[float | None], table: Table, options: SchemeOptions
) -> SchemeOptions:
    """Returns options with other bounds: of the rules, of what was there, of loss."""
    number = len(options.rules)
    rules = tuple(
        replace(rule, bound=bound)
        for rule, bound in zip(options.rules, bounds[:number], strict=True)
        if bound is not None
    )
    rest = list(bounds[number:])
    before = rest.pop(0) if "pre_overlap" in table else options.pre_existing
    loss = rest.pop(0) if rest else options.veg_loss
    return replace(options, rules=rules, pre_existing=before, veg_loss=loss)

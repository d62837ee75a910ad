"""Which objects are kept, and what rejects the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_tf.objects import Rule, apply_rules
from landslide_tf.recognition.comparison import (
    LOSS,
    VEGETATED,
    Index,
    change_classes,
)
from landslide_tf.recognition.options import PRE_EXISTING, SchemeOptions


@dataclass(frozen=True)
class Judgement:
    """What is left of objects after each stage.

    Attributes:
        steps: Names of the stages, and which objects are left (N,).
        reasons: What rejects each object, in the order tried.
        not_evaluated: Objects that a rule could not be tried on, by rule.
        change: Class of change of each object; None where no date before is known.
    """

    steps: tuple[tuple[str, NDArray[np.bool_]], ...]
    reasons: tuple[tuple[str, ...], ...]
    not_evaluated: Mapping[str, int]
    change: NDArray[Any] | None

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Objects that nothing rejects (N,)."""
        return self.steps[-1][1]


def judge(
    table: Mapping[str, NDArray[Any]], options: SchemeOptions, index: Index | None
) -> Judgement:
    """Tries the rules, the comparison with before, and the loss of vegetation.

    Args:
        table: Attributes of the objects (N,) by name.
        options: How.
        index: Index of vegetation whose loss is known; None = no images.

    Returns:
        What is left.
    """
    number = len(table["id"])
    filtered = apply_rules(table, options.rules, number)
    reasons = [list(names) for names in filtered.rejected_by]
    steps, unknown = [("rules", filtered.kept)], dict(filtered.not_evaluated)

    def left() -> NDArray[np.bool_]:
        return np.array([not names for names in reasons], bool)

    change = None
    if "pre_overlap" in table:
        share = options.pre_existing
        change = np.array(
            change_classes(
                table["pre_overlap"], PRE_EXISTING if share is None else share
            ),
            object,
        )
        if share is not None:
            for names, what in zip(reasons, change, strict=True):
                names += [what] if what == "pre_existing" else []
            steps.append(("change", left()))
    if index is not None:
        lost = apply_rules(table, [_loss(index, options)], number)
        unknown |= lost.not_evaluated
        for names, more in zip(reasons, lost.rejected_by, strict=True):
            names += more
        steps.append(("vegetation", left()))
    return Judgement(tuple(steps), tuple(map(tuple, reasons)), unknown, change)


def _loss(index: Index, options: SchemeOptions) -> Rule:
    least = LOSS[index] if options.veg_loss is None else options.veg_loss
    where = {"ndvi_pre": VEGETATED} if index == "ndvi" else {}
    return Rule("min", "veg_loss", least, where)

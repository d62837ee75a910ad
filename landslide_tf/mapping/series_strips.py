"""What began in a series of class maps that come in strips of rows.

Maps that are too large for memory are read as often as they are asked for; kept are
some numbers an object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from landslide_tf.array_types import FloatArray, IntArray
from landslide_tf.conventions import IGNORE_VALUE
from landslide_tf.errors import DataError
from landslide_tf.mapping.class_changes import check_landslide_class, checked_integer
from landslide_tf.objects.strips import Mask, StripLabels


class Strip(NamedTuple):
    """Some rows of all maps of a series.

    Attributes:
        row: The first one.
        maps: Class maps (h, W), oldest first.
        areas: Area of a pixel of each row, m² (h,); None = areas are pixels.

    >>> import numpy as np
    >>> from landslide_tf.mapping.series_strips import Strip
    >>> Strip(0, [np.zeros((1, 3), np.uint8)], None).row
    0
    """

    row: int
    maps: Sequence[NDArray[np.uint8]]
    areas: FloatArray | None


Strips = Callable[[], Iterable[Strip]]
"""Gives the strips from top to bottom, the same each time."""


@dataclass(frozen=True)
class SeriesRule:
    """What counts as a landslide that began on a date.

    Attributes:
        dates: Number of maps.
        landslide: Value of the landslide class.
        ignore: Value of pixels without a class.
        persist: Maps in a row that must show landslide.
        min_area: Smallest new object, in pixels or m².

    Raises:
        DataError: If a value is not valid.

    >>> from landslide_tf.mapping.series_strips import SeriesRule
    >>> SeriesRule(3, landslide=1, persist=2).begins
    range(1, 2)
    """

    dates: int
    landslide: int
    ignore: int = IGNORE_VALUE
    persist: int = 1
    min_area: float = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        check_landslide_class(self.landslide, self.ignore)
        checked_integer(self.persist, "persist", 1, self.dates)
        if not self.min_area >= 0:
            raise DataError(
                f"Expected `min_area` of at least 0, received {self.min_area}; 0 keeps "
                "all."
            )

    @property
    def begins(self) -> range:
        """Dates after the first on which a landslide can begin."""
        return range(1, self.dates - self.persist + 1)

    def lasting(self, maps: Sequence[NDArray[np.uint8]], step: int) -> Mask:
        """Returns where landslide holds from a date on, bool (h, W)."""
        found: Mask = maps[step] == self.landslide
        for later in maps[step + 1 : step + self.persist]:
            found &= later == self.landslide
        return found

    def new(self, maps: Sequence[NDArray[np.uint8]], step: int) -> Mask:
        """Returns where a landslide is new on a date, bool (h, W)."""
        before = maps[step - 1]
        known = (before != self.landslide) & (before != self.ignore)
        return self.lasting(maps, step) & known


class FirstSteps:
    """Finds the first date on which each pixel is landslide, in maps by strips.

    With a smallest area the strips are read once a date; kept are some numbers an
    object, see `objects.strips.StripLabels`.

    Args:
        strips: The maps.
        rule: What counts.

    >>> import numpy as np
    >>> from landslide_tf.mapping.series_strips import FirstSteps, SeriesRule, Strip
    >>> maps = [np.array(values, np.uint8) for values in ([[1, 1]], [[1, 0]])]
    >>> found = FirstSteps(lambda: [Strip(0, maps, None)], SeriesRule(2, landslide=0))
    >>> found.read(0, maps).tolist()
    [[-1, 1]]
    """

    def __init__(self, strips: Strips, rule: SeriesRule) -> None:
        self._rule = rule
        self._large: list[StripLabels] = []
        for step in rule.begins if rule.min_area > 0 else ():
            labels = StripLabels(rule.min_area)
            for number, strip in enumerate(strips()):
                begun = self.read(number, strip.maps) >= 0
                labels.add(rule.lasting(strip.maps, step) & ~begun, strip.areas)
            self._large.append(labels)

    def read(self, number: int, maps: Sequence[NDArray[np.uint8]]) -> NDArray[np.int16]:
        """Returns the first dates of a strip, int16 (h, W), -1 = none.

        Args:
            number: Which strip, from 0.
            maps: Its class maps (h, W).
        """
        steps = np.full(maps[0].shape, -1, np.int16)
        steps[self._rule.lasting(maps, 0)] = 0
        for step in self._rule.begins:
            waiting = self._rule.lasting(maps, step) & (steps < 0)
            if self._rule.min_area > 0:
                if step > len(self._large):
                    break
                waiting = self._large[step - 1].labels(number, waiting) > 0
            steps[waiting] = step
        return steps


@dataclass(frozen=True)
class NewObject:
    """A new landslide of one date.

    Attributes:
        id: 1..n over all dates, by date and then in reading order.
        step: Index of the map it is new in, from 1.
        area: Pixels, or m² where the area of a pixel is known.
        pixels: How many it has.
        centroid: Mean row and column; the centre of the first pixel is (0, 0).
        previous: Share of its area by the class on the date before, ascending classes.
        window: Rows and columns that it lies in.
        mask: Its pixels within `window`, boolean; None where the maps are files.

    >>> from landslide_tf.mapping import NewObject
    >>> where = (slice(2, 4), slice(0, 2))
    >>> slide = NewObject(1, 1, 400.0, 4, (2.5, 0.5), {3: 1.0}, where)
    >>> slide.previous[3]
    1.0
    """

    id: int
    step: int
    area: float
    pixels: int
    centroid: tuple[float, float]
    previous: dict[int, float]
    window: tuple[slice, slice] = field(repr=False)
    mask: Mask | None = field(default=None, repr=False, compare=False)


class NewObjects:
    """Lists the landslides that are new on each date, in maps by strips.

    Args:
        strips: The maps.
        rule: What counts.

    >>> import numpy as np
    >>> from landslide_tf.mapping.series_strips import NewObjects, SeriesRule, Strip
    >>> maps = [np.array(values, np.uint8) for values in ([[1, 1]], [[1, 0]])]
    >>> found = NewObjects(lambda: [Strip(0, maps, None)], SeriesRule(2, landslide=0))
    >>> found.labels(0, maps, 1).tolist(), found.table(1, 1)[0].area
    ([[0, 1]], 1.0)
    """

    def __init__(self, strips: Strips, rule: SeriesRule) -> None:
        self._strips, self._rule = strips, rule
        self._labels = {step: StripLabels(rule.min_area) for step in rule.begins}
        self._highest = 0  # class before
        for strip in strips():
            for step, labels in self._labels.items():
                new = rule.new(strip.maps, step)
                labels.add(new, strip.areas)
                highest = strip.maps[step - 1].max(initial=0, where=new)
                self._highest = max(self._highest, int(highest))

    def labels(
        self, number: int, maps: Sequence[NDArray[np.uint8]], step: int
    ) -> IntArray:
        """Returns the labels of what is new on a date in a strip, int32 (h, W).

        Args:
            number: Which strip, from 0.
            maps: Its class maps (h, W).
            step: The date.
        """
        return self._labels[step].labels(number, self._rule.new(maps, step))

    def table(self, step: int, first_id: int) -> list[NewObject]:
        """Returns what is new on a date, in the order of the labels."""
        sums = _Sums(self._labels[step].number, self._highest + 1)
        for number, strip in enumerate(self._strips()):
            labels = self.labels(number, strip.maps, step)
            sums.add(labels, strip.maps[step - 1], strip.row, strip.areas)
        return sums.rows(step, first_id)


class _Sums:
    """Adds up the pixels of objects, row by row, whatever the height of the strips."""

    def __init__(self, number: int, classes: int) -> None:
        self._areas = np.zeros((number + 1, classes))  # by class before
        self._pixels, *self._sums = np.zeros((3, number + 1), np.int64)
        self._first = np.full((2, number + 1), np.iinfo(np.int64).max)
        self._last = np.zeros((2, number + 1), np.int64)

    def add(
        self,
        labels: IntArray,
        before: NDArray[np.uint8],
        first_row: int,
        areas: FloatArray | None,
    ) -> None:
        """Looks at the next strip (h, W)."""
        inside = np.nonzero(labels)
        of = labels[inside].astype(np.int64)
        number, classes = self._areas.shape
        keys = (inside[0] * number + of) * classes + before[inside]
        found, counts = np.unique(keys, return_counts=True)
        places, previous = np.divmod(found, classes)
        rows, owner = np.divmod(places, number)
        sizes = counts if areas is None else counts * areas[rows]
        np.add.at(self._areas, (owner, previous), sizes)
        np.add.at(self._pixels, owner, counts)
        for axis, at in enumerate((inside[0] + first_row, inside[1])):
            np.add.at(self._sums[axis], of, at)
            np.minimum.at(self._first[axis], of, at)
            np.maximum.at(self._last[axis], of, at)

    def rows(self, step: int, first_id: int) -> list[NewObject]:
        """Returns a row for each label."""
        found = []
        for label in range(1, len(self._pixels)):
            shares = self._areas[label]
            area, pixels = float(shares.sum()), int(self._pixels[label])
            row, column = (float(total[label] / pixels) for total in self._sums)
            (top, left), (bottom, right) = self._first[:, label], self._last[:, label]
            found.append(
                NewObject(
                    id=first_id + label - 1,
                    step=step,
                    area=area,
                    pixels=pixels,
                    centroid=(row, column),
                    previous={
                        int(k): float(shares[k] / area) for k in np.flatnonzero(shares)
                    },
                    window=(
                        slice(int(top), int(bottom) + 1),
                        slice(int(left), int(right) + 1),
                    ),
                )
            )
        return found

"""Boxes of image pairs: in file names, their defects, a split that keeps them apart."""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
from collections.abc import Mapping
from typing import TypeVar

from landslide_tf.datasets.common.splits import ground_units, seeded_digest
from landslide_tf.ecoregions import CODES
from landslide_tf.errors import DataError

Corner = tuple[float, float]  # latitude, longitude, degrees
Key = TypeVar("Key", bound=int | str)  # number or name of a pair

_METRES_LATITUDE, _METRES_LONGITUDE = 110_574.0, 111_320.0  # of a degree
_WIDEST = 6.0  # width by height of a plausible view
_NARROWEST = 0.2
_SHARE = 0.15  # of the pairs of a region, in test and in validation
_DEGREES = r"(-?\d{1,3}\.\d{6})"
_NAME = re.compile(
    rf"GE_{_DEGREES}_{_DEGREES}_{_DEGREES}_{_DEGREES}_LS_([^\W_]+)"
    r"(?:_([A-Z]{2,3}))?_(\d{8})_(PRE|POST)(?:\.\w+)?"
)


@dataclasses.dataclass(frozen=True)
class Box:
    """Extent of an image pair, degrees.

    Attributes:
        lower_left: Latitude and longitude of the lower left corner.
        upper_right: Those of the upper right corner.
    """

    lower_left: Corner
    upper_right: Corner

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top."""
        (bottom, left), (top, right) = self.lower_left, self.upper_right
        return left, bottom, right, top

    def holds(self, latitude: float, longitude: float) -> bool:
        """Whether a point lies in the box or on its edge."""
        left, bottom, right, top = self.bounds
        return bottom <= latitude <= top and left <= longitude <= right

    @property
    def size(self) -> tuple[float, float]:
        """Width and height on the ground, metres."""
        left, bottom, right, top = self.bounds
        across = _METRES_LONGITUDE * math.cos(math.radians((bottom + top) / 2))
        return (right - left) * across, (top - bottom) * _METRES_LATITUDE

    @property
    def plausible(self) -> bool:
        """Whether the view is about as wide as high."""
        width, height = self.size
        return _NARROWEST < width / height < _WIDEST

    @property
    def key(self) -> tuple[float, ...]:
        """The four numbers to six decimals, lower left first."""
        return tuple(round(v, 6) for v in (*self.lower_left, *self.upper_right))


def repaired_box(lower_left: Corner, upper_right: Corner) -> tuple[Box, list[str]]:
    """Puts swapped corners right.

    Args:
        lower_left: Latitude and longitude as written, degrees.
        upper_right: The same of the other corner.

    Returns:
        The box, and `latitude_swap`, `longitude_swap` where they were needed.

    Raises:
        ValueError: If a number is no degree, or the box has no area.
    """
    (south, west), (north, east) = lower_left, upper_right
    for value, most in ((south, 90), (north, 90), (west, 180), (east, 180)):
        if not abs(value) <= most:  # also refuses NaN
            raise ValueError(f"{value} is no coordinate in degrees")
    if south == north or west == east:
        raise ValueError("the box has no area")
    swapped = {"latitude_swap": south > north, "longitude_swap": west > east}
    (south, north), (west, east) = sorted((south, north)), sorted((west, east))
    return Box((south, west), (north, east)), [k for k in swapped if swapped[k]]


def calendar_date(number: int) -> datetime.date:
    """Reads a date written as the number YYYYMMDD.

    Raises:
        ValueError: If there is no such day.
    """
    return datetime.date(number // 10_000, number // 100 % 100, number % 100)


@dataclasses.dataclass(frozen=True)
class PairName:
    """Parts of a file name.

    Attributes:
        box: The ground, repaired.
        ls_id: Number of the landslide, as text.
        country: Two or three capitals; None = not said.
        date: Day of the image, as the number YYYYMMDD.
        phase: `pre` or `post`.
        repairs: Names of the repairs.
    """

    box: Box
    ls_id: str
    country: str | None
    date: int
    phase: str
    repairs: tuple[str, ...]


def parse_pair_name(name: str) -> PairName:
    """Reads the name of an image or label file.

    Args:
        name: `GE_{LLlat}_{LLlon}_{URlat}_{URlon}_LS_{id}_{country}_{YYYYMMDD}_{PRE|
            POST}.{suffix}`, degrees with six decimals; `_{country}` and the suffix may
            be missing. A positive longitude in the United States has lost its sign and
            gets it back; swapped corners are exchanged.

    Returns:
        Its parts.

    Raises:
        DataError: If the name is another one.
    """
    match = _NAME.fullmatch(name)
    try:
        if match is None:
            raise ValueError("it has another form")
        south, west, north, east = (float(match[k]) for k in range(1, 5))
        ls_id, country, date, phase = match.groups()[4:]
        calendar_date(int(date))
        lost = {"ll_longitude_sign": west > 0, "ur_longitude_sign": east > 0}
        repairs = []
        if country in (None, "US"):
            repairs = [repair for repair in lost if lost[repair]]
            west, east = -abs(west), -abs(east)
        box, swaps = repaired_box((south, west), (north, east))
    except ValueError as error:
        raise DataError(
            f"`{name}` must be named like `GE_43.309023_-122.966736_43.310900_"
            f"-122.963295_LS_354_US_20070730_PRE.jpg`: {error}; rename the file."
        ) from error
    return PairName(box, ls_id, country, int(date), phase.lower(), (*repairs, *swaps))


def split_boxes(region: int, boxes: Mapping[Key, Box]) -> dict[Key, str]:
    """Splits the pairs of a region so that no two parts show the same ground.

    Boxes that overlap with positive area form a component, named by its smallest
    number, or smallest name where none has a number. Components are ordered by the
    SHA-256 of "CODE:name" and fill test until it holds 15 % of the pairs (rounded
    half up), then validation; the rest is train.

    Args:
        region: Index of the region.
        boxes: Ground of each pair, by its number in the table of all pairs or, if
            it is not there, by its name.

    Returns:
        Split of each pair.
    """
    names = {str(key): key for key in boxes}
    grounds = ground_units({name: boxes[k].bounds for name, k in names.items()})
    units = [[names[name] for name in unit] for unit in grounds]

    def place(unit: list[Key]) -> str:
        # Numbers come before names, whatever their characters.
        first = min(unit, key=lambda k: (isinstance(k, str), k))
        return seeded_digest(CODES[region], str(first))

    quota = math.floor(_SHARE * len(boxes) + 0.5)
    left = {"test": quota, "validation": quota}
    chosen: dict[Key, str] = {}
    for unit in sorted(units, key=place):
        split = next((part for part, count in left.items() if count > 0), "train")
        chosen |= dict.fromkeys(unit, split)
        if split in left:
            left[split] -= len(unit)
    return chosen

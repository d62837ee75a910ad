"""File names of image pairs, which say where and when an image was taken."""

from __future__ import annotations

import dataclasses
import re

from landslide_tf.datasets.ecoregion_landslides.boxes import (
    Box,
    calendar_date,
    repaired_box,
)
from landslide_tf.errors import DataError

_DEGREES = r"(-?\d{1,3}\.\d{6})"
_NAME = re.compile(
    rf"GE_{_DEGREES}_{_DEGREES}_{_DEGREES}_{_DEGREES}_LS_([^\W_]+)"
    r"(?:_([A-Z]{2,3}))?_(\d{8})_(PRE|POST)(?:\.\w+)?"
)


@dataclasses.dataclass(frozen=True)
class PairName:
    """What a file name says.

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
        repairs = []
        if country in (None, "US"):
            for corner, value in (("ll", west), ("ur", east)):
                if value > 0:
                    repairs.append(f"{corner}_longitude_sign")
            west, east = -abs(west), -abs(east)
        box, swaps = repaired_box((south, west), (north, east))
    except ValueError as error:
        raise DataError(
            f"`{name}` must be named like `GE_43.309023_-122.966736_43.310900_"
            f"-122.963295_LS_354_US_20070730_PRE.jpg`: {error}; rename the file."
        ) from error
    return PairName(box, ls_id, country, int(date), phase.lower(), (*repairs, *swaps))

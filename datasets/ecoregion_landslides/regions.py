"""The four ecoregions and the ways their names are written."""

from __future__ import annotations

import re

from landslide_tf.errors import DataError, did_you_mean

# EPA/CEC Level I ecoregions; their order is fixed, new ones are appended.
REGIONS = (
    "EASTERN_TEMPERATE_FORESTS",
    "MARINE_WEST_COAST_FOREST",
    "NORTH_AMERICAN_DESERTS",
    "NORTHWESTERN_FORESTED_MOUNTAINS",
)
CODES = ("ETF", "MWCF", "NAD", "NWFM")
NO_REGION = -1


def region_index(name: str) -> int:
    """Returns the index of an ecoregion.

    Args:
        name: Its name or code in any case, words apart by blanks, `-` or `_`; `*`
            means no region.

    Returns:
        Index into `REGIONS`, or -1 for `*`.

    Raises:
        DataError: If there is no such region.
    """
    plain = re.sub(r"[\s\-]+", "_", name.strip().upper())
    if plain == "*":
        return NO_REGION
    for names in (REGIONS, CODES):
        if plain in names:
            return names.index(plain)
    raise DataError(
        f"Expected an ecoregion ({', '.join(CODES)} or its full name), received "
        f"`{name}`.{did_you_mean(plain, [*REGIONS, *CODES])}"
    )

"""Names of regions: the four ecoregions and any others."""

from __future__ import annotations

import re

from landslide_tf.errors import DataError, ModelError, did_you_mean

# EPA/CEC Level I ecoregions; their order is fixed, new ones are appended.
REGIONS = (
    "EASTERN_TEMPERATE_FORESTS",
    "MARINE_WEST_COAST_FOREST",
    "NORTH_AMERICAN_DESERTS",
    "NORTHWESTERN_FORESTED_MOUNTAINS",
)
CODES = ("ETF", "MWCF", "NAD", "NWFM")
NO_REGION = -1
ANY = "*"  # the name of "no region"


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
    plain = _plain(name)
    if plain == ANY:
        return NO_REGION
    for names in (REGIONS, CODES):
        if plain in names:
            return names.index(plain)
    raise DataError(
        f"Expected an ecoregion ({', '.join(CODES)} or its full name), received "
        f"`{name}`.{did_you_mean(plain, [*REGIONS, *CODES])}"
    )


def region_name(name: str) -> str:
    """Returns the form of a region's name that models, states and files use.

    Args:
        name: An ecoregion's name or code, or any other name of letters, digits, `_`,
            `-` and blanks that begins with a letter, in any case.

    Returns:
        Upper case, words apart by `_`; the full name of an ecoregion.

    Raises:
        ModelError: If the name has other characters.
    """
    plain = _plain(name) if isinstance(name, str) else ""
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", plain):
        raise ModelError(
            "A region's name must begin with a letter and hold letters, digits, `_`, "
            f"`-` and blanks, received `{name}`."
        )
    return REGIONS[CODES.index(plain)] if plain in CODES else plain


def check_one_region(region: object, regions: object) -> None:
    """Refuses a region that is named and looked up in a file as well.

    Args:
        region: Its name, or None.
        regions: Polygons of regions, or None.

    Raises:
        DataError: If both are given.
    """
    if region is not None and regions is not None:
        raise DataError("Give `--region` or `--regions`, not both.")


def _plain(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().upper())

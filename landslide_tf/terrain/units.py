"""Vertical parts of coordinate systems, and units of elevations.

What a file says of its unit and what the user says are brought together here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import pyproj
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from landslide_tf.errors import DataError, check_choice
from landslide_tf.terrain.gradient import check_positive

Z_UNITS: Mapping[str, float] = MappingProxyType(
    {"metre": 1.0, "foot": 0.3048, "us_survey_foot": 1200 / 3937}
)
"""Metres of the units that elevations come in."""

# The two feet differ by 2e-6, and `ft` is written for both.
_SAME = 1e-5
_METRES = {
    r"m|met(re|er)s?": 1.0,
    r"dm|decimet(re|er)s?": 0.1,
    r"cm|centimet(re|er)s?": 0.01,
    r"mm|millimet(re|er)s?": 0.001,
    r"km|kilomet(re|er)s?": 1000.0,
    r"i?ft|(international )?(foot|feet)( international)?": Z_UNITS["foot"],
    r"us ?ft|ft ?us|(us )?survey (foot|feet)|us (foot|feet)|(foot|feet) us( survey)?": (
        Z_UNITS["us_survey_foot"]
    ),
}


def metres_of(z_unit: str | float) -> float:
    """Returns metres a unit.

    Args:
        z_unit: A name of `Z_UNITS`, or metres a unit.

    Returns:
        Metres, above 0.

    Raises:
        DataError: If the name is unknown or the number not above 0.
    """
    if isinstance(z_unit, str):
        check_choice("z_unit", z_unit, tuple(Z_UNITS))
        return Z_UNITS[z_unit]
    return check_positive("z_unit", z_unit)


@lru_cache(maxsize=64)
def horizontal_part(crs: CRS) -> CRS:
    """Returns a system without its vertical part, which places no cell.

    Args:
        crs: Any system.

    Returns:
        The same one, where it has only two axes.
    """
    wkt = crs.to_wkt()
    if "VERT" not in wkt and len(pyproj.CRS.from_wkt(wkt).axis_info) < 3:
        return crs
    return CRS.from_wkt(pyproj.CRS.from_wkt(wkt).to_2d().to_wkt())


def elevation_unit(
    dataset: DatasetReader | WarpedVRT, name: str, given: str | float | None
) -> float:
    """Returns how many metres one unit of a file's elevations is.

    The unit of the band and that of the vertical axis of the coordinate system are
    read. A file that says neither is in metres where its horizontal unit is no foot.

    Args:
        dataset: An open elevation model, its elevations in the first band.
        name: What it is, for messages.
        given: What the user says, a name of `Z_UNITS` or metres a unit; None = the
            file decides.

    Returns:
        Metres, above 0.

    Raises:
        DataError: If the file's words contradict each other or `given`, or do not
            settle the unit.

    >>> import rasterio
    >>> from rasterio.io import MemoryFile
    >>> from landslide_tf.terrain.units import elevation_unit
    >>> with MemoryFile() as memory, memory.open(
    ...     driver="GTiff", count=1, height=2, width=2, dtype="float32",
    ...     crs="EPSG:32633", transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
    ... ) as dataset:
    ...     dataset.units = ("ft",)
    ...     elevation_unit(dataset, "DEM", None)
    0.3048
    """
    wanted = None if given is None else metres_of(given)
    system = dataset.crs and pyproj.CRS.from_wkt(dataset.crs.to_wkt())
    axes = system.axis_info if system else []
    # Of the two feet the coordinate system tells which; a band says `ft` for both.
    found = [
        (f"{axis.unit_name} (vertical axis)", axis.unit_conversion_factor)
        for axis in axes
        if axis.direction in ("up", "down")
    ]
    word = (dataset.units[0] or "").strip()
    known = _metres_of_word(word)
    if known is not None:
        found.append((f"{word} (band)", known))
    elif word and wanted is None:
        raise DataError(
            f"{name} must have elevations in a unit that is known, received `{word}`; "
            f"{_ADVICE}."
        )
    if wanted is not None:
        fitting = [metres for _, metres in found if _same(metres, wanted)]
        if found and not fitting:
            said = ", ".join(text for text, _ in found)
            raise DataError(
                f"{name} must have elevations in the unit that is given, `{given}`, "
                f"received {said}; leave `--dem-unit` (`z_unit`) out, or correct the "
                "file (`rio edit-info --bidx 1 --units …`, `gdal_edit.py -a_srs …`)."
            )
        return fitting[0] if fitting else wanted
    if any(not _same(metres, found[0][1]) for _, metres in found):
        said = " and ".join(text for text, _ in found)
        raise DataError(
            f"{name} must have elevations in one unit, received {said}; {_ADVICE}."
        )
    if found:
        return found[0][1]
    if system and system.is_projected and _is_foot(axes[0].unit_conversion_factor):
        raise DataError(
            f"{name} must say the unit of its elevations because its system is in "
            f"{axes[0].unit_name}, received none; {_ADVICE}."
        )
    return 1.0


_ADVICE = f"give `--dem-unit` (`z_unit`), one of {', '.join(Z_UNITS)}"


def _is_foot(metres: float) -> bool:
    return _same(metres, Z_UNITS["foot"])


def _same(metres: float, other: float) -> bool:
    return abs(metres / other - 1) < _SAME


def _metres_of_word(word: str) -> float | None:
    plain = re.sub(r"[^a-z]+", " ", word.lower().replace(".", "")).strip()
    for pattern, metres in _METRES.items():
        if re.fullmatch(pattern, plain):
            return metres
    return None

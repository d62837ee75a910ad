"""What words say of bands: colours in descriptions, numbers in names of files.

Apart from `bands`, its only caller: rules on text, which open no files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_WORDS = {
    "red": "red",
    "green": "green",
    "blue": "blue",
    "nir": "nir",
    "nir1": "nir",
    "infrared": "nir",
    "near_infrared": "nir",
    "nearinfrared": "nir",
}
_AS_STACKED = ("red", "green", "blue", "nir")
_BY_WAVELENGTH = ("blue", "green", "red", "nir")
_FIRST = ([1, 2, 3], [2, 3, 4])


def plain(text: str) -> str:
    """Returns a name in lower case, with `_` for what is no letter or digit.

    Numbers of bands have no leading zero: `B2` and `B02` are one name.

    >>> from landslide_tf.raster.band_names import plain
    >>> plain("Band 8A (NIR)"), plain("B02_blue")
    ('band_8a_nir', 'b2_blue')
    """
    words = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return re.sub(r"(^|_)b0(?=\d)", r"\1b", words)


def colour_of(text: str | None) -> str | None:
    """Returns the colour that a description or a file's name says, or None.

    >>> from landslide_tf.raster.band_names import colour_of
    >>> colour_of("B3_red"), colour_of("red edge 1"), colour_of("near infrared")
    ('red', None, 'nir')
    """
    name = plain(text or "")
    if "near_infrared" in name:
        return "nir"
    # `B8A` and `swir1` are no `nir`, and the edge of red is no red: whole words only.
    words = name.replace("red_edge", "rededge").split("_")
    found = {_WORDS[word] for word in words if word in _WORDS}
    return found.pop() if len(found) == 1 else None


def place_of(name: str, labels: Sequence[tuple[T, str]]) -> T | None:
    """Returns the only place whose label has a name among its words, or None.

    Colours are none of these names: `colour_of` says which labels mean them.

    >>> from landslide_tf.raster.band_names import place_of
    >>> place_of("swir", [(1, "B11_swir"), (2, "B08")])
    1
    """
    if name in _AS_STACKED:
        return None
    found = {
        place for place, text in labels if f"_{plain(name)}_" in f"_{plain(text)}_"
    }
    return found.pop() if len(found) == 1 else None


def colours_by_order(labels: Sequence[str | None], *, files: bool) -> tuple[str, ...]:
    """Returns which colours three or four bands are where nothing names any.

    Bands with numbers, as `B02` or `T32_B04_10m`, are blue, green, red and near
    infrared as these rise, if the first three follow each other from 1 or 2 on: so
    number Landsat, Sentinel-2 and PlanetScope. Others come in the order red, green,
    blue, near infrared, and so do bands of one file with the numbers 1, 2, 3, which
    programs give that know no names.

    Args:
        labels: What each band is called.
        files: Whether each is a file of its own.

    Returns:
        A colour a band; none for another number of bands.

    >>> from landslide_tf.raster.band_names import colours_by_order
    >>> colours_by_order(["B04.tif", "B03.tif", "B02.tif"], files=True)
    ('red', 'green', 'blue')
    """
    if len(labels) not in (3, 4):
        return ()
    known = [number for label in labels if (number := _number(label))]
    rising = sorted(set(known))
    first = [number for number, _ in rising[:3]]
    unnamed = not files and rising == [(k, "") for k in range(1, len(labels) + 1)]
    if len(rising) < len(labels) or first not in _FIRST or unnamed:
        return _AS_STACKED[: len(labels)]
    return tuple(_BY_WAVELENGTH[rising.index(number)] for number in known)


def _number(label: str | None) -> tuple[int, str] | None:
    """Returns the number of a band in a text, such as 8 and `a` of `B8A`."""
    words = plain(label or "").split("_")
    matches = [re.fullmatch(r"b(\d{1,2})(a?)", word) for word in words]
    found = [(int(match[1]), match[2]) for match in matches if match]
    return found[0] if len(found) == 1 else None

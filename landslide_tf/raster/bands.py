"""Which band of which file is red, green, blue or near infrared."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rasterio.enums import ColorInterp

from landslide_tf.errors import DataError
from landslide_tf.raster.aligned import open_raster

COLOURS = ("red", "green", "blue")

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
_MEANINGS = {
    ColorInterp.red: "red",
    ColorInterp.green: "green",
    ColorInterp.blue: "blue",
}


class BandSource(NamedTuple):
    """Where a band is: a file and a number from 1."""

    name: str
    path: Path
    index: int


def known_bands(
    path: Path, numbers: Mapping[str, int] | None = None
) -> tuple[dict[str, int], int]:
    """Says which bands of an image are known by name.

    By `numbers`; else by the bands' descriptions (`B3_red`, `NIR`); else by their
    colour interpretation; else, in a file of three or four bands, by their order: red,
    green, blue, near infrared.

    Args:
        path: The image.
        numbers: Number of each band, from 1.

    Returns:
        Number by name, and how many bands the file has.

    Raises:
        DataError: If the file cannot be read.
    """
    with open_raster(path, "image") as dataset:
        meanings, count = dataset.colorinterp, dataset.count
        described = [_name_of(text) for text in dataset.descriptions]
    if numbers:
        return dict(numbers), count
    if any(described):
        return {name: k for k, name in enumerate(described, 1) if name}, count
    known = {_MEANINGS[m]: k for k, m in enumerate(meanings, 1) if m in _MEANINGS}
    data = [k for k, m in enumerate(meanings, 1) if m != ColorInterp.alpha]
    if len(known) < len(COLOURS) and len(data) in (3, 4):
        known = dict(zip((*COLOURS, "nir"), data, strict=False))
    elif len(known) == len(COLOURS) and len(data) == 4:
        (known["nir"],) = set(data) - set(known.values())
    return known, count


def find_bands(
    path: Path, names: Sequence[str], numbers: Mapping[str, int] | None = None
) -> tuple[BandSource, ...]:
    """Finds the wanted bands of an image, as `known_bands` does.

    Args:
        path: The image.
        names: Wanted bands.
        numbers: Number of each band, from 1.

    Returns:
        One source a name.

    Raises:
        DataError: If the file cannot be read or a band is not found.
    """
    known, count = known_bands(path, numbers)
    missing = [name for name in names if not 1 <= known.get(name, 0) <= count]
    if missing:
        has = ", ".join(f"{name}={k}" for name, k in known.items()) or "none by name"
        raise DataError(
            f"image `{path}` must have the bands {', '.join(names)}: `{missing[0]}` is "
            f"not among its {count} bands ({has}); say which is which, for instance "
            "`red=3,green=2,blue=1,nir=4`."
        )
    return tuple(BandSource(name, path, known[name]) for name in names)


def read_bands_csv(path: Path, names: Sequence[str]) -> tuple[BandSource, ...]:
    """Finds the wanted bands in a table of one-band files.

    Args:
        path: `bands.csv` with the columns `name` and `path`, paths beside it.
        names: Wanted bands.

    Returns:
        One source a name.

    Raises:
        DataError: If the table lacks a column or a band.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"name", "path"} <= set(rows[0]):
        raise DataError(f"`{path}` must have the columns `name` and `path` and rows.")
    known = {row["name"]: path.parent / row["path"] for row in rows}
    for name in names:
        if name not in known:
            raise DataError(
                f"`{path}` must name the band `{name}`, received {', '.join(known)}."
            )
    return tuple(BandSource(name, known[name], 1) for name in names)


def _name_of(description: str | None) -> str | None:
    """Returns what a band's description calls it, or None."""
    words = re.split(r"[^a-z0-9]+", (description or "").lower())
    joined = "_".join(words)
    if "near_infrared" in joined:
        return "nir"
    # `B8A` and `swir1` are no `nir`: whole words only.
    found = {_WORDS[word] for word in words if word in _WORDS}
    return found.pop() if len(found) == 1 else None

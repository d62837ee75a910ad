"""Which band of which file is which band of a model, and in what scale."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.metadata import Band
from landslide_tf.raster.aligned import open_raster
from landslide_tf.raster.bands import known_bands

# Share by which values of a few pixels may lie beyond a band's range.
_TOLERANCE = 1.05
_FRACTIONS = 1.5  # reflectances as fractions stay below
_WHOLE_NUMBERS = 100  # a range up to here or more is no range of fractions
_BRIGHT = 99  # percentile that `auto` brings to the end of the range


class BandPlace(NamedTuple):
    """Where a band is: a path that GDAL opens, and a number from 1."""

    name: str
    path: str
    index: int


def find_bands(
    images: Sequence[str], names: Sequence[str], numbers: Mapping[str, int]
) -> tuple[BandPlace, ...]:
    """Finds the bands that a model takes in one file or several.

    By `numbers`; else by the descriptions of the bands; else by what is known of red,
    green, blue and near infrared (names, colour interpretation, order); else, for files
    of one band, by their names; else by order, where nothing has a name and there are
    as many bands as the model takes.

    Args:
        images: Paths that GDAL opens.
        names: The model's bands, in order.
        numbers: Number of each band, from 1, counted through all files.

    Returns:
        One place a name.

    Raises:
        DataError: If a file cannot be read or a band is not found.
    """
    places: list[tuple[str, int]] = []
    described: dict[str, tuple[str, int]] = {}
    known: dict[str, tuple[str, int]] = {}
    for path in images:
        with open_raster(path, "image") as dataset:
            texts, alpha = dataset.descriptions, alpha_bands(dataset)
        data = [k for k in range(1, len(texts) + 1) if k not in alpha]
        places += [(path, k) for k in data]
        described |= {
            _plain(t): (path, k) for k, t in enumerate(texts, 1) if t and k in data
        }
        if len(data) > 1 or len(images) == 1:
            found, _ = known_bands(path)  # type: ignore[arg-type]
            known |= {name: (path, k) for name, k in found.items()}
        else:
            words = re.split(r"[^A-Za-z0-9]+", PurePath(path).stem)
            known |= {word.lower(): (path, data[0]) for word in words if word}
            known |= dict.fromkeys(known_bands(path)[0], (path, data[0]))  # type: ignore[arg-type]
    wanted = dict.fromkeys(names)
    for name in wanted:
        if numbers:
            number = numbers.get(name, 0)
            wanted[name] = places[number - 1] if 1 <= number <= len(places) else None
        else:
            wanted[name] = described.get(_plain(name)) or known.get(name)
    if not (numbers or any(wanted.values()) or described) and len(places) == len(names):
        wanted = dict(zip(names, places, strict=True))
    for name, place in wanted.items():
        if place is None:
            raise DataError(
                f"image `{', '.join(images)}` must have the bands {', '.join(names)} of"
                f" the model: `{name}` is not found among its {len(places)} bands; say "
                f"which is which with `--bands {names[0]}=1,…`."
            )
    return tuple(BandPlace(n, *p) for n, p in wanted.items() if p is not None)


def alpha_bands(dataset: DatasetReader) -> list[int]:
    """Returns the bands, from 1, that say where an image is transparent.

    GDAL takes the fourth band of a byte image for it where nothing else is said; a band
    with a name is data.
    """
    return [
        number
        for number, (meaning, name) in enumerate(
            zip(dataset.colorinterp, dataset.descriptions, strict=True), 1
        )
        if meaning == ColorInterp.alpha and not name
    ]


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def choose_scale(
    values: FloatArray, bands: Sequence[Band], wanted: float | str | None
) -> float:
    """Decides, once a scene, what brings its values to those of the training.

    Args:
        values: Sampled pixels of the scene (N, bands), as stored or in their unit.
        bands: The model's bands.
        wanted: A factor; `"auto"`: the brightest hundredth of the pixels gets the end
            of the range; None: the factor that training used, or 1 where the values
            fit only with it.

    Returns:
        The factor.

    Raises:
        DataError: If the values do not fit the ranges of the model's bands.
    """
    if isinstance(wanted, float | int):
        if not (np.isfinite(wanted) and wanted > 0):
            raise DataError(f"Expected `scale` above 0, received {wanted}.")
        return float(wanted)
    factor = bands[0].scale
    ranges = [band.range for band in bands if band.range is not None]
    if not ranges or not len(values):
        return factor
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    if wanted == "auto":
        bright = float(np.percentile(values, _BRIGHT))
        return high / bright if bright > 0 else factor
    if wanted is not None:
        raise DataError(f"Expected `scale` as a number or `auto`, received `{wanted}`.")
    smallest, largest = float(values.min()), float(values.max())
    slack = (_TOLERANCE - 1) * (high - low)
    fractions = values.dtype.kind == "f" and largest <= _FRACTIONS
    for trial in dict.fromkeys((factor, 1.0)):
        dark = fractions and trial == 1.0 and high >= _WHOLE_NUMBERS
        if (
            smallest * trial >= low - slack
            and largest * trial <= high + slack
            and not dark
        ):
            return trial
    raise DataError(
        f"image must hold values from {low / factor:g} to {high / factor:g} as in "
        f"training, received {smallest:g} to {largest:g}; give the factor between with "
        f"`--scale {high / largest if largest > 0 else 1:.4g}` or `--scale auto`."
    )

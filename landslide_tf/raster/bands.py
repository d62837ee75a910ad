"""Which band of which file is wanted, and what brings its values to a model's scale."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.metadata import Band
from landslide_tf.raster import grid as grids
from landslide_tf.raster.aligned import alpha_bands

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
# Share by which values of a few pixels may lie beyond a band's range.
_TOLERANCE = 1.05
_FRACTIONS = 1.5  # reflectances as fractions stay below
_WHOLE_NUMBERS = 100  # a range up to here or more is no range of fractions
_BRIGHT = 99  # percentile that becomes the end of a range


class BandSource(NamedTuple):
    """Where a band is.

    Attributes:
        name: What it is called.
        path: A path that GDAL opens.
        number: Its number in the file, from 1.

    >>> from landslide_tf.raster.bands import BandSource
    >>> BandSource("nir", "image.tif", 4).number
    4
    """

    name: str
    path: str
    number: int


def known_bands(path: grids.FilePath) -> dict[str, int]:
    """Says which bands of an image are known to be red, green, blue or near infrared.

    By the bands' descriptions (`B3_red`, `NIR`); else by their colour interpretation;
    else, in a file of three or four bands, by their order: red, green, blue, near
    infrared.

    Args:
        path: The image.

    Returns:
        Number from 1 by name.

    Raises:
        DataError: If the file cannot be read, or holds numbers of a colour table.

    >>> from pathlib import PurePath
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from landslide_tf.raster.bands import known_bands
    >>> from landslide_tf.raster.cog import Layer, write_plain
    >>> from landslide_tf.terrain import Grid
    >>> grid = Grid("EPSG:32633", Affine(10, 0, 0, 0, -10, 0), 2, 2)
    >>> path = PurePath("/vsimem/known.tif")  # a file in memory
    >>> layer = Layer("uint8", 0, ["B2_blue", "B8 NIR"])
    >>> write_plain(path, grid, layer, [(0, np.ones((2, 2, 2), np.uint8))])
    >>> known_bands(path)
    {'blue': 1, 'nir': 2}
    """
    with grids.open_raster(path, "image") as dataset:
        _check_colours(path, dataset)
        return _known(dataset)


def _check_colours(path: grids.FilePath, dataset: DatasetReader) -> None:
    """Refuses values that stand for colours of a table."""
    for number, meaning in enumerate(dataset.colorinterp, 1):
        if meaning != ColorInterp.palette:
            continue
        colours = dataset.colormap(number)
        if any(colour[:3] != (k, k, k) for k, colour in colours.items()):
            own = PurePath(path)
            files = str(own), str(own.with_name(f"{own.stem}_rgb.tif"))
            command = shlex.join(["gdal_translate", "-expand", "rgb", *files])
            raise DataError(
                f"image `{path}` must hold measured values, received numbers of a "
                f"colour table in band {number}: write its colours as bands with "
                f"`{command}` and give that file."
            )


def stored_units(sources: Sequence[BandSource]) -> tuple[tuple[float, float], ...]:
    """Returns scale and offset of bands, by the tags of their files.

    Args:
        sources: Where the bands are.

    Returns:
        A pair a band: its values are `stored * scale + offset`.

    >>> import tempfile, numpy, rasterio
    >>> from landslide_tf.raster.bands import BandSource, stored_units
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     image = folder + "/image.tif"
    ...     with rasterio.open(
    ...         image, "w", driver="GTiff", count=1, height=2, width=2, dtype="uint16",
    ...         transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
    ...     ) as dataset:
    ...         dataset.scales, dataset.offsets = (0.0001,), (-0.1,)
    ...         dataset.write(numpy.ones((1, 2, 2), "uint16"))
    ...     stored_units([BandSource("red", image, 1)])
    ((0.0001, -0.1),)
    """
    found = []
    for source in sources:
        with grids.open_raster(source.path, "image") as dataset:
            at = source.number - 1
            found.append((float(dataset.scales[at]), float(dataset.offsets[at])))
    return tuple(found)


def _known(dataset: DatasetReader) -> dict[str, int]:
    meanings = dataset.colorinterp
    described = [_name_of(text) for text in dataset.descriptions]
    if any(described):
        return {name: k for k, name in enumerate(described, 1) if name}
    known = {_MEANINGS[m]: k for k, m in enumerate(meanings, 1) if m in _MEANINGS}
    data = [k for k, m in enumerate(meanings, 1) if m != ColorInterp.alpha]
    if len(known) < len(COLOURS) and len(data) in (3, 4):
        known = dict(zip((*COLOURS, "nir"), data, strict=False))
    elif len(known) == len(COLOURS) and len(data) == 4:
        (known["nir"],) = set(data) - set(known.values())
    return known


def _name_of(description: str | None) -> str | None:
    """Returns what a band's description calls it, or None."""
    words = re.split(r"[^a-z0-9]+", (description or "").lower())
    if "near_infrared" in "_".join(words):
        return "nir"
    # `B8A` and `swir1` are no `nir`: whole words only.
    found = {_WORDS[word] for word in words if word in _WORDS}
    return found.pop() if len(found) == 1 else None


def find_bands(
    images: Sequence[grids.FilePath],
    names: Sequence[str],
    numbers: Mapping[str, int] | None = None,
) -> tuple[BandSource, ...]:
    """Finds bands in one file or several.

    By `numbers`; else by the descriptions of the bands; else by what is known of red,
    green, blue and near infrared (`known_bands`); else, for files of one band, by their
    names; else by order, where nothing has a name and there are as many bands as names.

    Args:
        images: Paths that GDAL opens.
        names: Wanted bands, in order.
        numbers: Number of each band, from 1, in the file; in several files counted
            through all of them without their alpha bands.

    Returns:
        One source a name.

    Raises:
        DataError: If a file cannot be read, a band is not found or holds numbers of a
            colour table.

    >>> import tempfile, numpy, rasterio
    >>> from landslide_tf.raster.bands import find_bands
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     image = folder + "/image.tif"
    ...     with rasterio.open(
    ...         image, "w", driver="GTiff", count=2, height=2, width=2, dtype="uint8",
    ...         transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
    ...     ) as dataset:
    ...         dataset.descriptions = ("B8_nir", "B4 red")
    ...         dataset.write(numpy.ones((2, 2, 2), "uint8"))
    ...     [(band.name, band.number) for band in find_bands([image], ["red", "nir"])]
    [('red', 2), ('nir', 1)]
    """
    if not names:
        return ()
    several = len(images) > 1
    every: list[tuple[str, int]] = []
    data: list[tuple[str, int]] = []
    described: dict[str, tuple[str, int]] = {}
    known: dict[str, tuple[str, int]] = {}
    for path in map(str, images):
        with grids.open_raster(path, "image") as dataset:
            _check_colours(path, dataset)
            texts, colours = dataset.descriptions, _known(dataset)
            alpha = alpha_bands(dataset)
        every += [(path, k) for k in range(1, len(texts) + 1)]
        own = [(path, k) for k in range(1, len(texts) + 1) if k not in alpha]
        data += own
        described |= {_plain(texts[k - 1]): (path, k) for _, k in own if texts[k - 1]}
        if several and len(own) == 1:
            words = re.split(r"[^A-Za-z0-9]+", PurePath(path).stem)
            known |= dict.fromkeys([*(w.lower() for w in words if w), *colours], own[0])
        else:
            known |= {name: (path, k) for name, k in colours.items()}
    found: dict[str, tuple[str, int] | None] = {}
    for name in names:
        found[name] = described.get(_plain(name)) or known.get(name)
        if numbers:
            place = numbers.get(name, 0) - 1
            counted = data if several else every
            found[name] = counted[place] if 0 <= place < len(counted) else None
    if not (numbers or described or any(found.values())) and len(data) == len(found):
        found = dict(zip(found, data, strict=True))
    for name, source in found.items():
        if source is None:
            raise DataError(
                f"image `{', '.join(map(str, images))}` must have the bands "
                f"{', '.join(names)}: `{name}` is not found among its {len(data)} bands"
                f" ({', '.join(described or known) or 'none by name'}); say which is "
                f"which with `--bands {names[0]}=1,…`."
            )
    return tuple(BandSource(n, *source) for n, source in found.items() if source)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def bright_value(values: FloatArray) -> float:
    """Returns the value that only a hundredth of some pixels exceed.

    Where nothing else is known of a scene's values, this one is brought to the end of
    the range that a model takes.

    Args:
        values: Values of pixels, any shape.

    Returns:
        The 99th percentile of all values.

    >>> import numpy as np
    >>> from landslide_tf.raster.bands import bright_value
    >>> bright_value(np.arange(101.0))
    99.0
    """
    return float(np.percentile(values, _BRIGHT))


def choose_scale(
    values: FloatArray,
    bands: Sequence[Band],
    wanted: float | str | None,
    *,
    offset: bool = False,
) -> float:
    """Decides, once a scene, what brings its values to those of the training.

    Args:
        values: Sampled pixels of the scene (N, bands), as stored or in their unit.
        bands: The model's bands.
        wanted: A factor; `"auto"`: the brightest hundredth of the pixels gets the end
            of the range; None: the bands' `scale`, or 1 where the values fit only with
            it.
        offset: Whether values are as stored and the file tags an offset, which no
            factor brings in.

    Returns:
        The factor.

    Raises:
        DataError: If the values do not fit the ranges of the model's bands.

    >>> import numpy as np
    >>> from landslide_tf.metadata import Band
    >>> from landslide_tf.raster.bands import choose_scale
    >>> red = Band(name="red", unit="reflectance", scale=255, range=(0, 255))
    >>> choose_scale(np.array([[0.02], [0.6]]), [red], None)
    255.0
    >>> choose_scale(np.array([[5], [153]]), [red], None)
    1.0
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
        bright = bright_value(values)
        return high / bright if bright > 0 else factor
    if wanted is not None:
        raise DataError(f"Expected `scale` as a number or `auto`, received `{wanted}`.")
    smallest, largest = float(values.min()), float(values.max())
    slack = (_TOLERANCE - 1) * (high - low)
    fractions = values.dtype.kind == "f" and largest <= _FRACTIONS
    for trial in dict.fromkeys((factor, 1.0)):
        dark = fractions and trial == 1.0 and high >= _WHOLE_NUMBERS
        fits = smallest * trial >= low - slack and largest * trial <= high + slack
        if fits and not dark:
            return trial
    auto = "`--scale auto`"
    factor_between = f"`--scale {high / largest if largest > 0 else 1:.4g}`"
    raise DataError(
        f"image must hold values from {low / factor:g} to {high / factor:g} as in "
        f"training, received {smallest:g} to {largest:g}; "
        + (
            f"scale and offset of the file's tags are used with {auto}."
            if offset
            else f"give the factor between with {factor_between} or {auto}."
        )
    )

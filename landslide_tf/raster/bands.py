"""Which band of which file is wanted, and what brings its values to a model's scale."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import DataError
from landslide_tf.metadata import Band
from landslide_tf.raster import grid as grids
from landslide_tf.raster.band_names import (
    colour_of,
    colours_by_order,
    place_of,
    plain,
)
from landslide_tf.raster.validity import alpha_bands

COLOURS = ("red", "green", "blue")

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
    infrared, or that of wavelengths where descriptions number them (`B02`, `B03`,
    `B04`), of which a warning tells.

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
        known, guess = _known(dataset)
    if guess:
        _say_order(guess)
    return known


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


def _known(dataset: DatasetReader) -> tuple[dict[str, int], dict[str, str]]:
    """Returns the numbers of colours, and what was taken without being sure."""
    meanings, texts = dataset.colorinterp, dataset.descriptions
    described = [colour_of(text) for text in texts]
    if any(described):
        return {name: k for k, name in enumerate(described, 1) if name}, {}
    known = {_MEANINGS[m]: k for k, m in enumerate(meanings, 1) if m in _MEANINGS}
    alpha = alpha_bands(dataset)
    data = [k for k in range(1, len(texts) + 1) if k not in alpha]
    labels = [texts[k - 1] for k in data]
    colours = colours_by_order(labels, files=False)
    # GDAL calls any three bands of bytes red, green and blue when it writes them.
    numbered = colours != (*COLOURS, "nir")[: len(data)]
    if colours and (numbered or len(known) < len(COLOURS)):
        known = dict(zip(colours, data, strict=True))
        guess = {name: str(texts[k - 1]) for name, k in known.items()}
        return known, guess if any(labels) else {}
    if len(known) == len(COLOURS) and len(data) == 4:
        (known["nir"],) = set(data) - set(known.values())
    return known, {}


def _say_order(taken: Mapping[str, str]) -> None:
    """Says what is taken for which band where nothing names any."""
    listed = ", ".join(f"`{text}` as {name}" for name, text in taken.items())
    warnings.warn(
        f"bands have no names that say what they are; taken are {listed}: if that is "
        "wrong, say which is which with `--bands`.",
        stacklevel=1,  # one line, whoever asks: it is said once
    )


Place = tuple[str, int]


@dataclass
class _Places:
    """The bands of files.

    Attributes:
        every: Path and number of each band.
        data: Those that are not alpha.
        labels: What bands are called: by descriptions, and by names of files of one
            band.
        known: Bands by colour.
        guess: What was taken for a colour without being sure, by colour.
    """

    every: list[Place] = field(default_factory=list)
    data: list[Place] = field(default_factory=list)
    labels: list[tuple[Place, str]] = field(default_factory=list)
    known: dict[str, Place] = field(default_factory=dict)
    guess: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, *, alone: bool) -> None:
        """Looks at the bands of a file, the only one or one of several."""
        with grids.open_raster(path, "image") as dataset:
            _check_colours(path, dataset)
            texts, alpha = dataset.descriptions, alpha_bands(dataset)
            colours, guess = _known(dataset)
        every = [(path, k) for k in range(1, len(texts) + 1)]
        data = [place for place in every if place[1] not in alpha]
        named = [(place, texts[place[1] - 1] or "") for place in data]
        if len(data) == 1 and not alone:
            named.append((data[0], stem := PurePath(path).stem))
            colours |= {name: data[0][1] for name in (colour_of(stem),) if name}
        self.every, self.data = [*self.every, *every], [*self.data, *data]
        self.labels += [(place, text) for place, text in named if text]
        self.known |= {name: (path, k) for name, k in colours.items()}
        self.guess |= guess

    def by_name(self, name: str) -> Place | None:
        """Returns the band of a name, None where it is not the only one or none."""
        exact = {plain(text): place for place, text in self.labels}
        if place := exact.get(plain(name)):
            return place
        if name in self.guess:
            _say_order(self.guess)
        return self.known.get(name) or place_of(name, self.labels)

    def by_order(self, names: Sequence[str]) -> dict[str, Place]:
        """Returns the bands of names where no band has one; none where some have."""
        files = len({path for path, _ in self.data}) == len(self.data) > 1
        called = dict(self.labels[::-1])  # a description before a file's name
        labels = [called.get(place) for place in self.data]
        colours = colours_by_order(labels, files=True) if files else ()
        if set(names) <= set(colours):
            order = dict(zip(colours, self.data, strict=True))
        elif len(self.data) == len(names) and (files or not self.labels):
            order = dict(zip(names, self.data, strict=True))
        else:
            return {}
        if files:
            shown = {name: PurePath(place[0]).name for name, place in order.items()}
            _say_order(shown)
        return order


def find_bands(
    images: Sequence[grids.FilePath],
    names: Sequence[str],
    choice: Mapping[str, int | str] | None = None,
) -> tuple[BandSource, ...]:
    """Finds bands in one file or several.

    By `choice`; else by the descriptions of the bands and, for files of one band, their
    names; else by what is known of red, green, blue and near infrared (`known_bands`);
    else by order, where nothing has a name: files with numbers, as `B02.tif`, in that
    of wavelengths. A warning says what the order of files has decided.

    Args:
        images: Paths that GDAL opens.
        names: Wanted bands, in order.
        choice: What to take for each band: its name in the files, or its number from
            1, in several files counted through all of them without their alpha bands.
            None = by the name itself.

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
    ...     find_bands([image], ["red"], {"red": "B8"})[0].number
    [('red', 2), ('nir', 1)]
    1
    """
    if not names:
        return ()
    places = _Places()
    for path in map(str, images):
        places.add(path, alone=len(images) == 1)
    chosen = choice or {name: name for name in names}
    counted = places.every if len(images) == 1 else places.data
    found: dict[str, Place | None] = {}
    for name in names:
        wanted = chosen.get(name, 0)
        if isinstance(wanted, str):
            found[name] = places.by_name(wanted)
        else:
            found[name] = counted[wanted - 1] if 0 < wanted <= len(counted) else None
    if not any(found.values()) and all(chosen.get(name) == name for name in names):
        order = places.by_order(names)
        found = {name: order.get(name) for name in names}
    called = list(dict.fromkeys(text for _, text in places.labels)) or ["none by name"]
    for name, source in found.items():
        if source is None:
            wanted = chosen.get(name, name)
            raise DataError(
                f"image `{', '.join(map(str, images))}` must have the bands "
                f"{', '.join(names)}: `{name}` is not found"
                f"{'' if wanted == name else f' as `{wanted}`'} among its "
                f"{len(places.data)} bands ({', '.join(called)}); say which is which, "
                f"by number or name, with `--bands {names[0]}=1,…`."
            )
    return tuple(BandSource(n, *source) for n, source in found.items() if source)


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

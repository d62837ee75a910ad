"""Which band of which file is wanted."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NamedTuple

from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from landslide_tf.errors import DataError, warn
from landslide_tf.raster.band_names import (
    colour_of,
    colours_by_order,
    place_of,
    plain,
)
from landslide_tf.raster.names import FilePath, is_remote, short_name, stem
from landslide_tf.raster.opening import open_raster
from landslide_tf.raster.validity import alpha_bands
from landslide_tf.words import counted

COLOURS = ("red", "green", "blue")

_MEANINGS = {
    ColorInterp.red: "red",
    ColorInterp.green: "green",
    ColorInterp.blue: "blue",
}


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


def known_bands(path: FilePath) -> dict[str, int]:
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
    with open_raster(path, "image") as dataset:
        _check_colours(path, dataset)
        known, guess = _known(dataset)
    if guess:
        _say_order(guess)
    return known


def _check_colours(path: FilePath, dataset: DatasetReader) -> None:
    """Refuses values that stand for colours of a table."""
    for number, meaning in enumerate(dataset.colorinterp, 1):
        if meaning != ColorInterp.palette:
            continue
        colours = dataset.colormap(number)
        if any(colour[:3] != (k, k, k) for k, colour in colours.items()):
            colours_file = f"{stem(path)}_rgb.tif"
            if not is_remote(path):
                colours_file = str(PurePath(path).with_name(colours_file))
            files = os.fspath(path), colours_file
            command = shlex.join(["gdal_translate", "-expand", "rgb", *files])
            raise DataError(
                f"image `{path}` must hold measured values, received numbers of a "
                f"colour table in band {number}: write its colours as bands with "
                f"`{command}` and give that file."
            )


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
    warn(
        f"bands have no names that say what they are; taken are {listed}: if that is "
        "wrong, say which is which with `--bands`.",
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
        with open_raster(path, "image") as dataset:
            _check_colours(path, dataset)
            texts, alpha = dataset.descriptions, alpha_bands(dataset)
            colours, guess = _known(dataset)
        every = [(path, k) for k in range(1, len(texts) + 1)]
        data = [place for place in every if place[1] not in alpha]
        named = [(place, texts[place[1] - 1] or "") for place in data]
        if len(data) == 1 and not alone:
            named.append((data[0], called := stem(path)))
            colours |= {name: data[0][1] for name in (colour_of(called),) if name}
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
            shown = {name: short_name(place[0]) for name, place in order.items()}
            _say_order(shown)
        return order


def find_bands(
    images: Sequence[FilePath],
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
    numbered = places.every if len(images) == 1 else places.data
    found: dict[str, Place | None] = {}
    for name in names:
        wanted = chosen.get(name, 0)
        if isinstance(wanted, str):
            found[name] = places.by_name(wanted)
        else:
            found[name] = numbered[wanted - 1] if 0 < wanted <= len(numbered) else None
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
                f"{counted(len(places.data), 'band')} ({', '.join(called)}); say which "
                f"is which, by number or name, with `--bands {names[0]}=1,…`."
            )
    return tuple(BandSource(n, *source) for n, source in found.items() if source)

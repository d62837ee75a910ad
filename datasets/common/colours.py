"""Labels drawn in colours: to class numbers and back."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from landslide_tf.errors import DataError
from landslide_tf.metadata import IGNORE_VALUE

Colour = tuple[int, int, int]


def from_colours(
    image: NDArray[np.uint8],
    colours: Mapping[int, Colour],
    path: str | os.PathLike[str],
    *,
    tolerated: float = 0.0,
) -> NDArray[np.uint8]:
    """Turns a picture of class colours into class numbers.

    Args:
        image: uint8 (H, W, 3), red, green, blue.
        colours: Colour by class number; 255 = no label.
        path: The file, for the message.
        tolerated: Share of pixels that may have other colours; they become the class
            of the nearest one.

    Returns:
        uint8 (H, W).

    Raises:
        DataError: If more pixels than tolerated have other colours.
    """
    packed = image.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    out = np.full(packed.shape, IGNORE_VALUE, np.uint8)
    known = np.zeros(packed.shape, bool)
    for number, (red, green, blue) in colours.items():
        here = packed == red * 65536 + green * 256 + blue
        out[here] = number
        known |= here
    stray = image[~known]
    if len(stray) > tolerated * packed.size:
        first = tuple(int(value) for value in stray[0])
        listed = ", ".join(map(str, colours.values()))
        raise DataError(
            f"`{path}` must hold the colours {listed} only, received {len(stray)} "
            f"pixels of others, the first {first}: it is not such a label, or was "
            "compressed with losses."
        )
    if len(stray):
        numbers = np.array(list(colours), np.uint8)
        centres = np.array(list(colours.values()), np.int32)
        apart = ((stray[:, None].astype(np.int32) - centres) ** 2).sum(axis=-1)
        out[~known] = numbers[apart.argmin(axis=1)]
    return out


def to_colours(
    mask: NDArray[np.uint8], colours: Mapping[int, Colour]
) -> NDArray[np.uint8]:
    """Turns class numbers into a picture of their colours.

    Args:
        mask: uint8 (H, W).
        colours: Colour of each number that occurs.

    Returns:
        uint8 (H, W, 3).

    Raises:
        DataError: If a number has no colour.
    """
    unknown = np.setdiff1d(mask, list(colours))
    if unknown.size:
        raise DataError(
            f"Expected class numbers {', '.join(map(str, colours))}, received "
            f"{unknown[0]}."
        )
    table = np.zeros((256, 3), np.uint8)
    for number, colour in colours.items():
        table[number] = colour
    return table[mask]

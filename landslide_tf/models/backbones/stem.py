"""First convolutions for other bands than red, green and blue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from landslide_tf.array_types import FloatArray
from landslide_tf.errors import ModelError, did_you_mean
from landslide_tf.layers import Normalization

COLOURS = ("red", "green", "blue")
RULES = ("repeat", "zero")
# A rule, or the colour (None: nothing) that each band takes its weights from.
Stem: TypeAlias = str | Sequence[str | None]


def check_stem(stem: Stem | None, bands: int, normalization: Normalization) -> None:
    """Refuses weights of three bands for an image they do not serve.

    Args:
        stem: As in `stem_kernel`; None is for images of red, green and blue.
        bands: Bands of the image.
        normalization: The builder's argument.

    Raises:
        ModelError: If there is no such rule or it does not fit the bands.
    """
    if stem is None:
        if bands != 3:
            raise ModelError(
                "`backbone_weights` needs an image of 3 bands (red, green, blue), "
                f"received {bands}: choose a `stem` rule for them, such as 'repeat'."
            )
        if not isinstance(normalization, str):
            raise ModelError(
                "`backbone_weights` with constants of its own in `normalization` needs "
                "a `stem`: 'zero' for red, green, blue, in this order."
            )
        return
    if isinstance(normalization, str):
        raise ModelError(
            "`stem` needs `normalization=(mean, std, scale)` for its bands, received "
            f"{normalization!r}, which is for red, green and blue."
        )
    if isinstance(stem, str):
        if stem not in RULES:
            raise ModelError(
                f"`stem` must be one of {RULES}, or one of {COLOURS} or None for each "
                f"band, received {stem!r}." + did_you_mean(stem, RULES)
            )
        return
    if len(stem) != bands:
        raise ModelError(
            f"`stem` must name a colour or None for each of {bands} bands, received "
            f"{len(stem)}: {list(stem)}."
        )
    for colour in stem:
        if colour is not None and colour not in COLOURS:
            raise ModelError(
                f"`stem` must be made of {COLOURS} and None, received {colour!r}."
                + did_you_mean(str(colour), COLOURS)
            )


def stem_kernel(rgb: FloatArray, bands: int, stem: Stem) -> FloatArray:
    """Makes the kernel of a first convolution from that for red, green and blue.

    Args:
        rgb: Kernel of shape (height, width, 3, filters), bands red, green, blue.
        bands: Bands of the image.
        stem: `"repeat"`: the three are cycled over the bands and scaled by 3 / bands,
            so that an image that is constant over its bands gives the same (for
            multiples of three; nearly for others); `"zero"`: the first three bands are
            red, green and blue, the others start without effect; or the colour that
            each band takes its weights from, None for one that starts without effect,
            where bands of one colour share its weight equally.

    Returns:
        Kernel of shape (height, width, bands, filters).
    """
    if isinstance(stem, str) and stem == "repeat":
        return rgb[:, :, np.arange(bands) % 3] * np.asarray(3 / bands, rgb.dtype)
    if isinstance(stem, str):
        stem = [*COLOURS, *([None] * bands)][:bands]
    kernel = np.zeros((*rgb.shape[:2], bands, rgb.shape[3]), rgb.dtype)
    for band, colour in enumerate(stem):
        if colour is not None:
            share = sum(other == colour for other in stem)
            kernel[:, :, band] = rgb[:, :, COLOURS.index(colour)] / share
    return kernel

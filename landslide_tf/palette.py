"""Colours of classes, the same in every picture."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]

LANDSLIDE: Colour = (230, 0, 0)
NEUTRAL: Colour = (226, 226, 220)
IGNORE: Colour = (158, 158, 158)
TRUTH_OUTLINE: Colour = (0, 225, 255)
PREDICTION_OUTLINE: Colour = (255, 214, 0)
BOTH_OUTLINE: Colour = (255, 255, 255)

_KNOWN: dict[str, Colour] = {
    "landslide": LANDSLIDE,
    "building": (255, 170, 0),
    "forest": (0, 115, 38),
    "vegetation": (0, 115, 38),
    "water": (0, 77, 168),
    "road": (130, 130, 130),
    "bare": (215, 194, 158),
    "soil": (215, 194, 158),
    "background": NEUTRAL,
    "other": NEUTRAL,
    "stable": NEUTRAL,
}
_NEGATED = re.compile(r"^(non|not|no)\b")
_DISTANCE = 60.0  # in RGB units; nearer colours are hard to tell apart in a map


def class_palette(classes: Sequence[str]) -> NDArray[np.uint8]:
    """Gives every class a colour that depends on the list of names alone.

    Names of land cover keep their customary colour (landslide red, forest green,
    water blue, …), background and negated names ("non-landslide") are neutral, and
    the others get colours that differ from all those in use.

    Args:
        classes: Class names in label order; case, `_` and `-` do not matter.

    Returns:
        RGB colours, uint8 (classes, 3).
    """
    colours: list[Colour | None] = []
    for colour in map(_known_colour, classes):
        colours.append(None if colour in colours else colour)
    candidates = _candidates()
    for index, colour in enumerate(colours):
        if colour is None:
            used = [other for other in colours if other is not None]
            colours[index] = _most_distant(candidates, used)
    return np.array(colours, np.uint8).reshape(-1, 3)


def _known_colour(name: str) -> Colour | None:
    words = re.sub(r"[^a-z]+", " ", name.lower()).strip()
    if _NEGATED.match(words):
        return NEUTRAL
    for word in words.split():
        for form in (word, word.removesuffix("s")):
            if form in _KNOWN:
                return _KNOWN[form]
    return None


def _candidates() -> list[Colour]:
    """Saturated and muted colours around the hue circle, in a fixed order."""
    # The golden ratio keeps every prefix of the sequence well spread.
    hues = [(0.75 + step * 0.6180339887) % 1.0 for step in range(24)]
    shades = ((0.85, 0.75), (0.55, 0.6), (0.95, 0.4), (0.4, 0.9))
    return [
        (round(red * 255), round(green * 255), round(blue * 255))
        for value, saturation in shades
        for red, green, blue in (
            colorsys.hsv_to_rgb(h, saturation, value) for h in hues
        )
    ]


def _most_distant(candidates: list[Colour], used: list[Colour]) -> Colour:
    """The first candidate far enough from all used colours, else the farthest."""
    taken = np.array([*used, IGNORE], float)
    apart = [np.linalg.norm(taken - np.array(c), axis=1).min() for c in candidates]
    far = [c for c, d in zip(candidates, apart, strict=True) if d >= _DISTANCE]
    return far[0] if far else candidates[int(np.argmax(apart))]

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
    wanted = [_known_colour(name) for name in classes]
    used: list[Colour] = []
    colours: list[Colour | None] = []
    for colour in wanted:
        taken = colour is not None and colour in used
        colours.append(None if taken else colour)
        if colour is not None and not taken:
            used.append(colour)
    candidates = _candidates()
    result = []
    for colour in colours:
        if colour is None:
            colour = _most_distant(candidates, used)
            used.append(colour)
        result.append(colour)
    return np.array(result, np.uint8).reshape(-1, 3)


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
    colours = []
    for value, saturation in ((0.85, 0.75), (0.55, 0.6), (0.95, 0.4), (0.4, 0.9)):
        for step in range(24):
            # The golden ratio keeps every prefix of the sequence well spread.
            hue = (0.75 + step * 0.6180339887) % 1.0
            red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
            colours.append((round(red * 255), round(green * 255), round(blue * 255)))
    return colours


def _most_distant(candidates: list[Colour], used: list[Colour]) -> Colour:
    """The first candidate far enough from all used colours, else the farthest."""
    taken = np.array([*used, IGNORE], float)
    apart = [np.linalg.norm(taken - np.array(c), axis=1).min() for c in candidates]
    for candidate, distance in zip(candidates, apart, strict=True):
        if distance >= _DISTANCE:
            return candidate
    return candidates[int(np.argmax(apart))]
